use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::job::{Distribution, Size, testing::job};

fn region(length: u64) -> [Region; 1] {
    [Region {
        start: 1 << 20,
        length,
    }]
}

#[test]
fn sequential_goes_to_the_end_and_begins_again() {
    let job = job(Access::Read, Order::Sequential, 4096);
    let mut offsets = Offsets::new(&job, 0, &region(10_000));
    let seen: Vec<(u64, u32)> = (0..4)
        .map(|_| offsets.draw())
        .map(|request| (request.offset - (1 << 20), request.length))
        .collect();
    // Part of a block at the end is left out, as with fio.
    assert_eq!(seen, [(0, 4096), (4096, 4096), (0, 4096), (4096, 4096)]);
}

#[test]
fn files_are_taken_in_turn() {
    let job = job(Access::Write, Order::Sequential, 4096);
    let regions = [Region {
        start: 0,
        length: 8192,
    }; 3];
    let mut offsets = Offsets::new(&job, 0, &regions);
    let files: Vec<u32> = (0..5).map(|_| offsets.draw().file).collect();
    assert_eq!(files, [0, 1, 2, 0, 1]);
}

#[test]
fn threads_visit_other_orders_and_the_same_one_again() {
    let job = job(Access::Read, Order::Random, 4096);
    let visit = |thread| {
        let mut offsets = Offsets::new(&job, thread, &region(1 << 24));
        (0..100).map(|_| offsets.draw().offset).collect::<Vec<_>>()
    };
    assert_ne!(visit(0), visit(1));
    assert_eq!(visit(1), visit(1));
}

#[test]
fn a_mix_has_its_shares() {
    let mut job = job(Access::Mixed, Order::Random, 4096);
    job.read_percent = 70;
    let mut offsets = Offsets::new(&job, 0, &region(1 << 30));
    let reads = (0..100_000)
        .filter(|_| offsets.draw().direction == Direction::Read)
        .count();
    // Six deviations of a binomial distribution.
    assert!(reads.abs_diff(70_000) < 870, "{reads}");
}

proptest! {
    #[test]
    fn a_random_map_covers_each_block_once(blocks in 1_u64..3000, seed: u64, tail in 0_u64..4096) {
        let mut job = job(Access::Mixed, Order::Random, 4096);
        job.random.seed = seed;
        let mut offsets = Offsets::new(&job, 0, &region(blocks * 4096 + tail));
        let seen: HashSet<u64> = (0..blocks).map(|_| offsets.draw().offset).collect();
        prop_assert_eq!(seen.len() as u64, blocks);
        prop_assert!(seen.iter().all(|offset| *offset >= 1 << 20 && offset % 4096 == 0));
    }

    #[test]
    fn nothing_leaves_the_region(
        length in 65_536_u64..1 << 30,
        seed: u64,
        kind in 0..4,
        align in prop::option::of(1_u64..10_000),
        split: bool,
    ) {
        let mut job = job(Access::Mixed, Order::Random, 4096);
        job.random.seed = seed;
        job.random.map = false;
        job.block_align = align;
        job.random.percentage = [80, 30];
        job.random.distribution = match kind {
            0 => Distribution::Uniform,
            1 => Distribution::Zipf(1.2),
            2 => Distribution::Pareto(0.2),
            _ => Distribution::Normal(20.0),
        };
        job.block_size = if split {
            [BlockSize::Split(vec![(512, 30), (65_536, 70)]), BlockSize::Range(4096, 16_384)]
        } else {
            [BlockSize::Fixed(8192), BlockSize::Fixed(512)]
        };
        job.size = Some(Size::Bytes(length));
        let mut offsets = Offsets::new(&job, 0, &region(length));
        for _ in 0..500 {
            let request = offsets.draw();
            prop_assert!(request.length > 0);
            prop_assert!(request.offset >= 1 << 20);
            prop_assert!(request.offset + u64::from(request.length) <= (1 << 20) + length);
        }
    }
}
