//! Contents that are not ours, from real tools and from published layouts: each
//! must be refused with its reason and not one byte may change. The fixtures
//! are corpus/*.toml; corpus/capture.py tells how they were made.
//!
//! `probe` runs here on plain files, without root. That `apply` refuses the
//! same contents on block devices is in corpus/devices.rs (feature `loop-tests`).
#![allow(
    clippy::disallowed_methods,
    reason = "the binary under test is a program"
)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[cfg(feature = "loop-tests")]
#[path = "corpus/devices.rs"]
mod devices;
#[path = "corpus/fixture.rs"]
mod fixture;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use instore::inventory::Claim;
use instore::probe::{self, claim};
use serde::Deserialize;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// Of the files that these tests make themselves.
const SIZE: u64 = 64 * MIB;

/// One line of `probe --output json`.
#[derive(Debug, Deserialize)]
struct Probed {
    path: PathBuf,
    content: String,
    reasons: Vec<String>,
}

/// Runs `instore probe`; the exit code and what it says of each path, in order.
fn probe<P: AsRef<Path>>(paths: &[P]) -> (Option<i32>, Vec<Probed>) {
    // a probe that hangs is a failure of its own, not of the whole run
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_instore")])
        .args(["probe", "--output", "json"])
        .args(paths.iter().map(AsRef::as_ref))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Probed> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        told.len(),
        paths.len(),
        "one line for each path; stderr: {stderr}"
    );
    for (told, path) in told.iter().zip(paths) {
        assert_eq!(told.path, path.as_ref());
    }
    (output.status.code(), told)
}

/// The same for one path.
fn probe_one(path: &Path) -> (Option<i32>, Probed) {
    let (code, mut told) = probe(&[path]);
    (code, told.remove(0))
}

fn sparse(dir: &TempDir, name: &str, size: u64) -> (PathBuf, File) {
    let path = dir.path().join(name);
    let file = File::create_new(&path).unwrap();
    file.set_len(size).unwrap();
    (path, file)
}

