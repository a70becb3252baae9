//! Writes real data that cannot be compressed before anything is read: a block
//! that was never written, or holds zeroes, may be answered without the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate, posix_fallocate};
use nix::libc;

use super::survey::Work;
use crate::job::Fallocate;

/// Offsets and lengths of direct I/O: no disk has larger blocks.
pub(super) const ALIGN: u64 = PAGE as u64;
const PAGE: usize = 4096;

/// Written at once: enough for a disk to work on several pieces at a time, and
/// little enough to stop soon.
const CHUNK: usize = 4 << 20;

/// As direct I/O wants its memory.
#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

pub(super) struct Buffer(Vec<Page>);

impl Buffer {
    pub(super) fn new() -> Self {
        Self(vec![Page([0; PAGE]); CHUNK / PAGE])
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: pages lie one behind the other without a gap, since their
        // size is their alignment; all bytes are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast::<u8>(), CHUNK) }
    }
}

/// Why writing ended.
#[derive(Debug)]
pub(super) enum Ended {
    Stopped,
    Failed { at: u64, error: io::Error },
}

/// Sorted, merged where they touch, widened to whole pages, and cut at the end.
pub(super) fn merged(ranges: &[Range<u64>], end: u64) -> Vec<Range<u64>> {
    let mut wide: Vec<Range<u64>> = ranges
        .iter()
        .filter(|range| range.start < range.end)
        .map(|range| {
            let stop = range.end.checked_next_multiple_of(ALIGN).unwrap_or(end);
            (range.start - range.start % ALIGN)..stop.min(end)
        })
        .collect();
    wide.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in wide {
        match merged.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[must_use]
pub(super) fn length(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// The same target once more, past the page cache, if it can do that.
pub(super) fn direct(file: &File) -> Option<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .ok()
}

/// Fills ranges (see `merged`), and has them on the disk at the end. `done` is
/// told how much is written so far.
pub(super) fn fill(
    file: &File,
    ranges: &[Range<u64>],
    stop: &AtomicBool,
    mut done: impl FnMut(u64),
) -> Result<(), Ended> {
    let past_cache = direct(file);
    let mut random = fastrand::Rng::new();
    let mut buffer = Buffer::new();
    let mut written = 0;
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            if stop.load(Ordering::Relaxed) {
                return Err(Ended::Stopped);
            }
            let part = usize::try_from(range.end - at).unwrap_or(CHUNK).min(CHUNK);
            let part = &mut buffer.bytes()[..part];
            scramble(&mut random, part);
            write(file, past_cache.as_ref(), part, at)
                .map_err(|error| Ended::Failed { at, error })?;
            at += part.len() as u64;
            written += part.len() as u64;
            done(written);
        }
    }
    let end = ranges.last().map_or(0, |range| range.end);
    file.sync_all()
        .map_err(|error| Ended::Failed { at: end, error })
}

/// Directly, but for the end of a file, which need not be a whole page.
fn write(file: &File, direct: Option<&File>, data: &[u8], at: u64) -> io::Result<()> {
    let whole = data.len() - data.len() % PAGE;
    let Some(direct) = direct else {
        return file.write_all_at(data, at);
    };
    direct.write_all_at(&data[..whole], at)?;
    file.write_all_at(&data[whole..], at + whole as u64)
}

fn scramble(random: &mut fastrand::Rng, data: &mut [u8]) {
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = random.u64(..).to_le_bytes();
    }
    random.fill(rest);
}

/// Makes a file as long as its jobs need, with the blocks that `fallocate` says
/// where they work.
pub(super) fn reserve(file: &File, work: &Work) -> io::Result<()> {
    let laid_out = work
        .read
        .last()
        .is_some_and(|range| range.end == work.bytes);
    // What is laid out to the end needs no length before; some network
    // filesystems take only whole files that are written from the start.
    if !laid_out && file.metadata()?.len() < work.bytes {
        file.set_len(work.bytes)?;
    }
    let flags = match work.fallocate {
        Fallocate::None | Fallocate::Truncate => return Ok(()),
        Fallocate::Native | Fallocate::Posix => FallocateFlags::empty(),
        Fallocate::KeepSize => FallocateFlags::FALLOC_FL_KEEP_SIZE,
    };
    for range in &work.all {
        let start = i64::try_from(range.start).map_err(io::Error::other)?;
        let length = i64::try_from(range.end - range.start).map_err(io::Error::other)?;
        let done = match work.fallocate {
            // Writes to every block where the filesystem cannot.
            Fallocate::Posix => posix_fallocate(file, start, length),
            _ => fallocate(file, flags, start, length),
        };
        match done {
            // The filesystem cannot: blocks come as they are written.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Ok(()),
            done => done?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn ranges_are_merged_in_whole_pages() {
        let all = [
            9000..10_000,
            0..4096,
            4096..5000,
            50_000..50_000,
            30_000..30_001,
        ];
        assert_eq!(merged(&all, 30_001), [0..12_288, 28_672..30_001]);
        assert_eq!(length(&merged(&all, 30_001)), 12_288 + 1329);
        assert!(merged(&[], 10).is_empty());
    }

    #[test]
    fn what_is_written_is_data_of_every_byte() {
        let file = tempfile::tempfile().unwrap();
        let length: u64 = (CHUNK as u64) * 2 + 5001;
        let mut told = Vec::new();
        let ranges = merged(from_ref(&(0..length)), length);
        fill(&file, &ranges, &AtomicBool::new(false), |done| {
            told.push(done)
        })
        .unwrap();
        assert_eq!(told, [CHUNK as u64, 2 * CHUNK as u64, length]);
        assert_eq!(file.metadata().unwrap().len(), length);
        let mut data = vec![0; usize::try_from(length).unwrap()];
        file.read_exact_at(&mut data, 0).unwrap();
        let mut counts = [0_usize; 256];
        data.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        let expected = data.len() / 256;
        let fair = |count: &usize| count.abs_diff(expected) < expected / 20;
        assert!(counts.iter().all(fair), "{counts:?}");
        // No chunk is a copy of the one before.
        assert_ne!(data[..CHUNK], data[CHUNK..2 * CHUNK]);
    }

    #[test]
    fn a_stop_ends_it() {
        let file = tempfile::tempfile().unwrap();
        let stop = AtomicBool::new(false);
        let end = CHUNK as u64 * 4;
        let ended = fill(&file, from_ref(&(0..end)), &stop, |_| {
            stop.store(true, Ordering::Relaxed)
        });
        assert!(matches!(ended, Err(Ended::Stopped)));
        assert_eq!(file.metadata().unwrap().len(), CHUNK as u64);
    }

    #[test]
    fn blocks_are_reserved_as_said() {
        for (how, blocks) in [
            (Fallocate::None, 0),
            (Fallocate::Truncate, 0),
            (Fallocate::Native, 1 << 20),
            (Fallocate::Posix, 1 << 20),
            (Fallocate::KeepSize, 1 << 20),
        ] {
            use std::os::unix::fs::MetadataExt as _;
            let file = tempfile::tempfile().unwrap();
            let work = Work {
                bytes: 1 << 20,
                all: merged(from_ref(&(0..1 << 20)), 1 << 20),
                read: Vec::new(),
                fallocate: how,
            };
            reserve(&file, &work).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!(metadata.len(), 1 << 20, "{how:?}");
            assert_eq!(metadata.blocks() * 512, blocks, "{how:?}");
        }
    }
}
