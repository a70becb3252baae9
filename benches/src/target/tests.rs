//! Preparing files for real, in temporary directories: made, laid out, shared,
//! kept, taken again, and gone whatever happens. Devices are in `loop_target`.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::testing::{job, run};
use super::*;
use crate::job::{Access, Fallocate, Job, Run, Size};

/// For runs that must not even ask.
struct NoGate;

impl Gate for NoGate {
    fn open_empty(&self, device: &Path) -> anyhow::Result<File> {
        panic!("asked for {}", device.display());
    }
}

fn ready(run: &Run) -> Result<Prepared, Error> {
    prepare(run, &NoGate, &AtomicBool::new(false), &mut |_| {})
}

fn refused(run: &Run) -> String {
    match ready(run) {
        Err(Error::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn said(error: Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn named(path: PathBuf) -> Job {
    Job {
        filenames: vec![path],
        ..job("t")
    }
}

fn within(dir: &Path) -> Job {
    Job {
        directories: vec![dir.to_path_buf()],
        ..job("t")
    }
}

#[test]
fn files_of_each_thread_are_made_filled_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let run = run(vec![Job {
        numjobs: 2,
        files: 2,
        size: Some(Size::Bytes(2 << 20)),
        ..within(dir.path())
    }]);
    let prepared = prepare(&run, &NoGate, &AtomicBool::new(false), &mut |p| {
        told.push((p.path.to_path_buf(), p.done, p.total));
    })
    .unwrap();
    assert_eq!(names(dir.path()), ["t.0.0", "t.0.1", "t.1.0", "t.1.1"]);
    assert_eq!(told.len(), 4);
    assert_eq!(told[3], (dir.path().join("t.1.1"), 1 << 20, 1 << 20));
    let opened = prepared.open(0, 1).unwrap();
    assert_eq!(opened.len(), 2);
    assert_eq!(opened[1].path, dir.path().join("t.1.1"));
    assert_eq!((opened[1].bytes, opened[1].kind), (1 << 20, Kind::File));
    let mut block = [0; 4096];
    opened[1].file.read_exact_at(&mut block, 1 << 19).unwrap();
    assert_ne!(block, [0; 4096]);
    assert_eq!(fs::metadata(&opened[1].path).unwrap().mode() & 0o777, 0o600);
    assert!(prepared.open(0, 2).is_err() && prepared.open(1, 0).is_err());
    assert!(prepared.finish().is_empty());
    assert!(names(dir.path()).is_empty());
}

#[test]
fn jobs_share_a_file_that_is_as_large_as_the_largest_needs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let write = Job {
        access: Access::Write,
        size: Some(Size::Bytes(3 << 20)),
        fallocate: Fallocate::None,
        ..named(path.clone())
    };
    let prepared = ready(&run(vec![write, named(path.clone())])).unwrap();
    assert_eq!(prepared.targets().len(), 1);
    assert_eq!(prepared.open(1, 0).unwrap()[0].bytes, 3 << 20);
    // Only what is read was written.
    assert_eq!(fs::metadata(&path).unwrap().blocks() * 512, 1 << 20);
    let write = &prepared.open(0, 0).unwrap()[0].file;
    write.write_all_at(b"x", 0).unwrap();
    assert!(
        prepared.open(1, 0).unwrap()[0]
            .file
            .write_all_at(b"x", 0)
            .is_err()
    );
}

#[test]
fn what_is_somebodys_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious");
    fs::write(&precious, "data").unwrap();
    let link = dir.path().join("link");
    symlink(&precious, &link).unwrap();
    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("nothing"), &dangling).unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let before = names(dir.path());
    for access in [Access::Read, Access::Write, Access::Mixed] {
        for destructive in [false, true] {
            for (path, word) in [
                (precious.clone(), "did not make"),
                (link.clone(), "symbolic link"),
                (dangling.clone(), "symbolic link"),
                (fifo.clone(), "FIFO"),
                (dir.path().to_path_buf(), "directory="),
                ("/dev/null".into(), "character device"),
                ("/dev/nvme77n1".into(), "no such device"),
            ] {
                // A good one before it is not made either.
                let mut run = run(vec![within(dir.path()), named(path)]);
                run.jobs[1].access = access;
                run.output.destructive = destructive;
                let why = refused(&run);
                assert!(why.contains(word), "{why}");
            }
        }
    }
    assert_eq!(names(dir.path()), before);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "data");
    let nowhere = said(ready(&run(vec![within(Path::new("/no/such"))])).unwrap_err());
    assert!(nowhere.contains("directory /no/such"), "{nowhere}");
}

