//! Processes that use a directory: working directory, root, program, open
//! files and mapped files, as /proc tells.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Process, beneath, units};

/// All processes but this one that use something in the directories. A process
/// that ends meanwhile is left out.
pub(super) fn using(dirs: &[&Path]) -> Result<Vec<Process>> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("read /proc")? {
        let entry = entry.context("read /proc")?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        let place = entry.path();
        if pid == own || !uses(&place, dirs) {
            continue;
        }
        found.push(Process {
            pid: i32::try_from(pid).unwrap_or(i32::MAX),
            command: command(&place),
            unit: fs::read_to_string(place.join("cgroup"))
                .ok()
                .and_then(|t| units::of_cgroup(&t)),
        });
    }
    found.sort_by_key(|p| p.pid);
    Ok(found)
}

fn uses(place: &Path, dirs: &[&Path]) -> bool {
    let links = ["cwd", "root", "exe"].map(|name| place.join(name));
    let files = fs::read_dir(place.join("fd"))
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok().map(|e| e.path()));
    links
        .into_iter()
        .chain(files)
        .filter_map(|link| fs::read_link(link).ok())
        .any(|target| beneath(&target, dirs))
        || fs::read(place.join("maps"))
            .is_ok_and(|maps| mapped(&String::from_utf8_lossy(&maps)).any(|f| beneath(&f, dirs)))
}

/// The files in the text of /proc/PID/maps.
fn mapped(maps: &str) -> impl Iterator<Item = PathBuf> + '_ {
    maps.lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]))
        .map(|path| PathBuf::from(path.trim_end_matches(" (deleted)")))
}

/// The command line, or the short name for a process that hides it.
fn command(place: &Path) -> String {
    let line = fs::read(place.join("cmdline")).unwrap_or_default();
    let words: Vec<_> = line
        .split(|b| *b == 0)
        .filter(|w| !w.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    let text = if words.is_empty() {
        fs::read_to_string(place.join("comm")).unwrap_or_default()
    } else {
        words.join(" ")
    };
    // Enough to recognise it by.
    text.trim().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{self, Argv};

    #[test]
    fn mapped_files_are_found() {
        let maps = "55d0-55d1 r-xp 00000000 08:01 131 /var/lib/x/my lib.so\n\
            7f00-7f01 rw-p 00000000 00:00 0 \n\
            7f02-7f03 rw-s 00000000 08:01 132 /var/lib/y (deleted)\n\
            7ffc-7ffd rw-p 00000000 00:00 0 [stack]\n";
        let found: Vec<_> = mapped(maps).collect();
        assert_eq!(
            found,
            [Path::new("/var/lib/x/my lib.so"), Path::new("/var/lib/y")]
        );
    }

    #[test]
    fn a_process_with_an_open_file_is_found_and_this_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let own = fs::File::create(base.join("own")).unwrap();
        assert!(
            !using(&[&base])
                .unwrap()
                .iter()
                .any(|p| p.pid.unsigned_abs() == std::process::id())
        );
        let shell = {
            let script = "cd \"$1\"; touch begun; until [ -e end ]; do sleep 0.02; done";
            let argv = Argv::new(&["sh", "-c", script, "sh", base.to_str().unwrap()]);
            std::thread::spawn(move || spawn::run(&argv))
        };
        while !base.join("begun").exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut found = using(&[&base]).unwrap();
        found.retain(|p| !p.command.starts_with("sleep"));
        fs::write(base.join("end"), "").unwrap();
        shell.join().unwrap().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].command.starts_with("sh -c cd"), "{found:?}");
        drop(own);
    }
}
