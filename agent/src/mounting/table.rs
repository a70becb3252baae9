//! The mount table of the agent's own namespace.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::inventory::Mount;

/// Of the thread, so that a test may have a namespace to itself.
const TABLE: &str = "/proc/thread-self/mountinfo";

/// Reads the mount table of this process, in mount order.
///
/// # Errors
/// When /proc cannot be read.
pub fn mounts() -> Result<Vec<Mount>> {
    Ok(entries()?.into_iter().map(|e| e.mount).collect())
}

/// What is mounted strictly below a directory.
///
/// # Errors
/// When /proc cannot be read.
pub fn mounts_below(dir: &Path) -> Result<Vec<Mount>> {
    let mut below = mounts()?;
    below.retain(|m| m.at != dir && m.at.starts_with(dir));
    Ok(below)
}

/// Parses the text of a mountinfo file; lines that make no sense are left out.
/// The options are those of the mount and, after them, of the filesystem.
#[must_use]
pub fn parse_mountinfo(text: &str) -> Vec<Mount> {
    parse(text).into_iter().map(|e| e.mount).collect()
}

struct Entry {
    id: u64,
    mount: Mount,
}

fn entries() -> Result<Vec<Entry>> {
    let bytes = std::fs::read(TABLE).with_context(|| format!("read {TABLE}"))?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

fn parse(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

/// `36 35 98:0 /root /at rw,noatime master:1 - ext3 /dev/root rw,errors=x`
fn parse_line(line: &str) -> Option<Entry> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ');
    let id = front.next()?.parse().ok()?;
    let dev = front.nth(1)?.to_owned();
    let root = PathBuf::from(unescape(front.next()?));
    let at = PathBuf::from(unescape(front.next()?));
    let own = front.next()?;
    let mut back = back.split(' ');
    let fs = unescape(back.next()?);
    let source = unescape(back.next()?);
    let options = match back.next() {
        Some(of_filesystem) => format!("{own},{}", unescape(of_filesystem)),
        None => own.to_owned(),
    };
    let mount = Mount {
        dev,
        root,
        at,
        fs,
        source,
        options,
    };
    Some(Entry { id, mount })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let digits = bytes.get(i + 1..i + 4).filter(|d| {
            byte == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)) && d[0] <= b'3'
        });
        if let Some(digits) = digits {
            out.push(digits.iter().fold(0, |n, d| (n << 3) | (d - b'0')));
            i += 4;
        } else {
            out.push(byte);
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The mount whose root this open directory is, if it is one. Goes by the
/// mount's number, so a mount that another one hides is not mistaken for it.
pub(super) fn mounted_at(point: &OwnedFd, at: &Path) -> Result<Option<Mount>> {
    Ok(mount_of(point)?.filter(|m| m.at == at))
}

/// Where in its filesystem a directory is that was opened by this path.
pub(super) fn root_of(dir: &OwnedFd, path: &Path) -> Result<PathBuf> {
    let mount =
        mount_of(dir)?.with_context(|| format!("find {} in the mount table", path.display()))?;
    let below = path.strip_prefix(&mount.at).unwrap_or(Path::new(""));
    // A join with nothing would add a slash at the end.
    Ok(if below.as_os_str().is_empty() {
        mount.root
    } else {
        mount.root.join(below)
    })
}

fn mount_of(fd: &OwnedFd) -> Result<Option<Mount>> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let id: u64 = text
        .lines()
        .find_map(|l| l.strip_prefix("mnt_id:"))
        .and_then(|v| v.trim().parse().ok())
        .with_context(|| format!("find mnt_id in {path}"))?;
    Ok(entries()?.into_iter().find(|e| e.id == id).map(|e| e.mount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounting::{Missing, open_dir};

    #[test]
    fn a_line_is_read_with_its_escapes() {
        let text = "22 1 259:1 / / rw,relatime shared:1 - xfs /dev/nvme0n1p1 rw,attr2\n\
            nonsense\n\
            36 22 259:3 /.instore/binds/a\\134x2db /a\\040b\\012c rw,noatime - xfs /dev/x rw,prjquota\n\
            37 22 0:5 / /empty rw master:3 propagate_from:2 - tmpfs  rw\n";
        let mounts = parse_mountinfo(text);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].at, Path::new("/"));
        assert_eq!(mounts[0].source, "/dev/nvme0n1p1");
        assert_eq!(mounts[1].at, Path::new("/a b\nc"));
        assert_eq!(mounts[1].root, Path::new("/.instore/binds/a\\x2db"));
        assert_eq!(mounts[1].options, "rw,noatime,rw,prjquota");
        assert_eq!(mounts[2].source, "");
        assert_eq!(mounts[2].fs, "tmpfs");
    }

    #[test]
    fn octal_that_is_none_stays() {
        assert_eq!(unescape("a\\9b\\"), "a\\9b\\");
        assert_eq!(unescape("\\040\\04"), " \\04");
        assert_eq!(unescape("ä\\011"), "ä\t");
    }

    #[test]
    fn the_own_table_is_read() {
        assert!(mounts().unwrap().iter().any(|m| m.at == Path::new("/")));
        let fd = open_dir(Path::new("/proc"), Missing::Refuse).unwrap();
        assert_eq!(
            mounted_at(&fd, Path::new("/proc")).unwrap().unwrap().fs,
            "proc"
        );
        let fd = open_dir(Path::new("/proc/self/task"), Missing::Refuse);
        assert!(fd.is_err(), "/proc/self is a symbolic link");
    }
}
