//! Looks for data that has no signature: the first and last MiB whole, and one
//! random block out of each of many equal parts of the disk.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::unix::fs::FileExt as _;

use anyhow::Result;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::direct::Direct;

/// Parts of the disk that are sampled, one block each.
pub(super) const SAMPLES: u64 = 1024;
/// The second look, moments later and with the disk held, has only to see what
/// came since.
pub(super) const SAMPLES_AGAIN: u64 = SAMPLES / 8;
/// A block of every filesystem worth looking for.
const BLOCK: u64 = 4096;
/// Filesystems, partition tables and volume managers keep their headers here.
const EDGE: u64 = 1 << 20;
/// Smaller devices are read whole: that takes no longer than the sample.
const READ_WHOLE: u64 = 16 << 20;

/// Drops clean cached pages, so that what is read comes from the disk.
pub(super) fn forget_cache(file: &File) {
    // Advice only: a refusal costs freshness of clean pages, nothing else.
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

/// The offset of the first byte found that is not zero, with a sample of so
/// many blocks.
pub(super) fn first_data(file: &File, size: u64, samples: u64) -> Result<Option<u64>> {
    if size <= READ_WHOLE {
        return scan(file, 0, size);
    }
    let mut offsets = sample_offsets(size, samples, seed());
    offsets.extend(backup_offsets(size));
    // An image on a filesystem without direct reads, or a kernel without
    // io_uring; a disk that cannot be read fails again below.
    match first_data_directly(file, size, &offsets) {
        Ok(found) => Ok(found),
        Err(_) => first_data_cached(file, size, &offsets),
    }
}

fn first_data_directly(file: &File, size: u64, offsets: &[u64]) -> Result<Option<u64>> {
    let mut direct = Direct::new(file)?;
    for from in [0, size - EDGE] {
        if let Some(offset) = direct.scan(from, EDGE)? {
            return Ok(Some(offset));
        }
    }
    direct.scan_blocks(offsets)
}

fn first_data_cached(file: &File, size: u64, offsets: &[u64]) -> Result<Option<u64>> {
    let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM);
    // Ask for all of them first: the disk then works on many at a time.
    for &offset in offsets {
        if let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(BLOCK)) {
            let _ = posix_fadvise(
                file,
                offset,
                length,
                PosixFadviseAdvice::POSIX_FADV_WILLNEED,
            );
        }
    }
    for (from, length) in [(0, EDGE), (size - EDGE, EDGE)] {
        if let Some(offset) = scan(file, from, length)? {
            return Ok(Some(offset));
        }
    }
    for &offset in offsets {
        if let Some(offset) = scan(file, offset, BLOCK)? {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

fn scan(file: &File, from: u64, length: u64) -> Result<Option<u64>> {
    let mut buffer = vec![0; usize::try_from(length.min(EDGE))?];
    let mut at = from;
    while at < from + length {
        let want = usize::try_from((from + length - at).min(EDGE))?;
        let part = &mut buffer[..want];
        file.read_exact_at(part, at)?;
        if let Some(i) = first_nonzero(part) {
            return Ok(Some(at + i as u64));
        }
        at += want as u64;
    }
    Ok(None)
}

pub(super) fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    // Whole words first; the exact byte only where one is found.
    let chunk = bytes
        .chunks(4096)
        .position(|c| c.iter().fold(0, |a, b| a | b) != 0)?
        * 4096;
    bytes[chunk..]
        .iter()
        .position(|&b| b != 0)
        .map(|i| chunk + i)
}

/// One block-aligned offset in each of so many equal parts.
fn sample_offsets(size: u64, samples: u64, seed: u64) -> Vec<u64> {
    let part = size / samples / BLOCK * BLOCK;
    let blocks = (part / BLOCK).max(1);
    let mut state = seed;
    (0..samples)
        .map(|i| i * part + mix(&mut state) % blocks * BLOCK)
        .collect()
}

/// Blocks outside both ends where something may be all the same: superblocks
/// behind the first MiB (VMFS, bcachefs) or before the last (Promise RAID), and
/// copies of superblocks, in case the first one is gone: btrfs mirrors, ext
/// groups of 1 KiB and 4 KiB blocks, XFS allocation groups at quarters of the
/// disk.
fn backup_offsets(size: u64) -> impl Iterator<Item = u64> {
    const MIB: u64 = 1 << 20;
    let quarter = size / BLOCK / 4 * BLOCK;
    let btrfs = [64 * MIB, 256 << 30];
    let ext = [1, 3, 5, 7, 9, 25, 27].map(|group| group * 128 * MIB);
    let xfs = [1, 2, 3].map(|group| group * quarter);
    let behind = [1, 2, 4, 8].map(|mib| mib * MIB);
    /// Promise's outermost place, in sectors before the end.
    const PROMISE: u64 = 3087;
    let before = size.saturating_sub(PROMISE * 512) / BLOCK * BLOCK;
    btrfs
        .into_iter()
        .chain(behind)
        .chain([before])
        .chain(ext)
        .chain(xfs)
        .filter(move |offset| offset + BLOCK <= size)
}

/// SplitMix64: enough to spread samples; nothing here is secret.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Different in every probe: the second look sees other blocks than the first.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_aligned_and_inside() {
        for size in [READ_WHOLE + 1, 50_000_000_000, 3_800_000_000_000] {
            let offsets = sample_offsets(size, SAMPLES, 7);
            assert_eq!(offsets.len() as u64, SAMPLES);
            let part = size / SAMPLES;
            for (i, &offset) in offsets.iter().enumerate() {
                assert_eq!(offset % BLOCK, 0);
                assert!(offset + BLOCK <= size);
                assert!(offset.abs_diff(i as u64 * part) <= part + SAMPLES * BLOCK);
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_sample_again() {
        let sample = |seed| sample_offsets(1 << 40, SAMPLES, seed);
        assert_eq!(sample(1), sample(1));
        assert_ne!(sample(1), sample(2));
    }

    #[test]
    fn both_ways_of_reading_find_the_same() {
        let dir = std::env::current_exe().unwrap();
        let file = tempfile::tempfile_in(dir.parent().unwrap()).unwrap();
        let size = 64 << 20;
        file.set_len(size).unwrap();
        let offsets = sample_offsets(size, SAMPLES, 3);
        let both = || {
            let directly = first_data_directly(&file, size, &offsets).unwrap();
            assert_eq!(directly, first_data_cached(&file, size, &offsets).unwrap());
            directly
        };
        assert_eq!(both(), None);
        for at in [offsets[500] + 77, size - 1, 0] {
            file.write_all_at(b"x", at).unwrap();
            assert_eq!(both(), Some(at));
        }
    }

    #[test]
    fn the_first_nonzero_byte_is_exact() {
        let mut bytes = vec![0; 10_000];
        assert_eq!(first_nonzero(&bytes), None);
        bytes[9_999] = 1;
        assert_eq!(first_nonzero(&bytes), Some(9_999));
        bytes[4_096] = 1;
        assert_eq!(first_nonzero(&bytes), Some(4_096));
    }
}
