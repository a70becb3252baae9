//! A suite that somebody waits for: refused at once, or told line by line, with the
//! result and an exit status at the end.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{LINES, Private, READ_WITHIN, gone, written};
use crate::cli::exit;
use crate::daemon::Request;
use crate::daemon::bench::{Ask, Progress, Refused, Started};

/// The body is an [`Ask`] as JSON; without one it is the only pool, in full.
pub(super) async fn begin(State(private): State<Arc<Private>>, body: Bytes) -> Response {
    let ask = match body.is_empty() {
        true => Ok(Ask::default()),
        false => serde_json::from_slice(&body),
    };
    let ask = match ask {
        Ok(ask) => ask,
        Err(error) => {
            let words = format!("what is asked for cannot be read: {error}\n");
            return (StatusCode::UNPROCESSABLE_ENTITY, words).into_response();
        }
    };
    let (sender, answer) = oneshot::channel();
    if !private.control.ask(Request::Bench(ask, sender)) {
        return gone();
    }
    match answer.await {
        Ok(Ok(started)) => stream(started),
        Ok(Err(refused)) => {
            let status = match refused {
                Refused::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
                Refused::Busy(_) => StatusCode::CONFLICT,
            };
            (status, format!("{refused}\n")).into_response()
        }
        Err(_) => gone(),
    }
}

fn stream(mut started: Started) -> Response {
    let (sink, body) = mpsc::channel::<Result<Bytes, Infallible>>(LINES);
    tokio::spawn(async move {
        loop {
            let progress = tokio::select! {
                progress = started.next() => progress,
                // With nobody to wait for it, it ends.
                () = sink.closed() => return,
            };
            let lines: Vec<Value> = match progress {
                Some(Progress::Line(line)) => vec![json!({ "line": line })],
                Some(Progress::Done(Ok(kept))) => vec![
                    json!({ "result": kept.result }),
                    json!({ "code": exit::FINE }),
                ],
                Some(Progress::Done(Err(words))) => {
                    vec![json!({ "line": words }), json!({ "code": exit::FAILED })]
                }
                None => return,
            };
            for line in &lines {
                let sent = sink.send_timeout(Ok(written(line)), READ_WITHIN).await;
                if sent.is_err() {
                    return;
                }
            }
        }
    });
    let body = Body::from_stream(ReceiverStream::new(body));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
