//! What acts, on the unix socket: apply, reload, bench, and the whole status.

mod bench;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::api;
use crate::cli::exit;
use crate::daemon::Request;
use crate::daemon::state::Shared;
use crate::daemon::wake::Waker;
use crate::log;

/// Lines on their way to a client; then the log waits in memory.
const LINES: usize = 64;

/// A client that takes no line for so long is gone.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// How the servers ask the loop.
#[derive(Debug, Clone)]
pub struct Control {
    requests: Sender<Request>,
    waker: Waker,
}

impl Control {
    #[must_use]
    pub fn new(requests: Sender<Request>, waker: Waker) -> Self {
        Self { requests, waker }
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// False when the loop is gone.
    fn ask(&self, request: Request) -> bool {
        let sent = self.requests.send(request).is_ok();
        self.waker.wake();
        sent
    }
}

struct Private {
    shared: Arc<Shared>,
    control: Control,
}

pub(super) fn router(shared: Arc<Shared>, control: Control) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/apply", post(apply))
        .route("/v1/reload", post(reload))
        .route("/v1/bench", post(bench::begin))
        .with_state(Arc::new(Private { shared, control }))
}

async fn status(State(private): State<Arc<Private>>) -> Response {
    axum::Json(api::status(&private.shared)).into_response()
}

async fn reload(State(private): State<Arc<Private>>) -> Response {
    let (sender, answer) = oneshot::channel();
    if !private.control.ask(Request::Reload(sender)) {
        return gone();
    }
    match answer.await {
        Ok(Ok(())) => "the configuration was read again\n".into_response(),
        Ok(Err(words)) => (StatusCode::UNPROCESSABLE_ENTITY, words + "\n").into_response(),
        Err(_) => gone(),
    }
}

/// Lines of JSON: what the daemon logs meanwhile, and the exit status last. An
/// apply goes on to its end, whether anybody reads this or not.
async fn apply(State(private): State<Arc<Private>>) -> Response {
    let mut lines = log::listen();
    let (sender, mut answer) = oneshot::channel();
    if !private.control.ask(Request::Apply(sender)) {
        return gone();
    }
    let (sink, body) = mpsc::channel::<Result<Bytes, Infallible>>(LINES);
    tokio::spawn(async move {
        loop {
            let line = tokio::select! {
                biased;
                Some(line) = lines.recv() => json!({ "line": line }),
                code = &mut answer => {
                    while let Ok(line) = lines.try_recv() {
                        let _ = sink.send(Ok(written(&json!({ "line": line })))).await;
                    }
                    let code = code.unwrap_or(exit::FAILED);
                    let _ = sink.send(Ok(written(&json!({ "code": code })))).await;
                    return;
                }
            };
            // Nobody takes it: what is to come need not be kept.
            if sink
                .send_timeout(Ok(written(&line)), READ_WITHIN)
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(body));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn written(line: &serde_json::Value) -> Bytes {
    Bytes::from(format!("{line}\n"))
}

fn gone() -> Response {
    let words = "the daemon is stopping\n";
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}
