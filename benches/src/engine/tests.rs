use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::*;
use crate::job::{Access, Engine, Order, Size, Verify, testing};
use crate::target::Kind;

const BYTES: u64 = 1 << 20;

/// A file of random data in a directory of its own.
struct Target {
    directory: tempfile::TempDir,
}

/// Jobs of each phase, in order.
#[derive(Default)]
struct Phases(Vec<Vec<usize>>);

impl Watch for Phases {
    fn progress(&mut self, _: &Progress, _: &mut dyn FnMut() -> Vec<ThreadResult>) {}
    fn finished(&mut self, results: &[ThreadResult]) {
        self.0
            .push(results.iter().map(|result| result.job).collect());
    }
}

/// Stops a run once something was done, after a look at it.
struct Stopper<'a> {
    stop: &'a AtomicBool,
    snapshots: u32,
}

impl Watch for Stopper<'_> {
    fn progress(&mut self, progress: &Progress, so_far: &mut dyn FnMut() -> Vec<ThreadResult>) {
        if progress.ios[0] > 0 {
            assert!(so_far()[0].directions[0].ios > 0);
            self.snapshots += 1;
            self.stop.store(true, Ordering::Relaxed);
        }
    }
    fn finished(&mut self, _: &[ThreadResult]) {}
}

impl Target {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut data = vec![0; usize::try_from(BYTES).unwrap()];
        fastrand::Rng::with_seed(1).fill(&mut data);
        File::create(directory.path().join("data"))
            .unwrap()
            .write_all(&data)
            .unwrap();
        Self { directory }
    }

    fn open(&self) -> Vec<Opened> {
        let path = self.directory.path().join("data");
        let file = File::options().read(true).write(true).open(&path).unwrap();
        vec![Opened {
            file,
            path,
            bytes: BYTES,
            kind: Kind::File,
        }]
    }

    fn run(&self, jobs: &[Job]) -> Vec<ThreadResult> {
        let open = |_, _| Ok(self.open());
        run(
            jobs,
            &Options::default(),
            &open,
            &AtomicBool::new(false),
            &mut Unwatched,
        )
    }
}

fn job(access: Access, engine: Engine) -> Job {
    let mut job = testing::job(access, Order::Random, 4096);
    job.engine = engine;
    job.depth = 8;
    job
}

const ENGINES: [Engine; 2] = [Engine::Uring, Engine::Psync];

#[test]
fn each_byte_is_counted_once() {
    let target = Target::new();
    for engine in ENGINES {
        for access in [Access::Read, Access::Write, Access::Mixed] {
            let mut job = job(access, engine);
            job.numjobs = 2;
            job.loops = 3;
            for result in target.run(&[job]) {
                assert_eq!(result.error, None, "{engine:?}");
                let ios: u64 = result.directions.iter().map(|side| side.ios).sum();
                let bytes: u64 = result.directions.iter().map(|side| side.bytes).sum();
                let latencies: u64 = result
                    .directions
                    .iter()
                    .map(|side| side.latency.count())
                    .sum();
                assert_eq!((ios, bytes, latencies), (768, 3 * BYTES, 768));
                let [read, write] = result.directions;
                assert_eq!(
                    (read.ios > 0, write.ios > 0),
                    (access != Access::Write, access != Access::Read)
                );
                assert_eq!(result.queue.depths.iter().sum::<u64>(), 768);
            }
        }
    }
}

#[test]
fn the_engine_says_what_it_runs_on() {
    let target = Target::new();
    let [uring, psync] =
        ENGINES.map(|engine| target.run(&[job(Access::Read, engine)]).remove(0).engine);
    assert!(
        uring.starts_with("io_uring") && uring.contains("registered"),
        "{uring}"
    );
    assert_eq!(psync, "psync");
    let mut plain = job(Access::Read, Engine::Uring);
    (plain.register_files, plain.fixed_buffers) = (Some(false), Some(false));
    let plain = target.run(&[plain]).remove(0).engine;
    assert!(
        !plain.contains("files") && !plain.contains("buffers"),
        "{plain}"
    );
}

