//! What to run: jobs as fio's options resolve them, typed and checked. Nothing
//! here knows how they were written; `language` reads them, `engine` runs them.

use std::path::PathBuf;
use std::time::Duration;

/// A whole invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// In the order they were written; `numjobs` is not expanded.
    pub jobs: Vec<Job>,
    /// Options of `[global]`, as they were written.
    pub global: Vec<(String, String)>,
    pub output: Output,
}

/// Where results go, and in which form.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// At least one; fio prints several after each other.
    pub formats: Vec<Format>,
    /// `--output`; standard output without it.
    pub file: Option<PathBuf>,
    /// `--report`, an HTML page.
    pub report: Option<PathBuf>,
    /// `--eta`.
    pub eta: Eta,
    /// `--status-interval`: results so far, that often.
    pub status_interval: Option<Duration>,
    /// `--destructive`: a named empty device may be written over.
    pub destructive: bool,
}

impl Default for Output {
    /// As fio without any of these options.
    fn default() -> Self {
        Self {
            formats: vec![Format::Normal],
            file: None,
            report: None,
            eta: Eta::Auto,
            status_interval: None,
            destructive: false,
        }
    }
}

/// `--output-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Normal,
    Json,
    JsonPlus,
    Terse,
}

/// `--eta`: whether a live line is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eta {
    /// On a terminal.
    Auto,
    Always,
    Never,
}

/// One section of a job file, or the job of a command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub name: String,
    pub description: String,
    /// Options of its own section, as they were written (fio's "job options").
    pub options: Vec<(String, String)>,
    /// Threads that do the same.
    pub numjobs: u32,
    /// Begins when all jobs before it have ended.
    pub stonewall: bool,
    /// Begins a new reporting group.
    pub new_group: bool,
    /// All jobs of its reporting group are reported as one.
    pub group_reporting: bool,

    /// `filename`, split at colons. Empty: files in `directory`, named as fio does.
    pub filenames: Vec<PathBuf>,
    /// `directory`, split at colons; jobs take them in turn.
    pub directories: Vec<PathBuf>,
    /// `nrfiles`: files of each thread, when `filenames` is empty.
    pub files: u32,
    /// Of all files of one thread together. Without it a device's own.
    pub size: Option<Size>,
    /// How much is transferred; the size without it.
    pub io_size: Option<Size>,
    /// Where the region begins.
    pub offset: Size,
    /// Added to the offset for each further thread of `numjobs`.
    pub offset_increment: Size,

    pub access: Access,
    pub order: Order,
    /// `rwmixread`, in percent, of a mixed job.
    pub read_percent: u32,
    /// Of reads, and of writes.
    pub block_size: [BlockSize; 2],
    /// Alignment of random offsets (`blockalign`); the smallest block size without it.
    pub block_align: Option<u64>,
    pub random: Random,

    pub engine: Engine,
    /// `iodepth`.
    pub depth: u32,
    /// `iodepth_batch_submit`: submitted at once; `None` is as many as there are.
    pub batch_submit: Option<u32>,
    /// `iodepth_batch_complete_min`, waited for at once; 0 only polls.
    pub batch_complete_min: u32,
    /// `iodepth_batch_complete_max`, taken at once.
    pub batch_complete_max: Option<u32>,
    /// `iodepth_low`: when the queue is full, it is filled again from here.
    pub depth_low: Option<u32>,
    pub direct: bool,
    /// `registerfiles` and `fixedbufs` as written: `None` where not said. The
    /// engine registers both where the kernel lets it, unless told not to.
    pub register_files: Option<bool>,
    pub fixed_buffers: Option<bool>,
    /// `hipri`: completions are polled for.
    pub polled: bool,
    /// `sqthread_poll`: the kernel takes submissions by itself.
    pub submission_thread: bool,
    /// `sqthread_poll_cpu`.
    pub submission_cpu: Option<u32>,

    /// `runtime`.
    pub runtime: Option<Duration>,
    /// Goes on until the runtime is over, whatever the size.
    pub time_based: bool,
    /// Not measured, before the runtime.
    pub ramp_time: Duration,
    /// `startdelay`.
    pub start_delay: Duration,
    pub loops: u64,

    /// `fsync` and `fdatasync`: one after so many writes; 0 is never.
    pub fsync: u32,
    pub fdatasync: u32,
    /// One fsync when all is written.
    pub end_fsync: bool,

    /// `rate`, bytes in a second, of reads and of writes.
    pub rate: [Option<u64>; 2],
    /// `rate_iops`, of reads and of writes.
    pub rate_iops: [Option<u32>; 2],
    /// `thinktime`, after each `thinktime_blocks` I/Os.
    pub think_time: Duration,
    pub think_blocks: u32,

    /// `cpus_allowed`; empty is all.
    pub cpus: Vec<usize>,
    /// `cpus_allowed_policy=split`: each thread takes the next one of them alone.
    pub split_cpus: bool,
    pub nice: Option<i32>,

    pub buffers: Buffers,
    pub verify: Option<Verify>,

    /// Files that were made for it are removed afterwards. fio keeps them by
    /// default; here they go unless `unlink=0` is written.
    pub unlink: bool,
    pub fallocate: Fallocate,
    /// The page cache of a file is dropped before a buffered job.
    pub invalidate: bool,
    /// `percentile_list`, ascending, in percent.
    pub percentiles: Vec<f64>,
}

