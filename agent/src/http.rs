//! The doors: read-only HTTP for Prometheus and people, and a unix socket of
//! root for whatever acts. On one thread of their own; nothing here reads the
//! machine.

mod api;
mod connections;
mod control;
mod read;
mod socket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{error, info};

use crate::config::Listen;
use crate::daemon::state::Shared;
use crate::daemon::wake::Waker;
use crate::metrics::Metrics;
use connections::Connections;
pub use control::Control;
pub use read::router;

/// An address that cannot be had is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Answers that are under way at the end have this long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is served, and where.
#[derive(Debug)]
pub struct Server {
    pub listen: Listen,
    pub socket: PathBuf,
    pub shared: Arc<Shared>,
    pub metrics: Metrics,
    pub control: Control,
}

/// The servers that run.
#[derive(Debug)]
pub struct Handle {
    listen: watch::Sender<Option<Listen>>,
    door: Arc<Mutex<Door>>,
    thread: Option<JoinHandle<()>>,
}

/// Where the public door is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Door {
    address: Option<SocketAddr>,
    failure: Option<String>,
}

impl Handle {
    /// Listens elsewhere from now on.
    pub fn listen(&self, at: Listen) {
        self.listen.send_if_modified(|now| {
            let is_new = *now != Some(at);
            *now = Some(at);
            is_new
        });
    }

    /// Why the address cannot be had, if it cannot.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        door.failure.clone()
    }

    /// Where it answers, once it does.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        door.address
    }

    /// Whether they ended by themselves: a fault.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends what is under way, and then the servers.
    pub fn stop(&mut self) {
        let _ = self.listen.send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the servers. The socket is there when this returns.
///
/// # Errors
/// When the socket cannot be made.
pub fn start(server: Server) -> Result<Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime of the servers")?;
    let local = socket::bind(&server.socket)?;
    let (listen, listens) = watch::channel(Some(server.listen));
    let door = Arc::default();
    let handle = Handle {
        listen,
        door: Arc::clone(&door),
        thread: None,
    };
    let thread = thread::Builder::new().name("http".into()).spawn(move || {
        let waker = server.control.waker();
        let public = read::router(Arc::clone(&server.shared), Arc::new(server.metrics));
        let private = control::router(server.shared, server.control);
        runtime.block_on(async {
            let mut stop = listens.clone();
            tokio::join!(
                public_door(public, listens, &door, &waker),
                socket::serve(local, private, async move {
                    let _ = stop.wait_for(Option::is_none).await;
                }),
            );
        });
        runtime.shutdown_timeout(LAST_WORDS);
        let _ = std::fs::remove_file(&server.socket);
    });
    Ok(Handle {
        thread: Some(thread.context("start the thread of the servers")?),
        ..handle
    })
}

async fn public_door(
    router: axum::Router,
    mut listens: watch::Receiver<Option<Listen>>,
    door: &Mutex<Door>,
    waker: &Waker,
) {
    loop {
        let Some(at) = *listens.borrow_and_update() else {
            return;
        };
        let note = |address: Option<SocketAddr>, failure: Option<String>| {
            let new = Door { address, failure };
            let mut door = door.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = *door != new;
            if let (true, Some(words)) = (is_new, &new.failure) {
                error!("{words}");
            }
            *door = new;
            if is_new {
                waker.wake();
            }
        };
        let Listen::At(address) = at else {
            note(None, None);
            if listens.changed().await.is_err() {
                return;
            }
            continue;
        };
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(address);
                note(Some(bound), None);
                info!("listening at http://{bound}/");
                let connections = Connections::new(router.clone());
                connections.serve(listener, listens.changed()).await;
            }
            Err(cause) => {
                let words = format!("listen at {address}: {cause}");
                note(None, Some(words));
                let _ = tokio::time::timeout(AGAIN, listens.changed()).await;
            }
        }
    }
}
