//! What is compared: a target, a direction, a depth and a number of jobs.

use std::fmt;
use std::path::{Path, PathBuf};

/// Of every target, unless a device is smaller.
pub(crate) const MIB: u64 = 256;
pub(crate) const DEPTHS: [u32; 3] = [1, 32, 128];
pub(crate) const JOBS: [u32; 2] = [1, 2];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file, buffered, that is in memory already.
    Cache,
    /// A file, past the page cache.
    Disk,
    /// Memory behind the block layer, made for this.
    Zram,
    /// An empty device that was named.
    Device(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) target: Target,
    pub(crate) access: Access,
    pub(crate) depth: u32,
    pub(crate) jobs: u32,
}

impl Target {
    /// As `--only` names it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cache => "cache",
            Self::Disk => "disk",
            Self::Zram => "zram",
            Self::Device(path) => path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or("device"),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::Cache | Self::Disk)
    }

    /// Answers at once: what limits is the processor.
    pub(crate) fn is_limited_by_cpu(&self) -> bool {
        match self {
            Self::Cache => true,
            Self::Disk | Self::Zram => false,
            Self::Device(path) => is_null_blk(path),
        }
    }
}

fn is_null_blk(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("nullb"))
}

impl Access {
    pub(crate) const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// As `rw=` names it.
    pub(crate) fn rw(self) -> &'static str {
        match self {
            Self::Read => "randread",
            Self::Write => "randwrite",
        }
    }

    /// As the results name it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (target, rw) = (self.target.name(), self.access.rw());
        write!(f, "{target}/{rw}/{}x{}", self.depth, self.jobs)
    }
}

impl Cell {
    /// Whether `TARGET/RW/DEPTHxJOBS` means this one; parts at the end may be missing, `*` is any.
    pub(crate) fn is_meant(&self, filter: &str) -> bool {
        let name = self.to_string();
        let parts = name.split('/');
        let mut wanted = filter.split('/');
        let fits = parts
            .zip(wanted.by_ref())
            .all(|(part, wanted)| wanted == "*" || part == wanted);
        fits && wanted.next().is_none()
    }
}