#[test]
fn syncs_are_counted_apart() {
    let target = Target::new();
    for engine in ENGINES {
        let mut job = job(Access::Write, engine);
        (job.fsync, job.io_size, job.end_fsync) = (4, Some(Size::Bytes(40 * 4096)), true);
        let result = target.run(&[job]).remove(0);
        // After the last one nothing is written any more, but for `end_fsync`.
        assert_eq!(result.directions[1].ios, 40);
        assert_eq!(result.syncs.count(), 10);
    }
}

#[test]
fn what_was_written_is_read_back_and_a_corrupt_block_is_found() {
    let verify = Some(Verify {
        fatal: false,
        read_back: true,
    });
    for engine in ENGINES {
        let target = Target::new();
        let mut write = job(Access::Write, engine);
        write.verify = verify;
        assert_eq!(target.run(&[write.clone()]).remove(0).error, None);

        let mut read = job(Access::Read, engine);
        read.verify = verify;
        assert_eq!(target.run(&[read.clone()]).remove(0).error, None);

        let file = target.open().remove(0).file;
        for place in [8 * 4096 + 77, 100 * 4096 + 4095] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ 1], place).unwrap();
        }
        let error = target.run(&[read.clone()]).remove(0).error.unwrap();
        assert_eq!(error.errno, 84);
        assert!(
            error.text.starts_with("2 bad blocks") && error.text.contains("CRC-32C"),
            "{}",
            error.text
        );
        read.verify = Some(Verify {
            fatal: true,
            read_back: true,
        });
        let result = target.run(&[read]).remove(0);
        assert!(result.error.unwrap().text.starts_with("verify "));
    }
}

#[test]
fn both_engines_visit_the_same_blocks() {
    for seed in 0..8 {
        let written = ENGINES.map(|engine| {
            let target = Target::new();
            let mut job = job(Access::Write, engine);
            job.random.seed = seed;
            job.io_size = Some(Size::Bytes(99 * 4096));
            job.verify = Some(Verify {
                fatal: true,
                read_back: false,
            });
            assert_eq!(target.run(&[job]).remove(0).error, None);
            visited(&target.directory.path().join("data"))
        });
        assert_eq!(written[0].len(), 99);
        assert_eq!(written[0], written[1]);
    }
}

/// Blocks that hold a header of a verified write.
fn visited(path: &Path) -> Vec<u64> {
    let data = std::fs::read(path).unwrap();
    (0..)
        .step_by(4096)
        .zip(data.chunks(4096))
        .filter(|(offset, block)| contents::check(block, *offset).is_ok())
        .map(|(offset, _)| offset)
        .collect()
}

#[test]
fn an_error_ends_its_thread_and_no_other() {
    let target = Target::new();
    let file = File::open(target.directory.path().join("data")).unwrap();
    let open = |index, _| {
        let mut opened = target.open();
        if index == 0 {
            opened[0].file = file.try_clone().unwrap();
        }
        Ok(opened)
    };
    for engine in ENGINES {
        let jobs = [job(Access::Write, engine), job(Access::Write, engine)];
        let results = run(
            &jobs,
            &Options::default(),
            &open,
            &AtomicBool::new(false),
            &mut Unwatched,
        );
        let error = results[0].error.as_ref().unwrap();
        assert_eq!(error.errno, 9);
        assert!(
            error.text.contains("write 4096 bytes of") && error.text.contains("data"),
            "{}",
            error.text
        );
        assert_eq!(
            (&results[1].error, results[1].directions[1].ios),
            (&None, 256)
        );
    }
}

