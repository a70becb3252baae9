//! What fio says before its jobs begin, above its text for people: one line for
//! each job, who runs them, and how many threads there will be.

use std::io::{self, Write};

use crate::job::{Access, BlockSize, Engine, Job, Order};

use super::VERSION;
use super::number::{Prefix, WIDTH, short};

/// Writes the lines; every job comes with the number of its reporting group.
///
/// # Errors
/// When writing fails.
pub fn write(jobs: &[(u32, &Job)], to: &mut dyn Write) -> io::Result<()> {
    for (group, job) in jobs {
        let access = access(job.order, job.access);
        let engine = engine(job.engine);
        writeln!(
            to,
            "{}: (g={group}): rw={access}, {}, ioengine={engine}, iodepth={}",
            job.name,
            sizes(&job.block_size),
            job.depth
        )?;
        if job.numjobs > 1 {
            writeln!(to, "...")?;
        }
    }
    let threads: u64 = jobs.iter().map(|(_, job)| u64::from(job.numjobs)).sum();
    let plural = if threads == 1 { "" } else { "s" };
    writeln!(to, "{VERSION}\nStarting {threads} thread{plural}")
}

/// There are no trims, for which fio shows the sizes of writes.
fn sizes(of: &[BlockSize; 2]) -> String {
    let [read, write] = of.each_ref().map(|size| {
        let ends = [size.smallest(), size.largest()];
        ends.map(|end| short(end, WIDTH, Prefix::Binary) + "B")
            .join("-")
    });
    format!("bs=(R) {read}, (W) {write}, (T) {write}")
}

/// As fio writes it out, whichever of its names it was given.
fn access(order: Order, access: Access) -> &'static str {
    match (order, access) {
        (Order::Sequential, Access::Read) => "read",
        (Order::Sequential, Access::Write) => "write",
        (Order::Sequential, Access::Mixed) => "rw",
        (Order::Random, Access::Read) => "randread",
        (Order::Random, Access::Write) => "randwrite",
        (Order::Random, Access::Mixed) => "randrw",
    }
}

fn engine(engine: Engine) -> &'static str {
    match engine {
        Engine::Uring => "io_uring",
        Engine::Psync => "psync",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_in_fio() {
        let fixed = [BlockSize::Fixed(4096), BlockSize::Fixed(8192)];
        assert_eq!(
            sizes(&fixed),
            "bs=(R) 4096B-4096B, (W) 8192B-8192B, (T) 8192B-8192B"
        );
        let several = [
            BlockSize::Split(vec![(4096, 50), (131_072, 50)]),
            BlockSize::Range(4096, 65_536),
        ];
        assert_eq!(
            sizes(&several),
            "bs=(R) 4096B-128KiB, (W) 4096B-64.0KiB, (T) 4096B-64.0KiB"
        );
    }

    #[test]
    fn a_mixed_job_is_named_as_in_fio() {
        assert_eq!(access(Order::Sequential, Access::Mixed), "rw");
        assert_eq!(access(Order::Random, Access::Mixed), "randrw");
    }

    #[test]
    fn without_jobs_nothing_starts() {
        let mut text = Vec::new();
        write(&[], &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, format!("{VERSION}\nStarting 0 threads\n"));
    }
}