#[test]
fn a_kept_file_is_taken_again_until_somebody_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let keep = Job {
        unlink: false,
        ..named(path.clone())
    };
    let keep = run(vec![keep]);
    assert!(ready(&keep).unwrap().finish().is_empty());
    let first = fs::read(&path).unwrap();
    assert_eq!(first.len(), 1 << 20);

    // Nothing is written again, and nobody else may have it meanwhile.
    let prepared = ready(&keep).unwrap();
    let error = ready(&keep).unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    drop(prepared);
    assert_eq!(fs::read(&path).unwrap(), first);

    // A job that wrote it leaves anything in it: then it is laid out again.
    let mut writes = keep.clone();
    writes.jobs[0].access = Access::Write;
    drop(ready(&writes).unwrap());
    assert_eq!(fs::read(&path).unwrap(), first);
    drop(ready(&keep).unwrap());
    assert_ne!(fs::read(&path).unwrap(), first);

    fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all_at(b"mine", 0)
        .unwrap();
    assert!(refused(&keep).contains("changed it since"));
    assert!(path.exists());
}

#[test]
fn a_kept_file_goes_when_a_run_does_not_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let mut run = run(vec![named(path.clone())]);
    run.jobs[0].unlink = false;
    drop(ready(&run).unwrap());
    assert!(path.exists());
    run.jobs[0].unlink = true;
    drop(ready(&run).unwrap());
    assert!(!path.exists());
}

#[test]
fn a_name_that_means_another_file_by_then_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let prepared = ready(&run(vec![named(path.clone())])).unwrap();
    fs::rename(&path, dir.path().join("moved")).unwrap();
    fs::write(&path, "somebody's").unwrap();
    // Threads still get what was made, not what has its name.
    assert_eq!(prepared.open(0, 0).unwrap()[0].bytes, 1 << 20);
    let mut block = [0; 4096];
    let opened = prepared.open(0, 0).unwrap();
    opened[0].file.read_exact_at(&mut block, 0).unwrap();
    let trouble = prepared.finish();
    assert!(
        trouble[0].contains("another file has its name"),
        "{trouble:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
}

#[test]
fn a_stop_removes_what_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut long = within(dir.path());
    long.size = Some(Size::Bytes(64 << 20));
    long.unlink = false;
    let stop = AtomicBool::new(false);
    let mut calls = 0;
    let ended = prepare(&run(vec![long]), &NoGate, &stop, &mut |_| {
        calls += 1;
        stop.store(true, Ordering::Relaxed);
    });
    assert!(matches!(ended, Err(Error::Stopped)));
    assert_eq!(calls, 1);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn what_does_not_fit_is_refused_before_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut huge = within(dir.path());
    huge.size = Some(Size::Bytes(1 << 50));
    for access in [Access::Read, Access::Write] {
        huge.access = access;
        let why = refused(&run(vec![within(dir.path()), huge.clone()]));
        assert!(why.contains("that are free"), "{why}");
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn memory_is_measured_with_a_warning() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let prepared = ready(&run(vec![within(dir.path())])).unwrap();
    assert!(prepared.warnings()[0].contains("measures memory"));
    drop(prepared);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn hostile_names_stay_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let hostile = ["../x", "/etc/x", "..", "a\nb", "a\0b", &"x".repeat(300)];
    let jobs: Vec<Job> = hostile
        .iter()
        .map(|name| Job {
            name: (*name).to_owned(),
            ..within(&inner)
        })
        .collect();
    let prepared = ready(&run(jobs)).unwrap();
    assert_eq!(names(dir.path()), ["inner"]);
    assert_eq!(names(&inner).len(), 5, "{:?}", names(&inner));
    drop(prepared);
    assert!(names(&inner).is_empty());
}

#[test]
fn a_file_cannot_be_a_share_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut half = within(dir.path());
    half.size = Some(Size::Percent(50));
    assert!(refused(&run(vec![half])).contains("say it in bytes"));
}
