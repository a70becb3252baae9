//! The jobs of the suite, as fio would be asked for them.

use std::path::PathBuf;
use std::time::Duration;

use super::{Caching, Length, Place, Setup, Test};
use crate::job::{
    Access, BlockSize, Buffers, Distribution, Engine, Eta, Fallocate, Format, Job, Order, Output,
    Random, Run, Size,
};

/// The file that all jobs share, in the directory.
pub const FILE: &str = "instore-bench-suite";

const KIB: u64 = 1 << 10;
/// Of each thread: four of them fill the queues of any disk, and a thread can keep
/// some hundred thousand I/Os of a second going.
const SATURATING_DEPTH: u32 = 128;
/// So many threads for one disk; a processor each.
const THREADS: u32 = 4;
/// More disks get two threads each, up to here: published figures of 16 disks are
/// some five million I/Os a second.
const THREADS_AT_MOST: u32 = 16;
/// 8 MiB in flight: enough for every disk of a stripe of sixteen.
const SEQUENTIAL_DEPTH: u32 = 64;
/// Those that a suite of fifteen seconds can tell.
const PERCENTILES: [f64; 8] = [1.0, 10.0, 50.0, 90.0, 95.0, 99.0, 99.5, 99.9];

/// What tells one job from the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    name: &'static str,
    access: Access,
    order: Order,
    block: u64,
    load: Load,
    /// Rows that come of it: of its reads, and of its writes.
    pub(super) tests: [Option<Test>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// One I/O at a time: what a single request takes.
    One,
    /// All that the disk can do.
    Saturating,
    /// One thread with a deep queue: a stream.
    Stream,
}

/// In the order they run: reads before writes and the gentle before the heavy, for
/// a disk that still works on what it was given answers late.
pub(super) const SPECS: [Spec; 7] = [
    random(
        "latency-read-4k",
        Access::Read,
        Load::One,
        Test::LatencyRead4k,
    ),
    random(
        "rand-read-4k",
        Access::Read,
        Load::Saturating,
        Test::RandRead4k,
    ),
    stream("seq-read-128k", Access::Read, Test::SeqRead128k),
    random(
        "latency-write-4k",
        Access::Write,
        Load::One,
        Test::LatencyWrite4k,
    ),
    random(
        "rand-write-4k",
        Access::Write,
        Load::Saturating,
        Test::RandWrite4k,
    ),
    stream("seq-write-128k", Access::Write, Test::SeqWrite128k),
    Spec {
        name: "mixed-4k",
        access: Access::Mixed,
        order: Order::Random,
        block: 4 * KIB,
        load: Load::Saturating,
        tests: [Some(Test::MixedRead4k), Some(Test::MixedWrite4k)],
    },
];

const fn random(name: &'static str, access: Access, load: Load, test: Test) -> Spec {
    Spec {
        name,
        access,
        order: Order::Random,
        block: 4 * KIB,
        load,
        tests: by_access(access, test),
    }
}

const fn stream(name: &'static str, access: Access, test: Test) -> Spec {
    Spec {
        name,
        access,
        order: Order::Sequential,
        block: 128 * KIB,
        load: Load::Stream,
        tests: by_access(access, test),
    }
}

const fn by_access(access: Access, test: Test) -> [Option<Test>; 2] {
    match access {
        Access::Read => [Some(test), None],
        Access::Write | Access::Mixed => [None, Some(test)],
    }
}

/// Measured, and let pass before it, of each job: seven of them with the layout are
/// two minutes, or fifteen seconds.
const fn times(length: Length) -> (Duration, Duration) {
    match length {
        Length::Full => (Duration::from_secs(14), Duration::from_secs(1)),
        Length::Quick => (Duration::from_millis(1500), Duration::from_millis(250)),
    }
}

/// How long all jobs take together, without the layout.
#[must_use]
pub fn duration(length: Length) -> Duration {
    let (runtime, ramp) = times(length);
    (runtime + ramp) * u32::try_from(SPECS.len()).unwrap_or(u32::MAX)
}

