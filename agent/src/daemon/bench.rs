//! The standard suite on a pool, while the daemon runs: on request or at the first
//! boot of a pool, one at a time, and not beside the pool's own work. It runs in a
//! child, so that its buffers and its load are not the daemon's; this keeps what
//! came of it. What is measured, and how, is `instore-bench`'s matter.

mod busy;
mod kept;
mod task;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use instore_bench::suite::Length;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::state::{Pool, Shared};
use super::wake::Waker;
use crate::metrics::{Events, Kind};
use crate::spawn::{Argv, Life};
pub(in crate::daemon) use kept::look;
pub use kept::{Benches, Kept, Running};
use task::Task;

/// This program, also when its file was replaced since it was started.
const ITSELF: &str = "/proc/self/exe";
/// A suite that was asked to end prints what it has and removes its files.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// A killed one leaves them to this process.
const DIES_WITHIN: Duration = Duration::from_secs(5);
/// One that takes longer waits for a disk that will not answer.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    /// Label of a pool. Without it, and without a directory, the only one.
    pub pool: Option<String>,
    /// Any directory instead: its figures are given back, and not kept.
    pub directory: Option<PathBuf>,
    pub length: Length,
    /// To judge by, instead of what the machine says it is.
    pub instance_type: Option<String>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            pool: None,
            directory: None,
            length: Length::Full,
            instance_type: None,
        }
    }
}

/// Why no suite was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// There is no such pool, or it cannot be measured.
    Unfit(String),
    /// Another one runs, or the pool has work to do.
    Busy(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(words) | Self::Busy(words) => f.write_str(words),
        }
    }
}

/// Who wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Request,
    FirstBoot,
}

impl By {
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::FirstBoot => "first boot",
        }
    }
}

/// What is told while it runs.
#[derive(Debug)]
pub enum Progress {
    Line(String),
    /// The last.
    Done(Result<Arc<Kept>, String>),
}

/// A suite that was begun. It ends when nobody waits for it any more.
#[derive(Debug)]
pub struct Started {
    progress: UnboundedReceiver<Progress>,
    life: Arc<Life>,
}

impl Started {
    /// None after the last.
    pub async fn next(&mut self) -> Option<Progress> {
        self.progress.recv().await
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.life.end(Signal::SIGTERM);
    }
}

/// Runs suites, one at a time.
#[derive(Debug)]
pub struct Bencher {
    program: Argv,
    shared: Arc<Shared>,
    events: Arc<Events>,
    waker: Waker,
    /// Of the one that runs.
    life: Mutex<Option<Arc<Life>>>,
    idle: Condvar,
}

impl Bencher {
    /// Suites are run by this program itself.
    #[must_use]
    pub fn new(shared: Arc<Shared>, events: Arc<Events>, waker: Waker) -> Self {
        Self::with(Argv::new(&[ITSELF]), shared, events, waker)
    }

    /// Suites are run by another program, which takes the same arguments.
    #[must_use]
    pub fn with(program: Argv, shared: Arc<Shared>, events: Arc<Events>, waker: Waker) -> Self {
        Self {
            program,
            shared,
            events,
            waker,
            life: Mutex::default(),
            idle: Condvar::new(),
        }
    }

    /// Begins a suite that somebody waits for.
    ///
    /// # Errors
    /// When it is refused.
    pub fn begin(self: &Arc<Self>, ask: &Ask) -> Result<Started, Refused> {
        let (sender, progress) = unbounded_channel();
        let life = self.start(ask, By::Request, Some(sender))?;
        Ok(Started { progress, life })
    }

