//! The claim: a record near the end of a disk while a pool is being made on it.
//! It says that the disk was empty and that nothing was mounted from it yet, so
//! that a half-made filesystem can be told from somebody's data after a crash.
//! It lies behind the end of every filesystem that instore makes, and before
//! what mkfs clears at the end of a device.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::sample;
use crate::inventory::Claim;

/// One block, whatever the disk's own block size.
const SLOT: u64 = 4096;
/// How far before the end of the disk the slot begins. mkfs.xfs zeroes the last
/// 128 KiB of its device, and an array may end one chunk (256 KiB) before its
/// disks do; filesystems of ours end a MiB before the end.
const FROM_END: u64 = 512 << 10;
const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8] = b"INSTORE-CLAIM-1\n";
/// The smallest block of a disk: what fits is written whole or not at all, so a
/// power cut leaves a claim or none.
const SECTOR: usize = 512;
/// Magic, then the length of the JSON (u16, little endian), then its SHA-256.
const HEADER: usize = MAGIC.len() + 2 + 32;

/// What the slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSlot {
    Absent,
    Valid(Claim),
    /// Our magic, and then not what we write.
    Damaged,
}

/// Where the claim of a disk of this size is.
#[must_use]
pub fn place(size: u64) -> Range<u64> {
    let start = size.saturating_sub(FROM_END) / SLOT * SLOT;
    start..start + SLOT
}

/// Reads the slot.
///
/// # Errors
/// When the device cannot be read.
pub fn read(file: &File, size: u64) -> Result<ClaimSlot> {
    if size < FROM_END {
        return Ok(ClaimSlot::Absent);
    }
    let mut block = [0; SLOT_BYTES];
    file.read_exact_at(&mut block, place(size).start)?;
    Ok(parse(&block))
}

/// Reads the slot of a device, from the disk and not from memory.
///
/// # Errors
/// When the device cannot be read.
pub fn read_afresh(device: &Path, size: u64) -> Result<ClaimSlot> {
    let what = || format!("read the claim on {}", device.display());
    let file = File::open(device).with_context(what)?;
    sample::forget_cache(&file);
    read(&file, size).with_context(what)
}

/// What the slot of these bytes is.
pub(super) fn parse(block: &[u8]) -> ClaimSlot {
    let Some(rest) = block.strip_prefix(MAGIC) else {
        return ClaimSlot::Absent;
    };
    let length = usize::from(u16::from_le_bytes([rest[0], rest[1]]));
    let (hash, body) = rest[2..].split_at(32);
    let claim = body
        .get(..length)
        .filter(|json| Sha256::digest(json).as_slice() == hash)
        .and_then(|json| serde_json::from_slice(json).ok());
    claim.map_or(ClaimSlot::Damaged, ClaimSlot::Valid)
}

/// Writes the claim and waits until it is on the disk.
///
/// # Errors
/// When it does not fit or cannot be written.
pub fn write(file: &File, size: u64, claim: &Claim) -> Result<()> {
    let json = serde_json::to_vec(&Claim {
        under: None,
        ..claim.clone()
    })?;
    ensure!(
        HEADER + json.len() <= SECTOR,
        "claim disk {}: its serial is too long for a record of {SECTOR} bytes",
        claim.disk
    );
    ensure!(
        size >= FROM_END,
        "claim disk {}: it is smaller than {FROM_END} bytes",
        claim.disk
    );
    let mut block = Vec::with_capacity(SLOT_BYTES);
    block.extend_from_slice(MAGIC);
    block.extend_from_slice(&u16::try_from(json.len())?.to_le_bytes());
    block.extend_from_slice(&Sha256::digest(&json));
    block.extend_from_slice(&json);
    block.resize(SLOT_BYTES, 0);
    store(file, size, &block).with_context(|| format!("write the claim on disk {}", claim.disk))
}

/// Clears the slot and waits until that is on the disk.
///
/// # Errors
/// When it cannot be written.
pub fn clear(file: &File, size: u64) -> Result<()> {
    store(file, size, &[0; SLOT_BYTES]).context("clear the claim")
}

fn store(file: &File, size: u64, block: &[u8]) -> Result<()> {
    file.write_all_at(block, place(size).start)?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fs;
    use crate::mounting::Quota;
    use crate::spawn;
    use crate::tools::{self, Geometry, Leftovers, Mkfs, Version};

    const SIZE: u64 = 1 << 20;

    fn any() -> Claim {
        Claim {
            pool_uuid: "11111111-2222-3333-4444-555555555555".into(),
            disk: "AWS1/1".into(),
            under: None,
        }
    }

    /// mkfs clears both ends of its device; a claim that it took away would make
    /// a filesystem cut short look finished.
    #[test]
    fn a_claim_outlives_mkfs_and_is_outlived_by_the_filesystem() {
        for fs in [Fs::Xfs, Fs::Ext4] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let size = (320 << 20) + 12_345;
            file.as_file().set_len(size).unwrap();
            write(file.as_file(), size, &any()).unwrap();
            let made = spawn::run(&tools::mkfs(&Mkfs {
                fs,
                device: file.path(),
                label: "instore",
                uuid: &any().pool_uuid,
                geometry: Geometry {
                    size: size - (1 << 20),
                    stripes: None,
                },
                kernel: Version(6, 1),
                xfsprogs: Version(5, 10),
                quota: Quota::On,
                leftovers: Leftovers::Ours,
            }));
            made.unwrap();
            assert_eq!(
                read(file.as_file(), size).unwrap(),
                ClaimSlot::Valid(any()),
                "{fs}"
            );
            clear(file.as_file(), size).unwrap();
            let check: &[&str] = match fs {
                Fs::Xfs => &["xfs_repair", "-n"],
                Fs::Ext4 => &["e2fsck", "-fn"],
            };
            let path = file.path().display().to_string();
            let argv = [check, &[path.as_str()]].concat();
            spawn::run(&spawn::Argv::new(&argv)).unwrap();
        }
    }

    #[test]
    fn a_bit_that_flipped_makes_it_damaged_not_absent() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        let claim = any();
        write(&file, SIZE, &claim).unwrap();
        assert_eq!(read(&file, SIZE).unwrap(), ClaimSlot::Valid(claim));
        let mut byte = [0];
        let at = place(SIZE).start + 60;
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        assert_eq!(read(&file, SIZE).unwrap(), ClaimSlot::Damaged);
    }

    #[test]
    fn a_claim_fits_into_one_sector() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SIZE).unwrap();
        let claim = |serial: usize| Claim {
            pool_uuid: "11111111-2222-3333-4444-555555555555".into(),
            disk: "s".repeat(serial),
            under: None,
        };
        write(&file, SIZE, &claim(40)).unwrap();
        let mut rest = vec![0; SLOT_BYTES - SECTOR];
        file.read_exact_at(&mut rest, place(SIZE).start + SECTOR as u64)
            .unwrap();
        assert!(rest.iter().all(|b| *b == 0));
        let error = write(&file, SIZE, &claim(600)).unwrap_err();
        assert!(error.to_string().contains("too long"));
    }

    #[test]
    fn a_device_smaller_than_a_slot_has_no_claim() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        assert_eq!(read(&file, 100).unwrap(), ClaimSlot::Absent);
    }
}
