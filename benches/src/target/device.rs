//! A device that the gate gave: how large it is, and giving it back as empty as
//! it was.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;

use super::layout::{ALIGN, Buffer, direct};

mod ioctl {
    //! Numbers from <linux/fs.h>: _IO(0x12, n), with a range as argument.
    nix::ioctl_write_ptr_bad!(discard, 0x1277, [u64; 2]);
    nix::ioctl_write_ptr_bad!(zero_out, 0x127f, [u64; 2]);
    nix::ioctl_none_bad!(flush_cache, 0x1261);
}

/// Zeroed in one call, which cannot be interrupted.
const CHUNK: u64 = 1 << 30;

/// Places that are read back of each range: one that was not zeroed at all, or
/// in a tenth of it, is not missed.
const SAMPLES: u64 = 256;

pub(super) fn size(mut device: &File) -> io::Result<u64> {
    device.seek(SeekFrom::End(0))
}

/// Drops what the page cache has of it.
pub(super) fn forget_cache(device: &File) -> io::Result<()> {
    // SAFETY: BLKFLSBUF takes no argument.
    unsafe { ioctl::flush_cache(device.as_raw_fd()) }?;
    Ok(())
}

/// Empties ranges and reads them back in samples.
///
/// # Errors
/// When they do not read as zero.
pub(super) fn give_back(device: &File, ranges: &[Range<u64>]) -> io::Result<()> {
    ranges.iter().try_for_each(|range| empty(device, range))
}

/// First by discarding, which is quick and what a new disk is like. Not every
/// disk reads zeroes then: by writing them, where the disk cannot do that itself.
fn empty(device: &File, range: &Range<u64>) -> io::Result<()> {
    let proven = |done: io::Result<()>| {
        done?;
        device.sync_all()?;
        is_zero(device, range)
    };
    proven(discard(device, range))
        .or_else(|_| proven(zero_out(device, range)))
        .or_else(|_| proven(write_zeroes(device, range)))
}

fn discard(device: &File, range: &Range<u64>) -> io::Result<()> {
    let whole = [range.start, range.end - range.start];
    // SAFETY: BLKDISCARD reads two u64, start and length in bytes, from the
    // pointer; the descriptor is a device that is held exclusively.
    unsafe { ioctl::discard(device.as_raw_fd(), &raw const whole) }?;
    Ok(())
}

fn zero_out(device: &File, range: &Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let part = [at, CHUNK.min(range.end - at)];
        // SAFETY: BLKZEROOUT reads the same as BLKDISCARD.
        unsafe { ioctl::zero_out(device.as_raw_fd(), &raw const part) }?;
        at += part[1];
    }
    Ok(())
}

fn write_zeroes(device: &File, range: &Range<u64>) -> io::Result<()> {
    let mut buffer = Buffer::new();
    let zeroes = buffer.bytes();
    let mut at = range.start;
    while at < range.end {
        let part = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let part = part.min(zeroes.len());
        device.write_all_at(&zeroes[..part], at)?;
        at += part as u64;
    }
    Ok(())
}

/// Both ends, and one block at random of each of as many equal parts.
fn is_zero(device: &File, range: &Range<u64>) -> io::Result<()> {
    let past_cache = direct(device);
    let device = past_cache.as_ref().unwrap_or(device);
    let mut buffer = Buffer::new();
    let mut random = fastrand::Rng::new();
    let blocks = (range.end - range.start).div_ceil(ALIGN);
    let parts = SAMPLES.min(blocks);
    let sampled = (0..parts).map(|part| {
        let first = blocks * part / parts;
        let next = blocks * (part + 1) / parts;
        random.u64(first..next.max(first + 1))
    });
    for block in sampled.chain([0, blocks.saturating_sub(1)]) {
        let at = range.start + block * ALIGN;
        let length = usize::try_from(ALIGN.min(range.end - at)).unwrap_or(0);
        let data = &mut buffer.bytes()[..length];
        device.read_exact_at(data, at)?;
        if let Some(byte) = data.iter().position(|byte| *byte != 0) {
            return Err(io::Error::other(format!(
                "byte {} is not zero after it was emptied",
                at + byte as u64
            )));
        }
    }
    Ok(())
}

/// Whether it is the block device of this number.
pub(super) fn is_device(file: &File, rdev: u64) -> io::Result<bool> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = file.metadata()?;
    Ok(metadata.file_type().is_block_device() && metadata.rdev() == rdev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found() {
        let file = tempfile::tempfile().unwrap();
        // As a disk of 512-byte blocks may end.
        let end = 1954 * 512;
        file.set_len(end).unwrap();
        is_zero(&file, &(0..end)).unwrap();
        file.write_all_at(b"x", end - 1).unwrap();
        let why = is_zero(&file, &(0..end)).unwrap_err().to_string();
        assert!(why.contains("byte 1000447"), "{why}");
        is_zero(&file, &(0..512_000)).unwrap();
        // A file can neither be discarded nor zeroed as a device can.
        give_back(&file, std::slice::from_ref(&(0..end))).unwrap();
        is_zero(&file, &(0..end)).unwrap();
    }

    #[test]
    fn a_file_is_no_device() {
        let file = tempfile::tempfile().unwrap();
        assert!(!is_device(&file, 0).unwrap());
    }
}
