//! The unix socket of root: its mode, who may speak, and who listens already.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::stat::{Mode, umask};
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

const HEADERS_WITHIN: Duration = Duration::from_secs(5);
const BREATH: Duration = Duration::from_millis(100);

/// Makes the socket. One that nobody listens at is left from a daemon that was
/// killed, and goes.
pub(super) fn bind(path: &Path) -> Result<StdListener> {
    let what = || format!("make the socket {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(what)?;
    }
    if StdStream::connect(path).is_ok() {
        bail!(
            "another instore listens at {}: see `instore status`",
            path.display()
        );
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).with_context(what),
        _ => {}
    }
    // Nobody else may connect, not even before its mode is set.
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = StdListener::bind(path);
    umask(before);
    let listener = listener.with_context(what)?;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).with_context(what)?;
    listener.set_nonblocking(true).with_context(what)?;
    Ok(listener)
}

pub(super) async fn serve(listener: StdListener, router: Router, stop: impl Future<Output = ()>) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            warn!("listen at the socket: {error}");
            return;
        }
    };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => return,
        };
        match accepted {
            Ok((stream, _)) if is_root(&stream) => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADERS_WITHIN)
                    .keep_alive(false)
                    .serve_connection(
                        TokioIo::new(stream),
                        TowerToHyperService::new(router.clone()),
                    );
                tokio::spawn(connection);
            }
            // The mode keeps others out; a descriptor that was handed on does not.
            Ok(_) => warn!("somebody who is not root was turned away at the socket"),
            Err(error) => {
                debug!("accept at the socket: {error}");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

/// As the kernel says, which nobody can forge.
fn is_root(stream: &UnixStream) -> bool {
    let allowed = nix::unistd::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == allowed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_root_s_alone_and_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/instore.sock");
        let first = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = format!("{:#}", bind(&path).unwrap_err());
        assert!(error.contains("another instore"), "{error}");
        drop(first);
        bind(&path).unwrap();
    }
}
