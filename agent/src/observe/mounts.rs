//! Mount tables: the agent's own, and those of every other mount namespace
//! whose processes can be seen.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::read;
use crate::inventory::Mount;
use crate::root::Root;

/// The mounts of one namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    /// A process in it; None for the agent's own.
    pub(super) pid: Option<u32>,
    pub(super) mounts: Vec<Mount>,
}

/// The agent's own namespace.
pub(super) fn own(root: &Root) -> Result<Namespace> {
    let own = root.join("/proc/self/mountinfo");
    let text =
        read::whole(&own).with_context(|| format!("read {}: is /proc mounted?", own.display()))?;
    Ok(Namespace {
        pid: None,
        mounts: parse(&text),
    })
}

/// All other namespaces that can be seen, by process.
pub(super) fn add_others(root: &Root, all: &mut Vec<Namespace>) {
    let proc = root.join("/proc");
    let mut seen = BTreeSet::new();
    seen.extend(std::fs::read_link(proc.join("self/ns/mnt")).ok());
    let mut pids: Vec<u32> = read::names(&proc)
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        let process = proc.join(pid.to_string());
        // A namespace that cannot be told apart is read once more rather than
        // not at all.
        if let Ok(namespace) = std::fs::read_link(process.join("ns/mnt"))
            && !seen.insert(namespace)
        {
            continue;
        }
        // Processes end while we look; then their mounts end too.
        if let Some(text) = read::text(&process.join("mountinfo")) {
            all.push(Namespace {
                pid: Some(pid),
                mounts: parse(&text),
            });
        }
    }
}

/// Parses a mount table; a line that is none is left out.
fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`
fn line(text: &str) -> Option<Mount> {
    let mut fields = text.split(' ');
    let dev = fields.nth(2)?.to_owned();
    let root = PathBuf::from(read::unescaped(fields.next()?));
    let at = PathBuf::from(read::unescaped(fields.next()?));
    let options = fields.next()?;
    let mut fields = fields.skip_while(|field| *field != "-").skip(1);
    let fs = read::unescaped(fields.next()?);
    let source = read::unescaped(fields.next().unwrap_or_default());
    let of_fs = fields.next().unwrap_or_default();
    Some(Mount {
        dev,
        root,
        at,
        fs,
        source,
        options: format!("{options},{of_fs}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_escapes_and_any_number_of_tags() {
        let text = "36 35 259:1 /sub\\040dir /mnt/a\\011b rw,noatime shared:7 master:1 - xfs /dev/x rw,prjquota\n\
                    37 35 0:5 / /dev rw - devtmpfs  rw\n\
                    38 nonsense\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].dev, "259:1");
        assert_eq!(mounts[0].root, PathBuf::from("/sub dir"));
        assert_eq!(mounts[0].at, PathBuf::from("/mnt/a\tb"));
        assert_eq!(mounts[0].options, "rw,noatime,rw,prjquota");
        assert_eq!(
            (mounts[1].fs.as_str(), mounts[1].source.as_str()),
            ("devtmpfs", "")
        );
    }
}
