//! `instore run`: keeps the storage as configured and tells the truth about it.
//! A level-triggered loop: whatever wakes it, it observes everything afresh,
//! plans, does what is safe to do unasked, and says what is the matter. Servers
//! and collectors run beside it on threads of their own; only the loop acts.

pub mod bench;
pub mod client;
pub mod collect;
pub mod conditions;
pub mod history;
mod look;
pub mod memory;
pub mod notify;
pub mod state;
mod turn;
mod view;
pub mod wake;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use tracing::{error, info};

use crate::config::Config;
use crate::fault;
use crate::http::{self, Control};
use crate::metrics::{Events, Kind, Metrics, Outcome};
use bench::{Ask, Bencher, Refused, Started};
use collect::{Collector, Order};
use memory::Memory;
use notify::Watchdog;
use state::Shared;
use turn::Turns;
use wake::{Wake, Woken};

/// Where the CLI asks the daemon.
pub const SOCKET: &str = "/run/instore/instore.sock";

/// Without an event, look this often: for what no event tells.
const TICK: Duration = Duration::from_secs(60);
/// Between two turns: what comes in a burst is one reason to look.
const GAP: Duration = Duration::from_millis(500);

/// What the loop is asked to do.
#[derive(Debug)]
pub enum Request {
    /// As `instore apply`: all of the plan. Its exit status goes to the sender.
    Apply(tokio::sync::oneshot::Sender<u8>),
    Reload(tokio::sync::oneshot::Sender<Result<(), String>>),
    /// A suite, which then runs beside the loop.
    Bench(Ask, tokio::sync::oneshot::Sender<Result<Started, Refused>>),
}

/// How to run.
pub struct Options<'a> {
    /// Reads the configuration, at the start and at each reload.
    pub configure: &'a dyn Fn() -> Result<Config>,
    pub socket: PathBuf,
    pub memory: PathBuf,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot begin: what goes wrong later is a condition.
pub fn run(options: &Options<'_>) -> Result<()> {
    let config = (options.configure)()?;
    let shared = Arc::new(Shared::new(SystemTime::now()));
    let events = Arc::new(Events::new()?);
    let metrics = Metrics::new(Arc::clone(&shared), Arc::clone(&events))?;
    let wake = Wake::new()?;
    let memory = Memory::load(&options.memory)?;

    let (requests, asked) = mpsc::channel();
    let server = http::start(http::Server {
        listen: config.listen,
        socket: options.socket.clone(),
        shared: Arc::clone(&shared),
        metrics,
        control: Control::new(requests, wake.waker()),
    })?;
    let (orders, ordered) = mpsc::channel();
    let bencher = Arc::new(Bencher::new(
        Arc::clone(&shared),
        Arc::clone(&events),
        wake.waker(),
    ));
    let collector = Collector::new(
        Arc::clone(&shared),
        Arc::clone(&events),
        wake.waker(),
        config.clone(),
        Arc::clone(&bencher),
    );
    let collecting = thread::Builder::new()
        .name("collect".into())
        .spawn(move || collector.run(&ordered))
        .context("start the collector")?;

    let turns = Turns::new(
        config,
        Arc::clone(&shared),
        Arc::clone(&events),
        memory,
        &options.memory,
    );
    let mut daemon = Daemon {
        configure: options.configure,
        events,
        wake,
        watchdog: Watchdog::of_unit(),
        orders,
        asked,
        server,
        collecting,
        turns,
        bencher,
    };
    let ended = daemon.live();
    notify::stopping();
    info!("stopping");
    // Its files go with it, while somebody is here to see to that.
    daemon.bencher.stop();
    daemon.server.stop();
    let _ = daemon.orders.send(Order::Stop);
    // Not waited for: a collector that asks a dead disk would keep the unit from
    // stopping.
    ended
}

struct Daemon<'a> {
    configure: &'a dyn Fn() -> Result<Config>,
    events: Arc<Events>,
    wake: Wake,
    watchdog: Watchdog,
    orders: Sender<Order>,
    asked: Receiver<Request>,
    server: http::Handle,
    collecting: JoinHandle<()>,
    turns: Turns,
    bencher: Arc<Bencher>,
}

impl Daemon<'_> {
    /// Until it is told to stop.
    fn live(&mut self) -> Result<()> {
        let mut is_ready = false;
        while !self.wake.must_stop() {
            fault::hang_if_asked();
            self.watchdog.feed();
            if self.wake.must_reload() {
                let _ = self.reload();
            }
            self.answer();
            self.turns.failures_mut().listen = self.server.failure();
            let wait = self.turns.turn(&self.watchdog);
            let _ = self.orders.send(Order::Look);
            let status = self.turns.status();
            match is_ready {
                true => notify::status(&status),
                false => notify::ready(&status),
            }
            is_ready = true;
            ensure!(
                !self.server.is_dead() && !self.collecting.is_finished(),
                "a thread ended in a fault of instore: start again"
            );
            self.wait(wait);
        }
        Ok(())
    }

    /// Waits until there is a reason to look.
    fn wait(&mut self, at_most: Duration) {
        let looked = Instant::now();
        let end = looked + at_most.min(TICK);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let woken = self.wake.wait(left.min(self.watchdog.patience()));
            self.watchdog.feed();
            if self.wake.must_stop() || end <= Instant::now() {
                return;
            }
            // Pods mount and unmount all the time: only what is ours matters.
            let is_ours = woken.devices || woken.told || self.turns.mounts_changed();
            if woken != Woken::default() && is_ours {
                break;
            }
        }
        let rest = GAP.saturating_sub(looked.elapsed());
        if !rest.is_zero() {
            thread::sleep(rest);
        }
    }

    /// Does what was asked for since the last turn.
    fn answer(&mut self) {
        while let Ok(request) = self.asked.try_recv() {
            match request {
                Request::Apply(reply) => {
                    let _ = reply.send(self.turns.apply_all(&self.watchdog));
                }
                Request::Reload(reply) => {
                    let _ = reply.send(self.reload());
                }
                Request::Bench(ask, reply) => {
                    let _ = reply.send(self.bencher.begin(&ask));
                }
            }
        }
    }

    /// Takes the configuration as it is now; refuses it whole if it is bad.
    fn reload(&mut self) -> Result<(), String> {
        let read = (self.configure)();
        self.events.reloaded(Outcome::of(&read));
        match read {
            Ok(config) => {
                info!("the configuration was read again");
                self.turns.failures_mut().reload = None;
                self.server.listen(config.listen);
                let _ = self.orders.send(Order::Configure(Box::new(config.clone())));
                self.turns.configure(config);
                Ok(())
            }
            Err(failure) => {
                let words = format!("{failure:#}");
                error!("the configuration is refused, the old one stays in force: {words}");
                self.events.error(Kind::Reload);
                self.turns.failures_mut().reload = Some(words.clone());
                Err(words)
            }
        }
    }
}

/// Where the daemon's memory is for a socket: beside it in tests.
#[must_use]
pub fn memory_beside(socket: &Path) -> PathBuf {
    socket.with_file_name("memory.json")
}
