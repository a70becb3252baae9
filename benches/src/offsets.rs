//! Which blocks a job visits: a sequence that the job and its seed decide alone,
//! whatever the engine, so that it can be visited again. No memory grows with the
//! target: a random order that takes each block once is computed, not remembered.

mod distribution;
mod permutation;

use crate::job::{Access, BlockSize, Job, Order};
use distribution::Skew;
use permutation::Permutation;

/// Reads or writes; an index into what is kept for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Read = 0,
    Write = 1,
}

impl Direction {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Read => Self::Write,
            Self::Write => Self::Read,
        }
    }
}

/// One I/O to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    pub direction: Direction,
    /// Index of the file.
    pub file: u32,
    pub offset: u64,
    pub length: u32,
}

/// The part of one file that a job visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub start: u64,
    pub length: u64,
}

/// The sequence of one thread, without an end.
#[derive(Debug, Clone)]
pub struct Offsets {
    access: Access,
    order: Order,
    read_percent: u32,
    random_percent: [u32; 2],
    sizes: [BlockSize; 2],
    files: Vec<FileState>,
    next_file: usize,
    choices: fastrand::Rng,
}

#[derive(Debug, Clone)]
struct FileState {
    region: Region,
    /// Where the next sequential I/O of each direction begins, in the region.
    position: [u64; 2],
    random: RandomState,
}

#[derive(Debug, Clone)]
enum RandomState {
    /// Each block once, then all again in another order.
    Each { order: Permutation, block: u64 },
    /// Any block at any time.
    Any { skew: Skew, align: u64 },
}

impl Offsets {
    /// The sequence of thread `thread` of a job over these regions, none of which
    /// is smaller than the largest block.
    #[must_use]
    pub fn new(job: &Job, thread: u32, regions: &[Region]) -> Self {
        // Threads of one job differ; the multiplier spreads neighbouring seeds.
        let seed = job.random.seed ^ u64::from(thread).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let files = regions
            .iter()
            .zip(0_u64..)
            .map(|(region, index)| FileState {
                region: *region,
                position: [0; 2],
                random: RandomState::new(job, *region, seed.wrapping_add(index)),
            })
            .collect();
        Self {
            access: job.access,
            order: job.order,
            read_percent: job.read_percent,
            random_percent: job.random.percentage,
            sizes: job.block_size.clone(),
            files,
            next_file: 0,
            choices: fastrand::Rng::with_seed(!seed),
        }
    }

    /// The next I/O; files are taken in turn.
    #[inline]
    pub fn draw(&mut self) -> Request {
        let direction = self.direction();
        self.draw_of(direction)
    }

    /// The direction of the next I/O.
    #[inline]
    pub fn direction(&mut self) -> Direction {
        match self.access {
            Access::Read => Direction::Read,
            Access::Write => Direction::Write,
            Access::Mixed if self.choices.u32(0..100) < self.read_percent => Direction::Read,
            Access::Mixed => Direction::Write,
        }
    }

    /// The next I/O, of this direction.
    #[inline]
    pub fn draw_of(&mut self, direction: Direction) -> Request {
        let side = direction as usize;
        let wanted = match &self.sizes[side] {
            BlockSize::Fixed(size) => *size,
            BlockSize::Range(low, high) => low * self.choices.u64(1..=high / low),
            BlockSize::Split(sizes) => drawn(sizes, self.choices.u32(0..100)),
        };
        let random = self.order == Order::Random
            && (self.random_percent[side] == 100
                || self.choices.u32(0..100) < self.random_percent[side]);
        let index = self.next_file;
        self.next_file = if index + 1 == self.files.len() {
            0
        } else {
            index + 1
        };
        let file = &mut self.files[index];
        let start = if random {
            file.random
                .draw(&mut self.choices, file.region.length, wanted)
        } else {
            file.sequential(side, wanted, self.sizes[side].smallest())
        };
        // Only one of several sizes can be cut: to what is left, in whole blocks.
        let length = wanted.min(file.region.length - start);
        file.position[side] = start + length;
        Request {
            direction,
            file: u32::try_from(index).unwrap_or(u32::MAX),
            offset: file.region.start + start,
            length: u32::try_from(length).unwrap_or(u32::MAX),
        }
    }
}

impl FileState {
    /// Where a sequential I/O begins: again at the start when not even the smallest
    /// block is left, or no whole number of them.
    fn sequential(&self, side: usize, wanted: u64, smallest: u64) -> u64 {
        let position = self.position[side];
        let left = self.region.length.saturating_sub(position);
        let fits = left >= wanted || (left >= smallest && left.is_multiple_of(smallest));
        if fits { position } else { 0 }
    }
}

fn drawn(sizes: &[(u64, u32)], mut ticket: u32) -> u64 {
    for (size, share) in sizes {
        if ticket < *share {
            return *size;
        }
        ticket -= share;
    }
    sizes.last().map_or(0, |(size, _)| *size)
}

impl RandomState {
    fn new(job: &Job, region: Region, seed: u64) -> Self {
        let used: Vec<&BlockSize> = match job.access {
            Access::Read => vec![&job.block_size[0]],
            Access::Write => vec![&job.block_size[1]],
            Access::Mixed => job.block_size.iter().collect(),
        };
        let smallest = used.iter().map(|size| size.smallest()).min().unwrap_or(1);
        let align = job.block_align.unwrap_or(smallest).max(1);
        // Blocks of different sizes overlap: they cannot each be visited once.
        let one_size = used.iter().all(|size| size.largest() == smallest) && align == smallest;
        if job.random.map && one_size && Skew::is_uniform(job.random.distribution) {
            let order = Permutation::new((region.length / smallest).max(1), seed);
            return Self::Each {
                order,
                block: smallest,
            };
        }
        let skew = Skew::new(
            job.random.distribution,
            (region.length / align).max(1),
            seed,
        );
        Self::Any { skew, align }
    }

    #[inline]
    fn draw(&mut self, choices: &mut fastrand::Rng, length: u64, wanted: u64) -> u64 {
        match self {
            Self::Each { order, block } => order.draw() * *block,
            Self::Any { skew, align } => {
                // What would reach over the end begins earlier instead.
                let last = (length - wanted.min(length)) / *align;
                (skew.draw(choices)).min(last) * *align
            }
        }
    }
}

#[cfg(test)]
mod tests;
