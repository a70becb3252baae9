//! `instore bench compare A.json B.json`: the same jobs of two files side by side,
//! the ratio of each figure, and whether it is beyond noise. What noise is taken to
//! be, and what it cannot say, is in `noise`; `table` writes it for people.
//!
//! A job is known by its name. Entries of one name in one reporting group are the
//! threads of one run and are added up. Entries of one name in several groups are
//! repetitions when their options are equal; otherwise they are paired in order.

mod noise;
mod table;

pub use table::write_table;

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use crate::output::parse::{DirectionSummary, Summary};
use noise::Estimate;

/// Two files of results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Jobs and directions that both have, in the order of the first.
    pub rows: Vec<Row>,
    /// Jobs, or directions of them, that the other file has not.
    pub only_a: Vec<String>,
    pub only_b: Vec<String>,
}

/// One direction of one job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub job: String,
    /// "read" or "write".
    pub direction: &'static str,
    /// How often it was run, in each file.
    pub runs: [usize; 2],
    pub figures: Vec<Figure>,
    /// Options that are not the same, as "bs: 4k, 8k".
    pub different: Vec<String>,
    /// What is to be known before the figures are believed.
    pub notes: Vec<String>,
}

/// One figure of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub what: What,
    pub a: f64,
    pub b: f64,
    /// B to A; `None` when A is zero.
    pub ratio: Option<f64>,
    /// A difference up to this share of A is noise; `None` where that is not known.
    pub noise: Option<f64>,
    pub change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Iops,
    /// Bytes in a second.
    Bandwidth,
    /// Nanoseconds, as the other two.
    MeanLatency,
    P50,
    P99,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Beyond noise: B is better, or worse.
    Better,
    Worse,
    /// Not beyond noise.
    Noise,
    CannotTell,
}

/// Compares.
#[must_use]
pub fn compare(a: &[Summary], b: &[Summary]) -> Comparison {
    let (a, b) = (jobs(a), jobs(b));
    let mut all = Comparison {
        rows: Vec::new(),
        only_a: Vec::new(),
        only_b: Vec::new(),
    };
    for job in &a {
        match b.iter().find(|other| other.name == job.name) {
            Some(other) => pair(job, other, &mut all),
            None => all.only_a.push(job.name.clone()),
        }
    }
    let unpaired = b.iter().filter(|job| !a.iter().any(|o| o.name == job.name));
    all.only_b.extend(unpaired.map(|job| job.name.clone()));
    all
}

/// Writes it for programs.
///
/// # Errors
/// When `to` does not take it.
pub fn write_json(comparison: &Comparison, to: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, comparison)?;
    writeln!(to)
}

/// A job of one file, with its repetitions.
struct Job<'a> {
    name: String,
    runs: Vec<Run<'a>>,
}

/// The threads of one run.
struct Run<'a> {
    group: u32,
    threads: Vec<&'a Summary>,
}

fn jobs(entries: &[Summary]) -> Vec<Job<'_>> {
    let mut named: Vec<Job<'_>> = Vec::new();
    for entry in entries {
        let index = match named.iter().position(|job| job.name == entry.job) {
            Some(index) => index,
            None => {
                let (name, runs) = (entry.job.clone(), Vec::new());
                named.push(Job { name, runs });
                named.len() - 1
            }
        };
        let runs = &mut named[index].runs;
        match runs.iter_mut().find(|run| run.group == entry.group) {
            Some(run) => run.threads.push(entry),
            None => runs.push(Run {
                group: entry.group,
                threads: vec![entry],
            }),
        }
    }
    named.into_iter().flat_map(repetitions).collect()
}