/// The suite as the engine runs it.
#[must_use]
pub fn run(setup: &Setup) -> Run {
    let mut seed = 0;
    let jobs = SPECS.iter().map(|spec| {
        seed += 1;
        job(setup, spec, seed)
    });
    Run {
        jobs: jobs.collect(),
        global: global(setup),
        output: Output {
            formats: vec![Format::Normal],
            file: None,
            report: None,
            eta: Eta::Never,
            status_interval: None,
            destructive: matches!(setup.place, Place::Device(_)),
        },
    }
}

fn target(setup: &Setup) -> (Vec<PathBuf>, Vec<PathBuf>) {
    match &setup.place {
        Place::Directory(directory) => (vec![directory.clone()], vec![FILE.into()]),
        Place::Device(device) => (Vec::new(), vec![device.clone()]),
    }
}

/// The same for all jobs, in fio's words.
fn global(setup: &Setup) -> Vec<(String, String)> {
    let (directories, filenames) = target(setup);
    let (runtime, ramp) = times(setup.length);
    let paths = |name: &'static str, paths: Vec<PathBuf>| {
        // A colon would part two of them.
        let escaped = |path: PathBuf| path.display().to_string().replace(':', "\\:");
        paths.into_iter().map(move |path| (name, escaped(path)))
    };
    let mut all: Vec<(&str, String)> = Vec::new();
    all.extend(paths("directory", directories));
    all.extend(paths("filename", filenames));
    all.extend([
        ("size", setup.bytes.to_string()),
        ("ioengine", "io_uring".into()),
        ("direct", flag(setup.caching == Caching::Direct)),
        ("norandommap", "1".into()),
        ("time_based", "1".into()),
        ("runtime", format!("{}ms", runtime.as_millis())),
        ("ramp_time", format!("{}ms", ramp.as_millis())),
        ("group_reporting", "1".into()),
        ("stonewall", "1".into()),
    ]);
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    all.into_iter().map(owned).collect()
}

fn flag(is: bool) -> String {
    u8::from(is).to_string()
}

fn threads(setup: &Setup) -> u32 {
    let wanted = setup.disks.saturating_mul(2);
    wanted
        .clamp(THREADS, THREADS_AT_MOST)
        .min(setup.cpus)
        .max(1)
}

