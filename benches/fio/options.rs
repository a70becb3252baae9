//! The command line of the harness.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cell::{Access, Cell, DEPTHS, JOBS, Target};

const USAGE: &str = "usage: bench-fio INSTORE [options]
  --pairs N            of runs in turn, for each cell (5)
  --runtime SECONDS    of each run (2)
  --only CELLS         TARGET/RW/DEPTHxJOBS, such as cache/randread/32x1; the end may be missing,
                       * is any; may be given several times
  --directory DIR      where files are made (the temporary directory)
  --device PATH        measure this device too; it must be empty, and is empty afterwards
  --t-io-uring PATH    measure next to fio's t/io_uring too, which reads only
  --fio PATH           which fio (fio)
  --lines FILE         write results there too: JSON, one line for each comparison
  --agree              compare what both say of what has a known rate; a device alone, if one is named";

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) instore: PathBuf,
    pub(crate) fio: PathBuf,
    pub(crate) t_io_uring: Option<PathBuf>,
    pub(crate) pairs: usize,
    /// Seconds.
    pub(crate) runtime: u32,
    pub(crate) only: Vec<String>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) devices: Vec<PathBuf>,
    pub(crate) lines: Option<PathBuf>,
    pub(crate) agree: bool,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let instore = arguments.next().filter(|first| !first.starts_with('-'));
        let mut options = Self {
            instore: instore.context(USAGE)?.into(),
            fio: "fio".into(),
            pairs: 5,
            runtime: 2,
            ..Self::default()
        };
        while let Some(name) = arguments.next() {
            if name == "--agree" {
                options.agree = true;
                continue;
            }
            let value = arguments.next();
            let value = value.with_context(|| format!("{name}: there is no value\n{USAGE}"))?;
            match name.as_str() {
                "--pairs" => options.pairs = number(&name, &value)?,
                "--runtime" => options.runtime = number(&name, &value)?,
                "--only" => options.only.push(value),
                "--directory" => options.directory = Some(value.into()),
                "--device" => options.devices.push(value.into()),
                "--t-io-uring" => options.t_io_uring = Some(value.into()),
                "--fio" => options.fio = value.into(),
                "--lines" => options.lines = Some(value.into()),
                _ => bail!("{name}: there is no such option\n{USAGE}"),
            }
        }
        ensure!(options.pairs > 0, "--pairs: at least 1");
        ensure!(options.runtime > 0, "--runtime: at least 1");
        Ok(options)
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        let devices = self.devices.iter().cloned().map(Target::Device);
        [Target::Cache, Target::Disk, Target::Zram]
            .into_iter()
            .chain(devices)
            .collect()
    }

    /// Those that are asked for.
    pub(crate) fn cells(&self, target: &Target, access: Access) -> Vec<Cell> {
        let all = DEPTHS
            .iter()
            .flat_map(|depth| JOBS.iter().map(move |jobs| (*depth, *jobs)));
        let cells = all.map(|(depth, jobs)| Cell {
            target: target.clone(),
            access,
            depth,
            jobs,
        });
        let is_meant = |cell: &Cell| {
            self.only.is_empty() || self.only.iter().any(|filter| cell.is_meant(filter))
        };
        cells.filter(is_meant).collect()
    }
}

fn number<N: FromStr>(name: &str, value: &str) -> Result<N> {
    let number = value.parse().ok();
    number.with_context(|| format!("{name}: {value} is not a number that it takes"))
}
