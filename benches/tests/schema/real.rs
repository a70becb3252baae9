//! A run of ours, on files in a directory.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use instore_bench::language::command_line;
use instore_bench::results::Results;
use instore_bench::run::benchmark;
use instore_bench::target::Gate;

/// No device is given out.
struct Closed;

impl Gate for Closed {
    fn open_empty(&self, device: &Path) -> anyhow::Result<File> {
        anyhow::bail!("{} is no file", device.display())
    }
}

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Results {
    let mut all = vec![OsString::from(format!(
        "--directory={}",
        directory.display()
    ))];
    let given = super::GLOBAL.iter().chain(arguments);
    all.extend(given.map(OsString::from));
    let parsed = command_line(&all, &|_| None).unwrap();
    let stop = AtomicBool::new(false);
    let results = benchmark(&parsed.run, &Closed, &stop, &mut |_| ()).unwrap();
    for thread in &results.threads {
        assert_eq!(thread.error, None);
    }
    results
}
