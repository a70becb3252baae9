//! The memory of a run does not grow with it: no thread allocates anything between
//! its start and its end, however long it is. Counted by an allocator of this test.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use instore_bench::engine::{Options, Unwatched, run};
use instore_bench::job::Job;
use instore_bench::language::command_line;
use instore_bench::results::ThreadResult;
use instore_bench::target::{Kind, Opened};

/// The system's, which counts calls.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is done by the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const BLOCK: u64 = 512;
const FILE: u64 = 1 << 20;
const FEW: u64 = 50_000;
const MANY: u64 = 20 * FEW;
/// Of an hour, two each second.
const INTERVALS: u64 = 7200;

#[test]
fn a_long_run_allocates_as_little_as_a_short_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    std::fs::write(&path, vec![7; usize::try_from(FILE).unwrap()]).unwrap();
    // One request at a time, so that each ends an interval; and a full queue of both
    // directions, with all that a job can hold on to beside it.
    let deep = "--ioengine=io_uring --iodepth=32 --rw=randrw --norandommap --refill_buffers=1";
    for engine in ["--ioengine=psync --rw=randread", deep] {
        // What is made once for the process, or for the first thread, is made here.
        let _ = counted(&path, engine, FEW);
        // A thread that is late may have its caller wait, which allocates: once more.
        let pair = || [FEW, MANY].map(|ios| counted(&path, engine, ios));
        let mut pairs = vec![pair()];
        while pairs.len() < 3 && pairs.iter().all(|[few, many]| few != many) {
            pairs.push(pair());
        }
        let is_constant = pairs.iter().any(|[few, many]| few == many);
        assert!(is_constant, "{engine}: {pairs:?} allocations");
    }
}

/// Allocations of a run of so many I/Os.
fn counted(path: &PathBuf, engine: &str, ios: u64) -> u64 {
    let job = job(engine, ios);
    let options = Options {
        // Each look at the clock ends one, until they are full for the first times.
        sample_interval: Duration::from_nanos(1),
        event_interval: Duration::from_secs(3600),
    };
    let open = |_, _| {
        let file = File::options().read(true).write(true).open(path).unwrap();
        Ok(vec![Opened {
            file,
            path: path.clone(),
            bytes: FILE,
            kind: Kind::File,
        }])
    };
    let before = ALLOCATIONS.load(Relaxed);
    let results = run(
        &[job],
        &options,
        &open,
        &AtomicBool::new(false),
        &mut Unwatched,
    );
    let counted = ALLOCATIONS.load(Relaxed) - before;
    check(&results[0], ios);
    counted
}

fn job(engine: &str, ios: u64) -> Job {
    let text = format!(
        "--name=a --filename=a {engine} --bs={BLOCK} --size={FILE} --io_size={}",
        ios * BLOCK
    );
    let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
    let mut parsed = command_line(&arguments, &|_| None).unwrap();
    parsed.run.jobs.remove(0)
}

/// All was done, and many more intervals passed than are kept.
fn check(result: &ThreadResult, ios: u64) {
    assert_eq!(result.error, None);
    let done: u64 = result.directions.iter().map(|side| side.ios).sum();
    assert_eq!(done, ios);
    let [read, _] = &result.directions;
    let kept = u64::try_from(read.samples.len()).unwrap();
    assert!(kept > 0 && kept < INTERVALS);
    if ios == MANY && result.depth == 1 {
        // Two that are put together are of two I/Os at least, and so on.
        let fewest = read.samples.iter().map(|sample| sample.ios).min().unwrap();
        assert!(kept * fewest > INTERVALS, "{kept} of {fewest}");
    }
}
