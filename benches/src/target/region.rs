//! Which bytes of each of its files a thread works on. Pure, and the one place
//! that says so: what is laid out and what is read must be the same.

use std::ops::Range;

use crate::job::{Access, BlockSize, Job, Size};

/// How much of a target there is before a job asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// A device, which is as large as it is.
    Fixed(u64),
    /// A file that is made as large as its jobs need.
    Grows,
}

/// The region of one thread in its file `index` of `count`.
///
/// # Errors
/// When the job does not fit, or does not say enough: with the reason.
pub fn region(
    job: &Job,
    thread: u32,
    index: usize,
    count: usize,
    there: There,
) -> Result<Range<u64>, String> {
    let (block, largest) = blocks(job);
    let share_of = |size: Size, option: &str| match (size, there) {
        (Size::Bytes(bytes), _) => Ok(bytes),
        (Size::Percent(percent), There::Fixed(all)) => Ok(percent_of(all, percent, block)),
        (Size::Percent(percent), There::Grows) => Err(format!(
            "{option}={percent}% is a share of a file that is only made: say it in bytes"
        )),
    };
    let step = share_of(job.offset_increment, "offset_increment")?;
    let start = share_of(job.offset, "offset")?;
    let start = step
        .checked_mul(u64::from(thread))
        .and_then(|more| start.checked_add(more))
        .ok_or("its offset is beyond all numbers")?;
    let length = match (job.size, there) {
        (Some(Size::Bytes(bytes)), _) => share(bytes, index, count, block),
        (None, There::Grows) => return Err("it makes a file and needs a size".into()),
        (None, There::Fixed(all)) => all.saturating_sub(start),
        (Some(Size::Percent(_)), There::Fixed(all)) if start >= all => 0,
        (Some(size @ Size::Percent(_)), There::Fixed(all)) => {
            share_of(size, "size")?.min(all - start)
        }
        (Some(size @ Size::Percent(_)), There::Grows) => share_of(size, "size")?,
    };
    let end = start
        .checked_add(length)
        .ok_or("its end is beyond all numbers")?;
    if let There::Fixed(all) = there
        && (end > all || start >= all)
    {
        return Err(format!(
            "it works on bytes {start} to {end}, and there are {all}: say a smaller size or offset"
        ));
    }
    if length < largest {
        return Err(format!(
            "its region of {length} bytes is smaller than a block of {largest}"
        ));
    }
    Ok(start..end)
}

/// The smallest and the largest block of the directions that a job has.
fn blocks(job: &Job) -> (u64, u64) {
    let used = match job.access {
        Access::Read => &job.block_size[..1],
        Access::Write => &job.block_size[1..],
        Access::Mixed => &job.block_size[..],
    };
    let smallest = used.iter().map(BlockSize::smallest).min().unwrap_or(0);
    let largest = used.iter().map(BlockSize::largest).max().unwrap_or(0);
    (smallest.max(1), largest)
}

/// In whole blocks.
fn percent_of(all: u64, percent: u32, block: u64) -> u64 {
    let part = u128::from(all) * u128::from(percent) / 100;
    let part = u64::try_from(part).unwrap_or(u64::MAX);
    part - part % block
}

/// One file's part of a size, in whole blocks; what is left over goes to the
/// first files, a block each.
fn share(size: u64, index: usize, count: usize, block: u64) -> u64 {
    let count = count.max(1) as u64;
    let each = size / count;
    let each = each - each % block;
    let extra = (size - each * count) / block;
    each + if (index as u64) < extra { block } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::testing::job;

    const MIB: u64 = 1 << 20;

    fn sized(size: Option<Size>) -> Job {
        Job {
            size,
            block_size: [BlockSize::Fixed(4096), BlockSize::Fixed(4096)],
            ..job("t")
        }
    }

    #[test]
    fn a_file_is_as_large_as_it_is_said() {
        let one = sized(Some(Size::Bytes(10 * MIB)));
        assert_eq!(region(&one, 0, 0, 1, There::Grows), Ok(0..10 * MIB));
        let moved = Job {
            offset: Size::Bytes(MIB),
            offset_increment: Size::Bytes(2 * MIB),
            ..one
        };
        assert_eq!(region(&moved, 3, 0, 1, There::Grows), Ok(7 * MIB..17 * MIB));
        let none = sized(None);
        let why = region(&none, 0, 0, 1, There::Grows).unwrap_err();
        assert!(why.contains("needs a size"), "{why}");
        let share = sized(Some(Size::Percent(50)));
        let why = region(&share, 0, 0, 1, There::Grows).unwrap_err();
        assert!(why.contains("size=50%"), "{why}");
    }

    #[test]
    fn several_files_share_a_size_in_whole_blocks() {
        let one = sized(Some(Size::Bytes(10 * 4096 + 100)));
        let lengths: Vec<u64> = (0..3)
            .map(|i| region(&one, 0, i, 3, There::Grows).unwrap().end / 4096)
            .collect();
        assert_eq!(lengths, [4, 3, 3]);
    }

    #[test]
    fn a_device_has_its_own_size_and_no_more() {
        let all = There::Fixed(100 * MIB);
        assert_eq!(region(&sized(None), 0, 0, 1, all), Ok(0..100 * MIB));
        let half = sized(Some(Size::Percent(50)));
        assert_eq!(region(&half, 0, 0, 1, all), Ok(0..50 * MIB));
        let rest = Job {
            offset: Size::Percent(75),
            ..half
        };
        assert_eq!(region(&rest, 0, 0, 1, all), Ok(75 * MIB..100 * MIB));
        let beyond = sized(Some(Size::Bytes(100 * MIB + 1_000_000)));
        assert!(
            region(&beyond, 0, 0, 1, all)
                .unwrap_err()
                .contains("smaller size")
        );
        let outside = Job {
            offset: Size::Bytes(100 * MIB),
            ..sized(None)
        };
        assert!(region(&outside, 0, 0, 1, all).is_err());
        let endless = Job {
            offset: Size::Bytes(u64::MAX),
            offset_increment: Size::Bytes(u64::MAX),
            ..sized(None)
        };
        assert!(region(&endless, 1, 0, 1, all).is_err());
    }

    #[test]
    fn a_region_holds_at_least_one_block() {
        let small = sized(Some(Size::Bytes(1000)));
        let why = region(&small, 0, 0, 1, There::Grows).unwrap_err();
        assert!(why.contains("smaller than a block"), "{why}");
    }
}