fn job(setup: &Setup, spec: &Spec, seed: u64) -> Job {
    let (depth, numjobs) = match spec.load {
        Load::One => (1, 1),
        Load::Saturating => (SATURATING_DEPTH, threads(setup)),
        Load::Stream => (SEQUENTIAL_DEPTH, 1),
    };
    let (directories, filenames) = target(setup);
    let (runtime, ramp_time) = times(setup.length);
    Job {
        name: spec.name.into(),
        description: String::new(),
        options: options(spec, depth, numjobs),
        numjobs,
        stonewall: true,
        new_group: true,
        group_reporting: true,
        filenames,
        directories,
        files: 1,
        size: Some(Size::Bytes(setup.bytes)),
        io_size: None,
        offset: Size::Bytes(0),
        offset_increment: Size::Bytes(0),
        access: spec.access,
        order: spec.order,
        read_percent: READ_PERCENT,
        block_size: [BlockSize::Fixed(spec.block), BlockSize::Fixed(spec.block)],
        block_align: None,
        random: Random {
            // Blocks may come twice: a map of all would be memory and time.
            map: false,
            seed,
            distribution: Distribution::Uniform,
            percentage: [100, 100],
        },
        engine: Engine::Uring,
        depth,
        batch_submit: None,
        batch_complete_min: 1,
        batch_complete_max: None,
        depth_low: None,
        direct: setup.caching == Caching::Direct,
        register_files: None,
        fixed_buffers: None,
        polled: false,
        submission_thread: false,
        submission_cpu: None,
        runtime: Some(runtime),
        time_based: true,
        ramp_time,
        start_delay: Duration::ZERO,
        loops: 1,
        fsync: 0,
        fdatasync: 0,
        end_fsync: false,
        rate: [None, None],
        rate_iops: [None, None],
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

/// Of the mix.
const READ_PERCENT: u32 = 70;

fn options(spec: &Spec, depth: u32, numjobs: u32) -> Vec<(String, String)> {
    let rw = match (spec.order, spec.access) {
        (Order::Sequential, Access::Read) => "read",
        (Order::Sequential, Access::Write) => "write",
        (Order::Sequential, Access::Mixed) => "rw",
        (Order::Random, Access::Read) => "randread",
        (Order::Random, Access::Write) => "randwrite",
        (Order::Random, Access::Mixed) => "randrw",
    };
    let mut all = vec![
        ("rw", rw.to_owned()),
        ("bs", format!("{}k", spec.block / KIB)),
        ("iodepth", depth.to_string()),
        ("numjobs", numjobs.to_string()),
    ];
    if spec.access == Access::Mixed {
        all.push(("rwmixread", READ_PERCENT.to_string()));
    }
    let owned = |(name, value): (&str, String)| (name.to_owned(), value);
    all.into_iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::setup;
    use super::*;

    #[test]
    fn it_takes_two_minutes_or_fifteen_seconds_with_the_layout() {
        let full = duration(Length::Full).as_secs();
        assert!((100..=115).contains(&full), "{full} s");
        let quick = duration(Length::Quick).as_millis();
        assert!((11_000..=13_000).contains(&quick), "{quick} ms");
    }

    #[test]
    fn every_test_comes_of_exactly_one_job() {
        let all: Vec<Test> = SPECS.iter().flat_map(|s| s.tests).flatten().collect();
        let once: BTreeSet<&str> = all.iter().map(|test| test.name()).collect();
        assert_eq!((all.len(), once.len()), (Test::ALL.len(), Test::ALL.len()));
    }

    #[test]
    fn jobs_share_one_file_and_wait_for_each_other() {
        let run = run(&setup());
        for job in &run.jobs {
            assert!(job.stonewall && job.new_group && job.time_based && job.unlink);
            assert_eq!(job.filenames, [PathBuf::from(FILE)]);
            assert_eq!(job.directories, [PathBuf::from("/data")]);
            assert_eq!(job.size, Some(Size::Bytes(1 << 30)));
            assert!(job.direct);
        }
        assert!(!run.output.destructive);
    }

    #[test]
    fn saturating_jobs_have_a_thread_for_each_processor_up_to_what_the_disks_need() {
        let count = |cpus, disks| {
            let setup = Setup {
                cpus,
                disks,
                ..setup()
            };
            let all = run(&setup).jobs;
            let of = |name: &str| all.iter().find(|job| job.name == name).unwrap().numjobs;
            assert_eq!((of("latency-read-4k"), of("seq-write-128k")), (1, 1));
            of("rand-read-4k")
        };
        for ((cpus, disks), wanted) in [
            ((1, 1), 1),
            ((2, 1), 2),
            ((64, 1), 4),
            ((192, 8), 16),
            ((192, 24), 16),
            ((0, 0), 1),
        ] {
            assert_eq!(
                count(cpus, disks),
                wanted,
                "{cpus} processors, {disks} disks"
            );
        }
    }

    #[test]
    fn a_device_is_named_and_destructive() {
        let setup = Setup {
            place: Place::Device("/dev/nvme1n1".into()),
            caching: Caching::Buffered,
            ..setup()
        };
        let run = run(&setup);
        assert!(run.output.destructive);
        assert_eq!(run.jobs[0].filenames, [PathBuf::from("/dev/nvme1n1")]);
        assert!(run.jobs[0].directories.is_empty() && !run.jobs[0].direct);
    }

    #[test]
    fn what_is_told_as_written_is_what_runs() {
        let odd = Setup {
            place: Place::Directory("/a:b".into()),
            ..setup()
        };
        let run = run(&odd);
        let of = |name: &str| {
            let option = run.global.iter().find(|(option, _)| option == name);
            option.map(|(_, value)| value.as_str())
        };
        assert_eq!(of("directory"), Some("/a\\:b"));
        assert_eq!(of("runtime"), Some("14000ms"));
        let mixed: Vec<String> = run.jobs[6]
            .options
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            mixed.join(" "),
            "rw=randrw bs=4k iodepth=128 numjobs=2 rwmixread=70"
        );
    }
}
