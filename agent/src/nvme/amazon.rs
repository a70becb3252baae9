//! The page in which an Amazon device counts its work, decoded: operations,
//! bytes, time, and how long a limit of the volume or of the instance held it
//! back. How it is read is in `admin`. Amazon publishes no description of it;
//! the places below are those that its tools use.
//!
//! Those tools agree on the first 96 bytes, which are the counters, for EBS and
//! for instance store. What they say of the rest is in `histogram`.

use serde::Serialize;

use super::field;

mod histogram;

pub use histogram::{Bin, BySize, Histogram};

/// The page is read by these: every controller can send as much in one command.
/// An EBS page is one piece, an instance-store page has two.
pub(super) const PIECE: usize = 4096;

/// The first four bytes: one of two numbers that Amazon chose.
const EBS: u32 = 0x3C23_B510;
const INSTANCE_STORE: u32 = 0xEC2C_0D7E;

/// The only version whose histograms are known.
const DETAILED: u32 = 1;

/// What a device counted since its instance began. Times are in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amazon {
    pub kind: Kind,
    pub version: u32,
    pub read_ops: u64,
    pub write_ops: u64,
    pub read_bytes: u64,
    pub write_bytes: u64,
    pub read_time: u64,
    pub write_time: u64,
    /// How long more was asked for than the volume may do: EBS only.
    pub volume_iops_exceeded: Option<u64>,
    pub volume_throughput_exceeded: Option<u64>,
    /// How long more was asked for than the instance may do.
    pub instance_iops_exceeded: u64,
    pub instance_throughput_exceeded: u64,
    /// Requests under way just now.
    pub queue_length: u64,
    /// None, as the next one, where the page has none that can be believed.
    pub read_latency: Option<Histogram>,
    pub write_latency: Option<Histogram>,
    /// The same by size of request, smallest first: instance store only, and
    /// empty where the second piece was not read or cannot be believed.
    pub by_size: Vec<BySize>,
}

/// What sort of device has such a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Ebs,
    InstanceStore,
}

/// A page that ends before its first piece does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decode an Amazon page: it ends after {length} of {PIECE} bytes")]
pub struct PageError {
    pub length: usize,
}

impl Amazon {
    /// Decodes the first piece, or both where both are given. None where the
    /// page is not Amazon's.
    ///
    /// # Errors
    /// When the bytes end before that is known, or before the first piece does.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, PageError> {
        let truncated = PageError {
            length: bytes.len(),
        };
        let magic = bytes.first_chunk().ok_or(truncated)?;
        let kind = match u32::from_le_bytes(*magic) {
            EBS => Kind::Ebs,
            INSTANCE_STORE => Kind::InstanceStore,
            _ => return Ok(None),
        };
        let (page, rest) = bytes.split_first_chunk::<PIECE>().ok_or(truncated)?;
        let count = |at| u64_at(page, at);
        // Not applicable to a local disk, and nobody says that it is zero there.
        let of_volume = |at| (kind == Kind::Ebs).then(|| count(at));
        let mut stats = Self {
            kind,
            version: u32_at(page, 4),
            read_ops: count(8),
            write_ops: count(16),
            read_bytes: count(24),
            write_bytes: count(32),
            read_time: count(40),
            write_time: count(48),
            volume_iops_exceeded: of_volume(56),
            volume_throughput_exceeded: of_volume(64),
            instance_iops_exceeded: count(72),
            instance_throughput_exceeded: count(80),
            queue_length: count(88),
            read_latency: None,
            write_latency: None,
            by_size: Vec::new(),
        };
        let ops = [stats.read_ops, stats.write_ops];
        if stats.version == DETAILED
            && let Some(both) = histogram::both(page, ops)
        {
            if stats.has_second_piece()
                && let Some(second) = rest.first_chunk()
            {
                stats.by_size = histogram::by_size(page, second, &both).unwrap_or_default();
            }
            let [read, write] = both;
            stats.read_latency = Some(read);
            stats.write_latency = Some(write);
        }
        Ok(Some(stats))
    }

    /// Whether the page of this device goes on behind its first piece.
    pub(super) fn has_second_piece(&self) -> bool {
        self.kind == Kind::InstanceStore && self.version == DETAILED
    }
}

