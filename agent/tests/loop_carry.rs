//! Carrying, mounting and releasing for real, as root, each test in a mount
//! namespace of its own: whatever happens, nothing is left behind.
#![cfg(feature = "loop-tests")]
#![allow(clippy::unwrap_used)]

#[path = "loop_carry/kills.rs"]
mod kills;
#[path = "loop_carry/release.rs"]
mod released;
#[path = "loop_carry/sandbox.rs"]
mod sandbox;
#[path = "loop_carry/tree.rs"]
mod tree;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use instore::carry::{bind_source, carry, carry_into_root, is_ready, size_of};
use instore::config::Fs;
use instore::mounting::{self, Mounted, Quota, Source, mount_device, unmount};
use instore::release::{Pool, release};
use instore::services;

use sandbox::{Sandbox, run};
use tree::{plant, snapshot};

fn message<T: std::fmt::Debug>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.unwrap_err())
}

#[test]
fn everything_about_a_tree_is_carried() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=64m"));
    plant(&from);
    let before = snapshot(&from);
    let to = bind_source(&pool, &from);
    let carried = carry(&from, &to).unwrap();
    assert_eq!(snapshot(&to), before);
    assert_eq!(snapshot(&from), before, "the original changed");
    assert_eq!(carried.entries, size_of(&from).unwrap().inodes);
    // 0700 on the way in: what is bound is only seen where it is bound.
    assert_eq!(
        fs::metadata(pool.join(".instore")).unwrap().mode() & 0o7777,
        0o700
    );
    // A hole stays a hole.
    assert!(fs::metadata(to.join("sparse")).unwrap().blocks() * 512 < 1 << 20);
    assert!(message(carry(&from, &to)).contains("exists already"));
}

#[test]
fn nothing_and_a_missing_directory_are_carried_too() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=8m"));
    fs::set_permissions(&from, fs::Permissions::from_mode(0o2750)).unwrap();
    std::os::unix::fs::chown(&from, Some(7), Some(8)).unwrap();
    carry(&from, &pool.join("a")).unwrap();
    assert_eq!(snapshot(&pool.join("a")), snapshot(&from));
    carry(&sandbox.path("missing"), &pool.join("b")).unwrap();
    let metadata = fs::metadata(pool.join("b")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o755, 0));
    assert!(!sandbox.path("missing").exists());
}

#[test]
fn too_little_room_is_told_before_anything_is_written() {
    let sandbox = Sandbox::new();
    let from = sandbox.dir("from");
    let small = sandbox.tmpfs("small", "size=1m");
    fs::write(from.join("big"), vec![1; 2 << 20]).unwrap();
    let text = message(carry(&from, &small.join("x/y")));
    assert!(
        text.contains("not enough space: 2.") && text.contains(" 1.0 MiB free"),
        "{text}"
    );
    assert_eq!(fs::read_dir(small.join("x")).unwrap().count(), 0);
    let few = sandbox.tmpfs("few", "size=64m,nr_inodes=20");
    for i in 0..40 {
        fs::write(from.join(i.to_string()), "x").unwrap();
    }
    let text = message(carry(&from, &few.join("y")));
    assert!(text.contains("not enough inodes: 42 needed"), "{text}");
    assert_eq!(fs::read_dir(&few).unwrap().count(), 0);
}