#[test]
fn a_file_that_ends_early_is_an_error() {
    for engine in ENGINES {
        let target = Target::new();
        let open = |_, _| {
            let opened = target.open();
            opened[0].file.set_len(BYTES / 2).unwrap();
            Ok(opened)
        };
        let results = run(
            &[job(Access::Read, engine)],
            &Options::default(),
            &open,
            &AtomicBool::new(false),
            &mut Unwatched,
        );
        let error = results[0].error.as_ref().unwrap();
        assert!(error.text.contains("it ends there"), "{}", error.text);
    }
}

#[test]
fn jobs_wait_for_those_before_a_stonewall() {
    let target = Target::new();
    let mut jobs = vec![job(Access::Write, Engine::Uring); 3];
    jobs[2].stonewall = true;
    let mut phases = Phases::default();
    let open = |_, _| Ok(target.open());
    let stop = AtomicBool::new(false);
    let results = run(&jobs, &Options::default(), &open, &stop, &mut phases);
    assert_eq!(phases.0, [vec![0, 1], vec![2]]);
    assert_eq!(
        results
            .iter()
            .map(|result| result.group)
            .collect::<Vec<_>>(),
        [0, 0, 1]
    );
}

#[test]
fn a_stop_ends_it_with_what_there_is() {
    let target = Target::new();
    for engine in ENGINES {
        let mut endless = job(Access::Read, engine);
        (endless.time_based, endless.runtime) = (true, Some(Duration::from_secs(3600)));
        let mut after = endless.clone();
        after.stonewall = true;
        let stop = AtomicBool::new(false);
        let options = Options {
            event_interval: Duration::from_millis(1),
            ..Options::default()
        };
        let mut watch = Stopper {
            stop: &stop,
            snapshots: 0,
        };
        let open = |_, _| Ok(target.open());
        let results = run(&[endless, after], &options, &open, &stop, &mut watch);
        assert!(
            watch.snapshots > 0 && results.len() == 1,
            "{}",
            results.len()
        );
        assert!(results[0].directions[0].ios > 0 && results[0].error.is_none());
    }
}

#[test]
fn what_cannot_be_opened_or_is_too_small_is_said() {
    let target = Target::new();
    let refuse = |_, _| {
        Err(Failure {
            errno: 2,
            text: "no".to_owned(),
        })
    };
    let stop = AtomicBool::new(false);
    let results = run(
        &[job(Access::Read, Engine::Uring)],
        &Options::default(),
        &refuse,
        &stop,
        &mut Unwatched,
    );
    assert_eq!(results[0].error.as_ref().map(|error| error.errno), Some(2));

    let mut large = job(Access::Read, Engine::Uring);
    large.block_size = [
        crate::job::BlockSize::Fixed(2 << 20),
        crate::job::BlockSize::Fixed(4096),
    ];
    let error = target.run(&[large]).remove(0).error.unwrap();
    assert!(
        error.text.contains("smaller than a block"),
        "{}",
        error.text
    );
}

#[test]
fn waiting_ends_with_the_runtime() {
    let target = Target::new();
    for engine in ENGINES {
        let mut slow = job(Access::Read, engine);
        (slow.rate_iops, slow.time_based) = ([Some(1), None], true);
        slow.runtime = Some(Duration::from_millis(500));
        let mut thinking = slow.clone();
        (thinking.rate_iops, thinking.think_time) = ([None; 2], Duration::MAX);
        for result in target.run(&[slow, thinking]) {
            // One I/O, and then nothing but the wait that the end cuts short.
            assert_eq!((result.error, result.directions[0].ios), (None, 1));
        }
    }
}

#[test]
fn a_submission_thread_is_waited_for() {
    let target = Target::new();
    let mut polled = job(Access::Read, Engine::Uring);
    (polled.submission_thread, polled.loops, polled.depth) = (true, 20, 4);
    let result = target.run(&[polled]).remove(0);
    assert_eq!((result.error, result.directions[0].ios), (None, 20 * 256));
    assert!(
        result.engine.contains("submission thread"),
        "{}",
        result.engine
    );
}
