//! The mark on a file that a run made and kept, so that a later run may take it
//! again. It holds only for that inode as it was left: a copy of the file has
//! another number, and one that was written since has another time.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use nix::libc;

use super::decide::Maker;

/// Of the user's namespace, which every filesystem with attributes has.
const NAME: &std::ffi::CStr = c"user.instore.bench";

/// Longer ones are not ours.
const LONGEST: usize = 128;

/// What a kept file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Data that cannot be compressed, everywhere.
    Data,
    /// Whatever jobs wrote.
    Anything,
}

/// Says that a run has this file, until it is marked as kept. Where the
/// filesystem has no attributes, no file is taken again.
pub(super) fn begin(file: &File) {
    let _ = set(file, "running");
}

/// Says that it may be taken again as it is now.
pub(super) fn keep(file: &File, holds: Holds) -> io::Result<()> {
    set(file, &text(&file.metadata()?, holds))
}

/// Who made a file, and what it holds if that is us. `file` may be open with
/// O_PATH only.
pub(super) fn read(file: &File) -> io::Result<(Maker, Holds)> {
    let metadata = file.metadata()?;
    let mark = get(file);
    // SAFETY: geteuid has no arguments and cannot fail.
    let user = unsafe { libc::geteuid() };
    Ok(judge(&metadata, user, mark.as_deref()))
}

fn judge(file: &Metadata, user: u32, mark: Option<&str>) -> (Maker, Holds) {
    // A link from elsewhere, or another user's file, is never ours.
    if mark.is_none() || file.uid() != user || file.nlink() != 1 {
        return (Maker::Somebody, Holds::Anything);
    }
    let maker = match mark {
        Some("running") => Maker::UsKilled,
        Some(mark) if mark == text(file, Holds::Data) => return (Maker::Us, Holds::Data),
        Some(mark) if mark == text(file, Holds::Anything) => Maker::Us,
        _ => Maker::UsChanged,
    };
    (maker, Holds::Anything)
}

fn text(file: &Metadata, holds: Holds) -> String {
    let holds = match holds {
        Holds::Data => "data",
        Holds::Anything => "anything",
    };
    format!(
        "kept {} {} {}.{:09} {holds}",
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec()
    )
}

fn set(file: &File, text: &str) -> io::Result<()> {
    // SAFETY: the name ends in NUL, the value is as long as said, and both
    // outlive the call.
    let done = unsafe {
        libc::fsetxattr(
            file.as_raw_fd(),
            NAME.as_ptr(),
            text.as_ptr().cast(),
            text.len(),
            0,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// By its path: descriptors of O_PATH have no attributes themselves.
fn get(file: &File) -> Option<String> {
    let path = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let mut value = [0_u8; LONGEST];
    // SAFETY: both strings end in NUL, and the buffer is as long as said.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            NAME.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let length = usize::try_from(length).ok()?;
    String::from_utf8(value[..length].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn maker(file: &File) -> Maker {
        read(file).unwrap().0
    }

    #[test]
    fn only_a_file_that_was_kept_and_left_alone_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = File::create_new(&path).unwrap();
        assert_eq!(maker(&file), Maker::Somebody);
        begin(&file);
        assert_eq!(maker(&file), Maker::UsKilled);
        file.write_all_at(b"data", 0).unwrap();
        keep(&file, Holds::Data).unwrap();
        assert_eq!(read(&file).unwrap(), (Maker::Us, Holds::Data));
        keep(&file, Holds::Anything).unwrap();
        assert_eq!(read(&file).unwrap(), (Maker::Us, Holds::Anything));

        // A second name for it, and none again.
        fs::hard_link(&path, dir.path().join("g")).unwrap();
        assert_eq!(maker(&file), Maker::Somebody);
        fs::remove_file(dir.path().join("g")).unwrap();
        assert_eq!(maker(&file), Maker::Us);

        file.set_len(100).unwrap();
        assert_eq!(maker(&file), Maker::UsChanged);
    }

    #[test]
    fn a_copy_with_its_attributes_is_somebodys() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create_new(dir.path().join("f")).unwrap();
        keep(&file, Holds::Data).unwrap();
        let copy = File::create_new(dir.path().join("g")).unwrap();
        set(&copy, &get(&file).unwrap()).unwrap();
        copy.set_times(
            fs::FileTimes::new().set_modified(file.metadata().unwrap().modified().unwrap()),
        )
        .unwrap();
        assert_eq!(maker(&copy), Maker::UsChanged);
        let metadata = file.metadata().unwrap();
        let mark = get(&file);
        let stranger = metadata.uid() + 1;
        assert_eq!(
            judge(&metadata, stranger, mark.as_deref()).0,
            Maker::Somebody
        );
    }
}
