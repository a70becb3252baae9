//! The standard suite: the few jobs that tell what a disk is worth, the same on
//! every node, so that one number can be put beside another. Pure but for
//! [`place::look`]: the jobs are data, the engine is handed in, and what it measured
//! becomes a [`SuiteResult`].

pub mod jobs;
pub mod place;
pub mod result;
pub mod table;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::instance::Detected;
use crate::job::Run;
use crate::results::Results;
pub use result::{Answer, Figures, Latency, Ratio, Row, SuiteResult, Test, Versus};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Beyond what an SSD of a cloud keeps in its own memory, and laid out in seconds.
const FULL_BYTES: u64 = 8 * GIB;
const QUICK_BYTES: u64 = GIB;
/// The rest is for whoever else writes meanwhile.
const SHARE_OF_FREE: u64 = 4;
/// Below this the caches of the disk are what is measured.
const LEAST_BYTES: u64 = 64 * MIB;

/// How long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Length {
    /// About two minutes.
    Full,
    /// About fifteen seconds.
    Quick,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file in it, made for this and removed afterwards.
    Directory(PathBuf),
    /// An empty device, written over (`--destructive`).
    Device(PathBuf),
}

impl Place {
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Device(path) => path,
        }
    }
}

/// Whether the page cache is passed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caching {
    Direct,
    Buffered,
}

/// All that the jobs follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub place: Place,
    pub length: Length,
    /// Of the file, or of the beginning of the device: see [`size`].
    pub bytes: u64,
    pub caching: Caching,
    /// Processors that may be used.
    pub cpus: u32,
    /// Local disks under the place, which the instance type promises something of; 0
    /// when there is none, or it cannot be told.
    pub disks: u32,
    pub instance: Detected,
    /// Of the directory, as `xfs`.
    pub file_system: Option<String>,
    /// What is known beforehand to make the figures mean less.
    pub warnings: Vec<String>,
}

/// How much is laid out, of so many free bytes of a directory, or of all bytes of
/// an empty device.
///
/// # Errors
/// When that is too little to measure anything.
pub fn size(length: Length, free: u64) -> Result<u64> {
    let most = match length {
        Length::Full => FULL_BYTES,
        Length::Quick => QUICK_BYTES,
    };
    let bytes = most.min(free / SHARE_OF_FREE) / MIB * MIB;
    ensure!(
        bytes >= LEAST_BYTES,
        "the suite takes a quarter of the free space, and {} MiB at least, but only {} MiB \
         are free: free some, or measure another directory",
        LEAST_BYTES / MIB,
        free / MIB
    );
    Ok(bytes)
}

/// Runs the suite on an engine, and judges by what is published of the instance type.
///
/// # Errors
/// When the engine could not run at all. A job that failed is a row with an error.
pub fn measure(
    setup: &Setup,
    engine: &mut dyn FnMut(&Run) -> Result<Results>,
) -> Result<SuiteResult> {
    let started = now_ms();
    let results = engine(&jobs::run(setup))?;
    Ok(SuiteResult::new(setup, &results, started))
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A suite of a directory with two processors.
    pub(crate) fn setup() -> Setup {
        Setup {
            place: Place::Directory("/data".into()),
            length: Length::Full,
            bytes: GIB,
            caching: Caching::Direct,
            cpus: 2,
            disks: 1,
            instance: Detected::Unknown {
                reason: "a test".into(),
            },
            file_system: Some("xfs".into()),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_size_follows_from_what_is_free() {
        for (length, free, wanted) in [
            (Length::Full, 1000 * GIB, 8 * GIB),
            (Length::Quick, 1000 * GIB, GIB),
            (Length::Full, 10 * GIB, 2560 * MIB),
            (Length::Quick, 4 * LEAST_BYTES + 5, LEAST_BYTES),
        ] {
            assert_eq!(size(length, free).unwrap(), wanted);
        }
        let words = size(Length::Quick, 100 * MIB).unwrap_err().to_string();
        assert!(words.contains("only 100 MiB"), "{words}");
    }

    #[test]
    fn an_engine_that_cannot_run_is_an_error() {
        let words = measure(&setup(), &mut |_| anyhow::bail!("no io_uring")).unwrap_err();
        assert_eq!(words.to_string(), "no io_uring");
    }
}