#[test]
fn every_kind_is_refused_with_its_reason_and_left_as_it_is() {
    let mut complaints = Vec::new();
    for fixture in fixture::all() {
        let dir = TempDir::new().unwrap();
        let path = fixture.materialise(dir.path());
        let before = fixture::hash(&path);
        let (code, told) = probe_one(&path);
        let mut complain = |what: String| {
            complaints.push(format!(
                "{} ({}): {what}; it said {told:?}",
                fixture.kind, fixture.how
            ));
        };
        if told.content != "Foreign" {
            complain(format!("content {}", told.content));
        }
        if code != Some(3) {
            complain(format!("exit code {code:?}"));
        }
        let missing = fixture.missing_from(&told.reasons);
        if !missing.is_empty() {
            complain(format!("no reason names {}", missing.join(", ")));
        }
        if fixture::hash(&path) != before {
            complain("it was changed".into());
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A claim says that the disk was empty once: it excuses what instore may have
/// left there since, and nobody else's signature.
#[test]
fn a_valid_claim_excuses_no_signature_of_others() {
    let mut excused = Vec::new();
    for fixture in fixture::all() {
        if !fixture.has_signature() {
            continue;
        }
        let dir = TempDir::new().unwrap();
        let path = fixture.materialise(dir.path());
        let file = File::options().write(true).open(&path).unwrap();
        let claim = Claim {
            pool_uuid: "11111111-2222-3333-4444-555555555555".into(),
            disk: "AWS1/1".into(),
            under: None,
        };
        claim::write(&file, fixture.size, &claim).unwrap();
        let (code, told) = probe_one(&path);
        if told.content != "Foreign" || code != Some(3) {
            excused.push(format!("{} ({}): {told:?}", fixture.kind, fixture.how));
        }
    }
    assert!(excused.is_empty(), "{}", excused.join("\n"));
}

/// Right before a disk is written it is looked at once more, in less detail.
#[test]
fn the_second_look_sees_every_signature_too() {
    let mut missed = Vec::new();
    for fixture in fixture::all().iter().filter(|f| f.has_signature()) {
        let dir = TempDir::new().unwrap();
        let path = fixture.materialise(dir.path());
        let content = probe::content_again(&path, "AWS1/1");
        if content.word() != "Foreign" || !fixture.missing_from(&content.reasons()).is_empty() {
            missed.push(format!("{}: {content:?}", fixture.kind));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_corpus_is_wide_and_says_where_it_comes_from() {
    let fixtures = fixture::all();
    let kinds: BTreeSet<&str> = fixtures.iter().map(|f| f.kind.as_str()).collect();
    assert!(kinds.len() >= 40, "{} kinds", kinds.len());
    let tools = fixtures.iter().filter(|f| f.made != "generated").count();
    assert!(tools >= 40, "{tools} kinds made by real tools");
    for family in [
        "xfs",
        "ext4",
        "btrfs",
        "swap",
        "luks2",
        "lvm2-pv",
        "md-1.2",
        "md-1.0-tail",
        "bcache-backing",
        "zfs",
        "gpt",
        "gpt-backup-only",
        "mbr",
        "iso9660",
        "xfs-garbage",
        "ext4-torn",
        "text-in-the-middle",
    ] {
        assert!(kinds.contains(family), "no {family}");
    }
    for fixture in &fixtures {
        assert!(
            !fixture.made.is_empty() && !fixture.how.is_empty(),
            "{}",
            fixture.kind
        );
    }
}

#[test]
fn one_foreign_disk_among_empty_ones_decides_the_exit_code() {
    let dir = TempDir::new().unwrap();
    let (empty, _) = sparse(&dir, "empty", SIZE);
    let foreign = fixture::all().remove(0).materialise(dir.path());
    let (code, told) = probe(&[&empty, &foreign, &empty]);
    assert_eq!(code, Some(3));
    let contents: Vec<&str> = told.iter().map(|t| t.content.as_str()).collect();
    assert_eq!(contents, ["Empty", "Foreign", "Empty"]);
}

#[test]
fn zeroes_are_empty() {
    let dir = TempDir::new().unwrap();
    let (path, _) = sparse(&dir, "zeroes", SIZE);
    let before = fixture::hash(&path);
    let (code, told) = probe_one(&path);
    assert_eq!(
        (code, told.content.as_str()),
        (Some(0), "Empty"),
        "{told:?}"
    );
    assert_eq!(fixture::hash(&path), before);
}

#[test]
fn what_cannot_be_read_is_unreadable_and_never_empty() {
    let dir = TempDir::new().unwrap();
    let (no_length, _) = sparse(&dir, "no-length", 0);
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let dangling = dir.path().join("dangling");
    std::os::unix::fs::symlink("/nowhere/at/all", &dangling).unwrap();
    let paths = [
        dir.path().join("missing"),
        dir.path().to_owned(),
        no_length,
        // no writer: opening it for reading would wait for ever
        pipe,
        dangling,
        // reads of address 0 fail with EIO
        PathBuf::from("/proc/self/mem"),
        // endless zeroes, but no disk
        PathBuf::from("/dev/zero"),
    ];
    for path in &paths {
        let (code, told) = probe_one(path);
        assert_eq!(
            (code, told.content.as_str()),
            (Some(4), "Unreadable"),
            "{told:?}"
        );
        assert!(
            !told.reasons.is_empty(),
            "{} without a reason",
            path.display()
        );
    }
    let (empty, _) = sparse(&dir, "empty", SIZE);
    assert_eq!(probe(&[&empty, &paths[0]]).0, Some(4));
}

#[test]
fn odd_sizes_are_never_empty_unless_all_zero() {
    let dir = TempDir::new().unwrap();
    let sizes = [
        1,
        511,
        513,
        4095,
        4097,
        65_537,
        MIB - 1,
        MIB + 1,
        2 * MIB - 1,
        2 * MIB + 7,
        16 * MIB + 1,
        SIZE - 1,
        SIZE + 511,
    ];
    for size in sizes {
        let (zero, file) = sparse(&dir, &format!("zero-{size}"), size);
        let (_, told) = probe_one(&zero);
        assert_ne!(told.content, "Foreign", "{size} zeroes: {told:?}");
        for offset in [0, size / 3 % MIB, size - 1] {
            file.write_all_at(b"\x01", offset).unwrap();
            let (code, told) = probe_one(&zero);
            assert_eq!(
                (code, told.content.as_str()),
                (Some(3), "Foreign"),
                "byte {offset} of {size}: {told:?}"
            );
            file.write_all_at(b"\0", offset).unwrap();
        }
        fs::remove_file(zero).unwrap();
    }
}

#[test]
fn a_block_in_the_first_or_last_mib_is_always_found() {
    const CASES: usize = 200;
    let block = [0x5a; 4096];
    let dir = TempDir::new().unwrap();
    // a fixed seed: a failure can be repeated
    let numbers = fixture::random(0x1575_704e, CASES * 8);
    let positions: Vec<u64> = numbers
        .chunks(8)
        .enumerate()
        .map(|(i, n)| {
            let inside = u64::from_le_bytes(n.try_into().unwrap()) % (MIB - 4096 + 1);
            if i % 2 == 0 {
                inside
            } else {
                SIZE - MIB + inside
            }
        })
        .collect();
    let paths: Vec<PathBuf> = positions
        .iter()
        .enumerate()
        .map(|(i, &at)| {
            let (path, file) = sparse(&dir, &format!("{i}"), SIZE);
            file.write_all_at(&block, at).unwrap();
            path
        })
        .collect();
    let (code, told) = probe(&paths);
    assert_eq!(code, Some(3));
    for (told, at) in told.iter().zip(&positions) {
        assert_eq!(told.content, "Foreign", "a block at {at}");
        assert!(
            told.reasons.iter().any(|r| r.contains(&at.to_string())),
            "a block at {at}: {told:?}"
        );
    }
}
