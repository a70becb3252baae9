//! The files in `tests/jobs`: a job file each, or a command line with one argument
//! on each line. Those that are refused are named here, with what is said.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) struct Case {
    /// Of the file.
    pub(crate) name: String,
    pub(crate) arguments: Vec<OsString>,
    /// The option it is refused for, and what is said to write.
    pub(crate) refused: Option<(&'static str, &'static str)>,
}

/// File, option, and a part of what is said to do.
pub(crate) const REFUSED: &[(&str, &str, &str)] = &[
    ("10-elastic-merge.fio", "rw", "write rw=rw"),
    (
        "17-k8s-default-pvc.fio",
        "ioengine",
        "write ioengine=io_uring",
    ),
    (
        "21-aws-hdd-stream.args",
        "ioengine",
        "write ioengine=io_uring",
    ),
    ("26-oci-seq.args", "eta-newline", "write --status-interval"),
    (
        "30-review-consistency.fio",
        "write_iops_log",
        "write --report=FILE.html",
    ),
    ("41-odd-blank-size.fio", "bs", "write it right after ="),
    (
        "44-tutorial-libaio.args",
        "ioengine",
        "write ioengine=io_uring",
    ),
    ("48-sync-writes.args", "sync", "write fsync=1"),
    ("49-trim.fio", "rw", "nothing is trimmed"),
    (
        "50-steady-state.fio",
        "steadystate",
        "write runtime and ramp_time",
    ),
    (
        "52-include.fio",
        "include",
        "write the options of that file into the section",
    ),
    ("53-typo.fio", "iodpeth", "did you mean iodepth?"),
];

/// In the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let name = path.file_name().unwrap().to_str().unwrap().to_string();
    let arguments = match path.extension().and_then(|extension| extension.to_str()) {
        Some("fio") => vec![path.into()],
        Some("args") => std::fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(argument)
            .collect(),
        _ => panic!("{name} is neither a job file nor a command line"),
    };
    let refused = REFUSED
        .iter()
        .find(|(file, ..)| *file == name)
        .map(|(_, option, instead)| (*option, *instead));
    Case {
        name,
        arguments,
        refused,
    }
}

/// A job file of the collection is named alone.
fn argument(line: &str) -> OsString {
    match line.strip_suffix(".fio") {
        Some(_) if !line.starts_with('-') => directory().join(line).into(),
        _ => line.into(),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs")
}

/// Variables of the job files.
pub(crate) fn environment() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("RUNTIME", "30s"),
        ("SIZE", "1g"),
        ("TEST_FILE", "/volume/test"),
    ])
}
