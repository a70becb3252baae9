//! What came of a suite, as plain data with its units in the names: what a program
//! reads, what the daemon keeps, and what the table is made from.

use serde::{Deserialize, Serialize};

use super::jobs::SPECS;
use super::{Caching, Length, Setup};
use crate::histogram::Histogram;
use crate::instance::{self, Detected, LIMIT, Measured, Verdict};
use crate::results::{Results, ThreadResult};

/// One row. The names are for good: they are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Test {
    #[serde(rename = "rand-read-4k")]
    RandRead4k,
    #[serde(rename = "rand-write-4k")]
    RandWrite4k,
    #[serde(rename = "latency-read-4k")]
    LatencyRead4k,
    #[serde(rename = "latency-write-4k")]
    LatencyWrite4k,
    #[serde(rename = "seq-read-128k")]
    SeqRead128k,
    #[serde(rename = "seq-write-128k")]
    SeqWrite128k,
    #[serde(rename = "mixed-read-4k")]
    MixedRead4k,
    #[serde(rename = "mixed-write-4k")]
    MixedWrite4k,
}

impl Test {
    /// In the order of the table.
    pub const ALL: [Self; 8] = [
        Self::RandRead4k,
        Self::RandWrite4k,
        Self::LatencyRead4k,
        Self::LatencyWrite4k,
        Self::SeqRead128k,
        Self::SeqWrite128k,
        Self::MixedRead4k,
        Self::MixedWrite4k,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RandRead4k => "rand-read-4k",
            Self::RandWrite4k => "rand-write-4k",
            Self::LatencyRead4k => "latency-read-4k",
            Self::LatencyWrite4k => "latency-write-4k",
            Self::SeqRead128k => "seq-read-128k",
            Self::SeqWrite128k => "seq-write-128k",
            Self::MixedRead4k => "mixed-read-4k",
            Self::MixedWrite4k => "mixed-write-4k",
        }
    }
}

/// Of a whole suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuiteResult {
    /// The directory or device.
    pub target: String,
    pub file_system: Option<String>,
    pub length: Length,
    pub caching: Caching,
    /// What it ran on: "io_uring, registered files and buffers".
    pub engine: String,
    /// How much was laid out.
    pub size_bytes: u64,
    pub started_unix_ms: u64,
    pub ended_unix_ms: u64,
    /// Ended early, by a signal.
    pub interrupted: bool,
    /// Of this machine, where it is known.
    pub instance_type: Option<String>,
    /// A sentence for random reads and one for random writes, or why there is none.
    pub verdict: Vec<String>,
    /// In the order of [`Test::ALL`]; what was not reached is not there.
    pub rows: Vec<Row>,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub job: Test,
    /// Absent when nothing was done.
    pub figures: Option<Figures>,
    pub error: Option<String>,
    /// Published for the instance type and as many disks.
    pub expected_iops: Option<f64>,
    /// Measured over published.
    pub expected_ratio: Option<f64>,
}

/// All threads of a job together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub ios: u64,
    pub bytes: u64,
    pub runtime_ms: f64,
    pub iops: f64,
    pub bytes_per_second: f64,
    pub latency_us: Latency,
}

/// From submission to completion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// What is printed for programs: one suite, and the other beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    #[serde(flatten)]
    pub result: SuiteResult,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versus: Option<Versus>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    pub result: SuiteResult,
    /// Of what both have measured.
    pub ratios: Vec<Ratio>,
}

/// The first over the other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub job: Test,
    pub iops: f64,
    pub latency_p99: f64,
}

impl Answer {
    #[must_use]
    pub fn new(result: SuiteResult, other: Option<SuiteResult>) -> Self {
        let versus = other.map(|other| Versus {
            ratios: result.ratios(&other),
            result: other,
        });
        Self { result, versus }
    }
}

impl SuiteResult {
    /// From what an engine measured of [`super::jobs::run`].
    #[must_use]
    pub fn new(setup: &Setup, results: &Results, started_unix_ms: u64) -> Self {
        let mut warnings = setup.warnings.clone();
        if setup.caching == Caching::Buffered {
            let at = setup.place.path().display();
            warnings.push(format!(
                "{at} cannot pass the page cache by (O_DIRECT): these are figures of \
                 memory as much as of the disk"
            ));
        }
        warnings.extend(results.warnings.iter().cloned());
        let mut rows = rows(results);
        let verdict = judge(setup, &mut rows);
        let engine = results.threads.first();
        Self {
            target: setup.place.path().display().to_string(),
            file_system: setup.file_system.clone(),
            length: setup.length,
            caching: setup.caching,
            engine: engine.map(|t| t.engine.clone()).unwrap_or_default(),
            size_bytes: setup.bytes,
            started_unix_ms,
            ended_unix_ms: results.unix_ms,
            interrupted: results.interrupted,
            instance_type: match &setup.instance {
                Detected::Known { name, .. } => Some(name.clone()),
                Detected::Unknown { .. } => None,
            },
            verdict,
            rows,
            warnings,
        }
    }