fn u32_at(page: &[u8; PIECE], at: usize) -> u32 {
    u32::from_le_bytes(field(page, at))
}

fn u64_at(page: &[u8; PIECE], at: usize) -> u64 {
    u64::from_le_bytes(field(page, at))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::nvme) const EBS_MAGIC: [u8; 4] = [0x10, 0xB5, 0x23, 0x3C];
    pub(in crate::nvme) const STORE_MAGIC: [u8; 4] = [0x7E, 0x0D, 0x2C, 0xEC];

    pub(in crate::nvme) fn put(page: &mut [u8], at: usize, value: u64) {
        page[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    pub(in crate::nvme) fn put_u32(page: &mut [u8], at: usize, value: u32) {
        page[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// A page where every counter is its own place, with no details.
    pub(in crate::nvme) fn counters(magic: [u8; 4], version: u32) -> Vec<u8> {
        let mut page = vec![0; 8192];
        page[..4].copy_from_slice(&magic);
        put_u32(&mut page, 4, version);
        for at in (8..96_u8).step_by(8) {
            put(&mut page, at.into(), at.into());
        }
        page
    }

    pub(in crate::nvme) fn put_histogram(page: &mut [u8], at: usize, bins: &[(u64, u64, u32)]) {
        put(page, at, bins.len() as u64);
        for (i, (lower, upper, count)) in bins.iter().enumerate() {
            put(page, at + 8 + i * 24, *lower);
            put(page, at + 16 + i * 24, *upper);
            put_u32(page, at + 24 + i * 24, *count);
            put_u32(page, at + 28 + i * 24, 0xFFFF_FFFF);
        }
    }

    pub(in crate::nvme) fn parse(page: &[u8]) -> Amazon {
        Amazon::parse(page).unwrap().unwrap()
    }

    /// A page with 8 reads, 16 writes, histograms of both, and two sizes.
    pub(in crate::nvme) fn detailed() -> Vec<u8> {
        let mut page = counters(STORE_MAGIC, 1);
        put_histogram(&mut page, 512, &[(0, 64, 5), (64, 128, 3)]);
        put_histogram(&mut page, 2056, &[(0, 1, 0), (2, u64::MAX, 15)]);
        put_u32(&mut page, 3600, 2);
        put_u32(&mut page, 3604, 4096);
        put_u32(&mut page, 3608, u32::MAX);
        for (i, at) in [4096, 4352, 4608, 4864].into_iter().enumerate() {
            put(&mut page, at, 10 * i as u64);
            put(&mut page, at + 8, 10 * i as u64 + 1);
        }
        page
    }

    #[test]
    fn every_counter_is_in_its_place() {
        let ebs = Amazon {
            kind: Kind::Ebs,
            version: 0,
            read_ops: 8,
            write_ops: 16,
            read_bytes: 24,
            write_bytes: 32,
            read_time: 40,
            write_time: 48,
            volume_iops_exceeded: Some(56),
            volume_throughput_exceeded: Some(64),
            instance_iops_exceeded: 72,
            instance_throughput_exceeded: 80,
            queue_length: 88,
            read_latency: None,
            write_latency: None,
            by_size: Vec::new(),
        };
        let store = Amazon {
            kind: Kind::InstanceStore,
            version: 1,
            volume_iops_exceeded: None,
            volume_throughput_exceeded: None,
            ..ebs.clone()
        };
        assert_eq!(parse(&counters(EBS_MAGIC, 0)), ebs);
        assert_eq!(parse(&counters(STORE_MAGIC, 1)), store);
        assert_eq!(parse(&counters(STORE_MAGIC, 1)[..4096]), store);
    }

    #[test]
    fn a_page_of_another_maker_is_none_at_any_length() {
        for page in [[0; 8192], [0xFF; 8192], [0x7E; 8192]] {
            for length in [4, 95, 4096, 8192] {
                assert_eq!(Amazon::parse(&page[..length]), Ok(None));
            }
        }
    }

    #[test]
    fn a_page_cut_short_is_an_error_at_every_length() {
        let page = detailed();
        for length in 0..4096 {
            let error = Amazon::parse(&page[..length]).unwrap_err();
            assert_eq!(error, PageError { length });
        }
        // The second piece counts only when it is whole.
        for length in 4096..8192 {
            let stats = parse(&page[..length]);
            assert!(stats.read_latency.is_some() && stats.by_size.is_empty());
        }
        assert_eq!(parse(&page).by_size.len(), 2);
    }

    #[test]
    fn details_are_for_one_version_and_sizes_for_instance_store() {
        for version in [0, 2, u32::MAX] {
            let mut page = detailed();
            put_u32(&mut page, 4, version);
            let stats = parse(&page);
            assert_eq!((stats.read_latency, stats.write_latency), (None, None));
            assert_eq!((stats.by_size.len(), stats.read_ops), (0, 8));
        }
        let mut page = detailed();
        page[..4].copy_from_slice(&EBS_MAGIC);
        let stats = parse(&page);
        assert!(stats.read_latency.is_some() && stats.by_size.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(
            mut bytes in prop::collection::vec(any::<u8>(), 0..9000),
            start in prop::sample::select(vec![EBS_MAGIC, STORE_MAGIC, [0; 4]]),
            lengths in prop::array::uniform2(0..70_u8),
        ) {
            let mut set = |at: usize, value: &[u8]| {
                if let Some(place) = bytes.get_mut(at..at + value.len()) {
                    place.copy_from_slice(value);
                }
            };
            if start != [0; 4] {
                set(0, &start);
                set(4, &[1, 0, 0, 0]);
                for (at, length) in [512, 2056].into_iter().zip(lengths) {
                    set(at, &u64::from(length).to_le_bytes());
                }
            }
            let known = matches!(bytes.first_chunk(), Some(&(EBS_MAGIC | STORE_MAGIC)));
            match Amazon::parse(&bytes) {
                Ok(stats) => prop_assert_eq!(stats.is_some(), known),
                Err(_) => prop_assert!(bytes.len() < 4 || (known && bytes.len() < 4096)),
            }
        }

        #[test]
        fn a_page_says_what_was_written(
            counts in prop::array::uniform11(any::<u64>()),
            version in any::<u32>(),
            magic in prop::sample::select(vec![EBS_MAGIC, STORE_MAGIC]),
        ) {
            let mut page = counters(magic, version);
            for (i, count) in counts.into_iter().enumerate() {
                put(&mut page, 8 + 8 * i, count);
            }
            let stats = parse(&page);
            let volume = (stats.volume_iops_exceeded, stats.volume_throughput_exceeded);
            let expected = match stats.kind {
                Kind::Ebs => (Some(counts[6]), Some(counts[7])),
                Kind::InstanceStore => (None, None),
            };
            prop_assert_eq!(volume, expected);
            prop_assert_eq!(stats.kind == Kind::Ebs, magic == EBS_MAGIC);
            prop_assert_eq!(stats.version, version);
            let head = [stats.read_ops, stats.write_ops, stats.read_bytes, stats.write_bytes];
            prop_assert_eq!(&head, &counts[..4]);
            prop_assert_eq!(&[stats.read_time, stats.write_time], &counts[4..6]);
            let tail = [
                stats.instance_iops_exceeded,
                stats.instance_throughput_exceeded,
                stats.queue_length,
            ];
            prop_assert_eq!(&tail, &counts[8..]);
        }
    }
}
