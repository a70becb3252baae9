//! What is on devices that are in use, and so are never formatted: told by a
//! few blocks, where that is what the kernel's use of them says.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::claim::{self, ClaimSlot};
use super::direct::{self, Block, Place};
use super::signature::{self, MD_12_OFFSET};
use super::{content, open, recognise};
use crate::inventory::{Content, Ours};

/// How the kernel uses a device just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use<'a> {
    /// It is a member of a running array.
    Member,
    /// It is mounted, as this filesystem.
    Mounted { fs: &'a str },
}

/// A device that is in use.
#[derive(Debug)]
pub struct InUse<'a> {
    pub device: PathBuf,
    /// As for [`content`].
    pub identity: String,
    pub by: Use<'a>,
}

/// What is on each of these. What a few blocks do not show to be ours is read
/// as any other device.
#[must_use]
pub fn contents_in_use(devices: &[InUse<'_>]) -> Vec<Content> {
    let looks: Vec<Option<Look<'_>>> = devices.iter().map(|d| Look::new(d).ok()).collect();
    let places: Vec<Place<'_>> = looks.iter().flatten().flat_map(Look::places).collect();
    let mut blocks = direct::blocks(&places).into_iter();
    let told = |(look, device): (&Option<Look<'_>>, &InUse<'_>)| {
        let ours = look.as_ref().and_then(|look| {
            let its_blocks = blocks.by_ref().take(look.places().len()).collect();
            look.tell(its_blocks).ok().flatten()
        });
        match ours {
            Some(ours) => Content::Ours(ours),
            None => content(&device.device, &device.identity),
        }
    };
    looks.iter().zip(devices).map(told).collect()
}

/// What has to be read of one of them.
struct Look<'a> {
    of: &'a InUse<'a>,
    file: File,
    claim: Option<u64>,
    superblock: Option<u64>,
}

impl<'a> Look<'a> {
    fn new(of: &'a InUse<'a>) -> Result<Self> {
        let mut file = direct::open(&of.device)?;
        let claim = match of.identity.is_empty() {
            true => None,
            false => Some(claim::place(file.seek(SeekFrom::End(0))?).start),
        };
        let superblock = (of.by == Use::Member).then_some(MD_12_OFFSET);
        Ok(Self {
            of,
            file,
            claim,
            superblock,
        })
    }

    fn places(&self) -> Vec<Place<'_>> {
        let places = self.claim.into_iter().chain(self.superblock);
        places.map(|at| (&self.file, at)).collect()
    }

    /// What the blocks at these places say.
    fn tell(&self, blocks: Vec<Result<Block>>) -> Result<Option<Ours>> {
        let blocks: Vec<Block> = blocks.into_iter().collect::<Result<_>>()?;
        let mut blocks = blocks.iter();
        if self.claim.is_some() {
            let claim = blocks.next().context("no claim was read")?;
            if claim::parse(&claim.0) != ClaimSlot::Absent {
                return Ok(None);
            }
        }
        Ok(match self.of.by {
            Use::Member => {
                let superblock = blocks.next().context("no superblock was read")?;
                signature::our_member(&superblock.0).map(Ours::Member)
            }
            Use::Mounted { fs } => {
                let (file, size) = open(&self.of.device)?;
                recognise(&signature::filesystems(&file, size, &[fs])?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::inventory::Claim;

    const MIB: u64 = 1 << 20;

    /// Disks with the superblock of a member of the array of this name.
    fn members(names: &[&str]) -> Vec<tempfile::NamedTempFile> {
        // Not every temporary directory can be read directly; the target's can.
        let target = std::env::current_exe().unwrap();
        let member = |name: &&str| {
            let file = tempfile::NamedTempFile::new_in(target.parent().unwrap()).unwrap();
            file.as_file().set_len(8 * MIB).unwrap();
            let mut superblock = [0; 512];
            superblock[0..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
            superblock[4] = 1;
            superblock[32..32 + name.len()].copy_from_slice(name.as_bytes());
            file.as_file()
                .write_all_at(&superblock, MD_12_OFFSET)
                .unwrap();
            file
        };
        names.iter().map(member).collect()
    }

    fn told(files: &[tempfile::NamedTempFile]) -> Vec<Content> {
        let device = |file: &tempfile::NamedTempFile| InUse {
            device: file.path().to_owned(),
            identity: "AWS1/1".into(),
            by: Use::Member,
        };
        contents_in_use(&files.iter().map(device).collect::<Vec<_>>())
    }

    fn is_member(content: &Content) -> bool {
        matches!(content, Content::Ours(Ours::Member(_)))
    }

    #[test]
    fn each_is_told_by_its_own_superblock_unless_it_is_claimed() {
        let claim = Claim {
            pool_uuid: "p".into(),
            disk: "AWS1/1".into(),
            under: None,
        };
        // One alone is read in another way than many.
        for count in [1, 5] {
            let files = members(&["any:instore"; 5][..count]);
            assert!(told(&files).iter().all(is_member), "{:?}", told(&files));
            let claimed = files[count / 2].as_file();
            claim::write(claimed, 8 * MIB, &claim).unwrap();
            let are: Vec<bool> = told(&files).iter().map(is_member).collect();
            let wanted: Vec<bool> = (0..count).map(|i| i != count / 2).collect();
            assert_eq!(are, wanted, "{:?}", told(&files));
            claim::clear(claimed, 8 * MIB).unwrap();
            assert!(told(&files).iter().all(is_member));
        }
    }

    #[test]
    fn what_is_not_ours_or_gone_does_not_spoil_its_neighbours() {
        let files = members(&["any:instore", "any:instorX", "any:instore"]);
        let words: Vec<&str> = told(&files).iter().map(Content::word).collect();
        assert_eq!(words, ["Ours", "Foreign", "Ours"]);
        std::fs::remove_file(files[1].path()).unwrap();
        let words: Vec<&str> = told(&files).iter().map(Content::word).collect();
        assert_eq!(words, ["Ours", "Unreadable", "Ours"]);
    }
}
