//! The claim: a record in the last 4 KiB of a disk while a pool is being made
//! on it. It says that the disk was empty and that nothing was mounted from it
//! yet, so that a half-made filesystem can be told from somebody's data after
//! a crash. It lies behind the end of every filesystem that instore makes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use crate::inventory::Claim;

/// One block of any disk, so that it is written whole or not at all.
const SLOT: u64 = 4096;
const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8] = b"INSTORE-CLAIM-1\n";
/// Magic, then the length of the JSON (u16, little endian), then its SHA-256.
const HEADER: usize = MAGIC.len() + 2 + 32;

/// What the last block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSlot {
    Absent,
    Valid(Claim),
    /// Our magic, and then not what we write.
    Damaged,
}

/// Where the claim of a disk of this size is.
#[must_use]
pub fn offset(size: u64) -> u64 {
    (size / SLOT).saturating_sub(1) * SLOT
}

/// Reads the slot.
///
/// # Errors
/// When the device cannot be read.
pub fn read(file: &File, size: u64) -> Result<ClaimSlot> {
    if size < SLOT {
        return Ok(ClaimSlot::Absent);
    }
    let mut block = [0; SLOT_BYTES];
    file.read_exact_at(&mut block, offset(size))?;
    Ok(parse(&block))
}

fn parse(block: &[u8]) -> ClaimSlot {
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
        HEADER + json.len() <= SLOT_BYTES,
        "claim disk {}: the record of {} disks does not fit into {SLOT} bytes",
        claim.disk,
        claim.disks.len()
    );
    ensure!(
        size >= SLOT,
        "claim disk {}: it is smaller than {SLOT} bytes",
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
    file.write_all_at(block, offset(size))?;
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_that_flipped_makes_it_damaged_not_absent() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(SLOT * 3).unwrap();
        let claim = Claim {
            pool_uuid: "u".into(),
            disk: "d".into(),
            disks: (0..24)
                .map(|i| format!("AWS0123456789ABCDEF{i}/1"))
                .collect(),
            under: None,
        };
        write(&file, SLOT * 3, &claim).unwrap();
        assert_eq!(read(&file, SLOT * 3).unwrap(), ClaimSlot::Valid(claim));
        let mut byte = [0];
        let at = SLOT * 2 + 60;
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        assert_eq!(read(&file, SLOT * 3).unwrap(), ClaimSlot::Damaged);
    }

    #[test]
    fn a_device_smaller_than_a_slot_has_no_claim() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        assert_eq!(read(&file, 100).unwrap(), ClaimSlot::Absent);
    }
}