    /// Begins one that nobody asked for.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_unasked(self: &Arc<Self>, pool: &str, length: Length) -> Result<(), Refused> {
        let ask = Ask {
            pool: Some(pool.to_owned()),
            length,
            ..Ask::default()
        };
        self.start(&ask, By::FirstBoot, None).map(drop)
    }

    /// Ends the one that runs, and waits until its files are gone.
    pub fn stop(&self) {
        for (signal, patience) in [
            (Signal::SIGTERM, ENDS_WITHIN),
            (Signal::SIGKILL, DIES_WITHIN),
        ] {
            let life = self.held();
            let Some(running) = life.clone() else { return };
            drop(life);
            running.end(signal);
            let waited = self
                .idle
                .wait_timeout_while(self.held(), patience, |life| life.is_some());
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Ends one that takes too long.
    pub fn end_if_overdue(&self) {
        let Some(running) = self.shared.benches().running.clone() else {
            return;
        };
        let age = running.since.elapsed().unwrap_or_default();
        if age > LONGEST
            && let Some(life) = &*self.held()
        {
            life.end(Signal::SIGTERM);
        }
    }

    /// Does something while no suite runs, and none can begin.
    pub(in crate::daemon) fn if_idle<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let held = self.held();
        held.is_none().then(work)
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<Life>>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(
        self: &Arc<Self>,
        ask: &Ask,
        by: By,
        listener: Option<UnboundedSender<Progress>>,
    ) -> Result<Arc<Life>, Refused> {
        let task = self.task(ask)?;
        let mut held = self.held();
        if let Some(running) = &self.shared.benches().running {
            return Err(Refused::Busy(running.refusal()));
        }
        if let Some(pool) = &task.on {
            answers(pool, &self.shared).map_err(Refused::Unfit)?;
            busy::check(pool, &self.shared).map_err(Refused::Busy)?;
        }
        let life = Arc::new(Life::default());
        let running = Running {
            target: task.target(),
            pool: task.pool.as_ref().map(|pool| pool.label.clone()),
            by,
            length: ask.length,
            since: SystemTime::now(),
        };
        let begun = format!(
            "measure {} ({} suite)",
            running.target,
            running.length_word()
        );
        self.shared.set_running(Some(running));
        *held = Some(Arc::clone(&life));
        drop(held);
        info!("{begun}");
        let turn = Turn {
            bencher: Arc::clone(self),
            life: Arc::clone(&life),
        };
        let thread = thread::Builder::new().name("bench".into());
        // A thread that cannot be had drops the turn, and so is over.
        let spawned = thread.spawn(move || turn.run(&task, listener.as_ref()));
        spawned.map_err(|e| Refused::Busy(format!("start a thread: {e}; try again")))?;
        Ok(life)
    }

    fn task(&self, ask: &Ask) -> Result<Task, Refused> {
        let snapshot = self.shared.snapshot();
        let unfit = |words: String| Err(Refused::Unfit(words));
        let mut task = Task {
            program: self.program.clone(),
            pool: None,
            on: None,
            directory: PathBuf::new(),
            length: ask.length,
            instance_type: ask.instance_type.clone(),
        };
        match (&ask.directory, &ask.pool) {
            (Some(_), Some(_)) => return unfit("name a pool or a directory, not both".into()),
            (Some(directory), None) if !directory.is_absolute() => {
                return unfit(format!("{} is not an absolute path", directory.display()));
            }
            (Some(directory), None) => {
                let above = |pool: &&Pool| pool.mounted && directory.starts_with(&pool.at);
                task.on = snapshot.pools.iter().find(above).cloned();
                task.directory.clone_from(directory);
            }
            (None, label) => {
                let pool = fit(&snapshot.pools, label.as_deref()).map_err(Refused::Unfit)?;
                task.directory.clone_from(&pool.at);
                task.on = Some(pool.clone());
                task.pool = Some(pool.clone());
            }
        }
        Ok(task)
    }
}

/// The pool of this label, or the only one, when it can be written to.
fn fit<'a>(pools: &'a [Pool], label: Option<&str>) -> Result<&'a Pool, String> {
    let labels = || {
        let labels: Vec<&str> = pools.iter().map(|pool| pool.label.as_str()).collect();
        labels.join(", ")
    };
    let pool = match (label, pools) {
        (_, []) => return Err("there is no pool on this node: name a directory".into()),
        (None, [pool]) => pool,
        (None, _) => return Err(format!("there are several pools: name one of {}", labels())),
        (Some(label), _) => pools
            .iter()
            .find(|pool| pool.label == label)
            .ok_or_else(|| format!("there is no pool {label}, but {}", labels()))?,
    };
    match (pool.mounted, pool.read_only) {
        (false, _) => Err(format!("pool {} is not mounted", pool.label)),
        (true, true) => Err(format!("pool {} is read-only", pool.label)),
        (true, false) => Ok(pool),
    }
}

fn answers(pool: &Pool, shared: &Shared) -> Result<(), String> {
    let readings = shared.readings();
    let reading = readings.pools.get(&pool.label);
    match reading.is_some_and(|reading| reading.trouble.is_some()) {
        true => Err(format!("pool {} does not answer", pool.label)),
        false => Ok(()),
    }
}

/// The time in which one suite runs: when it is dropped, the next may begin.
struct Turn {
    bencher: Arc<Bencher>,
    life: Arc<Life>,
}

impl Turn {
    fn run(self, task: &Task, listener: Option<&UnboundedSender<Progress>>) {
        let result = task.run(&self.life, |line| {
            let line = Progress::Line(line.to_owned());
            if listener.is_some_and(|listener| listener.send(line).is_err()) {
                self.life.end(Signal::SIGTERM);
            }
        });
        let (target, events) = (task.target(), Arc::clone(&self.bencher.events));
        let done = match result {
            Ok(kept) => {
                let kept = Arc::new(kept);
                info!("measured {target}: {}", kept.words());
                if let Some(pool) = &task.pool {
                    self.bencher.shared.set_bench(&pool.label, &kept);
                }
                Ok(kept)
            }
            Err(failure) => {
                let words = format!("measure {target}: {failure:#}");
                match self.life.is_ended() {
                    true => info!("{words}"),
                    false => {
                        warn!("{words}");
                        events.error(Kind::Bench);
                    }
                }
                Err(words)
            }
        };
        // Whoever reads the last line may begin the next.
        drop(self);
        let _ = listener.map(|listener| listener.send(Progress::Done(done)));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut held = self.bencher.held();
        self.bencher.shared.set_running(None);
        *held = None;
        drop(held);
        self.bencher.idle.notify_all();
        self.bencher.waker.wake();
    }
}

#[cfg(test)]
mod tests;
