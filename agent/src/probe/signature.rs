//! Signatures by libblkid, all of them and with their offsets, and the few
//! fields of an md superblock that tell our array from somebody's.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Error, Result, anyhow};
use libblkid_rs::{BlkidErr, BlkidFltr, BlkidProbe, BlkidProbeRet, BlkidSublks, BlkidSublksFlags};

use crate::inventory::{Finding, Member};

/// Our array's name in the superblock: `--homehost=any` makes md keep it when
/// the hostname changes.
pub(super) const ARRAY_NAME: &str = "any:instore";

/// More than that on one disk is garbage; the first ones say enough.
const MOST: usize = 64;

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) finding: Finding,
    pub(super) uuid: Option<String>,
    /// For a member of an md array with 1.2 metadata.
    pub(super) member: Option<Member>,
}

/// Names the signatures of a device that nobody may use anyway. What cannot be
/// read has none to show.
#[must_use]
pub fn signatures(device: &Path) -> Vec<Finding> {
    let read = || -> Result<Vec<Signature>> {
        let mut file = File::open(device)?;
        let size = file.seek(SeekFrom::End(0))?;
        all(&file, size)
    };
    let found = read().unwrap_or_default();
    found.into_iter().map(|s| s.finding).collect()
}

/// The member of an array that a device is, as mdadm makes them by default: its
/// name tells who else manages disks.
#[must_use]
pub fn arrays(device: &Path) -> Vec<Finding> {
    let read = || md_member(&File::open(device)?, MD_12_OFFSET);
    let member = read().ok().flatten();
    let finding = member.map(|member| Finding {
        what: "linux_raid_member".into(),
        offset: MD_12_OFFSET,
        label: Some(member.name),
    });
    finding.into_iter().collect()
}

/// Every signature libblkid finds, in the order of the device.
pub(super) fn all(file: &File, size: u64) -> Result<Vec<Signature>> {
    let mut probe = new_probe(file, size)?;
    probe.enable_partitions(true).map_err(fail)?;
    let mut found = read(&mut probe, file, size)?;
    found.extend(lone_gpt(file, size, &found)?);
    found.sort_by_key(|s| s.finding.offset);
    found.dedup();
    Ok(found)
}

/// Signatures of these kinds, by libblkid's names, which takes a fraction of
/// the time.
pub(super) fn filesystems(file: &File, size: u64, kinds: &[&str]) -> Result<Vec<Signature>> {
    let mut probe = new_probe(file, size)?;
    probe
        .filter_superblock_type(BlkidFltr::Onlyin, kinds)
        .map_err(fail)?;
    read(&mut probe, file, size)
}

fn fail(error: BlkidErr) -> Error {
    anyhow!("probe with libblkid: {error}")
}

fn new_probe(file: &File, size: u64) -> Result<BlkidProbe> {
    let mut probe = BlkidProbe::new().map_err(fail)?;
    probe
        .set_device(file.as_raw_fd(), 0, i64::try_from(size)?)
        .map_err(fail)?;
    probe.enable_superblocks(true).map_err(fail)?;
    probe
        .set_superblock_flags(BlkidSublksFlags::new(vec![
            BlkidSublks::Type,
            BlkidSublks::Label,
            BlkidSublks::Uuid,
            BlkidSublks::Magic,
            // A damaged superblock is somebody's all the same.
            BlkidSublks::Badcsum,
        ]))
        .map_err(fail)?;
    Ok(probe)
}

fn read(probe: &mut BlkidProbe, file: &File, size: u64) -> Result<Vec<Signature>> {
    let mut found = Vec::new();
    while found.len() < MOST {
        match probe.do_probe().map_err(fail)? {
            BlkidProbeRet::Success => found.extend(current(probe, file, size)?),
            BlkidProbeRet::Done => break,
        }
    }
    Ok(found)
}

fn current(probe: &BlkidProbe, file: &File, size: u64) -> Result<Option<Signature>> {
    let value = |name: &str| probe.lookup_value(name).ok().filter(|v| !v.is_empty());
    let (what, offset) = match (value("TYPE"), value("PTTYPE")) {
        (Some(what), _) => {
            let offset = value("SBMAGIC_OFFSET").and_then(|o| o.trim().parse().ok());
            (what, offset.unwrap_or(0))
        }
        (None, Some(what)) => {
            let offset = table_offset(file, size, &what)?;
            (format!("{what} partition table"), offset)
        }
        (None, None) => return Ok(None),
    };
    let member = match what.as_str() {
        "linux_raid_member" => md_member(file, offset).context("read the md superblock")?,
        _ => None,
    };
    Ok(Some(Signature {
        finding: Finding {
            what,
            offset,
            label: value("LABEL"),
        },
        uuid: value("UUID"),
        member,
    }))
}

