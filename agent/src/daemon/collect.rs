//! Reads what changes all the time: counters of the kernel, space on the pools,
//! log pages of the controllers. Whatever may hang is asked by a thread of its
//! own with a deadline; while one hangs, only what it was asked for is missing.

mod benches;
mod deadline;
mod kernel;
mod pages;
mod pools;
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::bench::Bencher;
use super::history::INTERVAL_SECONDS;
use super::state::{Counters, DiskReading, PoolReading, Readings, Shared, Snapshot, Trouble};
use super::wake::Waker;
use crate::config::Config;
use crate::metrics::Events;
use crate::nvme::smart::{Smart, Warning};
use crate::root::Root;
use deadline::Deadlines;

/// Counters of the kernel: twice in an interval of the plots. Reading them is
/// most of what the daemon costs a node at rest.
const EVERY: Duration = Duration::from_millis(2500);
/// Space on the pools, and whether they answer.
const POOLS_EVERY: Duration = Duration::from_secs(5);
/// Log pages.
const PAGES_EVERY: Duration = Duration::from_secs(30);
/// Even when disks come and go: Amazon wants its page read once a second at most.
const PAGES_APART: Duration = Duration::from_secs(2);
/// What one answer may take before it is called late.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the collector is told.
#[derive(Debug)]
pub enum Order {
    /// The snapshot is another: ask everything now.
    Look,
    Configure(Box<Config>),
    Stop,
}

#[derive(Debug)]
pub struct Collector {
    shared: Arc<Shared>,
    events: Arc<Events>,
    waker: Waker,
    config: Config,
    readings: Readings,
    deadlines: Deadlines,
    trim: pools::Trim,
    benches: benches::Benches,
    due: Due,
    drawn: Instant,
}

impl Collector {
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        events: Arc<Events>,
        waker: Waker,
        config: Config,
        bencher: Arc<Bencher>,
    ) -> Self {
        Self {
            benches: benches::Benches::new(bencher),
            shared,
            events,
            waker,
            config,
            readings: Readings::default(),
            deadlines: Deadlines::new(PATIENCE),
            trim: pools::Trim::default(),
            due: Due::now(),
            drawn: Instant::now(),
        }
    }

    /// Collects until it is told to stop, or nobody is left to tell it.
    pub fn run(mut self, orders: &Receiver<Order>) {
        let mut next = Instant::now();
        loop {
            match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Order::Look) => self.due.hurry(),
                Ok(Order::Configure(config)) => self.config = *config,
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                // Not from the end of the last: the clock of the plots is this.
                Err(RecvTimeoutError::Timeout) => next = (next + EVERY).max(Instant::now()),
            }
            self.collect();
        }
    }

    fn collect(&mut self) {
        let snapshot = self.shared.snapshot();
        self.keep_known(&snapshot);
        let before = attention(&self.readings);
        let root = Root::system();
        for disk in snapshot.measured() {
            let reading = self.readings.disks.entry(disk.id.clone()).or_default();
            kernel::disk(&root, &disk.device, disk.bus, reading);
        }
        for pool in &snapshot.pools {
            let reading = self.readings.pools.entry(pool.label.clone()).or_default();
            kernel::pool(&root, &pool.device, reading);
        }
        self.draw();
        if self.due.pools() {
            if let Some(process) = process::read() {
                self.readings.process = process;
            }
            pools::ask(&snapshot, &self.deadlines, &mut self.readings, &self.events);
            self.trim.run(
                &snapshot,
                &self.config,
                &self.deadlines,
                &mut self.readings,
                &self.events,
            );
            self.benches.tend(
                &snapshot,
                &self.config,
                &self.deadlines,
                &self.readings,
                &self.shared,
            );
        }
        if self.due.pages() {
            pages::ask(&snapshot, &self.deadlines, &mut self.readings, &self.events);
        }
        self.publish();
        if attention(&self.readings) != before {
            self.waker.wake();
        }
    }

    fn publish(&self) {
        self.shared.set_readings(self.readings.clone());
    }

    /// Drops readings of what is not there any more.
    fn keep_known(&mut self, snapshot: &Snapshot) {
        let disks = &mut self.readings.disks;
        disks.retain(|id, _| snapshot.measured().any(|disk| disk.id == *id));
        let pools = &mut self.readings.pools;
        pools.retain(|label, _| snapshot.pools.iter().any(|pool| pool.label == *label));
    }

    /// Adds to the plots, when it is time to.
    fn draw(&mut self) {
        let seconds = self.drawn.elapsed();
        // Half a reading early is in time.
        if seconds + EVERY / 2 < Duration::from_secs(INTERVAL_SECONDS) {
            return;
        }
        self.drawn = Instant::now();
        let disks = self.readings.disks.iter();
        let counters: BTreeMap<String, Counters> = disks
            .filter_map(|(id, reading)| Some((id.clone(), reading.io?)))
            .collect();
        let now = SystemTime::now();
        self.shared
            .history()
            .add(now, seconds.as_secs_f32(), &counters);
    }
}

/// What the loop wants to know at once, by disk and by pool.
#[derive(PartialEq)]
struct Attention {
    disks: Vec<(String, bool, bool, Vec<Warning>)>,
    pools: Vec<(String, Option<Trouble>, Option<u32>)>,
}

fn attention(readings: &Readings) -> Attention {
    let disk = |(id, reading): (&String, &DiskReading)| {
        let is_bad = reading
            .state
            .as_deref()
            .is_some_and(|state| state != "live");
        let smart = reading.smart.iter();
        let warnings = smart.flat_map(Smart::warnings).collect();
        (id.clone(), is_bad, reading.late, warnings)
    };
    let pool = |(label, reading): (&String, &PoolReading)| {
        (label.clone(), reading.trouble.clone(), reading.degraded)
    };
    Attention {
        disks: readings.disks.iter().map(disk).collect(),
        pools: readings.pools.iter().map(pool).collect(),
    }
}

/// When what may hang is asked next.
#[derive(Debug)]
struct Due {
    pools: Instant,
    pages: Instant,
    asked: Instant,
}

impl Due {
    fn now() -> Self {
        let now = Instant::now();
        Self {
            pools: now,
            pages: now,
            asked: now,
        }
    }

    /// The node is another: ask soon, and yet not more often than is polite.
    fn hurry(&mut self) {
        self.pools = self.pools.min(Instant::now());
        self.pages = self.pages.min(self.asked + PAGES_APART);
    }

    fn pools(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now >= self.pools;
        if is_due {
            self.pools = now + POOLS_EVERY;
        }
        is_due
    }

    fn pages(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now >= self.pages;
        if is_due {
            self.pages = now + PAGES_EVERY;
            self.asked = now;
        }
        is_due
    }
}

/// Where the device file of a kernel name is.
fn device(name: &str) -> std::path::PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_in_time_and_soon_when_the_node_changes_but_not_at_once() {
        let mut due = Due::now();
        assert!(due.pools() && due.pages(), "at the start");
        assert!(!due.pools() && !due.pages());
        for _ in 0..100 {
            due.hurry();
        }
        assert!(due.pools() && !due.pages());
        assert!(due.pages - due.asked <= PAGES_APART);
    }
}
