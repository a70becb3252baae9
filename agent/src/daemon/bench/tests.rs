//! Suites that a script stands in for: begun, refused, watched, ended, kept.

use std::path::Path;

use super::*;
use crate::daemon::state::{Counters, DiskReading, Readings, Snapshot};

/// A node with one pool in a directory, at rest, whose suites are a script.
struct Node {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
    bencher: Arc<Bencher>,
}

fn node(script: &str) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::new(SystemTime::now()));
    let pool = Pool {
        label: "instore".into(),
        at: dir.path().into(),
        disks: vec!["a/1".into()],
        mounted: true,
        uuid: "u".into(),
        ..Pool::default()
    };
    shared.set_snapshot(Snapshot {
        pools: vec![pool],
        ..Snapshot::default()
    });
    rest(&shared);
    let path = dir.path().join("suite.sh");
    std::fs::write(&path, script).unwrap();
    let program = Argv::new(&["sh", path.to_str().unwrap()]);
    let events = Arc::new(Events::new().unwrap());
    let waker = Waker::of_nobody().unwrap();
    let bencher = Bencher::with(program, Arc::clone(&shared), events, waker);
    Node {
        dir,
        shared,
        bencher: Arc::new(bencher),
    }
}

fn rest(shared: &Shared) {
    for _ in 0..2 {
        let all = [("a/1".to_owned(), Counters::default())].into();
        shared.history().add(SystemTime::now(), 5.0, &all);
    }
}

/// Prints a result, after telling where its files are.
fn good() -> String {
    let result = serde_json::to_string(&crate::testing::suite(30_000.0)).unwrap();
    format!(
        "for word; do case $word in --directory=*) at=${{word#*=}};; esac; done\n\
         : >\"$at/file\"\necho \"at $at\" >&2\necho '{result}'\n"
    )
}

fn wait(mut started: Started) -> (Vec<String>, Result<Arc<Kept>, String>) {
    let mut lines = Vec::new();
    loop {
        match started.progress.blocking_recv().unwrap() {
            Progress::Line(line) => lines.push(line),
            Progress::Done(done) => return (lines, done),
        }
    }
}

fn entries(at: &Path) -> Vec<String> {
    let list = std::fs::read_dir(at).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = list
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_result_is_told_kept_and_found_again_and_the_files_are_gone() {
    let node = node(&good());
    let (lines, done) = wait(node.bencher.begin(&Ask::default()).unwrap());
    let ours = node.dir.path().join(".instore");
    assert_eq!(lines, [format!("at {}", ours.join("bench").display())]);
    let kept = done.unwrap();
    assert_eq!(kept.words(), "rand-read-4k 30000 IOPS (60 % of i4i.large)");
    assert_eq!(kept.result.target, node.dir.path().to_str().unwrap());
    let pool = node.shared.snapshot().pools[0].clone();
    assert_eq!(node.shared.benches().of(&pool), Some(&kept));
    assert_eq!(entries(&ours), ["bench.json", "benched"]);
    let found = look(node.dir.path());
    assert!(found.marked && found.kept.as_ref() == Some(&*kept));
    // Of another filesystem it is no more.
    let anew = Pool {
        uuid: "v".into(),
        ..pool
    };
    assert_eq!(node.shared.benches().of(&anew), None);
    // And the next may begin.
    wait(node.bencher.begin(&Ask::default()).unwrap())
        .1
        .unwrap();
}

#[test]
fn one_at_a_time_and_the_other_is_told_which() {
    let node = node("echo on >&2; exec sleep 1000\n");
    let mut first = node.bencher.begin(&Ask::default()).unwrap();
    assert!(matches!(
        first.progress.blocking_recv(),
        Some(Progress::Line(_))
    ));
    let words = match node.bencher.begin(&Ask::default()) {
        Err(Refused::Busy(words)) => words,
        other => panic!("{other:?}"),
    };
    assert!(
        words.contains("on pool instore, since 20") && words.contains("by request"),
        "{words}"
    );
    // A stop waits until it is over, and its files are gone.
    node.bencher.stop();
    assert!(node.shared.benches().running.is_none());
    assert_eq!(entries(&node.dir.path().join(".instore")), ["benched"]);
    let words = wait(first).1.unwrap_err();
    assert!(words.contains("ended before it was done"), "{words}");
}

#[test]
fn nobody_waits_nobody_measures() {
    let node = node("echo on >&2; exec sleep 1000\n");
    drop(node.bencher.begin(&Ask::default()).unwrap());
    let held = node.bencher.held();
    drop(node.bencher.idle.wait_while(held, |life| life.is_some()));
    assert!(node.shared.benches().running.is_none());
}

#[test]
fn a_suite_that_nobody_asked_for_needs_nobody_to_wait() {
    let node = node(&good());
    node.bencher
        .begin_unasked("instore", Length::Quick)
        .unwrap();
    let held = node.bencher.held();
    drop(node.bencher.idle.wait_while(held, |life| life.is_some()));
    let pool = node.shared.snapshot().pools[0].clone();
    assert!(node.shared.benches().of(&pool).is_some());
}

#[test]
fn what_fails_says_why_and_what_was_cut_off_is_cleaned_up() {
    for (script, wanted) in [
        ("echo no space left >&2; exit 1\n", "no space left"),
        ("echo nonsense\n", "read what the suite printed"),
    ] {
        let node = node(script);
        let words = wait(node.bencher.begin(&Ask::default()).unwrap()).1;
        assert!(words.unwrap_err().contains(wanted));
        let ours = node.dir.path().join(".instore");
        assert_eq!(entries(&ours), ["benched"]);
        // As a daemon that was killed leaves it.
        std::fs::create_dir(ours.join("bench")).unwrap();
        std::fs::write(ours.join("bench/file"), "x").unwrap();
        let found = look(node.dir.path());
        assert!(found.marked && found.kept.is_none());
        assert_eq!(entries(&ours), ["benched"]);
    }
}

#[test]
fn what_cannot_be_measured_is_refused_with_the_reason() {
    let node = node("exit 1\n");
    let refusal = |ask: Ask| match node.bencher.begin(&ask) {
        Err(refused) => refused.to_string(),
        Ok(started) => panic!("{started:?}"),
    };
    let pool = |label: &str| Ask {
        pool: Some(label.into()),
        ..Ask::default()
    };
    let directory = |path: &str| Ask {
        directory: Some(path.into()),
        ..Ask::default()
    };
    assert!(refusal(pool("other")).contains("no pool other, but instore"));
    assert!(refusal(directory("data")).contains("not an absolute path"));
    let both = Ask {
        directory: Some("/x".into()),
        ..pool("instore")
    };
    assert!(refusal(both).contains("not both"));
    // A directory of a busy pool is as busy.
    let reading = DiskReading {
        io: Some(Counters {
            in_flight: 100,
            ..Counters::default()
        }),
        ..DiskReading::default()
    };
    node.shared.set_readings(Readings {
        disks: [("a/1".to_owned(), reading)].into(),
        ..Readings::default()
    });
    let inside = node.dir.path().join("x");
    for ask in [Ask::default(), directory(inside.to_str().unwrap())] {
        assert!(refusal(ask).contains("100 operations under way"));
    }
    let mut snapshot = Snapshot::clone(&node.shared.snapshot());
    snapshot.pools[0].read_only = true;
    node.shared.set_snapshot(snapshot.clone());
    assert!(refusal(pool("instore")).contains("read-only"));
    snapshot.pools.clear();
    node.shared.set_snapshot(snapshot);
    assert!(refusal(Ask::default()).contains("no pool on this node"));
}