/// Where a partition table's magic is. The bindings cannot ask libblkid for it.
fn table_offset(file: &File, size: u64, what: &str) -> Result<u64> {
    Ok(match what {
        "gpt" => gpt_headers(file, size)?.first().copied().unwrap_or(0),
        // The boot signature ends the first sector.
        "dos" | "PMBR" => 510,
        _ => 0,
    })
}

/// libblkid names a GPT only behind a protective MBR. Each header counts.
fn lone_gpt(file: &File, size: u64, found: &[Signature]) -> Result<Vec<Signature>> {
    let named = |offset: u64| found.iter().any(|s| s.finding.offset == offset);
    Ok(gpt_headers(file, size)?
        .into_iter()
        .filter(|offset| !named(*offset))
        .map(|offset| Signature {
            finding: Finding {
                what: "gpt partition table".into(),
                offset,
                label: None,
            },
            uuid: None,
            member: None,
        })
        .collect())
}

/// Offsets of GPT headers, first and backup, for both sector sizes.
fn gpt_headers(file: &File, size: u64) -> Result<Vec<u64>> {
    let mut headers = Vec::new();
    for sector in [512, 4096] {
        if size < 2 * sector {
            continue;
        }
        // The backup is in the last whole sector.
        for offset in [sector, (size / sector - 1) * sector] {
            let mut magic = [0; 8];
            file.read_exact_at(&mut magic, offset)?;
            if &magic == b"EFI PART" {
                headers.push(offset);
            }
        }
    }
    Ok(headers)
}

/// Where metadata 1.2 begins; 1.0 is at the end and 1.1 at 0: not ours.
pub(super) const MD_12_OFFSET: u64 = 4096;
/// The fixed part and the roles of more members than anybody has.
const MD_BYTES: usize = 1024;
const MD_MAGIC: u32 = 0xa92b_4efc;

/// The superblock of our array, in the block at [`MD_12_OFFSET`] of a disk that
/// the kernel runs an array from.
pub(super) fn our_member(block: &[u8]) -> Option<Member> {
    let member = parse_md(block.first_chunk()?)?;
    (member.name == ARRAY_NAME).then_some(member)
}

/// Reads the superblock as <linux/raid/md_p.h> lays it out (mdp_superblock_1).
fn md_member(file: &File, magic_offset: u64) -> Result<Option<Member>> {
    if magic_offset != MD_12_OFFSET {
        return Ok(None);
    }
    let mut block = [0; MD_BYTES];
    file.read_exact_at(&mut block, MD_12_OFFSET)?;
    Ok(parse_md(&block))
}

fn parse_md(block: &[u8; MD_BYTES]) -> Option<Member> {
    let u32_at =
        |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    if u32_at(0) != MD_MAGIC || u32_at(4) != 1 {
        return None;
    }
    let name = &block[32..64];
    let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
    // dev_roles[dev_number] is this member's slot, an array of u16 at 256.
    let number = u32_at(160) as usize;
    let slot = block.get(256 + 2 * number..258 + 2 * number);
    Some(Member {
        array_uuid: uuid_text(&block[16..32]),
        name: String::from_utf8_lossy(name).into_owned(),
        level: u32_at(72).cast_signed(),
        raid_disks: u32_at(92),
        slot: slot.map_or(u32::MAX, |s| u32::from(u16::from_le_bytes([s[0], s[1]]))),
    })
}

/// Sixteen bytes as 8-4-4-4-12.
pub(crate) fn uuid_text(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    [
        &hex[0..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_reads_as_blkid_prints_it() {
        let bytes: Vec<u8> = (0..16).collect();
        assert_eq!(uuid_text(&bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }

    #[test]
    fn an_md_superblock_gives_name_level_and_slot() {
        let file = tempfile::tempfile().unwrap();
        let mut block = vec![0; 1024];
        block[0..4].copy_from_slice(&MD_MAGIC.to_le_bytes());
        block[4] = 1;
        block[32..43].copy_from_slice(b"any:instore");
        block[72] = 10;
        block[92] = 4;
        block[160] = 2;
        block[260] = 3;
        file.set_len(1 << 20).unwrap();
        file.write_all_at(&block, MD_12_OFFSET).unwrap();
        let member = md_member(&file, MD_12_OFFSET).unwrap().unwrap();
        assert_eq!((member.name.as_str(), member.level), (ARRAY_NAME, 10));
        assert_eq!((member.raid_disks, member.slot), (4, 3));
        assert_eq!(md_member(&file, 0).unwrap(), None);
    }
}
