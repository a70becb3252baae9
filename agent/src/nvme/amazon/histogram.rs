//! How long requests took, as an Amazon device counts it: a histogram of reads
//! and one of writes, and the same by size of request.
//!
//! There are two accounts of where they are on an instance-store page. In the
//! first, each direction has one in the first piece, in the place where EBS has
//! them too, and the second piece has a pair for each size. In the other,
//! nothing is in the second piece: sizes, bounds and five pairs begin right
//! after the counters. The tool that prints histograms follows the first, and
//! so does this file; whoever wrote the other only uses the counters. Until a
//! page was captured that settles it, a histogram is given out only where the
//! version is the one that goes with the first account (`super` sees to that)
//! and the numbers of both directions make sense. On a page of the other kind,
//! a bound lies where this file looks for the number of bins of reads, so that
//! it gives nothing. Where it looks for that of writes lies a count, which could
//! be anything: this is why reads and writes are believed together or not at all.

use serde::Serialize;

use super::{PIECE, u32_at, u64_at};

/// Where each is in the first piece.
const READ: usize = 512;
const WRITE: usize = 2056;
/// How many sizes there are, and behind it the sizes.
const SIZE_COUNT: usize = 3600;
const SIZES: usize = 3604;

/// There is room for as many.
const MOST_BINS: usize = 64;
const MOST_SIZES: usize = 8;
/// Bins that the second piece has room for, in one histogram.
const MOST_SIZE_BINS: usize = 32;

/// Requests by how long they took; the bins ascend and do not overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Histogram {
    pub bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bin {
    pub lower_us: u64,
    pub upper_us: u64,
    pub count: u64,
}

/// Requests that are larger than those of the entry before, up to this size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BySize {
    /// `u32::MAX` stands for no limit.
    pub up_to_bytes: u32,
    pub read_latency: Histogram,
    pub write_latency: Histogram,
}

/// The histograms of so many reads and so many writes.
pub(super) fn both(page: &[u8; PIECE], [reads, writes]: [u64; 2]) -> Option<[Histogram; 2]> {
    Some([
        histogram(page, READ, reads)?,
        histogram(page, WRITE, writes)?,
    ])
}

/// A number of bins, and behind it room for 64: two bounds (u64) and a count
/// (u32) each. Bounds that do not ascend, or more requests than the counter
/// knows, were never a histogram. A count that wrapped around is not noticed.
fn histogram(page: &[u8; PIECE], at: usize, ops: u64) -> Option<Histogram> {
    let length = up_to(u64_at(page, at), MOST_BINS)?;
    let bin = |i| {
        let at = at + 8 + 24 * i;
        Bin {
            lower_us: u64_at(page, at),
            upper_us: u64_at(page, at + 8),
            count: u64::from(u32_at(page, at + 16)),
        }
    };
    let bins: Vec<Bin> = (0..length).map(bin).collect();
    let plausible = bins.iter().all(|b| b.lower_us < b.upper_us)
        && bins.windows(2).all(|w| w[0].upper_us <= w[1].lower_us)
        && bins.iter().map(|b| b.count).sum::<u64>() <= ops;
    plausible.then_some(Histogram { bins })
}

/// The histograms of the second piece: for each size room for 32 counts (u64)
/// of reads and 32 of writes, with the bounds that the first piece has. Their
/// sums are not compared with the counters, which are from a moment earlier.
pub(super) fn by_size(
    page: &[u8; PIECE],
    second: &[u8; PIECE],
    bounds: &[Histogram; 2],
) -> Option<Vec<BySize>> {
    let length = up_to(u64::from(u32_at(page, SIZE_COUNT)), MOST_SIZES)?;
    let sizes: Vec<u32> = (0..length).map(|i| u32_at(page, SIZES + 4 * i)).collect();
    let roomy = bounds.iter().all(|h| h.bins.len() <= MOST_SIZE_BINS);
    if !roomy || sizes[0] == 0 || !sizes.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let histogram = |block: usize, bounds: &Histogram| {
        let at = block * MOST_SIZE_BINS * 8;
        let bins = bounds.bins.iter().enumerate();
        let count = |(i, bin): (usize, &Bin)| Bin {
            count: u64_at(second, at + 8 * i),
            ..*bin
        };
        Histogram {
            bins: bins.map(count).collect(),
        }
    };
    let of_size = |(i, up_to_bytes): (usize, u32)| BySize {
        up_to_bytes,
        read_latency: histogram(2 * i, &bounds[0]),
        write_latency: histogram(2 * i + 1, &bounds[1]),
    };
    Some(sizes.into_iter().enumerate().map(of_size).collect())
}

