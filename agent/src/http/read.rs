//! The public routes: nothing here changes anything, and no request has a body.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::api;
use crate::daemon::conditions::Severity;
use crate::daemon::state::Shared;
use crate::metrics::Metrics;

/// The loop looks once a minute at least; an apply may hold it for long.
const HEALTHY_WITHIN: Duration = Duration::from_secs(20 * 60);

struct Public {
    began: Instant,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

type Shown = State<Arc<Public>>;

/// All public routes.
pub fn router(shared: Arc<Shared>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route(
            "/api/v1/node",
            get(|s: Shown| async move { Json(api::node(&s.shared)) }),
        )
        .route(
            "/api/v1/disks",
            get(|s: Shown| async move { Json(api::disks(&s.shared)) }),
        )
        .route(
            "/api/v1/pools",
            get(|s: Shown| async move { Json(api::pools(&s.shared)) }),
        )
        .route(
            "/api/v1/plan",
            get(|s: Shown| async move { Json(s.shared.snapshot().plan.clone()) }),
        )
        .route(
            "/api/v1/conditions",
            get(|s: Shown| async move { Json(api::conditions(&s.shared)) }),
        )
        .route(
            "/api/v1/io",
            get(|s: Shown| async move { Json(api::io(&s.shared)) }),
        )
        .route(
            "/api/v1/bench",
            get(|s: Shown| async move { Json(api::bench(&s.shared)) }),
        )
        .route(
            "/api/v1/openapi.json",
            get(|| async { text(JSON, include_str!("openapi.json")) }),
        )
        .route(
            "/",
            get(|| async { text(HTML, include_str!("page/page.html")) }),
        )
        .route(
            "/page.css",
            get(|| async { text(CSS, include_str!("page/page.css")) }),
        )
        .route(
            "/page.js",
            get(|| async { text(SCRIPT, include_str!("page/page.js")) }),
        )
        .with_state(Arc::new(Public {
            began: Instant::now(),
            shared,
            metrics,
        }))
        .layer(middleware::from_fn(guard))
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page loads nothing but its own files, and nobody frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'none'";

fn text(kind: &'static str, body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Refuses what changes something or brings a body, and says how the answer
/// may be used.
async fn guard(request: Request, next: Next) -> Response {
    let refused = refusal(&request);
    let mut response = match refused {
        Some((status, words)) => {
            // The body is not read: the connection cannot go on.
            let headers = [(header::CONNECTION, "close"), (header::ALLOW, "GET, HEAD")];
            (status, headers, words).into_response()
        }
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Some((
            StatusCode::METHOD_NOT_ALLOWED,
            "this door only reads; what acts is on the unix socket\n",
        ));
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let has_body = length.is_some_and(|length| length.as_bytes() != b"0")
        || request.headers().contains_key(header::TRANSFER_ENCODING);
    has_body.then_some((
        StatusCode::PAYLOAD_TOO_LARGE,
        "no request has a body here\n",
    ))
}

async fn metrics_text(State(public): Shown) -> Response {
    match public.metrics.text() {
        Ok(body) => ([(header::CONTENT_TYPE, METRICS)], body).into_response(),
        Err(failure) => {
            let words = format!("{failure:#}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
        }
    }
}

/// Whether the daemon is alive: for whatever restarts it.
async fn healthz(State(public): Shown) -> Response {
    let snapshot = public.shared.snapshot();
    let age = snapshot.looked.unwrap_or(public.began).elapsed();
    if age < HEALTHY_WITHIN {
        return (StatusCode::OK, "ok\n").into_response();
    }
    let words = format!("the loop looked last {} s ago\n", age.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}

/// Whether the storage is as configured, with the reasons if it is not.
async fn readyz(State(public): Shown) -> Response {
    let snapshot = public.shared.snapshot();
    if snapshot.is_ready() {
        return (StatusCode::OK, "ready\n").into_response();
    }
    let mut words = String::new();
    for condition in &snapshot.conditions {
        let finding = &condition.finding;
        if finding.severity == Severity::Critical {
            words += &format!(
                "{:?}: {}: {}\n",
                finding.kind, finding.object, finding.message
            );
        }
    }
    if words.is_empty() {
        words = match snapshot.is_pending {
            true => "the storage is being made\n".into(),
            false => "the node was not looked at yet\n".into(),
        };
    }
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}