/// PATH with this shell script as its cp.
fn with_cp(sandbox: &Sandbox, script: &str) -> String {
    let fake = sandbox.dir("bin");
    fs::write(fake.join("cp"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(fake.join("cp"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", fake.display(), std::env::var("PATH").unwrap())
}

#[test]
fn nothing_goes_on_copying_when_its_parent_is_killed() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=8m"));
    let told = sandbox.path("pid");
    let script = format!(
        "echo $$ > {}; kill -KILL $PPID; exec sleep 30",
        told.display()
    );
    let path = with_cp(&sandbox, &script);
    let killed = sandbox::child("carry", &from, &pool, &[("PATH", &path)]);
    assert!(!killed.success());
    let pid = fs::read_to_string(told).unwrap();
    let stat = Path::new("/proc").join(pid.trim()).join("stat");
    // Gone, or a zombie that nobody has collected yet.
    let runs = || fs::read_to_string(&stat).is_ok_and(|s| !s.contains(") Z"));
    let until = Instant::now() + Duration::from_secs(10);
    while runs() {
        assert!(Instant::now() < until, "cp still runs");
        std::thread::yield_now();
    }
}

#[test]
fn a_copy_that_fails_in_the_middle_leaves_nothing() {
    let sandbox = Sandbox::new();
    let from = sandbox.dir("from");
    for i in 0..30 {
        fs::write(from.join(i.to_string()), vec![1; 10_000]).unwrap();
    }
    let before = snapshot(&from);
    let pool = sandbox.tmpfs("pool", "size=16m");
    // What an earlier run left, and then a cp that dies half-way.
    let stale = pool.join("x.partial");
    fs::create_dir_all(stale.join("deep")).unwrap();
    symlink("/etc", stale.join("deep/link")).unwrap();
    let path = with_cp(
        &sandbox,
        "for last; do :; done; mkdir -p \"$last\"; echo 1 > \"$last/1\"; echo broken >&2; exit 1",
    );
    let failed = sandbox::child("carry", &from, &pool, &[("PATH", &path)]);
    assert!(!failed.success());
    assert_eq!(
        fs::read_dir(&pool).unwrap().count(),
        0,
        "something was left"
    );
    assert_eq!(snapshot(&from), before);
    carry(&from, &pool.join("x")).unwrap();
    assert_eq!(snapshot(&pool.join("x")), before);
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn a_mount_below_is_named() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=8m"));
    fs::write(from.join("z"), "x").unwrap();
    let file = from.join("z");
    run(&["mount", "--bind", "/dev/null", file.to_str().unwrap()]);
    let text = message(carry(&from, &pool.join("x")));
    assert!(
        text.contains("mounted below") && text.contains("/z"),
        "{text}"
    );
    assert_eq!(
        fs::read_dir(&pool).unwrap().count(),
        0,
        "something was left"
    );
}

#[test]
fn a_stale_partial_copy_is_cleared_without_leaving_it() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=8m"));
    let precious = sandbox.dir("precious");
    fs::write(precious.join("file"), "x").unwrap();
    symlink(&precious, pool.join("a.partial")).unwrap();
    carry(&from, &pool.join("a")).unwrap();
    fs::create_dir_all(pool.join("b.partial/in")).unwrap();
    run(&[
        "mount",
        "--bind",
        precious.to_str().unwrap(),
        pool.join("b.partial/in").to_str().unwrap(),
    ]);
    let text = message(carry(&from, &pool.join("b")));
    assert!(text.contains("is mounted there"), "{text}");
    assert_eq!(fs::read_to_string(precious.join("file")).unwrap(), "x");
}

#[test]
fn links_in_the_way_are_refused() {
    let sandbox = Sandbox::new();
    let (real, pool) = (sandbox.dir("real"), sandbox.tmpfs("pool", "size=8m"));
    symlink(&real, sandbox.path("link")).unwrap();
    let text = message(carry(&sandbox.path("link"), &pool.join("x")));
    assert!(text.contains("symbolic link"), "{text}");
    fs::create_dir(pool.join("src")).unwrap();
    for (at, word) in [
        ("link", "symbolic link"),
        ("link/below", "symbolic link"),
        ("file", "not a directory"),
    ] {
        let _ = fs::write(sandbox.path("file"), "x");
        let text = message(mounting::bind(&pool.join("src"), &sandbox.path(at)));
        assert!(text.contains(word), "{at}: {text}");
    }
    assert!(!real.join("below").exists());
    assert_eq!(fs::read_to_string(sandbox.path("file")).unwrap(), "x");
}

#[test]
fn binds_do_not_stack_and_come_off() {
    let sandbox = Sandbox::new();
    let pool = sandbox.tmpfs("pool", "size=8m");
    let (one, two, at) = (
        pool.join("a b"),
        pool.join("two"),
        sandbox.path("deep/at\nx"),
    );
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    fs::write(one.join("file"), "x").unwrap();
    assert_eq!(mounting::bind(&one, &at).unwrap(), Mounted::Now(Quota::Off));
    assert_eq!(mounting::bind(&one, &at).unwrap(), Mounted::Already);
    assert_eq!(fs::read_to_string(at.join("file")).unwrap(), "x");
    assert!(message(mounting::bind(&two, &at)).contains("mounted there already"));
    let file = fs::File::open(at.join("file")).unwrap();
    assert!(message(unmount(&at)).contains("in use"));
    drop(file);
    unmount(&at).unwrap();
    unmount(&at).unwrap();
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
    unmount(&sandbox.path("never/was")).unwrap();
}

#[test]
fn a_holder_is_named_when_unmounting() {
    let sandbox = Sandbox::new();
    let pool = sandbox.tmpfs("pool", "size=8m");
    let holder = sandbox.holder(&pool);
    let text = message(unmount(&pool));
    assert!(
        text.contains(&format!("process {}", holder.id())) && text.contains("sleep"),
        "{text}"
    );
    let text = message(services::with_stopped(&[&pool], || Ok(())));
    assert!(text.contains(&format!("process {}", holder.id())), "{text}");
    drop(holder);
    services::with_stopped(&[&pool], || unmount(&pool)).unwrap();
}

#[test]
fn only_the_verified_device_is_mounted_and_only_once() {
    let mut sandbox = Sandbox::new();
    for (fs, quota) in [(Fs::Ext4, Quota::On), (Fs::Xfs, Quota::Off)] {
        let (device, dev) = sandbox.filesystem(fs);
        let at = sandbox.path(&format!("pools/{fs}"));
        let source = Source {
            device: &device,
            dev,
            fs,
            quota,
        };
        let wrong = Source {
            dev: (dev.0, dev.1 + 77),
            ..source
        };
        assert!(message(mount_device(wrong, &at)).contains("unmounted again"));
        assert!(mounting::mounts().unwrap().iter().all(|m| m.at != at));
        // Quotas or not depends on the kernel, and it says which.
        assert!(matches!(
            mount_device(source, &at).unwrap(),
            Mounted::Now(_)
        ));
        let mount = mounting::mounts()
            .unwrap()
            .into_iter()
            .find(|m| m.at == at)
            .unwrap();
        assert!(mount.options.contains("noatime"), "{mount:?}");
        assert_eq!(mount_device(source, &at).unwrap(), Mounted::Already);
        let other = sandbox.tmpfs(&format!("other-{fs}"), "size=1m");
        assert!(message(mount_device(source, &other)).contains("tmpfs"));
        let link = sandbox.path(&format!("link-{fs}"));
        symlink(&other, &link).unwrap();
        assert!(message(mount_device(source, &link)).contains("symbolic link"));
        unmount(&at).unwrap();
    }
}

#[test]
fn a_pool_takes_the_content_at_its_root() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=64m"));
    plant(&from);
    fs::create_dir(from.join("lost+found")).unwrap();
    fs::create_dir(pool.join("lost+found")).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o710)).unwrap();
    assert!(!is_ready(&pool));
    carry_into_root(&from, &pool).unwrap();
    assert!(is_ready(&pool));
    let mut arrived = snapshot(&pool);
    arrived.retain(|name, _| !name.starts_with(".instore"));
    assert_eq!(arrived, snapshot(&from));
    assert_eq!(
        fs::read_dir(pool.join(".instore")).unwrap().count(),
        1,
        "only the marker"
    );
    // Changed and run again: a complete pool is left alone.
    fs::write(pool.join("new"), "x").unwrap();
    assert_eq!(carry_into_root(&from, &pool).unwrap().entries, 0);
    assert!(pool.join("new").exists());
}

