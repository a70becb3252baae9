//! Our random distributions against those of a real fio for the same arguments:
//! how often the blocks are visited, which must not differ by more than chance.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::ffi::OsString;
use std::path::Path;

use instore_bench::language::command_line;
use instore_bench::offsets::{Offsets, Region};

const BLOCK: u64 = 4096;
/// A power of two: with any other number fio's hash gives several ranks one block.
const BLOCKS: u64 = 4096;
const VISITS: u64 = 100_000;

#[test]
fn zipf_with_few_favourites() {
    by_rank("zipf:1.2");
}

#[test]
fn zipf_with_many_favourites() {
    by_rank("zipf:0.8");
}

#[test]
fn pareto() {
    by_rank("pareto:0.2");
}

#[test]
fn normal() {
    by_rank("normal:20");
    by_rank("normal:1");
    // more than fio makes of it
    by_rank("normal:80");
}

#[test]
fn random_without_a_map() {
    let [fio, ours] = both("random");
    let bins = |blocks: &[u64]| {
        let mut bins = vec![0_u64; 64];
        for block in blocks {
            bins[usize::try_from(block * 64 / BLOCKS).unwrap()] += 1;
        }
        bins
    };
    same("random", &bins(&fio), &bins(&ours));
}

/// The hits of the most popular block, of the next, of the next two, four, ...
fn by_rank(distribution: &str) {
    let [fio, ours] = both(distribution).map(|blocks| {
        let mut hits = vec![0_u64; usize::try_from(BLOCKS).unwrap()];
        for block in blocks {
            hits[usize::try_from(block).unwrap()] += 1;
        }
        hits.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        let mut bins = Vec::new();
        let mut rest = hits.as_slice();
        while !rest.is_empty() {
            let done = hits.len() - rest.len();
            let (bin, after) = rest.split_at(done.max(1));
            bins.push(bin.iter().sum());
            rest = after;
        }
        bins
    });
    same(distribution, &fio, &ours);
}

/// Chi-square of two samples of one distribution.
fn same(distribution: &str, fio: &[u64], ours: &[u64]) {
    assert_eq!(fio.iter().sum::<u64>(), VISITS);
    assert_eq!(ours.iter().sum::<u64>(), VISITS);
    let term = |(a, b): (&u64, &u64)| {
        #[expect(clippy::cast_precision_loss, reason = "counts of a test")]
        let (a, b) = (*a as f64, *b as f64);
        if a + b > 0.0 {
            (a - b).powi(2) / (a + b)
        } else {
            0.0
        }
    };
    let chi: f64 = fio.iter().zip(ours).map(term).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few bins")]
    let freedom = (fio.len() - 1) as f64;
    // Six deviations beyond its mean: one in some millions.
    let bound = freedom + 6.0 * (2.0 * freedom).sqrt();
    assert!(
        chi < bound,
        "{distribution}: {chi:.0} of {bound:.0}\nfio  {fio:?}\nours {ours:?}"
    );
}

/// The blocks that fio and we visit for the same arguments.
fn both(distribution: &str) -> [Vec<u64>; 2] {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let arguments = [
        "--name=a".to_owned(),
        "--filename=a".to_owned(),
        "--rw=randread".to_owned(),
        "--norandommap".to_owned(),
        "--randseed=7".to_owned(),
        format!("--bs={BLOCK}"),
        format!("--size={}", BLOCKS * BLOCK),
        format!("--io_size={}", VISITS * BLOCK),
        format!("--random_distribution={distribution}"),
    ];
    [fio(directory.path(), &arguments), ours(&arguments)]
}

#[expect(
    clippy::disallowed_methods,
    reason = "fio is run, and nothing of the agent"
)]
fn fio(directory: &Path, arguments: &[String]) -> Vec<u64> {
    let log = directory.join("log");
    let done = std::process::Command::new("fio")
        .args(arguments)
        .arg("--ioengine=null")
        .arg(format!("--write_iolog={}", log.display()))
        .current_dir(directory)
        .output()
        .expect("start fio (Debian's package fio)");
    assert!(done.status.success(), "{done:?}");
    let text = std::fs::read_to_string(log).unwrap();
    // TIME FILE read OFFSET LENGTH
    let fields = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let reads = fields.filter(|fields| fields.get(2) == Some(&"read"));
    reads
        .map(|fields| fields[3].parse::<u64>().unwrap() / BLOCK)
        .collect()
}

fn ours(arguments: &[String]) -> Vec<u64> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let parsed = command_line(&arguments, &|_| None).unwrap();
    let region = Region {
        start: 0,
        length: BLOCKS * BLOCK,
    };
    let mut offsets = Offsets::new(&parsed.run.jobs[0], 0, &[region]);
    (0..VISITS).map(|_| offsets.draw().offset / BLOCK).collect()
}
