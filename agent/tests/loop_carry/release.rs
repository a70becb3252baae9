//! Release: what comes back, and what is kept.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use instore::carry::{bind_source, carry, carry_bind};
use instore::mounting;
use instore::release::{Pool, release};

use crate::message;
use crate::sandbox::Sandbox;

fn pools_at(at: &Path) -> [Pool; 1] {
    let mounts = mounting::mounts().unwrap();
    let mount = mounts.into_iter().find(|m| m.at == at).unwrap();
    [Pool {
        at: mount.at,
        dev: mount.dev,
    }]
}

#[test]
fn a_released_copy_is_put_aside_on_the_pool() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=8m"));
    let source = bind_source(&pool, &from);
    carry(&from, &source).unwrap();
    mounting::bind(&source, &from).unwrap();
    fs::write(from.join("file"), "x").unwrap();
    let pools = pools_at(&pool);
    // Kept by a file of this process, so that its root can still be seen.
    let root = fs::File::open(&pool).unwrap();
    let text = message(release(&pools));
    assert!(text.contains("in use"), "{text}");
    let seen = PathBuf::from(format!("/proc/self/fd/{}/.instore/binds", root.as_raw_fd()));
    let names: Vec<_> = fs::read_dir(seen)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].contains(".released-"), "{names:?}");
    drop(root);
    assert_eq!(release(&pools).unwrap().pools, [pool]);
    assert_eq!(fs::read_to_string(from.join("file")).unwrap(), "x");
    // Only what is on disk counts: nothing to do is a success.
    assert!(release(&[]).unwrap().pools.is_empty());
}

#[test]
fn a_release_keeps_what_was_written_below_the_bind() {
    let sandbox = Sandbox::new();
    let pool = sandbox.tmpfs("pool", "size=8m");
    let (same, newer) = (sandbox.dir("same"), sandbox.dir("newer"));
    for dir in [&same, &newer] {
        fs::create_dir(dir.join("in")).unwrap();
        fs::write(dir.join("in/file"), "old").unwrap();
        carry_bind(dir, &pool).unwrap();
    }
    // As a node does that boots on without its pool.
    wait_for_a_later_time(&newer);
    fs::write(newer.join("in/file"), "written without the pool").unwrap();
    for dir in [&same, &newer] {
        mounting::bind(&bind_source(&pool, dir), dir).unwrap();
        fs::write(dir.join("in/file"), "on the pool").unwrap();
    }
    release(&pools_at(&pool)).unwrap();
    let mut kept = Vec::new();
    for entry in fs::read_dir(same.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".instore-") {
            kept.push(path);
        }
    }
    let [kept] = kept.as_slice() else {
        panic!("{kept:?}")
    };
    assert!(
        kept.starts_with(newer.parent().unwrap()) && kept.to_string_lossy().contains("/newer.")
    );
    let read = |dir: &Path| fs::read_to_string(dir.join("in/file")).unwrap();
    assert_eq!(read(kept), "written without the pool");
    assert_eq!(
        (read(&same), read(&newer)),
        ("on the pool".into(), "on the pool".into())
    );
}

/// Times of files come from a clock with ticks of some milliseconds.
fn wait_for_a_later_time(dir: &Path) {
    let probe = dir.parent().unwrap().join("tick");
    let time = || {
        fs::write(&probe, "x").unwrap();
        fs::metadata(&probe).unwrap().modified().unwrap()
    };
    let first = time();
    while time() <= first {
        std::thread::yield_now();
    }
}
