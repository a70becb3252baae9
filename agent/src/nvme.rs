//! What an NVMe controller says of its own health and of its work, in two of
//! its log pages. Nothing here changes a device or has state; sysfs is read in
//! `observe`, and what the numbers mean for a node is decided by the caller.
//!
//! A controller that hangs makes these calls hang with it, and the kernel lets
//! nobody interrupt them: call from a thread that may be given up.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::libc;

mod admin;
pub mod amazon;
pub mod smart;

pub use admin::Status;
pub use amazon::Amazon;
pub use smart::Smart;

/// SMART / Health Information, from the NVMe base specification.
const SMART_PAGE: u8 = 0x02;

/// The page that Amazon gives its devices: the number is for vendors to use,
/// so other makers mean something else by it.
const AMAZON_PAGE: u8 = 0xD0;

/// Stands for the controller and not for one of its namespaces.
const WHOLE_CONTROLLER: u32 = 0xFFFF_FFFF;

/// Reads the health of the controller behind a device. None where it keeps no
/// such page: virtual controllers give zeros.
///
/// # Errors
/// When the device cannot be opened, is not NVMe, or refuses (then the chain
/// holds a [`Status`]).
pub fn smart(device: &Path) -> Result<Option<Smart>> {
    let file = open(device)?;
    let mut page = [0; smart::LENGTH];
    admin::get_log_page(file.as_fd(), SMART_PAGE, WHOLE_CONTROLLER, 0, &mut page)
        .with_context(|| what(SMART_PAGE, device))?;
    Ok(Smart::parse(&page))
}

/// Reads what an Amazon device counted since its instance began, for one
/// namespace. None where the answer is not Amazon's. Amazon wants to be asked
/// at most once a second, and only its own controllers should be asked at all.
///
/// # Errors
/// When the device cannot be opened, is not NVMe, or refuses (then the chain
/// holds a [`Status`]).
pub fn amazon(device: &Path, nsid: u32) -> Result<Option<Amazon>> {
    let file = open(device)?;
    amazon_pieces(|offset, piece| {
        admin::get_log_page(file.as_fd(), AMAZON_PAGE, nsid, offset, piece)
    })
    .with_context(|| what(AMAZON_PAGE, device))
}

/// Puts the page together from its pieces, which `read` gets by their offset.
fn amazon_pieces(mut read: impl FnMut(u64, &mut [u8]) -> Result<()>) -> Result<Option<Amazon>> {
    let mut page = [0; 2 * amazon::PIECE];
    let (first, second) = page.split_at_mut(amazon::PIECE);
    read(0, first)?;
    let counters = Amazon::parse(first)?;
    if !counters.as_ref().is_some_and(Amazon::has_second_piece) {
        return Ok(counters);
    }
    // What the first piece told is worth having without the second.
    match read(amazon::PIECE as u64, second) {
        Ok(()) => Ok(Amazon::parse(&page)?),
        Err(_) => Ok(counters),
    }
}

/// Without waiting for anything, and without write access: closing a descriptor
/// that could write wakes udev.
fn open(device: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(device)
        .with_context(|| format!("open {}", device.display()))
}

fn what(page: u8, device: &Path) -> String {
    format!("read log page {page:#04x} of {}", device.display())
}

/// A field of a page. Only for places that are inside every page of its kind.
fn field<const N: usize>(page: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| page[at + i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use amazon::tests::{EBS_MAGIC, STORE_MAGIC, detailed};
    use anyhow::bail;

    /// Both pieces of a page with histograms of two sizes.
    fn device(magic: [u8; 4], version: u8) -> Vec<u8> {
        let mut page = detailed();
        page[..4].copy_from_slice(&magic);
        page[4] = version;
        page
    }

    /// Reads such a page, and notes which parts of it were asked for.
    fn read(page: &[u8], broken: Option<u64>) -> (Result<Option<Amazon>>, Vec<(u64, usize)>) {
        let mut asked = Vec::new();
        let result = amazon_pieces(|offset, piece| {
            asked.push((offset, piece.len()));
            if broken == Some(offset) {
                bail!("broken");
            }
            let from = usize::try_from(offset)?;
            piece.copy_from_slice(&page[from..from + piece.len()]);
            Ok(())
        });
        (result, asked)
    }

    #[test]
    fn the_second_piece_is_read_only_where_there_is_one() {
        for (magic, version, pieces) in [
            (STORE_MAGIC, 1, 2),
            (STORE_MAGIC, 0, 1),
            (STORE_MAGIC, 2, 1),
            (EBS_MAGIC, 1, 1),
            (EBS_MAGIC, 0, 1),
        ] {
            let (stats, asked) = read(&device(magic, version), None);
            let stats = stats.unwrap().unwrap();
            let both = [(0, 4096), (4096, 4096)];
            assert_eq!(asked, both[..pieces], "{magic:x?} {version}");
            assert_eq!(stats.read_ops, 8);
            assert_eq!(stats.by_size.len(), 2 * (pieces - 1));
        }
        let (stats, asked) = read(&[0; 8192], None);
        assert_eq!((stats.unwrap(), asked.len()), (None, 1));
    }

    #[test]
    fn a_second_piece_that_fails_does_not_lose_the_first() {
        let page = device(STORE_MAGIC, 1);
        let (whole, _) = read(&page, None);
        let (first, asked) = read(&page, Some(4096));
        let expected = Amazon {
            by_size: Vec::new(),
            ..whole.unwrap().unwrap()
        };
        assert!(expected.read_latency.is_some());
        assert_eq!((first.unwrap(), asked.len()), (Some(expected), 2));
        let (nothing, asked) = read(&page, Some(0));
        assert_eq!(
            (nothing.unwrap_err().to_string(), asked.len()),
            ("broken".into(), 1)
        );
    }

    #[test]
    fn errors_name_the_page_and_the_device() {
        let null = Path::new("/dev/null");
        let error = format!("{:#}", smart(null).unwrap_err());
        assert!(
            error.starts_with("read log page 0x02 of /dev/null: "),
            "{error}"
        );
        assert!(error.contains("ENOTTY"), "{error}");
        let error = format!("{:#}", amazon(null, 1).unwrap_err());
        assert!(
            error.starts_with("read log page 0xd0 of /dev/null: "),
            "{error}"
        );
        let error = format!("{:#}", smart(Path::new("/nonexistent")).unwrap_err());
        assert!(error.starts_with("open /nonexistent: "), "{error}");
    }
}