#[test]
fn a_pool_that_holds_something_else_is_left_alone() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=8m"));
    fs::write(from.join("a"), "x").unwrap();
    fs::write(pool.join("a"), "mine").unwrap();
    let text = message(carry_into_root(&from, &pool));
    assert!(text.contains("a is there already"), "{text}");
    assert_eq!(fs::read_to_string(pool.join("a")).unwrap(), "mine");
    assert!(!is_ready(&pool));
    fs::remove_file(pool.join("a")).unwrap();
    fs::create_dir(from.join(".instore")).unwrap();
    assert!(message(carry_into_root(&from, &pool)).contains(".instore"));
}

/// Not a test of its own: what the others run in a process that may be killed.
#[test]
fn child_process() {
    let Some(work) = std::env::var_os("CARRY_TEST_WORK") else {
        return;
    };
    let path = |name| std::path::PathBuf::from(std::env::var_os(name).unwrap());
    let (from, pool) = (path("CARRY_TEST_FROM"), path("CARRY_TEST_POOL"));
    match work.to_str().unwrap() {
        "carry" if pool.join("x").exists() => {}
        "carry" => drop(carry(&from, &pool.join("x")).unwrap()),
        "root" => drop(carry_into_root(&from, &pool).unwrap()),
        "release" => {
            let pools: Vec<_> = mounting::mounts()
                .unwrap()
                .into_iter()
                .filter(|m| m.at == pool)
                .map(|m| Pool {
                    at: m.at,
                    dev: m.dev,
                })
                .collect();
            release(&pools).unwrap();
        }
        other => panic!("no such work: {other}"),
    }
}
