//! What is written, and whether what is read is what was written.

use crate::job::{Job, Verify};
use crate::offsets::Request;

/// Fills buffers as a job says.
#[derive(Debug)]
pub(super) struct Contents {
    kind: Kind,
    refill: bool,
    verify: Option<Verify>,
    source: fastrand::Rng,
    stamp: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Zero,
    /// So many bytes of each chunk are random, the rest is zero.
    Random(usize),
}

/// Compressible data is so in pieces of this size, as with fio's default.
const CHUNK: usize = 512;

impl Contents {
    pub(super) fn new(job: &Job, thread: u32) -> Self {
        let share = 100 - job.buffers.compress_percent.min(100) as usize;
        Self {
            kind: if job.buffers.zero {
                Kind::Zero
            } else {
                Kind::Random(CHUNK * share / 100)
            },
            refill: job.buffers.refill,
            verify: job.verify,
            source: fastrand::Rng::with_seed(job.random.seed.wrapping_add(u64::from(thread))),
            stamp: 0,
        }
    }

    /// Fills a buffer for the first time.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) {
        match self.kind {
            Kind::Zero => buffer.fill(0),
            Kind::Random(CHUNK) => self.source.fill(buffer),
            Kind::Random(random) => {
                for chunk in buffer.chunks_mut(CHUNK) {
                    let (first, rest) = chunk.split_at_mut(random.min(chunk.len()));
                    self.source.fill(first);
                    rest.fill(0);
                }
            }
        }
    }

    /// Making a buffer ready takes as long as an I/O may: it must not be in its time.
    #[inline]
    pub(super) fn takes_time(&self) -> bool {
        self.refill || self.verify.is_some()
    }

    /// Makes a buffer ready to be written.
    #[inline]
    pub(super) fn prepare(&mut self, buffer: &mut [u8], request: &Request) {
        if self.refill {
            self.fill(buffer);
        } else if let Kind::Random(1..) = self.kind {
            // No two blocks are the same, so that none is stored as a copy.
            self.stamp += 1;
            let stamp = (request.offset ^ self.stamp.rotate_left(40)).to_le_bytes();
            for chunk in buffer.chunks_exact_mut(CHUNK) {
                chunk[..stamp.len()].copy_from_slice(&stamp);
            }
        }
        if self.verify.is_some() {
            seal(buffer, request.offset);
        }
    }
}

/// Begins a block that can be checked: this, its length (4 bytes) and offset (8),
/// little-endian, then CRC-32C of all of the block but the CRC itself.
const MAGIC: [u8; 4] = *b"inst";
const SUM: std::ops::Range<usize> = 16..20;
/// Blocks smaller than this cannot be verified.
pub(super) const SEALED: usize = 20;

fn seal(block: &mut [u8], offset: u64) {
    let length = u32::try_from(block.len()).unwrap_or(u32::MAX);
    block[..4].copy_from_slice(&MAGIC);
    block[4..8].copy_from_slice(&length.to_le_bytes());
    block[8..16].copy_from_slice(&offset.to_le_bytes());
    let sum = sum(block);
    block[SUM].copy_from_slice(&sum.to_le_bytes());
}

fn sum(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&block[..SUM.start]), &block[SUM.end..])
}

/// What is wrong with a block that was written at an offset.
///
/// # Errors
/// With the difference, for people.
pub(super) fn check(block: &[u8], offset: u64) -> Result<(), String> {
    if block.len() < SEALED || block[..4] != MAGIC {
        return Err("it holds no header of a verified write".to_owned());
    }
    let field = |range: std::ops::Range<usize>| {
        block[range]
            .iter()
            .rev()
            .fold(0_u64, |all, byte| all << 8 | u64::from(*byte))
    };
    if field(8..16) != offset {
        return Err(format!(
            "it holds the block that belongs to offset {}",
            field(8..16)
        ));
    }
    if field(4..8) != block.len() as u64 {
        return Err(format!(
            "{} bytes were written there, not {}",
            field(4..8),
            block.len()
        ));
    }
    let (want, is) = (field(SUM), u64::from(sum(block)));
    if want != is {
        return Err(format!(
            "CRC-32C of the data is {is:08x}, {want:08x} was written"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Access, Order, testing::job};
    use crate::offsets::Direction;
    use proptest::prelude::*;

    fn request(offset: u64) -> Request {
        Request {
            direction: Direction::Write,
            file: 0,
            offset,
            length: 4096,
        }
    }

    #[test]
    fn a_share_of_each_chunk_is_compressible() {
        let mut job = job(Access::Write, Order::Random, 4096);
        job.buffers.compress_percent = 50;
        let mut buffer = vec![1; 4096];
        Contents::new(&job, 0).fill(&mut buffer);
        for chunk in buffer.chunks(CHUNK) {
            assert!(chunk[256..].iter().all(|byte| *byte == 0));
            assert!(chunk[..256].iter().any(|byte| *byte != 0));
        }
    }

    #[test]
    fn no_two_blocks_are_the_same() {
        let job = job(Access::Write, Order::Random, 4096);
        let mut contents = Contents::new(&job, 0);
        let mut buffer = vec![0; 4096];
        contents.fill(&mut buffer);
        contents.prepare(&mut buffer, &request(0));
        let first = buffer.clone();
        contents.prepare(&mut buffer, &request(0));
        for (a, b) in first.chunks(CHUNK).zip(buffer.chunks(CHUNK)) {
            assert_ne!(a, b);
        }
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_found(seed: u64, offset: u64, place in 0_usize..4096, change in 1_u8..) {
            let mut job = job(Access::Write, Order::Random, 4096);
            job.random.seed = seed;
            job.verify = Some(Verify { fatal: true, read_back: true });
            let mut contents = Contents::new(&job, 0);
            let mut buffer = vec![0; 4096];
            contents.fill(&mut buffer);
            contents.prepare(&mut buffer, &request(offset));
            prop_assert_eq!(check(&buffer, offset), Ok(()));
            prop_assert!(check(&buffer, offset ^ 4096).is_err());
            buffer[place] ^= change;
            prop_assert!(check(&buffer, offset).is_err());
        }
    }
}
