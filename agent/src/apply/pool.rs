//! The destructive steps: claims, arrays, filesystems. Each looks again first.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tracing::warn;

use super::{Made, Work};
use crate::config::Fs;
use crate::fault;
use crate::guard::{self, Access, Guard, device};
use crate::inventory::{Claim, Content, Disk};
use crate::mounting::Quota;
use crate::observe;
use crate::plan::{Level, Step};
use crate::probe::{self, claim};
use crate::spawn::{self, Argv};
use crate::tools::{self, Geometry, Leftovers, Mkfs, Version};
use crate::workers;

/// Left free behind every filesystem, for the claim. A MiB keeps alignment.
const TAIL: u64 = 1 << 20;
/// mdadm's name for the node's array. Only a handle while it runs.
const ARRAY: &str = "/dev/md/instore";

/// udev needs no longer for the disks of one node.
const ASSEMBLE_ATTEMPTS: u32 = 10;
const ASSEMBLE_WAIT: Duration = Duration::from_secs(1);

/// The disks of a pool, as they were observed.
pub(super) fn disks<'a>(work: Work<'a>) -> Result<Vec<&'a Disk>> {
    work.pool
        .disks
        .iter()
        .map(|wanted| {
            let disk = work.inventory.disks.iter();
            disk.clone()
                .find(|d| d.identity() == wanted.identity && d.name == wanted.name)
                .with_context(|| format!("find disk {} in the inventory", wanted.identity))
        })
        .collect()
}

pub(super) fn claim(work: Work<'_>, made: &mut Made) -> Result<()> {
    let disks = disks(work)?;
    let uuid = random_uuid()?;
    if work
        .pool
        .steps
        .contains(&Step::MakeFilesystem { fs: Fs::Xfs })
    {
        made.mkfs_version = Some(thread::spawn(|| {
            spawn::run(&Argv::new(&["mkfs.xfs", "-V"]))
        }));
    }
    // All are verified before the first is written.
    let guards = workers::on_all(disks.clone(), |disk| {
        let guard = Guard::open(disk, Access::UntilHandedOver)?;
        guard.expect(disk.content.as_ref())?;
        anyhow::Ok(guard)
    });
    let mut guards = guards.into_iter().collect::<Result<Vec<Guard>>>()?;
    for (guard, disk) in guards.iter().zip(&disks) {
        let claim = Claim {
            pool_uuid: uuid.clone(),
            disk: disk.identity(),
            under: None,
        };
        claim::write(guard.file(), guard.size(), &claim)?;
        fault::boundary("claimed a disk");
    }
    for (guard, disk) in guards.iter().zip(&disks) {
        if matches!(disk.content, Some(Content::Ours(_))) {
            made.leftovers = true;
            clear_edges(guard).with_context(|| format!("clear disk {}", disk.identity()))?;
        }
    }
    guards.iter_mut().for_each(Guard::hand_over);
    made.uuid = Some(uuid);
    made.held = guards;
    Ok(())
}

/// Takes the headers of an unfinished attempt away, all but the claim.
fn clear_edges(guard: &Guard) -> Result<()> {
    let zeroes = vec![0; usize::try_from(TAIL)?];
    let clear = |from: u64, to: u64| {
        let length = usize::try_from(to.saturating_sub(from))?;
        let zeroes = zeroes.get(..length).context("clear more than an edge")?;
        guard.file().write_all_at(zeroes, from)?;
        anyhow::Ok(())
    };
    let slot = claim::place(guard.size());
    clear(0, TAIL.min(slot.start))?;
    clear(slot.start.saturating_sub(TAIL / 2), slot.start)?;
    clear(slot.end, guard.size())?;
    guard.file().sync_all()?;
    Ok(())
}

/// Refuses unless the device of this name carries the claim that was just
/// written, which no other disk can.
fn is_claimed(disk: &Disk, uuid: &str) -> Result<()> {
    let found = claim::read_afresh(&device(&disk.name), disk.size)?;
    let ours = matches!(&found, claim::ClaimSlot::Valid(c) if c.pool_uuid == uuid && c.disk == disk.identity());
    ensure!(
        ours,
        "disk {} (/dev/{}) does not carry the claim of this pool any more",
        disk.identity(),
        disk.name
    );
    Ok(())
}