    #[must_use]
    pub fn row(&self, test: Test) -> Option<&Row> {
        self.rows.iter().find(|row| row.job == test)
    }

    /// What is below [`LIMIT`] of what is published.
    pub fn slow(&self) -> impl Iterator<Item = &Row> {
        let is_slow = |row: &&Row| row.expected_ratio.is_some_and(|ratio| ratio < LIMIT);
        self.rows.iter().filter(is_slow)
    }

    /// What both have measured, this over the other.
    #[must_use]
    pub fn ratios(&self, other: &Self) -> Vec<Ratio> {
        let ratio = |row: &Row| {
            let (one, two) = (row.figures?, other.row(row.job)?.figures?);
            Some(Ratio {
                job: row.job,
                iops: over(one.iops, two.iops)?,
                latency_p99: over(one.latency_us.p99, two.latency_us.p99)?,
            })
        };
        self.rows.iter().filter_map(ratio).collect()
    }
}

fn over(one: f64, two: f64) -> Option<f64> {
    (two > 0.0).then(|| one / two)
}

/// Fills in what is published, and says what comes of it.
fn judge(setup: &Setup, rows: &mut [Row]) -> Vec<String> {
    if setup.caching == Caching::Buffered {
        return vec!["no verdict: it went through the page cache".into()];
    }
    let whole = |test: Test| {
        let row = rows.iter().find(|row| row.job == test)?;
        // Part of a job is no measure of the disk.
        let figures = row.figures.filter(|_| row.error.is_none());
        figures.map(|figures| figures.iops)
    };
    let measured = Measured {
        read_iops: whole(Test::RandRead4k),
        write_iops: whole(Test::RandWrite4k),
        disks: setup.disks,
    };
    let verdicts = instance::judge(&setup.instance, &measured);
    for verdict in &verdicts {
        let test = match verdict.what {
            "random read" => Test::RandRead4k,
            _ => Test::RandWrite4k,
        };
        for row in rows.iter_mut().filter(|row| row.job == test) {
            row.expected_iops = verdict.expected;
            row.expected_ratio = verdict.ratio;
        }
    }
    let sentence = |verdict: &Verdict| format!("{}: {}", verdict.what, verdict.sentence);
    verdicts.iter().map(sentence).collect()
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, spec) in SPECS.iter().enumerate() {
        let of_job = results.threads.iter().filter(|t| t.job == index);
        let threads: Vec<&ThreadResult> = of_job.collect();
        for (direction, test) in spec.tests.iter().enumerate() {
            if let (Some(test), false) = (test, threads.is_empty()) {
                rows.push(row(*test, direction, &threads));
            }
        }
    }
    rows.sort_by_key(|row| row.job);
    rows
}

fn row(test: Test, direction: usize, threads: &[&ThreadResult]) -> Row {
    let error = threads.iter().find_map(|thread| thread.error.as_ref());
    Row {
        job: test,
        figures: figures(threads, direction),
        error: error.map(|error| error.text.clone()),
        expected_iops: None,
        expected_ratio: None,
    }
}

fn figures(threads: &[&ThreadResult], direction: usize) -> Option<Figures> {
    let mut latency = Histogram::new();
    let (mut ios, mut bytes, mut seconds) = (0, 0, 0.0_f64);
    for thread in threads {
        let part = &thread.directions[direction];
        latency.merge(&part.latency);
        ios += part.ios;
        bytes += part.bytes;
        seconds = seconds.max(part.runtime.as_secs_f64());
    }
    let us = |ns: u64| ns as f64 / 1000.0;
    // A bucket stands for its middle, which may be beyond all that was in it.
    let percentile = |percent| us(latency.percentile(percent).min(latency.max()));
    (ios > 0 && seconds > 0.0).then(|| Figures {
        ios,
        bytes,
        runtime_ms: seconds * 1000.0,
        iops: ios as f64 / seconds,
        bytes_per_second: bytes as f64 / seconds,
        latency_us: Latency {
            mean: latency.mean() / 1000.0,
            p50: percentile(50.0),
            p99: percentile(99.0),
            p999: percentile(99.9),
            max: us(latency.max()),
        },
    })
}

#[cfg(test)]
pub(crate) mod tests;
