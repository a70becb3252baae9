//! `bench-fio-guest INSTORE BENCH-FIO [ARGUMENTS]`: runs `bench-fio` in the guest, where null_blk is: a
//! device that answers at once, and one that answers after a known time. The arguments go to
//! `bench-fio`. fio comes along with its libraries: host and guest are of one Debian release. What is
//! run is in `fio.sh`. An emulated processor is some twenty times slower: ratios carry over.
#![expect(clippy::unwrap_used, reason = "a harness stops at the first surprise")]

#[path = "../../agent/tests/vm/rig.rs"]
#[expect(dead_code, reason = "the scenarios use more of the rig than this")]
mod rig;

use std::path::{Path, PathBuf};

use rig::Node;

/// What the guest has itself, and what must be of its own release.
const OF_THE_GUEST: [&str; 3] = ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"];
const FIO: &str = "/usr/bin/fio";
/// A boot each: a script may take so long only, and a cell takes a minute and a half.
const PARTS: [&str; 4] = [
    "--only nullb0/randread/1x1 --only nullb0/randwrite/1x1",
    "--only nullb0/randread/32x1 --only nullb0/randwrite/32x1",
    "--only nullb0/randread/128x2 --only nullb0/randwrite/128x2",
    "--agree",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [instore, harness, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: bench-fio-guest INSTORE BENCH-FIO [ARGUMENTS]");
        std::process::exit(2);
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(here.join("vm/fio.sh")).unwrap();
    let library = here.join("../agent/tests/vm/scripts/lib.sh");
    let dir = tempfile::tempdir().unwrap();
    let words = dir.path().join("arguments");
    let mut payload: Vec<PathBuf> = vec![instore.into(), harness.into(), FIO.into()];
    payload.extend(libraries(FIO));
    payload.extend([library, words.clone()]);
    let payload: Vec<&Path> = payload.iter().map(PathBuf::as_path).collect();
    for part in PARTS {
        // A part of one's own in place of these.
        let part = match rest
            .iter()
            .any(|word| word == "--only" || word == "--agree")
        {
            true if part == "--agree" => "",
            true => continue,
            false => part,
        };
        std::fs::write(&words, format!("{} {part}", rest.join(" "))).unwrap();
        let node = Node::new(0);
        let report = node.boot(&script, &payload).finish().insist();
        let told = report.text.lines().filter(|l| !l.starts_with("RIG-EXIT"));
        told.for_each(|line| println!("{line}"));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a harness starts programs; the ban is for the product"
)]
fn libraries(program: &str) -> Vec<PathBuf> {
    let output = std::process::Command::new("ldd").arg(program).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    let paths = paths.map(PathBuf::from);
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| !OF_THE_GUEST.contains(&name))
    };
    paths.filter(is_wanted).collect()
}
