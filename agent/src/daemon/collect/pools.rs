//! Space on the pools, whether they answer, and their trim: what reaches a
//! filesystem, and so may hang with it.

mod trim;

use std::path::Path;
use std::time::SystemTime;

use nix::sys::statvfs::statvfs;

use super::Deadlines;
use crate::daemon::state::{PoolReading, Readings, Snapshot, Space, Trouble};
use crate::metrics::{Events, Kind};

pub(super) use trim::Trim;

pub(super) fn ask(
    snapshot: &Snapshot,
    deadlines: &Deadlines,
    readings: &mut Readings,
    events: &Events,
) {
    for pool in &snapshot.pools {
        let reading = readings.pools.entry(pool.label.clone()).or_default();
        if !pool.mounted {
            reading.space = None;
            reading.trouble = None;
            continue;
        }
        let at = pool.at.clone();
        let had = reading.trouble.is_some();
        match deadlines.ask(&pool.label, move || look(&at)) {
            Ok(Ok((space, formatted))) => {
                reading.space = Some(space);
                reading.formatted = formatted;
                reading.trouble = None;
            }
            Ok(Err(words)) => fail(reading, Trouble::Errors(words)),
            Err(_) => fail(reading, Trouble::Late),
        }
        if reading.trouble.is_some() && !had {
            events.error(Kind::Statfs);
        }
    }
}

fn fail(reading: &mut PoolReading, trouble: Trouble) {
    reading.space = None;
    reading.trouble = Some(trouble);
}

/// Space, and when the filesystem was made: the birth of its root directory.
type Seen = (Space, Option<SystemTime>);

/// A filesystem that has shut down still answers statfs; listing a directory
/// is what it refuses.
fn look(at: &Path) -> Result<Seen, String> {
    let words = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let list = std::fs::read_dir(at).map_err(|e| words("list it", &e))?;
    if let Some(Err(error)) = list.into_iter().next() {
        return Err(words("list it", &error));
    }
    let facts = statvfs(at).map_err(|e| words("ask for its space", &e))?;
    let block = facts.fragment_size();
    let formatted = std::fs::metadata(at).and_then(|facts| facts.created()).ok();
    Ok((
        Space {
            size: facts.blocks() * block,
            free: facts.blocks_available() * block,
            inodes: facts.files(),
            inodes_free: facts.files_available(),
        },
        formatted,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_space_and_a_missing_one_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let (space, _) = look(dir.path()).unwrap();
        assert!(space.size > 0 && space.free <= space.size);
        let error = look(&dir.path().join("missing")).unwrap_err();
        assert!(error.contains("list it"), "{error}");
    }
}
