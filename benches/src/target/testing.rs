//! Jobs to change for a test.

use crate::job::{Job, Output, Run, Size};

/// A buffered sequential read of 1 MiB.
pub(crate) fn job(name: &str) -> Job {
    Job {
        size: Some(Size::Bytes(1 << 20)),
        ..Job::new(name)
    }
}

pub(crate) fn run(jobs: Vec<Job>) -> Run {
    Run {
        jobs,
        global: Vec::new(),
        output: Output::default(),
    }
}
