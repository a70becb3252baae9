//! Whether blocks of a file are really written: FIEMAP says which are holes,
//! unwritten or not allocated yet. Such blocks are read without the disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::unistd::{Whence, lseek};

mod ioctl {
    //! The number in <linux/fs.h>: a header of 32 bytes, read and written.
    nix::ioctl_readwrite_bad!(fiemap, 0xc020_660b_u32, super::Header);
}

const FLAG_SYNC: u32 = 1;
const EXTENT_LAST: u32 = 0x1;
/// Not known where, not allocated yet, allocated and not written.
const EXTENT_UNKNOWN: u32 = 0x2;
const EXTENT_DELALLOC: u32 = 0x4;
const EXTENT_UNWRITTEN: u32 = 0x800;

/// Of one call. A file of a terabyte has some thousands.
const PAGE: usize = 256;

/// What was found in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    All,
    /// From this byte on, and why.
    Not {
        at: u64,
        why: &'static str,
    },
    /// The filesystem does not say.
    CannotTell,
}

#[derive(Debug)]
#[repr(C)]
pub(super) struct Header {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved: [u64; 2],
    flags: u32,
    reserved_more: [u32; 3],
}

#[repr(C)]
struct Request {
    header: Header,
    extents: [Extent; PAGE],
}

/// Looks over one range of a file.
///
/// # Errors
/// When the file cannot be asked.
pub(super) fn check(file: &File, range: &Range<u64>) -> io::Result<Written> {
    match walk(range, |from| page(file, from, range.end)) {
        Err(error) if is_unsupported(&error) => holes(file, range),
        done => done,
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [
        Errno::EOPNOTSUPP,
        Errno::ENOTTY,
        Errno::ENOSYS,
        Errno::EINVAL,
    ];
    unsupported
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// Asks for one page of extents after another.
fn walk(
    range: &Range<u64>,
    mut page: impl FnMut(u64) -> io::Result<Vec<Extent>>,
) -> io::Result<Written> {
    let mut at = range.start;
    while at < range.end {
        let extents = page(at)?;
        if extents.is_empty() {
            return Ok(Written::Not { at, why: "a hole" });
        }
        for extent in extents {
            let end = extent.logical.saturating_add(extent.length);
            if end <= at {
                // The kernel begins with the extent that `at` is in.
                continue;
            }
            if extent.logical > at {
                return Ok(Written::Not { at, why: "a hole" });
            }
            if let Some(why) = why_not(extent.flags) {
                return Ok(Written::Not { at, why });
            }
            at = end;
            if extent.flags & EXTENT_LAST != 0 && at < range.end {
                return Ok(Written::Not { at, why: "a hole" });
            }
            if at >= range.end {
                break;
            }
        }
    }
    Ok(Written::All)
}

fn why_not(flags: u32) -> Option<&'static str> {
    if flags & EXTENT_UNWRITTEN != 0 {
        Some("allocated and not written")
    } else if flags & EXTENT_DELALLOC != 0 {
        Some("not on the disk yet")
    } else if flags & EXTENT_UNKNOWN != 0 {
        Some("somewhere unknown")
    } else {
        None
    }
}

fn page(file: &File, from: u64, end: u64) -> io::Result<Vec<Extent>> {
    let mut request = Box::new(Request {
        header: Header {
            start: from,
            length: end - from,
            flags: FLAG_SYNC,
            mapped: 0,
            count: u32::try_from(PAGE).unwrap_or(0),
            reserved: 0,
        },
        extents: [Extent::default(); PAGE],
    });
    // SAFETY: the header is the first field of a structure that has room for as
    // many extents behind it as `count` says, and the kernel writes no more.
    unsafe {
        ioctl::fiemap(file.as_raw_fd(), (&raw mut *request).cast::<Header>())?;
    }
    let mapped = request.header.mapped as usize;
    Ok(request.extents[..mapped.min(PAGE)].to_vec())
}

/// Without FIEMAP. The kernel's answer for filesystems that know nothing of
/// holes is "no hole": only tmpfs is believed.
fn holes(file: &File, range: &Range<u64>) -> io::Result<Written> {
    if fstatfs(file)?.filesystem_type() != TMPFS_MAGIC {
        return Ok(Written::CannotTell);
    }
    let start = i64::try_from(range.start).map_err(io::Error::other)?;
    let hole = lseek(file, start, Whence::SeekHole)?;
    let hole = u64::try_from(hole).map_err(io::Error::other)?;
    Ok(match hole >= range.end {
        true => Written::All,
        false => Written::Not {
            at: hole,
            why: "a hole",
        },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn extent(logical: u64, length: u64, flags: u32) -> Extent {
        Extent {
            logical,
            length,
            flags,
            ..Extent::default()
        }
    }

    /// As the kernel answers, two extents at a time.
    fn walked(extents: &[Extent], range: Range<u64>) -> Written {
        let page = |from: u64| {
            let behind = |e: &&Extent| e.logical + e.length > from && e.logical < range.end;
            Ok(extents.iter().filter(behind).take(2).copied().collect())
        };
        walk(&range, page).unwrap()
    }

    #[test]
    fn every_gap_is_found() {
        let hole = |at| Written::Not { at, why: "a hole" };
        let four: Vec<Extent> = (0..4).map(|i| extent(i * 10, 10, 0)).collect();
        assert_eq!(walked(&four, 0..40), Written::All);
        assert_eq!(walked(&four, 5..37), Written::All);
        assert_eq!(walked(&four, 0..41), hole(40));
        assert_eq!(walked(&[], 0..1), hole(0));
        assert_eq!(walked(&[extent(5, 10, 0)], 0..10), hole(0));
        let gap = [four[0], four[1], four[3]];
        assert_eq!(walked(&gap, 0..40), hole(20));
        assert_eq!(walked(&gap, 30..40), Written::All);
        assert_eq!(walked(&[extent(0, 10, EXTENT_LAST)], 0..20), hole(10));
    }

    #[test]
    fn what_is_not_on_the_disk_is_not_written() {
        for flag in [EXTENT_UNWRITTEN, EXTENT_DELALLOC, EXTENT_UNKNOWN] {
            let some = [extent(0, 10, 0), extent(10, 10, flag)];
            assert!(matches!(walked(&some, 0..20), Written::Not { at: 10, .. }));
            assert_eq!(walked(&some, 0..10), Written::All);
        }
    }

    #[test]
    fn a_real_file_is_told_by_its_blocks() {
        for dir in [std::env::temp_dir(), "/dev/shm".into()] {
            let file = tempfile::tempfile_in(dir).unwrap();
            file.write_all_at(&vec![7; 1 << 20], 0).unwrap();
            file.set_len(3 << 20).unwrap();
            let told = check(&file, &(0..1 << 20)).unwrap();
            assert_eq!(told, Written::All);
            let told = check(&file, &(0..2 << 20)).unwrap();
            assert_eq!(
                told,
                Written::Not {
                    at: 1 << 20,
                    why: "a hole"
                }
            );
        }
    }
}
