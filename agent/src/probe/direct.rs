//! Reading a disk past the page cache, many blocks at a time: what is read is
//! what is on the disk, and a sample takes one system call per batch. Not every
//! file and kernel can do this; `sample` then reads in the ordinary way.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, types};
use nix::libc;

/// Reads of one submission. Controllers have queues at least as deep.
const BATCH: usize = 128;
const BLOCK: usize = 4096;

/// So few are read as fast one by one as a ring for them is made.
const FEW: usize = 4;

/// As every disk wants the memory that it writes to.
#[repr(C, align(4096))]
#[derive(Clone)]
pub(super) struct Block(pub(super) [u8; BLOCK]);

/// Memory for a batch of blocks, or for a run of as many.
#[derive(Debug)]
struct Blocks(Vec<Block>);

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Block")
    }
}

impl Blocks {
    fn new(count: usize) -> Self {
        Self(vec![Block([0; BLOCK]); count])
    }

    fn as_mut_bytes(&mut self) -> &mut [u8] {
        let length = self.0.len() * BLOCK;
        // SAFETY: blocks lie one behind the other without a gap, since their
        // size is a multiple of their alignment; all bytes are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast::<u8>(), length) }
    }
}

/// Opens a device for direct reads.
pub(super) fn open(device: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT | libc::O_NONBLOCK)
        .open(device)
}

/// A place on a device that is open for direct reads, a multiple of a block.
pub(super) type Place<'a> = (&'a File, u64);

/// One block from each of a few places, on one device or several: all at the
/// same time where the kernel can.
pub(super) fn blocks(places: &[Place<'_>]) -> Vec<Result<Block>> {
    let mut blocks = Blocks::new(places.len());
    if (FEW..=BATCH).contains(&places.len())
        && let Ok(mut ring) = ring()
        && read_batch(&mut ring, &mut blocks, places).is_ok()
    {
        return blocks.0.into_iter().map(Ok).collect();
    }
    let one = |&(file, offset): &Place<'_>| {
        let mut block = Block([0; BLOCK]);
        file.read_exact_at(&mut block.0, offset)?;
        Ok(block)
    };
    places.iter().map(one).collect()
}

fn ring() -> Result<IoUring> {
    Ok(IoUring::new(u32::try_from(BATCH)?)?)
}

/// Fills one block for each place. Returns only when the kernel writes to none
/// of them any more.
fn read_batch(ring: &mut IoUring, blocks: &mut Blocks, places: &[Place<'_>]) -> Result<()> {
    for (slot, (block, &(file, offset))) in blocks.0.iter_mut().zip(places).enumerate() {
        let fd = types::Fd(file.as_raw_fd());
        let read = opcode::Read::new(fd, block.0.as_mut_ptr(), u32::try_from(BLOCK)?)
            .offset(offset)
            .build()
            .user_data(slot as u64);
        // SAFETY: the descriptor and the block stay until the read is
        // complete, for which this function waits below.
        unsafe { ring.submission().push(&read) }.context("queue a read")?;
    }
    let mut results = Vec::with_capacity(places.len());
    while results.len() < places.len() {
        match ring.submit_and_wait(places.len() - results.len()) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                // Reads may be under way still: the memory must outlive them.
                let left = std::mem::replace(blocks, Blocks::new(0));
                std::mem::forget(left);
                return Err(e.into());
            }
            _ => results.extend(ring.completion().map(|c| c.result())),
        }
    }
    ensure!(
        results
            .iter()
            .all(|&read| usize::try_from(read) == Ok(BLOCK)),
        "a block was not read whole"
    );
    Ok(())
}

/// A device opened for direct reads.
#[derive(Debug)]
pub(super) struct Direct {
    file: File,
    blocks: Blocks,
}

impl Direct {
    /// Opens the device behind a descriptor once more.
    pub(super) fn new(file: &File) -> Result<Self> {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(Self {
            file: open(Path::new(&path))?,
            blocks: Blocks::new(BATCH),
        })
    }

