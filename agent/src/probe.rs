//! What is on a disk, read without changing it. libblkid names signatures; the
//! first and last MiB and a sample over the whole disk must read as zero, since
//! some data has no signature. Decides nothing about use: that is `rules`.

pub mod claim;
mod direct;
mod in_use;
mod sample;
mod signature;

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::inventory::{Content, Filesystem, Finding, Ours};
use claim::ClaimSlot;
pub use in_use::{InUse, Use, contents_in_use};
pub use signature::{arrays, signatures};

/// The label of a pool that spans all disks; `each` appends "-N".
pub const LABEL: &str = "instore";

/// What instore makes, by libblkid's names.
const OUR_FILESYSTEMS: &[&str] = &["xfs", "ext4"];

/// What is on a disk of this identity (see `Disk::identity`). An empty identity
/// means the device cannot carry a claim: an array.
#[must_use]
pub fn content(device: &Path, identity: &str) -> Content {
    told(|| probe(device, Claims::on(identity)))
}

/// The same for a disk that was read in full moments ago. Where both ends and a
/// smaller sample read as zero, no signature can have come; anything else is
/// read in full again.
#[must_use]
pub fn content_again(device: &Path, identity: &str) -> Content {
    let is_zero = || -> Result<bool> {
        let (file, size) = open(device)?;
        Ok(sample::first_data(&file, size, sample::SAMPLES_AGAIN)?.is_none())
    };
    match is_zero() {
        Ok(true) => Content::Empty,
        Ok(false) | Err(_) => content(device, identity),
    }
}

/// The filesystem of ours on a device, if that is what is there. For a device
/// on which a pool was made or found: other signatures are not looked for.
///
/// # Errors
/// When the device cannot be read.
pub fn filesystem(device: &Path) -> Result<Option<Filesystem>> {
    let (file, size) = open(device)?;
    let found = signature::filesystems(&file, size, OUR_FILESYSTEMS)
        .with_context(|| format!("read signatures of {}", device.display()))?;
    Ok(match recognise(&found) {
        Some(Ours::Filesystem(fs)) => Some(fs),
        _ => None,
    })
}

/// What is on a device or an image file that nobody has identified.
#[must_use]
pub fn content_of_path(path: &Path) -> Content {
    told(|| probe(path, Claims::OfAnyone))
}

#[derive(Clone, Copy)]
enum Claims<'a> {
    Of(&'a str),
    OfAnyone,
    Ignored,
}

impl<'a> Claims<'a> {
    fn on(identity: &'a str) -> Self {
        match identity {
            "" => Self::Ignored,
            identity => Self::Of(identity),
        }
    }
}

/// Whatever goes wrong while a disk is read, it is not empty.
fn told(read: impl FnOnce() -> Result<Content>) -> Content {
    let result = catch_unwind(AssertUnwindSafe(read));
    let result = result.unwrap_or_else(|_| Err(anyhow!("reading it ended in a fault of instore")));
    result.unwrap_or_else(|error| Content::Unreadable {
        cause: format!("{error:#}"),
    })
}

/// Opens a device or an image file to read what is on it now.
fn open(path: &Path) -> Result<(File, u64)> {
    let shown = path.display();
    // A FIFO would otherwise wait for a writer before its kind can be seen.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .with_context(|| format!("open {shown}"))?;
    let kind = file
        .metadata()
        .with_context(|| format!("stat {shown}"))?
        .file_type();
    ensure!(
        kind.is_file() || kind.is_block_device(),
        "{shown} is neither a block device nor a file"
    );
    let size = file
        .seek(SeekFrom::End(0))
        .with_context(|| format!("find the size of {shown}"))?;
    ensure!(size > 0, "{shown} has no size");
    sample::forget_cache(&file);
    Ok((file, size))
}

fn probe(path: &Path, claims: Claims<'_>) -> Result<Content> {
    let shown = path.display();
    let (file, size) = open(path)?;
    let found =
        signature::all(&file, size).with_context(|| format!("read signatures of {shown}"))?;
    let slot = match claims {
        Claims::Ignored => ClaimSlot::Absent,
        Claims::Of(_) | Claims::OfAnyone => {
            claim::read(&file, size).with_context(|| format!("read the claim on {shown}"))?
        }
    };
    let under = recognise(&found);
    let strange = found.iter().any(|s| !is_leftover(s));
    let mut findings: Vec<Finding> = found.into_iter().map(|s| s.finding).collect();
    match slot {
        ClaimSlot::Valid(mut claim) => {
            if matches!(claims, Claims::Of(identity) if identity != claim.disk) {
                findings.push(Finding {
                    what: format!("claim by instore for another disk ({})", claim.disk),
                    offset: claim::place(size).start,
                    label: None,
                });
                return Ok(Content::Foreign { findings });
            }
            // Somebody may have used the disk since: a claim excuses only what
            // an attempt of ours can have left.
            if strange {
                return Ok(Content::Foreign { findings });
            }
            claim.under = under.map(Box::new);
            return Ok(Content::Ours(Ours::Claimed(claim)));
        }
        ClaimSlot::Damaged => findings.push(Finding {
            what: "damaged claim by instore".into(),
            offset: claim::place(size).start,
            label: None,
        }),
        ClaimSlot::Absent => match under {
            Some(ours) if findings.len() == 1 => return Ok(Content::Ours(ours)),
            _ => {}
        },
    }
    // Plain data is reported too when a signature was found: what is not in
    // the signature's own block may be somebody's as well.
    if findings.is_empty()
        && let Some(offset) = sample::first_data(&file, size, sample::SAMPLES)
            .with_context(|| format!("read {shown}"))?
    {
        findings.push(Finding {
            what: "data".into(),
            offset,
            label: None,
        });
    }
    Ok(if findings.is_empty() {
        Content::Empty
    } else {
        Content::Foreign { findings }
    })
}

