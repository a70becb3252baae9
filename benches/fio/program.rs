//! What is measured: how each program is called, and how its results are read.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cell::{Cell, MIB};
use crate::child::{self, Ended, Stop};
use crate::options::Options;
use crate::place::Place;

/// Of a batch, as fio's t/io_uring has it by default.
const BATCH: u32 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Instore,
    Fio,
    /// fio with registered files and buffers, and in batches.
    Tuned,
    /// t/io_uring of fio's sources: a bare loop, without latencies.
    Minimal,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Instore => "instore",
            Self::Fio => "fio",
            Self::Tuned => "fio tuned",
            Self::Minimal => "t/io_uring",
        }
    }
}

/// One run, as it says and as it cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) iops: f64,
    /// Latencies in nanoseconds; none of t/io_uring.
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Of one I/O, in nanoseconds.
    pub(crate) cost: Cost,
}

/// Processor time in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Of the program.
    pub(crate) own: f64,
    /// Of the machine.
    pub(crate) system: f64,
}

/// The programs, and how long they run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) instore: PathBuf,
    pub(crate) fio: PathBuf,
    pub(crate) t_io_uring: Option<PathBuf>,
    runtime: u32,
    pub(crate) stop: Stop,
}

impl Bench {
    pub(crate) fn new(options: &Options, stop: Stop) -> Result<Self> {
        let found = |path: &Path| {
            let path = path.canonicalize();
            path.with_context(|| format!("find {}", path_name(options)))
        };
        Ok(Self {
            instore: found(&options.instore)?,
            fio: options.fio.clone(),
            t_io_uring: options.t_io_uring.as_deref().map(found).transpose()?,
            runtime: options.runtime,
            stop,
        })
    }

    /// Runs for the time that is set. `bare` is taken off what it cost.
    pub(crate) fn sample(
        &self,
        program: Program,
        cell: &Cell,
        place: &Place,
        bare: &Cost,
    ) -> Result<Sample> {
        if program == Program::Minimal {
            return self.minimal(cell, place);
        }
        let time = [
            format!("--runtime={}", self.runtime),
            "--time_based".to_owned(),
        ];
        let ended = self.job(program, cell, place, &time)?;
        let (mut sample, ios) = read(&ended.text, cell)?;
        sample.cost = Cost {
            own: (ended.own - bare.own).max(0.0) / ios,
            system: (ended.system - bare.system).max(0.0) / ios,
        };
        Ok(sample)
    }

    /// What a run with one I/O costs.
    pub(crate) fn bare(&self, program: Program, cell: &Cell, place: &Place) -> Result<Cost> {
        let ended = self.job(program, cell, place, &["--io_size=4k".to_owned()])?;
        Ok(Cost {
            own: ended.own,
            system: ended.system,
        })
    }

    /// A job in fio's language, with options of one's own.
    pub(crate) fn job(
        &self,
        program: Program,
        cell: &Cell,
        place: &Place,
        rest: &[String],
    ) -> Result<Ended> {
        let mut words = place.limit.prefix();
        let binary = match program {
            Program::Instore => &self.instore,
            _ => &self.fio,
        };
        words.push(binary.display().to_string());
        if program == Program::Instore {
            words.push("bench".into());
            if !cell.target.is_file() {
                words.push("--destructive".into());
            }
        }
        words.push("--output-format=json".into());
        words.push("--name=t".into());
        words.push(format!("--filename={}", place.file(program).display()));
        words.push(format!("--rw={}", cell.access.rw()));
        words.push("--bs=4k".into());
        words.push(format!("--size={}m", place.mib.min(MIB)));
        words.push(format!("--iodepth={}", cell.depth));
        words.push(format!("--numjobs={}", cell.jobs));
        words.push("--ioengine=io_uring".into());
        words.push("--group_reporting".into());
        words.push(place.direct().into());
        if cell.target.is_file() {
            // What is in memory stays there; a file stays for the next run.
            words.push("--invalidate=0".into());
            words.push("--unlink=0".into());
        }
        if program == Program::Tuned {
            words.push("--registerfiles=1".into());
            words.push("--fixedbufs=1".into());
            words.push(format!("--iodepth_batch_submit={}", BATCH.min(cell.depth)));
            words.push("--iodepth_batch_complete_min=1".into());
            words.push(format!("--iodepth_batch_complete_max={BATCH}"));
        }
        words.extend_from_slice(rest);
        child::run(&words, &self.stop)
    }

    fn minimal(&self, cell: &Cell, place: &Place) -> Result<Sample> {
        let binary = self.t_io_uring.as_ref().context("no t/io_uring")?;
        let batch = BATCH.min(cell.depth);
        let words = [
            binary.display().to_string(),
            format!("-d{}", cell.depth),
            format!("-s{batch}"),
            format!("-c{batch}"),
            "-p0".into(),
            "-B1".into(),
            "-F1".into(),
            format!("-n{}", cell.jobs),
            // It tells of each second but the last.
            format!("-r{}", self.runtime + 1),
            if place.direct() == "--direct=1" {
                "-O1".into()
            } else {
                "-O0".into()
            },
            place.file(Program::Minimal).display().to_string(),
        ];
        let ended = child::run(&words, &self.stop)?;
        let seconds = ended.text.lines().filter_map(|line| {
            let number = line.strip_prefix("IOPS=")?.split(',').next()?;
            rate(number)
        });
        let seconds: Vec<f64> = seconds.collect();
        ensure!(
            !seconds.is_empty(),
            "t/io_uring said nothing: {}",
            ended.text
        );
        let iops = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let ios = iops * ended.elapsed / 1e9;
        Ok(Sample {
            iops,
            cost: Cost {
                own: ended.own / ios,
                system: ended.system / ios,
            },
            ..Sample::default()
        })
    }
}

fn path_name(options: &Options) -> String {
    let t = options.t_io_uring.as_deref().unwrap_or(Path::new(""));
    format!("{} {}", options.instore.display(), t.display())
}

/// What one group of jobs says, and how many I/Os it counted.
pub(crate) fn read(text: &str, cell: &Cell) -> Result<(Sample, f64)> {
    // fio tells people things before and after.
    let json = text
        .find('{')
        .zip(text.rfind('}'))
        .and_then(|(a, b)| text.get(a..=b));
    let value: Value = serde_json::from_str(json.unwrap_or_default())
        .with_context(|| format!("read the results: {}", text.trim()))?;
    let side = &value["jobs"][0][cell.access.key()];
    let number = |value: &Value| value.as_f64().context("find a figure in the results");
    // fio's own choice is clat; lat is there when it was asked for.
    let percentiles = ["lat_ns", "clat_ns"].map(|kind| &side[kind]["percentile"]);
    let percentile = |name: &str| percentiles.iter().find_map(|set| set[name].as_f64());
    let sample = Sample {
        iops: number(&side["iops"])?,
        mean: number(&side["lat_ns"]["mean"])?,
        p50: percentile("50.000000").unwrap_or(0.0),
        p99: percentile("99.000000").unwrap_or(0.0),
        cost: Cost::default(),
    };
    let ios = number(&side["total_ios"])?;
    ensure!(ios > 0.0, "nothing was done in {cell}");
    Ok((sample, ios))
}

/// A number as t/io_uring writes it: `827K`, `1.03M`.
fn rate(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, factor) = match text.strip_suffix('K') {
        Some(number) => (number, 1e3),
        None => match text.strip_suffix('M') {
            Some(number) => (number, 1e6),
            None => (text, 1.0),
        },
    };
    Some(number.parse::<f64>().ok()? * factor)
}