    /// The first byte that is not zero, from `from` on for `length` bytes, both
    /// multiples of a block.
    pub(super) fn scan(&mut self, from: u64, length: u64) -> Result<Option<u64>> {
        let mut at = from;
        while at < from + length {
            let buffer = self.blocks.as_mut_bytes();
            let part = usize::try_from(from + length - at)?.min(buffer.len());
            let part = &mut buffer[..part];
            self.file.read_exact_at(part, at)?;
            if let Some(i) = super::sample::first_nonzero(part) {
                return Ok(Some(at + i as u64));
            }
            at += part.len() as u64;
        }
        Ok(None)
    }

    /// The same for single blocks at these offsets, in any order.
    pub(super) fn scan_blocks(&mut self, offsets: &[u64]) -> Result<Option<u64>> {
        let mut ring = ring()?;
        for batch in offsets.chunks(BATCH) {
            let places: Vec<Place<'_>> = batch.iter().map(|&at| (&self.file, at)).collect();
            read_batch(&mut ring, &mut self.blocks, &places)?;
            for (block, offset) in self.blocks.0.iter().zip(batch) {
                if let Some(i) = super::sample::first_nonzero(&block.0) {
                    return Ok(Some(offset + i as u64));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_by_run_and_by_block() {
        // Not every temporary directory can be read directly; the target's can.
        let dir = std::env::current_exe().unwrap();
        let file = tempfile::tempfile_in(dir.parent().unwrap()).unwrap();
        file.set_len(8 << 20).unwrap();
        let mut direct = Direct::new(&file).unwrap();
        let all: Vec<u64> = (0..2048).map(|i| i * BLOCK as u64).collect();
        assert_eq!(direct.scan(0, 8 << 20).unwrap(), None);
        assert_eq!(direct.scan_blocks(&all).unwrap(), None);
        file.write_all_at(b"x", 5_000_001).unwrap();
        assert_eq!(direct.scan(0, 8 << 20).unwrap(), Some(5_000_001));
        assert_eq!(direct.scan_blocks(&all).unwrap(), Some(5_000_001));
        assert_eq!(direct.scan_blocks(&all[..1000]).unwrap(), None);
    }

    #[test]
    fn a_read_past_the_end_is_an_error() {
        let dir = std::env::current_exe().unwrap();
        let file = tempfile::tempfile_in(dir.parent().unwrap()).unwrap();
        file.set_len(1 << 20).unwrap();
        let mut direct = Direct::new(&file).unwrap();
        assert!(direct.scan_blocks(&[0, 1 << 20]).is_err());
        assert!(direct.scan(1 << 20, 4096).is_err());
    }

    #[test]
    fn blocks_of_several_files_come_in_their_order() {
        let dir = std::env::current_exe().unwrap();
        let file = |mark: u8| {
            let file = tempfile::NamedTempFile::new_in(dir.parent().unwrap()).unwrap();
            file.as_file().write_all_at(&[mark; 2 * BLOCK], 0).unwrap();
            file
        };
        let files = [file(1), file(2), file(3)];
        let open: Vec<File> = files.iter().map(|f| open(f.path()).unwrap()).collect();
        let both = |file| [(file, 0), (file, BLOCK as u64)];
        // One by one, and at the same time.
        for count in [1, 3] {
            let places: Vec<Place<'_>> = open.iter().take(count).flat_map(both).collect();
            let marks = blocks(&places).into_iter().map(|b| b.unwrap().0[BLOCK - 1]);
            assert_eq!(marks.collect::<Vec<_>>(), [1, 1, 2, 2, 3, 3][..2 * count]);
        }
        // What one place lacks does not spoil the others.
        let mut places: Vec<Place<'_>> = open.iter().flat_map(both).collect();
        places.push((&open[0], 2 * BLOCK as u64));
        let read: Vec<bool> = blocks(&places).iter().map(Result::is_ok).collect();
        assert_eq!(read, [true, true, true, true, true, true, false]);
    }
}
