//! What is at the paths that a mount or a bind would cover. No link is
//! followed: what it leads to would be covered instead.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Purpose;
use crate::config::{Config, Layout};
use crate::inventory::PathFacts;
use crate::root::Root;

/// Looked at for people, whether the configuration names them or not.
const USUAL: &[&str] = &[
    "/data",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/pods",
];

/// Facts by path; with layout `each` also of a mount point for every disk.
pub(super) fn read(
    root: &Root,
    config: &Config,
    disks: usize,
    purpose: Purpose,
) -> BTreeMap<PathBuf, PathFacts> {
    let targets = config.targets().into_iter().map(Path::to_path_buf);
    let mut paths: Vec<PathBuf> = targets.collect();
    if purpose == Purpose::Show {
        paths.extend(USUAL.iter().map(PathBuf::from));
    }
    if config.layout == Layout::Each {
        paths.extend((0..disks).map(|n| config.mount.join(n.to_string())));
    }
    paths
        .into_iter()
        .map(|path| {
            let facts = facts(root, &path);
            (path, facts)
        })
        .collect()
}

fn facts(root: &Root, path: &Path) -> PathFacts {
    let mut place = root.join("/");
    for part in path.strip_prefix("/").unwrap_or(path) {
        place.push(part);
        match std::fs::symlink_metadata(&place) {
            Ok(is) if is.is_symlink() => return PathFacts::Symlink,
            Ok(is) if is.is_dir() => {}
            Ok(_) => return PathFacts::NotADirectory,
            Err(e) if e.kind() == ErrorKind::NotFound => return PathFacts::Missing,
            Err(_) => return PathFacts::Unreadable,
        }
    }
    PathFacts::Directory
}
