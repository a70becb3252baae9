//! Serves connections so that slow and hostile clients cost nothing: few at a
//! time, short requests, no bodies, and when there are too many the one that
//! has been quiet for longest goes. A scrape is quick, so it gets through.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::debug;

/// Connections at a time. A fleet has a few scrapers, a few people and a probe.
const AT_MOST: usize = 64;
/// From the end of one request to the headers of the next: a scraper that comes
/// once a minute keeps its connection. Who uses that to be slow goes first.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);
const HEADERS: usize = 64;
/// The smallest that hyper takes is 8 KiB.
const BUFFER_BYTES: usize = 16 << 10;
/// After an error of accept, such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

pub(super) struct Connections {
    router: Router,
    began: Instant,
    open: Arc<Mutex<BTreeMap<u64, Open>>>,
}

struct Open {
    /// Milliseconds since `began` of its last request, or of its beginning.
    heard: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Connections {
    pub(super) fn new(router: Router) -> Self {
        Self {
            router,
            began: Instant::now(),
            open: Arc::default(),
        }
    }

    /// Until `stop` is ready; then no request is begun, and what is under way
    /// has its last words.
    pub(super) async fn serve<S>(&self, listener: TcpListener, stop: impl Future<Output = S>) {
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        let mut number = 0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stop => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    number += 1;
                    self.make_room();
                    self.begin(number, stream, &graceful);
                }
                Err(error) => {
                    debug!("accept a connection: {error}");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        drop(listener);
        let _ = tokio::time::timeout(super::LAST_WORDS, graceful.shutdown()).await;
        for open in self.lock().values() {
            open.task.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection that was quiet for longest, if there are too many.
    fn make_room(&self) {
        let mut open = self.lock();
        while open.len() >= AT_MOST {
            let heard = |(number, one): (&u64, &Open)| (one.heard.load(Ordering::Relaxed), *number);
            let Some((_, quietest)) = open.iter().map(heard).min() else {
                return;
            };
            if let Some(one) = open.remove(&quietest) {
                one.task.abort();
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn begin(&self, number: u64, stream: TcpStream, graceful: &GracefulShutdown) {
        let heard = Arc::new(AtomicU64::new(self.now()));
        let router = {
            let (heard, began) = (Arc::clone(&heard), self.began);
            self.router.clone().layer(axum::middleware::from_fn(
                move |request, next: axum::middleware::Next| {
                    let now = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    heard.store(now, Ordering::Relaxed);
                    next.run(request)
                },
            ))
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_WITHIN)
            .max_headers(HEADERS)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        let connection = graceful.watch(connection);
        let open = Arc::clone(&self.open);
        // Locked before it runs, so that it cannot end before it is noted.
        let mut noted = self.lock();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("a connection ended: {error}");
            }
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            open.remove(&number);
        });
        noted.insert(
            number,
            Open {
                heard,
                task: task.abort_handle(),
            },
        );
    }
}