/// One job when all of its runs are the same, else each on its own.
fn repetitions(job: Job<'_>) -> Vec<Job<'_>> {
    let options = |run: &Run<'_>| run.threads[0].options.clone();
    let first = options(&job.runs[0]);
    if job.runs.iter().all(|run| options(run) == first) {
        return vec![job];
    }
    let each = job.runs.into_iter().zip(1..).map(|(run, number)| Job {
        name: match number {
            1 => job.name.clone(),
            _ => format!("{} ({number})", job.name),
        },
        runs: vec![run],
    });
    each.collect()
}

fn pair(a: &Job<'_>, b: &Job<'_>, all: &mut Comparison) {
    for (index, direction) in ["read", "write"].into_iter().enumerate() {
        let [of_a, of_b] = [a, b].map(|job| used(job, index));
        match (of_a.is_empty(), of_b.is_empty()) {
            (true, true) => {}
            (false, true) => all.only_a.push(format!("{} ({direction})", a.name)),
            (true, false) => all.only_b.push(format!("{} ({direction})", b.name)),
            (false, false) => all.rows.push(Row {
                job: a.name.clone(),
                direction,
                runs: [of_a.len(), of_b.len()],
                figures: figures(&of_a, &of_b),
                different: different(a, b),
                notes: notes(a, b, index),
            }),
        }
    }
}

/// The runs of a job in which this direction did something, as one each.
fn used(job: &Job<'_>, direction: usize) -> Vec<noise::Run> {
    let runs = job.runs.iter().filter_map(|run| {
        let threads = run.threads.iter().copied();
        let threads = threads.filter(|thread| thread.directions[direction].ios > 0);
        let threads: Vec<&Summary> = threads.collect();
        (!threads.is_empty()).then(|| noise::Run::of(&threads, direction))
    });
    runs.collect()
}

fn figures(a: &[noise::Run], b: &[noise::Run]) -> Vec<Figure> {
    let all = [
        What::Iops,
        What::Bandwidth,
        What::MeanLatency,
        What::P50,
        What::P99,
    ];
    let figure = |what: What| {
        let [of_a, of_b] = [a, b].map(|runs| Estimate::of(runs, what));
        let (of_a, of_b) = (of_a?, of_b?);
        let half = noise::half_width(&of_a, &of_b);
        let (a, b) = (of_a.value, of_b.value);
        let is_better = match what {
            What::Iops | What::Bandwidth => b > a,
            What::MeanLatency | What::P50 | What::P99 => b < a,
        };
        let change = match half {
            None => Change::CannotTell,
            Some(half) if (b - a).abs() <= half => Change::Noise,
            Some(_) if is_better => Change::Better,
            Some(_) => Change::Worse,
        };
        let of_a = |value: f64| (a > 0.0).then(|| value / a);
        Some(Figure {
            what,
            a,
            b,
            ratio: of_a(b),
            noise: half.and_then(of_a),
            change,
        })
    };
    all.into_iter().filter_map(figure).collect()
}

/// Options of the first run that are not the same.
fn different(a: &Job<'_>, b: &Job<'_>) -> Vec<String> {
    let [a, b] = [a, b].map(|job| &job.runs[0].threads[0].options);
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| a.get(*name) != b.get(*name));
    let said = |value: Option<&String>| value.map_or("not given", String::as_str).to_owned();
    let words = differ.map(|name| format!("{name}: {}, {}", said(a.get(name)), said(b.get(name))));
    words.collect()
}

fn notes(a: &Job<'_>, b: &Job<'_>, direction: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for (file, job) in [("A", a), ("B", b)] {
        let threads = || job.runs.iter().flat_map(|run| &run.threads);
        if let Some(failed) = threads().find(|thread| thread.error != 0) {
            notes.push(format!("in {file} it ended with error {}", failed.error));
        }
        let several = job.runs.iter().any(|run| run.threads.len() > 1);
        let has = |d: &DirectionSummary| !d.latency.percentiles.is_empty();
        if several && threads().any(|thread| has(&thread.directions[direction])) {
            notes.push(format!(
                "in {file} p50 and p99 are means of those of its threads: --group_reporting has them exactly"
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests;
