//! What Prometheus is told: events are counted as they happen, all else is
//! printed from what the loop and the collector saw last. A scrape reaches no
//! device and waits for nothing. Every metric is in docs/metrics.md.

mod bench;
mod devices;
mod family;
mod node;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::daemon::state::Shared;
use family::Families;

/// Where an error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Observe,
    Apply,
    Reload,
    Trim,
    LogPage,
    Statfs,
    Bench,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Observe,
        Self::Apply,
        Self::Reload,
        Self::Trim,
        Self::LogPage,
        Self::Statfs,
        Self::Bench,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Apply => "apply",
            Self::Reload => "reload",
            Self::Trim => "trim",
            Self::LogPage => "log_page",
            Self::Statfs => "statfs",
            Self::Bench => "bench",
        }
    }
}

/// Whether something went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    #[must_use]
    pub fn of<T, E>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Success,
            Err(_) => Self::Failure,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// What is counted as it happens.
#[derive(Debug)]
pub struct Events {
    applies: HistogramVec,
    reconciles: Histogram,
    errors: IntCounterVec,
    reloads: IntCounterVec,
    repairs: IntCounterVec,
    trimmed: IntCounterVec,
    scrapes: Histogram,
}

/// From a turn with nothing to do to an array of large disks.
const APPLY_BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const RECONCILE_BUCKETS: &[f64] = &[0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const SCRAPE_BUCKETS: &[f64] = &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25];

impl Events {
    /// # Errors
    /// When two metrics have one name: a fault of this file.
    pub fn new() -> Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        let times = |name: &str, help: &str, buckets: &[f64]| {
            HistogramOpts::new(name, help).buckets(buckets.to_vec())
        };
        let events = Self {
            applies: HistogramVec::new(
                times(
                    "instore_apply_duration_seconds",
                    "Time an apply took.",
                    APPLY_BUCKETS,
                ),
                &["result"],
            )?,
            reconciles: Histogram::with_opts(times(
                "instore_reconcile_duration_seconds",
                "Time a turn of the loop took, without applies.",
                RECONCILE_BUCKETS,
            ))?,
            errors: counter("instore_errors_total", "Errors, by what failed.", &["kind"])?,
            reloads: counter(
                "instore_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            )?,
            repairs: counter(
                "instore_repairs_total",
                "Lost mounts that were mounted again.",
                &["pool"],
            )?,
            trimmed: counter(
                "instore_trimmed_bytes_total",
                "Bytes told to the disks as free.",
                &["pool"],
            )?,
            scrapes: Histogram::with_opts(times(
                "instore_scrape_duration_seconds",
                "Time earlier scrapes took.",
                SCRAPE_BUCKETS,
            ))?,
        };
        // What may be asked for is there from the start, as zero.
        for kind in Kind::ALL {
            events.errors.with_label_values(&[kind.word()]);
        }
        for outcome in [Outcome::Success, Outcome::Failure] {
            events.reloads.with_label_values(&[outcome.word()]);
            events.applies.with_label_values(&[outcome.word()]);
        }
        Ok(events)
    }

    pub fn applied(&self, outcome: Outcome, time: Duration) {
        let applies = self.applies.with_label_values(&[outcome.word()]);
        applies.observe(time.as_secs_f64());
    }

    pub fn reconciled(&self, time: Duration) {
        self.reconciles.observe(time.as_secs_f64());
    }

    pub fn error(&self, kind: Kind) {
        self.errors.with_label_values(&[kind.word()]).inc();
    }

    pub fn reloaded(&self, outcome: Outcome) {
        self.reloads.with_label_values(&[outcome.word()]).inc();
    }

    pub fn repaired(&self, pool: &str) {
        self.repairs.with_label_values(&[pool]).inc();
    }

    pub fn trimmed(&self, pool: &str, bytes: u64) {
        self.trimmed.with_label_values(&[pool]).inc_by(bytes);
    }
}

/// The one registry.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events: Arc<Events>,
}

impl Metrics {
    /// # Errors
    /// When two metrics have one name: a fault of this module.
    pub fn new(shared: Arc<Shared>, events: Arc<Events>) -> Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(events.applies.clone()))?;
        registry.register(Box::new(events.reconciles.clone()))?;
        registry.register(Box::new(events.errors.clone()))?;
        registry.register(Box::new(events.reloads.clone()))?;
        registry.register(Box::new(events.repairs.clone()))?;
        registry.register(Box::new(events.trimmed.clone()))?;
        registry.register(Box::new(events.scrapes.clone()))?;
        registry.register(Box::new(Seen(shared)))?;
        Ok(Self { registry, events })
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// When one cannot be written: a fault of this module.
    pub fn text(&self) -> Result<String> {
        let begin = Instant::now();
        let text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        self.events.scrapes.observe(begin.elapsed().as_secs_f64());
        Ok(text)
    }
}

/// What was seen last. Families come and go with what they are of, so nothing
/// is told of a disk that left.
struct Seen(Arc<Shared>);

impl Collector for Seen {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (snapshot, readings) = (self.0.snapshot(), self.0.readings());
        let mut families = Families::default();
        node::tell(&snapshot, &readings, &mut families);
        devices::tell(&snapshot, &readings, &mut families);
        bench::tell(&snapshot, &self.0.benches(), &mut families);
        families.into_list()
    }
}

#[cfg(test)]
mod tests;
