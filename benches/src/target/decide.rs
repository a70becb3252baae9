//! What may be done with what is found under a name. Pure: every way that a
//! target can be has its answer here, before anything is touched.

use std::path::{Path, PathBuf};

/// What is found, without following a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Missing(Place),
    /// A regular file.
    File(Maker),
    Symlink(PathBuf),
    Directory,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// Where a name is that nothing is found under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Files,
    /// The filesystem of device files.
    Devices,
}

/// Who made a regular file, by its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// A run of ours that kept it, and nobody wrote it since.
    Us,
    /// A run of ours that did not come to its end.
    UsKilled,
    /// A run of ours, but somebody wrote to it since.
    UsChanged,
    Somebody,
}

/// `--destructive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destructive {
    Said,
    NotSaid,
}

/// What jobs do with it, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    OnlyRead,
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Make the file, which must not be there.
    Create,
    /// Take the file that an earlier run made and kept.
    Reuse,
    /// Ask the gate for the device.
    AskGate,
}

/// # Errors
/// When it may not be used: with the reason, and what to do.
pub(super) fn decide(
    path: &Path,
    seen: &Seen,
    purpose: Purpose,
    destructive: Destructive,
) -> Result<Decision, String> {
    let refused = |why: String| Err(format!("use {}: {why}", path.display()));
    match seen {
        Seen::Missing(Place::Files) => Ok(Decision::Create),
        Seen::Missing(Place::Devices) => {
            refused("there is no such device, and no file is made among devices".into())
        }
        Seen::File(Maker::Us) => Ok(Decision::Reuse),
        Seen::File(Maker::UsKilled) => refused(
            "another benchmark uses this file, or was killed and left it: if none runs, remove it"
                .into(),
        ),
        Seen::File(Maker::UsChanged) => refused(
            "an earlier benchmark made this file, but somebody changed it since: \
             name another file, or remove it"
                .into(),
        ),
        Seen::File(Maker::Somebody) => refused(
            "it is a file that instore did not make: name one that is not there yet, \
             or a directory"
                .into(),
        ),
        Seen::Symlink(to) => refused(format!(
            "it is a symbolic link (to {}): links are not followed, name what is meant itself",
            to.display()
        )),
        Seen::Directory => refused("it is a directory: say it as directory=".into()),
        Seen::Fifo => refused("it is a FIFO, not a file or a disk".into()),
        Seen::Socket => refused("it is a socket, not a file or a disk".into()),
        Seen::CharDevice => refused("it is a character device, not a file or a disk".into()),
        Seen::BlockDevice => match (destructive, purpose) {
            (Destructive::Said, _) => Ok(Decision::AskGate),
            (Destructive::NotSaid, Purpose::Write) => refused(
                "it is a disk, and this writes over it: say --destructive if it is empty \
                 and may be written"
                    .into(),
            ),
            (Destructive::NotSaid, Purpose::OnlyRead) => refused(
                "it is a disk, and before reads are measured it is written, because blocks \
                 that were never written answer without the disk: say --destructive if it \
                 is empty and may be written"
                    .into(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Purpose, Destructive); 4] = [
        (Purpose::OnlyRead, Destructive::NotSaid),
        (Purpose::OnlyRead, Destructive::Said),
        (Purpose::Write, Destructive::NotSaid),
        (Purpose::Write, Destructive::Said),
    ];

    fn decided(seen: &Seen) -> Vec<Result<Decision, String>> {
        ALL.iter()
            .map(|&(purpose, destructive)| decide(Path::new("/x/f"), seen, purpose, destructive))
            .collect()
    }

    #[test]
    fn what_is_not_there_is_made_and_what_we_kept_is_taken() {
        for (seen, answer) in [
            (Seen::Missing(Place::Files), Decision::Create),
            (Seen::File(Maker::Us), Decision::Reuse),
        ] {
            assert!(decided(&seen).iter().all(|d| *d == Ok(answer)), "{seen:?}");
        }
    }

    #[test]
    fn whatever_else_it_is_it_is_refused_whatever_the_flags() {
        for (seen, word) in [
            (Seen::Missing(Place::Devices), "no such device"),
            (Seen::File(Maker::Somebody), "did not make"),
            (Seen::File(Maker::UsChanged), "changed it since"),
            (Seen::File(Maker::UsKilled), "was killed"),
            (Seen::Symlink("/dev/nvme1n1".into()), "/dev/nvme1n1"),
            (Seen::Directory, "directory="),
            (Seen::Fifo, "FIFO"),
            (Seen::Socket, "socket"),
            (Seen::CharDevice, "character device"),
        ] {
            for decision in decided(&seen) {
                let why = decision.unwrap_err();
                assert!(why.starts_with("use /x/f: ") && why.contains(word), "{why}");
            }
        }
    }

    #[test]
    fn a_device_is_written_only_when_that_was_said_and_the_gate_lets_it() {
        let decisions = decided(&Seen::BlockDevice);
        for (decision, (_, destructive)) in decisions.iter().zip(ALL) {
            match destructive {
                Destructive::Said => assert_eq!(*decision, Ok(Decision::AskGate)),
                Destructive::NotSaid => {
                    assert!(decision.as_ref().unwrap_err().contains("--destructive"));
                }
            }
        }
    }
}