pub(super) fn stop_array(work: Work<'_>) -> Result<()> {
    let disks = disks(work)?;
    // There may be more than one: udev makes another of what did not fit.
    for _ in &disks {
        if holder_of(&disks).is_err() {
            break;
        }
        spawn::run(&tools::stop_array(&device(&array_of(&disks)?)))?;
    }
    Ok(())
}

pub(super) fn create_array(work: Work<'_>, level: Level, made: &Made) -> Result<()> {
    let disks = disks(work)?;
    let uuid = made
        .uuid
        .as_deref()
        .context("create an array before the claim")?;
    disks.iter().try_for_each(|disk| is_claimed(disk, uuid))?;
    let devices: Vec<PathBuf> = disks.iter().map(|d| device(&d.name)).collect();
    let devices: Vec<&Path> = devices.iter().map(PathBuf::as_path).collect();
    spawn::run(&tools::create_array(
        level,
        uuid,
        Path::new(ARRAY),
        &devices,
    ))?;
    fault::boundary("created the array");
    array_of(&disks).map(|_| ())
}

/// Assembles the array, or lets udev do it: both may be at it early in a boot,
/// and then each finds the other's disks busy for a moment.
pub(super) fn assemble_array(work: Work<'_>, uuid: &str) -> Result<()> {
    let disks = disks(work)?;
    let mut result = Ok(());
    for _ in 0..ASSEMBLE_ATTEMPTS {
        if is_running(&disks) {
            return Ok(());
        }
        result = try_assemble(&disks, uuid);
        if is_running(&disks) {
            return Ok(());
        }
        let _ = observe::udev::wait_for_change(ASSEMBLE_WAIT);
    }
    result.and(Err(anyhow!("array {uuid} did not start")))
}

fn try_assemble(disks: &[&Disk], uuid: &str) -> Result<()> {
    // What udev has put together only in part stands in the way.
    if let Ok(partial) = holder_of(disks)
        && !is_active(&partial)
    {
        spawn::run(&tools::stop_array(&device(&partial)))?;
    }
    disks.iter().try_for_each(|disk| guard::verify(disk))?;
    let devices: Vec<PathBuf> = disks.iter().map(|d| device(&d.name)).collect();
    let devices: Vec<&Path> = devices.iter().map(PathBuf::as_path).collect();
    spawn::run(&tools::assemble_array(uuid, Path::new(ARRAY), &devices)).map(|_| ())
}

fn is_running(disks: &[&Disk]) -> bool {
    array_of(disks).is_ok_and(|name| is_active(&name))
}

fn is_active(array: &str) -> bool {
    let state = Path::new("/sys/class/block")
        .join(array)
        .join("md/array_state");
    std::fs::read_to_string(state).is_ok_and(|s| !matches!(s.trim(), "inactive" | "clear"))
}

/// The md device that has any of these disks.
fn holder_of(disks: &[&Disk]) -> Result<String> {
    for disk in disks {
        let holders = Path::new("/sys/class/block")
            .join(&disk.name)
            .join("holders");
        let mut names = read_names(&holders)?;
        names.retain(|name| name.starts_with("md"));
        if let Some(name) = names.pop() {
            return Ok(name);
        }
    }
    Err(anyhow!("find the array of the pool: no disk is in one"))
}

/// The md device on these disks and no others, from sysfs. A RAID10 may have
/// lost one.
pub(super) fn array_of(disks: &[&Disk]) -> Result<String> {
    let name = holder_of(disks)?;
    let members = read_names(&Path::new("/sys/class/block").join(&name).join("slaves"))?;
    let wanted: Vec<&str> = disks.iter().map(|d| d.name.as_str()).collect();
    ensure!(
        members.iter().all(|m| wanted.contains(&m.as_str())),
        "array {name} is made of {members:?}, not of {wanted:?}"
    );
    Ok(name)
}

