//! Runs that are killed at every step boundary, and the runs after them.

use std::fs;

use instore::carry::{bind_source, carry, carry_into_root, is_ready, mark_ready};
use instore::mounting;

use crate::sandbox::{self, Sandbox};
use crate::tree::{plant, snapshot};

/// Kills a run at every boundary and lets the next one finish it.
fn killed_everywhere(work: &str, prepare: impl Fn(&Sandbox), check: impl Fn(&Sandbox)) {
    let count = {
        let sandbox = Sandbox::new();
        prepare(&sandbox);
        let count = sandbox.path("count");
        let vars = [("INSTORE_FAULT_COUNT", count.to_str().unwrap())];
        let (from, pool) = (sandbox.path("from"), sandbox.path("pool"));
        assert!(sandbox::child(work, &from, &pool, &vars).success());
        check(&sandbox);
        fs::read_to_string(count).unwrap().parse::<u32>().unwrap()
    };
    assert!(count >= 5, "{count} boundaries");
    for n in 1..=count {
        let sandbox = Sandbox::new();
        prepare(&sandbox);
        let (from, pool) = (sandbox.path("from"), sandbox.path("pool"));
        let killed = sandbox::child(work, &from, &pool, &[("INSTORE_FAULT", &n.to_string())]);
        assert!(!killed.success(), "boundary {n} was not reached");
        assert!(
            sandbox::child(work, &from, &pool, &[]).success(),
            "after boundary {n}"
        );
        check(&sandbox);
    }
}

#[test]
fn carrying_survives_a_kill_at_every_boundary() {
    killed_everywhere(
        "carry",
        |sandbox| {
            plant(&sandbox.dir("from"));
            sandbox.tmpfs("pool", "size=64m");
        },
        |sandbox| {
            let from = snapshot(&sandbox.path("from"));
            assert_eq!(snapshot(&sandbox.path("pool/x")), from);
            assert_eq!(fs::read_dir(sandbox.path("pool")).unwrap().count(), 1);
        },
    );
}

#[test]
fn filling_a_root_survives_a_kill_at_every_boundary() {
    killed_everywhere(
        "root",
        |sandbox| {
            plant(&sandbox.dir("from"));
            sandbox.tmpfs("pool", "size=64m");
        },
        |sandbox| {
            let mut arrived = snapshot(&sandbox.path("pool"));
            assert!(arrived.remove(".instore/ready").is_some());
            assert!(arrived.remove(".instore").is_some());
            assert_eq!(arrived, snapshot(&sandbox.path("from")));
        },
    );
}

#[test]
fn content_that_changed_after_a_kill_is_carried_as_it_is_now() {
    let sandbox = Sandbox::new();
    let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=64m"));
    plant(&from);
    // Some entries have moved into the root by then.
    assert!(!sandbox::child("root", &from, &pool, &[("INSTORE_FAULT", "9")]).success());
    assert!(pool.join(".instore/incoming").exists() && !is_ready(&pool));
    fs::write(from.join("written since"), "x").unwrap();
    fs::remove_file(from.join("file")).unwrap();
    carry_into_root(&from, &pool).unwrap();
    let mut arrived = snapshot(&pool);
    arrived.retain(|name, _| !name.starts_with(".instore"));
    assert_eq!(arrived, snapshot(&from));
}

#[test]
fn releasing_survives_a_kill_at_every_boundary() {
    killed_everywhere(
        "release",
        |sandbox| {
            let (from, pool) = (sandbox.dir("from"), sandbox.tmpfs("pool", "size=64m"));
            fs::write(from.join("old"), "before the bind").unwrap();
            let source = bind_source(&pool, &from);
            carry(&from, &source).unwrap();
            mark_ready(&pool).unwrap();
            mounting::bind(&source, &from).unwrap();
            plant(&from);
        },
        |sandbox| {
            let from = sandbox.path("from");
            let mounts = mounting::mounts().unwrap();
            assert!(
                mounts
                    .iter()
                    .all(|m| m.at != from && m.at != sandbox.path("pool"))
            );
            let twin = sandbox.dir("twin");
            plant(&twin);
            fs::write(twin.join("old"), "before the bind").unwrap();
            assert_eq!(snapshot(&from), snapshot(&twin));
            assert!(!sandbox.path("from.instore-release").exists());
        },
    );
}
