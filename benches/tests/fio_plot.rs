//! fio-plot, from PyPI, draws our JSON: the plots people make of fio's. It is
//! found at `INSTORE_FIO_PLOT`, or in `PATH`; `bootstrap/fio-plot.sh` installs it.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "schema/plausible.rs"]
mod plausible;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use instore_bench::job::Format;
use instore_bench::output;

use plausible::{Done, Shape};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A picture without bars is smaller.
const SMALLEST_PLOT: usize = 20_000;

/// What a plot is of.
const DEPTHS: [u32; 3] = [1, 4, 16];
const THREADS: [u32; 3] = [1, 2, 4];

#[test]
fn bars_over_queue_depths() {
    plot(&["-l", "-r", "randread", "-d", "1", "4", "16", "-n", "1"]);
}

#[test]
fn bars_over_jobs_with_cpu() {
    plot(&[
        "-N",
        "-r",
        "randread",
        "-d",
        "16",
        "-n",
        "1",
        "2",
        "4",
        "--show-cpu",
    ]);
}

#[test]
fn a_histogram_of_latencies() {
    plot(&["-H", "-r", "randread", "-d", "16", "-n", "4"]);
}

#[test]
fn bars_in_three_dimensions() {
    let all = ["-d", "1", "4", "16", "-n", "1", "2", "4"];
    plot(&[&["-L", "-t", "lat", "-r", "randread"][..], &all].concat());
}

#[test]
fn the_writes_of_a_mixed_job() {
    plot(&[
        "-l", "-r", "randrw", "-f", "write", "-d", "1", "4", "16", "-n", "1",
    ]);
}

/// One file for each run, as `bench-fio` leaves them, and a plot of them.
fn plot(arguments: &[&str]) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for rw in ["randread", "randrw"] {
        for depth in DEPTHS {
            for threads in THREADS {
                write(directory.path(), rw, depth, threads);
            }
        }
    }
    let picture = directory.path().join("plot.png");
    let done = run(directory.path(), &picture, arguments);
    let drawn = fs::read(&picture).unwrap_or_else(|_| panic!("no picture: {done}"));
    assert!(drawn.starts_with(PNG), "{done}");
    assert!(drawn.len() > SMALLEST_PLOT, "{} bytes: {done}", drawn.len());
}

fn write(directory: &Path, rw: &str, depth: u32, threads: u32) {
    let done = |share: u32| Done {
        ios: u64::from(1000 * share * depth * threads),
        bytes: u64::from(4_096_000 * share * depth * threads),
        runtime: Duration::from_secs(1),
        samples: 2,
        latency: (20_000, u64::from(100_000 * depth)),
    };
    let none = Done::default();
    let job = Shape {
        name: format!("{rw}-{depth}-{threads}"),
        options: vec![("iodepth".to_owned(), depth.to_string())],
        threads,
        directions: match rw {
            "randrw" => [done(7), done(3)],
            _ => [done(10), none],
        },
        depth,
        ..Shape::default()
    };
    // some in [global], for fio-plot puts the two together
    let global = [("rw", rw), ("bs", "4k"), ("numjobs", &threads.to_string())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let results = plausible::results(&[job], global.to_vec(), &[]);
    let path = directory.join(format!("{rw}-{depth}-{threads}.json"));
    output::write(&results, &[Format::Json], &mut File::create(path).unwrap()).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "fio-plot is run, and nothing of the agent"
)]
fn run(directory: &Path, picture: &Path, arguments: &[&str]) -> String {
    let program =
        std::env::var_os("INSTORE_FIO_PLOT").unwrap_or_else(|| OsString::from("fio-plot"));
    let done = std::process::Command::new(&program)
        .args(["-T", "a disk", "-i"])
        .arg(directory)
        .arg("-o")
        .arg(picture)
        .args(arguments)
        // it keeps a cache of fonts, and there is no screen
        .env("MPLCONFIGDIR", directory)
        .env("MPLBACKEND", "Agg")
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "start {}: {error}; bootstrap/fio-plot.sh installs it",
                program.display()
            )
        });
    format!("{done:?}")
}