/// A number of things there is room for, at least one.
fn up_to(count: u64, most: usize) -> Option<usize> {
    let count = usize::try_from(count).ok()?;
    (1..=most).contains(&count).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvme::amazon::tests::{
        STORE_MAGIC, counters, detailed, parse, put, put_histogram, put_u32,
    };
    use proptest::prelude::*;

    fn bins(bins: &[(u64, u64, u64)]) -> Histogram {
        let bin = |&(lower_us, upper_us, count): &_| Bin {
            lower_us,
            upper_us,
            count,
        };
        Histogram {
            bins: bins.iter().map(bin).collect(),
        }
    }

    #[test]
    fn every_histogram_is_in_its_place() {
        let stats = parse(&detailed());
        assert_eq!(stats.read_latency, Some(bins(&[(0, 64, 5), (64, 128, 3)])));
        let write = bins(&[(0, 1, 0), (2, u64::MAX, 15)]);
        assert_eq!(stats.write_latency, Some(write));
        let by_size = [
            BySize {
                up_to_bytes: 4096,
                read_latency: bins(&[(0, 64, 0), (64, 128, 1)]),
                write_latency: bins(&[(0, 1, 10), (2, u64::MAX, 11)]),
            },
            BySize {
                up_to_bytes: u32::MAX,
                read_latency: bins(&[(0, 64, 20), (64, 128, 21)]),
                write_latency: bins(&[(0, 1, 30), (2, u64::MAX, 31)]),
            },
        ];
        assert_eq!(stats.by_size, by_size);
    }

    #[test]
    fn what_is_no_histogram_is_not_given_out() {
        let of_8 = |bins: &[(u64, u64, u32)]| {
            let mut page = counters(STORE_MAGIC, 1);
            put_histogram(&mut page, 512, bins);
            put_histogram(&mut page, 2056, &[(0, 1, 16)]);
            parse(&page).read_latency.is_some()
        };
        assert!(of_8(&[(0, 1, 8)]));
        assert!(of_8(&[(0, 1, 4), (1, 2, 4)]));
        assert!(of_8(&[(0, 1, 4), (5, u64::MAX, 0)]));
        assert!(!of_8(&[]));
        assert!(!of_8(&[(0, 1, 9)]), "more than there were operations");
        assert!(!of_8(&[(0, 1, u32::MAX), (1, 2, 9)]), "sum wraps around");
        assert!(!of_8(&[(1, 1, 0)]), "an empty bin");
        assert!(!of_8(&[(2, 1, 0)]), "a bin from right to left");
        assert!(!of_8(&[(0, 2, 0), (1, 3, 0)]), "bins overlap");
        assert!(!of_8(&[(4, 5, 0), (0, 1, 0)]), "bins descend");
        let full: Vec<_> = (0..64).map(|i| (i, i + 1, 0)).collect();
        assert!(of_8(&full));
        // The writes begin where a bin too many would be, as one that fits.
        let behind = (0..64).map(|i| (100.max(i << 32), (i + 1) << 32, 0));
        let behind: Vec<_> = behind.collect();
        for count in [65, 1 << 32, (1 << 32) + 1, u64::MAX] {
            let mut page = counters(STORE_MAGIC, 1);
            put_histogram(&mut page, 512, &full);
            put_histogram(&mut page, 2056, &behind);
            assert!(parse(&page).read_latency.is_some());
            put(&mut page, 512, count);
            assert_eq!(parse(&page).read_latency, None, "{count}");
        }
    }

    #[test]
    fn reads_and_writes_are_believed_together() {
        for (at, ops) in [(512, 8), (2056, 16)] {
            for (count, both) in [(ops, true), (ops + 1, false)] {
                let mut page = detailed();
                put_histogram(&mut page, at, &[(0, 1, count)]);
                let stats = parse(&page);
                assert_eq!(stats.read_latency.is_some(), both, "{at} {count}");
                assert_eq!(stats.write_latency.is_some(), both, "{at} {count}");
                assert_eq!(stats.by_size.len(), if both { 2 } else { 0 });
            }
        }
    }

    #[test]
    fn a_page_of_the_other_account_gives_counters_only() {
        for bins in [16, 32] {
            let mut page = counters(STORE_MAGIC, 1);
            put_u32(&mut page, 96, 5);
            put_u32(&mut page, 100, bins);
            for i in 0..usize::try_from(bins).unwrap() {
                put(&mut page, 136 + 16 * i, 1 << i >> 1);
                put(&mut page, 144 + 16 * i, 1 << i);
            }
            // The worst case: counts that look like one bin, of writes.
            for (at, count) in [(2056, 1), (2064, 2), (2072, 3), (2080, 4)] {
                put(&mut page, at, count);
            }
            let stats = parse(&page);
            assert_eq!((stats.read_latency, stats.write_latency), (None, None));
            assert_eq!((stats.by_size.len(), stats.queue_length), (0, 88));
        }
    }

    #[test]
    fn sizes_that_make_no_sense_are_not_given_out() {
        let broken = |spoil: fn(&mut Vec<u8>)| {
            let mut page = detailed();
            spoil(&mut page);
            let stats = parse(&page);
            (stats.by_size.len(), stats.write_latency.is_some())
        };
        assert_eq!(broken(|_| ()), (2, true));
        assert_eq!(broken(|page| put_u32(page, 3600, 0)), (0, true));
        assert_eq!(broken(|page| put_u32(page, 3604, 0)), (0, true));
        assert_eq!(broken(|page| put_u32(page, 3608, 4096)), (0, true));
        assert_eq!(broken(|page| put_u32(page, 3608, 512)), (0, true));
        for (count, sizes) in [(8, 8), (9, 0)] {
            let mut page = detailed();
            put_u32(&mut page, 3600, count);
            for i in 0..9_u8 {
                put_u32(&mut page, 3604 + 4 * usize::from(i), 512 << i);
            }
            assert_eq!(parse(&page).by_size.len(), sizes, "{count}");
        }
        let bins = |n: u64| (0..n).map(|i| (i, i + 1, 0)).collect::<Vec<_>>();
        for (most, sizes) in [(32, 2), (33, 0)] {
            for at in [512, 2056] {
                let mut page = detailed();
                put_histogram(&mut page, at, &bins(most));
                assert_eq!(parse(&page).by_size.len(), sizes, "{at} {most}");
            }
        }
        // Without bounds there is nothing that counts could be of.
        assert_eq!(broken(|page| put(page, 2056, 0)), (0, false));
    }

    /// Bins that ascend, with or without a gap between them.
    fn some_bins(most: usize) -> impl Strategy<Value = Vec<(u64, u64, u32)>> {
        let bin = (0..1000_u64, 1..1_000_000_000_u64, any::<u32>());
        prop::collection::vec(bin, 1..=most).prop_map(|bins| {
            let mut end = 0;
            let place = |(gap, width, count)| {
                let lower = end + gap;
                end = lower + width;
                (lower, end, count)
            };
            bins.into_iter().map(place).collect()
        })
    }

    fn sum(bins: &[(u64, u64, u32)]) -> u64 {
        bins.iter().map(|b| u64::from(b.2)).sum()
    }

    fn wide(bins: &[(u64, u64, u32)]) -> Vec<(u64, u64, u64)> {
        bins.iter().map(|b| (b.0, b.1, u64::from(b.2))).collect()
    }

    proptest! {
        #[test]
        fn histograms_say_what_was_written(
            read in some_bins(64),
            write in some_bins(64),
            more in 0..1_000_000_u64,
        ) {
            let mut page = counters(STORE_MAGIC, 1);
            put(&mut page, 8, sum(&read) + more);
            put(&mut page, 16, sum(&write));
            put_histogram(&mut page, 512, &read);
            put_histogram(&mut page, 2056, &write);
            let stats = parse(&page);
            prop_assert_eq!(stats.read_latency, Some(bins(&wide(&read))));
            prop_assert_eq!(stats.write_latency, Some(bins(&wide(&write))));
        }

        #[test]
        fn sizes_say_what_was_written(
            read in some_bins(32),
            write in some_bins(32),
            sizes in prop::collection::btree_set(1..=u32::MAX, 1..=8),
            counts in prop::collection::vec(any::<u64>(), 512),
        ) {
            let mut page = counters(STORE_MAGIC, 1);
            put(&mut page, 8, sum(&read));
            put(&mut page, 16, sum(&write));
            put_histogram(&mut page, 512, &read);
            put_histogram(&mut page, 2056, &write);
            put_u32(&mut page, 3600, u32::try_from(sizes.len()).unwrap());
            for (i, size) in sizes.iter().enumerate() {
                put_u32(&mut page, 3604 + 4 * i, *size);
            }
            for (i, count) in counts.iter().enumerate() {
                put(&mut page, 4096 + 8 * i, *count);
            }
            let counted = |of: &[(u64, u64, u32)], counts: &[u64]| {
                let both = of.iter().zip(counts);
                bins(&both.map(|(b, count)| (b.0, b.1, *count)).collect::<Vec<_>>())
            };
            let pairs = sizes.iter().zip(counts.chunks(64));
            let expected: Vec<_> = pairs.map(|(size, counts)| BySize {
                up_to_bytes: *size,
                read_latency: counted(&read, &counts[..32]),
                write_latency: counted(&write, &counts[32..]),
            }).collect();
            prop_assert_eq!(parse(&page).by_size, expected);
        }
    }
}