/// fio's `percentile_list`.
const PERCENTILES: [f64; 17] = [
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95,
    99.99,
];

impl Job {
    /// A job of which nothing is written: fio's defaults, but that its files go.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            description: String::new(),
            options: Vec::new(),
            numjobs: 1,
            stonewall: false,
            new_group: false,
            group_reporting: false,
            filenames: Vec::new(),
            directories: Vec::new(),
            files: 1,
            size: None,
            io_size: None,
            offset: Size::Bytes(0),
            offset_increment: Size::Bytes(0),
            access: Access::Read,
            order: Order::Sequential,
            read_percent: 50,
            block_size: [BlockSize::Fixed(4096), BlockSize::Fixed(4096)],
            block_align: None,
            random: Random {
                map: true,
                seed: 0,
                distribution: Distribution::Uniform,
                percentage: [100; 2],
            },
            engine: Engine::Psync,
            depth: 1,
            batch_submit: None,
            batch_complete_min: 1,
            batch_complete_max: None,
            depth_low: None,
            direct: false,
            register_files: None,
            fixed_buffers: None,
            polled: false,
            submission_thread: false,
            submission_cpu: None,
            runtime: None,
            time_based: false,
            ramp_time: Duration::ZERO,
            start_delay: Duration::ZERO,
            loops: 1,
            fsync: 0,
            fdatasync: 0,
            end_fsync: false,
            rate: [None; 2],
            rate_iops: [None; 2],
            think_time: Duration::ZERO,
            think_blocks: 1,
            cpus: Vec::new(),
            split_cpus: false,
            nice: None,
            buffers: Buffers {
                refill: false,
                zero: false,
                compress_percent: 0,
            },
            verify: None,
            unlink: true,
            fallocate: Fallocate::Native,
            invalidate: true,
            percentiles: PERCENTILES.to_vec(),
        }
    }
}

/// A size in bytes, or a share of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Bytes(u64),
    /// Of the file or device.
    Percent(u32),
}

/// What a job does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
    Mixed,
}

/// How offsets follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Sequential,
    Random,
}

/// `bs`, `bsrange`, `bssplit`, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockSize {
    Fixed(u64),
    /// Uniformly between the two, in steps of the first.
    Range(u64, u64),
    /// Sizes and their shares in percent, which are 100 together.
    Split(Vec<(u64, u32)>),
}

impl BlockSize {
    #[must_use]
    pub fn smallest(&self) -> u64 {
        match self {
            Self::Fixed(size) | Self::Range(size, _) => *size,
            Self::Split(sizes) => sizes.iter().map(|(size, _)| *size).min().unwrap_or(0),
        }
    }

    #[must_use]
    pub fn largest(&self) -> u64 {
        match self {
            Self::Fixed(size) | Self::Range(_, size) => *size,
            Self::Split(sizes) => sizes.iter().map(|(size, _)| *size).max().unwrap_or(0),
        }
    }
}

/// How random offsets are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Random {
    /// Each block once before any block twice (without `norandommap`).
    pub map: bool,
    /// `randseed`, or one derived from it; the same seed visits the same offsets.
    pub seed: u64,
    pub distribution: Distribution,
    /// `percentage_random`, of reads and of writes.
    pub percentage: [u32; 2],
}

/// `random_distribution`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distribution {
    Uniform,
    Zipf(f64),
    Pareto(f64),
    /// As fio: around a mean, wider by this share of the region in percent.
    Normal(f64),
}

/// `ioengine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Uring,
    Psync,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// `refill_buffers`: new data for each write.
    pub refill: bool,
    /// `zero_buffers`.
    pub zero: bool,
    /// `buffer_compress_percentage`.
    pub compress_percent: u32,
}

/// `verify=crc32c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verify {
    /// `verify_fatal`: ends at the first bad block.
    pub fatal: bool,
    /// `do_verify`: what was written is read back by this job.
    pub read_back: bool,
}

/// `fallocate`, of a file that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallocate {
    None,
    /// fallocate(2), or nothing where the filesystem cannot.
    Native,
    Posix,
    KeepSize,
    Truncate,
}

#[cfg(test)]
pub(crate) mod testing {
    //! A plain job, for the tests of everything that takes one.

    use super::*;

    pub(crate) fn job(access: Access, order: Order, block_size: u64) -> Job {
        let mut job = Job {
            size: Some(Size::Bytes(1 << 20)),
            access,
            order,
            block_size: [BlockSize::Fixed(block_size), BlockSize::Fixed(block_size)],
            engine: Engine::Uring,
            ..Job::new("job")
        };
        job.random.seed = 1;
        job
    }
}
