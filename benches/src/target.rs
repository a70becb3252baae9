//! What a job may be pointed at, and what is laid out there before it begins.

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

mod decide;
mod device;
mod directory;
mod error;
mod extents;
mod layout;
mod mark;
mod prepare;
mod prepared;
mod region;
mod space;
mod survey;
mod wanted;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use error::Error;
pub use prepare::{Progress, prepare};
pub use prepared::{Prepared, Target};
pub use region::{There, region};
pub(crate) use space::available_memory;

/// What only the agent can tell: whether a block device may be written over.
pub trait Gate: Sync {
    /// Opens a block device exclusively, for reading and writing, after checking
    /// that it is empty and nobody's: not mounted, held, foreign, or the system's.
    ///
    /// # Errors
    /// When it is not, or when that cannot be told: with the device and the reason.
    fn open_empty(&self, device: &Path) -> anyhow::Result<File>;
}

/// One open target of a thread.
#[derive(Debug)]
pub struct Opened {
    pub file: File,
    /// As the user named it, or as it was made.
    pub path: PathBuf,
    /// How much of it there is.
    pub bytes: u64,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Device,
}