/// Whether an interrupted attempt of ours can have written this signature.
fn is_leftover(found: &signature::Signature) -> bool {
    match &found.member {
        Some(member) => member.name == signature::ARRAY_NAME,
        None => {
            let ours = found.finding.label.as_deref().is_some_and(is_our_label);
            OUR_FILESYSTEMS.contains(&found.finding.what.as_str()) && ours
        }
    }
}

/// Whether the only signature is one that instore makes.
fn recognise(found: &[signature::Signature]) -> Option<Ours> {
    let [only] = found else { return None };
    if let Some(member) = &only.member {
        return (member.name == signature::ARRAY_NAME).then(|| Ours::Member(member.clone()));
    }
    let label = only.finding.label.as_deref()?;
    let fs = only.finding.what.as_str();
    (OUR_FILESYSTEMS.contains(&fs) && is_our_label(label)).then(|| {
        Ours::Filesystem(Filesystem {
            fs: fs.to_owned(),
            label: label.to_owned(),
            uuid: only.uuid.clone().unwrap_or_default(),
        })
    })
}

/// "instore", or "instore-N" with N written as `plan` writes it.
fn is_our_label(label: &str) -> bool {
    label == LABEL || pool_index(label).is_some()
}

/// The pool's number in a label of layout `each`.
#[must_use]
pub fn pool_index(label: &str) -> Option<usize> {
    let digits = label.strip_prefix(LABEL)?.strip_prefix('-')?;
    let index: usize = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;
    use crate::inventory::Claim;

    const MIB: u64 = 1 << 20;

    fn image(size: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(size).unwrap();
        file
    }

    #[test]
    fn zeroes_are_empty_at_any_size() {
        for size in [1, 511, 4096, 300_000, 2 * MIB + 1, 64 * MIB] {
            assert_eq!(
                content_of_path(image(size).path()),
                Content::Empty,
                "{size}"
            );
        }
    }

    #[test]
    fn what_could_not_be_read_is_not_empty() {
        assert_eq!(content_of_path(image(0).path()).word(), "Unreadable");
        assert_eq!(content_of_path(Path::new("/")).word(), "Unreadable");
        assert_eq!(content_of_path(Path::new("/no/such")).word(), "Unreadable");
        assert_eq!(content_of_path(Path::new("/dev/null")).word(), "Unreadable");
    }

    #[test]
    fn a_fault_is_not_empty_either() {
        let content = told(|| panic!("as libblkid's bindings might"));
        assert_eq!(content.word(), "Unreadable");
    }

    #[test]
    fn one_byte_in_the_first_or_last_mib_is_found() {
        for offset in [0, 12_345, MIB - 1, 63 * MIB, 64 * MIB - 5000, 64 * MIB - 1] {
            let file = image(64 * MIB);
            file.as_file().write_all_at(b"x", offset).unwrap();
            let found = content_of_path(file.path());
            assert_eq!(found.reasons(), vec![format!("data at byte {offset}")]);
        }
    }

    #[test]
    fn a_run_as_wide_as_two_strata_is_always_found() {
        let size = 256 * MIB;
        let width = usize::try_from(2 * size / sample::SAMPLES).unwrap();
        for seed in 0..16 {
            let file = image(size);
            let offset = 40 * MIB + seed * 7777;
            file.as_file()
                .write_all_at(&vec![1; width], offset)
                .unwrap();
            assert_eq!(content_of_path(file.path()).word(), "Foreign", "{offset}");
        }
    }

    #[test]
    fn a_claim_is_believed_only_on_its_own_disk() {
        let file = image(8 * MIB);
        let claim = Claim {
            pool_uuid: "11111111-2222-3333-4444-555555555555".into(),
            disk: "AWS1/1".into(),
            under: None,
        };
        claim::write(file.as_file(), 8 * MIB, &claim).unwrap();
        assert_eq!(
            content(file.path(), "AWS1/1"),
            Content::Ours(Ours::Claimed(claim))
        );
        assert_eq!(content(file.path(), "AWS2/1").word(), "Foreign");
        assert_eq!(content(file.path(), "").word(), "Foreign");
        claim::clear(file.as_file(), 8 * MIB).unwrap();
        assert_eq!(content(file.path(), "AWS1/1"), Content::Empty);
    }

    #[test]
    fn a_claim_does_not_excuse_somebody_elses_signature() {
        let file = image(8 * MIB);
        let claim = Claim {
            pool_uuid: "p".into(),
            disk: "d".into(),
            under: None,
        };
        claim::write(file.as_file(), 8 * MIB, &claim).unwrap();
        file.as_file().write_all_at(b"SWAPSPACE2", 4086).unwrap();
        file.as_file()
            .write_all_at(&[1, 0, 0, 0, 255], 1024)
            .unwrap();
        file.as_file()
            .write_all_at(b"LUKS\xba\xbe\x00\x01", 0)
            .unwrap();
        let found = content(file.path(), "d");
        assert_eq!(found.word(), "Foreign", "{found:?}");
    }

    #[test]
    fn only_our_own_labels_are_ours() {
        for (label, index) in [
            ("instore-0", Some(0)),
            ("instore-12", Some(12)),
            ("instore-", None),
            ("instore-01", None),
            ("instorex", None),
        ] {
            assert_eq!(pool_index(label), index, "{label}");
        }
        assert!(is_our_label("instore") && !is_our_label("INSTORE") && !is_our_label(""));
    }
}
