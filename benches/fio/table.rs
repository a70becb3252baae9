//! The figures as a table for people and as lines of JSON, and whether the limits hold.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::cell::{Cell, MIB};
use crate::child;
use crate::options::Options;
use crate::program::{Bench, Program, Sample};

/// What a comparison should come to.
struct Limits {
    /// IOPS of ours to theirs, at least.
    iops: f64,
    /// Processor time of one I/O, ours to theirs, at most.
    cpu: Option<f64>,
}

fn limits(cell: &Cell, other: Program) -> Limits {
    match other {
        Program::Fio if cell.target.is_limited_by_cpu() => Limits {
            iops: 1.5,
            cpu: Some(0.7),
        },
        Program::Instore | Program::Fio => Limits {
            iops: 1.0,
            cpu: Some(0.7),
        },
        Program::Tuned => Limits {
            iops: 1.05,
            cpu: Some(0.95),
        },
        // Within 5 %, and it keeps no latencies.
        Program::Minimal => Limits {
            iops: 0.95,
            cpu: None,
        },
    }
}

/// One cell against one program: medians of runs, and of the ratios of runs side by side.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    cell: String,
    other: &'static str,
    pairs: usize,
    iops: [f64; 2],
    iops_ratio: f64,
    iops_ratios: Vec<f64>,
    iops_limit: f64,
    /// Nanoseconds of the program for each I/O.
    cpu: [f64; 2],
    cpu_ratio: f64,
    cpu_ratios: Vec<f64>,
    cpu_limit: Option<f64>,
    /// The same, of the whole machine.
    system_ratio: f64,
    /// Nanoseconds, as each says.
    p99: [f64; 2],
    holds: bool,
}

impl Row {
    pub(crate) fn new(cell: &Cell, other: Program, pairs: &[[Sample; 2]]) -> Self {
        let limits = limits(cell, other);
        let both = |of: fn(&Sample) -> f64| {
            [0, 1].map(|side| median(pairs.iter().map(|pair| of(&pair[side])).collect()))
        };
        let ratios = |of: fn(&Sample) -> f64| -> Vec<f64> {
            let ratios = pairs.iter().map(|[ours, theirs]| of(ours) / of(theirs));
            ratios.collect()
        };
        let iops_ratios = ratios(|sample| sample.iops);
        let cpu_ratios = ratios(|sample| sample.cost.own);
        let (iops_ratio, cpu_ratio) = (median(iops_ratios.clone()), median(cpu_ratios.clone()));
        Self {
            cell: cell.to_string(),
            other: other.name(),
            pairs: pairs.len(),
            iops: both(|sample| sample.iops),
            iops_ratio,
            iops_ratios,
            iops_limit: limits.iops,
            cpu: both(|sample| sample.cost.own),
            cpu_ratio,
            cpu_ratios,
            cpu_limit: limits.cpu,
            system_ratio: median(ratios(|sample| sample.cost.system)),
            p99: both(|sample| sample.p99),
            holds: iops_ratio >= limits.iops && limits.cpu.is_none_or(|limit| cpu_ratio <= limit),
        }
    }

    pub(crate) fn print(&self) {
        let range = |ratios: &[f64]| {
            let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
            let highest = ratios.iter().copied().fold(0.0, f64::max);
            format!("{lowest:.2}..{highest:.2}")
        };
        let [ours, theirs] = self.p99.map(|p99| p99 / 1000.0);
        let cpu_limit = self
            .cpu_limit
            .map_or("-".into(), |limit| format!("{limit:.2}"));
        println!(
            "{:<22} {:<10} {:>9.0} {:>9.0} {:>6.2} {:>11} {:>5.2} {:>7.0} {:>7.0} {:>6.2} {:>11} {:>5} {:>6.2} {:>8.0} {:>8.0}  {}",
            self.cell,
            self.other,
            self.iops[0],
            self.iops[1],
            self.iops_ratio,
            range(&self.iops_ratios),
            self.iops_limit,
            self.cpu[0],
            self.cpu[1],
            self.cpu_ratio,
            range(&self.cpu_ratios),
            cpu_limit,
            self.system_ratio,
            ours,
            theirs,
            if self.holds { "pass" } else { "MISS" },
        );
    }
}

pub(crate) fn heading(bench: &Bench, options: &Options) -> Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let cores = std::thread::available_parallelism()?;
    let version = [bench.fio.display().to_string(), "--version".to_owned()];
    let version = child::run(&version, &bench.stop).context("is fio installed?")?;
    println!(
        "{} next to {}; Linux {}, {cores} processors, load {}",
        bench.instore.display(),
        version.text.trim(),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    );
    println!(
        "{} pairs of {} s, {MIB} MiB; medians, and medians of the ratios of pairs; CPU is ns of the \
         program for an I/O, without its start and layout; p99 in us, fio's without submission\n",
        options.pairs, options.runtime
    );
    if !options.agree {
        println!(
            "{:<22} {:<10} {:>9} {:>9} {:>6} {:>11} {:>5} {:>7} {:>7} {:>6} {:>11} {:>5} {:>6} {:>8} {:>8}",
            "cell",
            "next to",
            "IOPS",
            "theirs",
            "ratio",
            "",
            "least",
            "CPU",
            "theirs",
            "ratio",
            "",
            "most",
            "system",
            "p99",
            "theirs"
        );
    }
    Ok(())
}

/// Results for programs.
#[derive(Debug)]
pub(crate) struct Lines(Option<File>);

impl Lines {
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        let file = path
            .map(|path| File::create(path).with_context(|| format!("create {}", path.display())));
        Ok(Self(file.transpose()?))
    }

    pub(crate) fn write(&mut self, row: &impl Serialize) -> Result<()> {
        if let Some(file) = &mut self.0 {
            let line = serde_json::to_string(row)?;
            writeln!(file, "{line}").context("write the lines of results")?;
        }
        Ok(())
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 if middle > 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values.get(middle).copied().unwrap_or(f64::NAN),
    }
}
