//! Reads what changes all the time: counters of the kernel, space on the pools,
//! log pages of the controllers. Whatever may hang is asked by a thread of its
//! own with a deadline; while one hangs, only what it was asked for is missing.

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

use super::history::INTERVAL_SECONDS;
use super::state::{Counters, Readings, Shared, Snapshot};
use super::wake::Waker;
use crate::config::Config;
use crate::metrics::Events;
use crate::root::Root;
use deadline::Deadlines;

/// Counters of the kernel: as fresh as a scrape can want them.
const EVERY: Duration = Duration::from_secs(1);
/// Space on the pools, and whether they answer.
const POOLS_EVERY: u32 = 5;
/// Log pages: Amazon asks for once a second at most.
const PAGES_EVERY: u32 = 30;
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
    drawn: Instant,
}

impl Collector {
    #[must_use]
    pub fn new(shared: Arc<Shared>, events: Arc<Events>, waker: Waker, config: Config) -> Self {
        Self {
            shared,
            events,
            waker,
            config,
            readings: Readings::default(),
            deadlines: Deadlines::new(PATIENCE),
            trim: pools::Trim::default(),
            drawn: Instant::now(),
        }
    }

    /// Collects until it is told to stop, or nobody is left to tell it.
    pub fn run(mut self, orders: &Receiver<Order>) {
        let mut turn: u32 = 0;
        let mut next = Instant::now();
        loop {
            match orders.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Order::Look) => turn = 0,
                Ok(Order::Configure(config)) => self.config = *config,
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.collect(turn);
            turn = turn.wrapping_add(1);
            // Not from the end of the last: the clock of the plots is this.
            next = (next + EVERY).max(Instant::now());
        }
    }

    fn collect(&mut self, turn: u32) {
        let snapshot = self.shared.snapshot();
        self.keep_known(&snapshot);
        let root = Root::system();
        for disk in snapshot.measured() {
            let reading = self.readings.disks.entry(disk.id.clone()).or_default();
            kernel::disk(&root, &disk.device, reading);
        }
        for pool in &snapshot.pools {
            let reading = self.readings.pools.entry(pool.label.clone()).or_default();
            kernel::pool(&root, &pool.device, reading);
        }
        self.draw();
        if turn.is_multiple_of(POOLS_EVERY) {
            self.readings.process = process::read();
            let before = troubles(&self.readings);
            pools::ask(&snapshot, &self.deadlines, &mut self.readings, &self.events);
            if troubles(&self.readings) != before {
                self.publish();
                self.waker.wake();
            }
            self.trim.run(
                &snapshot,
                &self.config,
                &self.deadlines,
                &mut self.readings,
                &self.events,
            );
        }
        if turn.is_multiple_of(PAGES_EVERY) {
            let before = lateness(&self.readings);
            pages::ask(&snapshot, &self.deadlines, &mut self.readings, &self.events);
            if lateness(&self.readings) != before {
                self.publish();
                self.waker.wake();
            }
        }
        self.publish();
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
        if seconds < Duration::from_secs(INTERVAL_SECONDS) {
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

/// What the loop wants to know at once.
fn troubles(readings: &Readings) -> Vec<(String, Option<super::state::Trouble>)> {
    let pools = readings.pools.iter();
    pools
        .map(|(label, reading)| (label.clone(), reading.trouble.clone()))
        .collect()
}

fn lateness(readings: &Readings) -> Vec<(String, bool)> {
    let disks = readings.disks.iter();
    disks
        .map(|(id, reading)| (id.clone(), reading.late))
        .collect()
}

/// Where the device file of a kernel name is.
fn device(name: &str) -> std::path::PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}