fn read_names(directory: &Path) -> Result<Vec<String>> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("read {}", directory.display()))?;
    Ok(entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect())
}

/// The device that holds the pool's filesystem.
pub(super) fn pool_device(work: Work<'_>) -> Result<PathBuf> {
    let disks = disks(work)?;
    match (work.pool.level, disks.as_slice()) {
        (None, [only]) => Ok(device(&only.name)),
        (None, _) => Err(anyhow!("a pool without an array has one disk")),
        (Some(_), disks) => array_of(disks).map(|name| device(&name)),
    }
}

pub(super) fn make_filesystem(work: Work<'_>, fs: Fs, made: &mut Made) -> Result<()> {
    let uuid = made
        .uuid
        .as_deref()
        .context("make a filesystem before the claim")?;
    let disks = disks(work)?;
    let target = pool_device(work)?;
    disks.iter().try_for_each(|disk| is_claimed(disk, uuid))?;
    let size =
        device_size(&target).with_context(|| format!("find the size of {}", target.display()))?;
    let tails = TAIL * disks.len() as u64;
    let room = work
        .config
        .reserve
        .rest_of(size)
        .min(size.saturating_sub(tails));
    let stripes = match work.pool.level {
        None => None,
        Some(Level::Raid0) => Some(u32::try_from(disks.len())?),
        Some(Level::Raid10) => Some(u32::try_from(disks.len() / 2)?),
    };
    let fs_uuid = if work.pool.level.is_some() {
        random_uuid()?
    } else {
        uuid.to_owned()
    };
    let xfsprogs = match made.mkfs_version.take().map(JoinHandle::join) {
        None => Version(0, 0),
        Some(Ok(said)) => Version::parse(&said?),
        Some(Err(_)) => bail!("asking mkfs for its version ended in a fault of instore"),
    };
    spawn::run(&tools::mkfs(&Mkfs {
        fs,
        device: &target,
        label: &work.pool.label,
        uuid: &fs_uuid,
        geometry: Geometry {
            size: room,
            stripes,
        },
        kernel: Version::parse(&work.inventory.node.kernel),
        xfsprogs,
        quota: quota_for(work, fs),
        leftovers: if made.leftovers {
            Leftovers::Ours
        } else {
            Leftovers::None
        },
    }))?;
    File::open(&target)
        .and_then(|f| f.sync_all())
        .with_context(|| format!("write {} out", target.display()))?;
    fault::boundary("made the filesystem");
    Ok(())
}

/// Whether the running kernel can mount this filesystem with project quotas.
pub(super) fn quota_for(work: Work<'_>, fs: Fs) -> Quota {
    let features = &work.inventory.node.features;
    let able = match fs {
        Fs::Xfs => features.quota,
        Fs::Ext4 => features.ext4_quota,
    };
    if able { Quota::On } else { Quota::Off }
}

fn device_size(path: &Path) -> std::io::Result<u64> {
    use std::io::{Seek as _, SeekFrom};
    File::open(path)?.seek(SeekFrom::End(0))
}

/// Clears the claims. After this the pool is finished, whatever happens.
pub(super) fn finish(work: Work<'_>, made: &mut Made) -> Result<()> {
    let target = pool_device(work)?;
    ensure!(
        probe::filesystem(&target)?.is_some(),
        "{} holds no filesystem of ours after mkfs",
        target.display()
    );
    let mut held = std::mem::take(&mut made.held);
    if held.is_empty() {
        // Another run made the pool.
        for disk in disks(work)? {
            held.push(Guard::open(disk, Access::Shared)?);
        }
    }
    for guard in held {
        match claim::read(guard.file(), guard.size())? {
            claim::ClaimSlot::Valid(_) => claim::clear(guard.file(), guard.size())?,
            claim::ClaimSlot::Absent => {}
            claim::ClaimSlot::Damaged => warn!("disk {} has a damaged claim", guard.identity()),
        }
        fault::boundary("cleared a claim");
    }
    Ok(())
}

/// A random UUID from the kernel.
fn random_uuid() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").context("make a UUID")?;
    Ok(text.trim().to_owned())
}
