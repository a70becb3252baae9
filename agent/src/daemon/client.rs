//! Asks the daemon over its unix socket, for the command line.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use instore_bench::suite::SuiteResult;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;

use super::bench::Ask;

/// What only reads is answered from memory.
const PATIENCE: Duration = Duration::from_secs(5);

/// No daemon listens.
#[derive(Debug, thiserror::Error)]
#[error("no daemon listens at {0}: start it with `systemctl start instore`")]
pub struct NoDaemon(String);

/// One line of the answer to an apply or a bench.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Line(String),
    Result(Box<SuiteResult>),
    Code(u8),
}

/// Whether a daemon listens.
#[must_use]
pub fn is_there(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

/// All that the daemon knows, as its API tells it.
///
/// # Errors
/// [`NoDaemon`], or when it does not answer.
pub fn status(socket: &Path) -> Result<Value> {
    block_on(async {
        let answer = async {
            let body = ask(socket, Method::GET, "/v1/status").await?;
            let bytes = body.into_body().collect().await?.to_bytes();
            Ok(serde_json::from_slice(&bytes)?)
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.context("the daemon does not answer: see `systemctl status instore`")?
    })
}

/// Has the daemon apply, and hands on what it logs. Returns the exit status.
///
/// # Errors
/// [`NoDaemon`], or when the daemon ends before it is done.
pub fn apply(socket: &Path, mut on_line: impl FnMut(&str)) -> Result<u8> {
    block_on(async {
        let body = ask(socket, Method::POST, "/v1/apply").await?.into_body();
        let lost = "the daemon went away before it was done; it is safe to run this again";
        follow(body, &mut on_line, &mut drop).await.context(lost)
    })
}

/// Has the daemon run a suite, and hands on what it tells meanwhile. Returns the
/// exit status, and the result if there is one. The suite ends with the caller.
///
/// # Errors
/// [`NoDaemon`], why it is refused, or when the daemon ends before it is done.
pub fn bench(
    socket: &Path,
    what: &Ask,
    mut on_line: impl FnMut(&str),
) -> Result<(u8, Option<SuiteResult>)> {
    let what = serde_json::to_vec(what)?;
    block_on(async {
        let body = send(socket, Method::POST, "/v1/bench", what).await?;
        let mut result = None;
        let lost = "the daemon went away before the suite was done";
        let mut keep = |told: Box<SuiteResult>| result = Some(*told);
        let code = follow(body.into_body(), &mut on_line, &mut keep).await;
        let code = code.context(lost)?;
        Ok((code, result))
    })
}

/// Reads lines up to the exit status.
async fn follow(
    mut body: Incoming,
    on_line: &mut dyn FnMut(&str),
    on_result: &mut dyn FnMut(Box<SuiteResult>),
) -> Result<u8> {
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        text.extend_from_slice(frame.data_ref().map_or(&[][..], AsRef::as_ref));
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            match serde_json::from_slice(&line).context("read the daemon's answer")? {
                Said::Line(line) => on_line(&line),
                Said::Result(result) => on_result(result),
                Said::Code(code) => return Ok(code),
            }
        }
    }
    bail!("its answer has no end")
}

/// Has the daemon read its configuration again.
///
/// # Errors
/// [`NoDaemon`], or why the configuration is refused.
pub fn reload(socket: &Path) -> Result<()> {
    block_on(async {
        ask(socket, Method::POST, "/v1/reload").await?;
        Ok(())
    })
}

fn block_on<T>(question: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    runtime.block_on(question)
}

async fn ask(socket: &Path, method: Method, path: &str) -> Result<Response<Incoming>> {
    send(socket, method, path, Vec::new()).await
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Response<Incoming>> {
    let shown = socket.display();
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Err(NoDaemon(shown.to_string()).into());
        }
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            bail!("ask the daemon at {shown}: only root may; use sudo")
        }
        Err(e) => return Err(e).with_context(|| format!("ask the daemon at {shown}")),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "instore")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await;
    let response = response.with_context(|| format!("ask the daemon at {shown}"))?;
    let status = response.status();
    if !status.is_success() {
        let words = response.into_body().collect().await?.to_bytes();
        let words = String::from_utf8_lossy(&words).trim().to_owned();
        ensure!(!words.is_empty(), "the daemon answers {status}");
        bail!(words);
    }
    Ok(response)
}
