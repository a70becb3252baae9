//! Small readings: sysfs attributes in three system calls, lists of names,
//! text that may not be UTF-8.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{self, Mode};

/// The kernel gives an attribute of sysfs at most one page, in one read.
const ATTRIBUTE_BYTES: usize = 4096;

/// Text that others wrote is read no further: none of it is meant to be long.
const MAX_TEXT: u64 = 4 << 20;

/// An attribute, without the spaces and NULs that pad it. None when there is
/// none, or it cannot be read.
pub(super) fn attribute(path: &Path) -> Option<String> {
    first_page(&mut File::open(path).ok()?)
}

fn first_page(file: &mut File) -> Option<String> {
    let mut page = [0; ATTRIBUTE_BYTES];
    let length = file.read(&mut page).ok()?;
    Some(trimmed(page.get(..length)?))
}

/// A directory of sysfs that is kept open: paths there are long, and every part
/// of one costs.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    open: Option<OwnedFd>,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Self {
            open: fcntl::open(&path, flags, Mode::empty()).ok(),
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory below, or ".." above.
    pub(super) fn directory(&self, name: &str) -> Self {
        let path = match (name, self.path.parent()) {
            ("..", Some(parent)) => parent.to_path_buf(),
            _ => self.path.join(name),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Self {
            open: self.open_at(name, flags),
            path,
        }
    }

    fn open_at(&self, name: &str, flags: OFlag) -> Option<OwnedFd> {
        fcntl::openat(self.open.as_ref()?, name, flags, Mode::empty()).ok()
    }

    /// As the function of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let file = self.open_at(name, OFlag::O_RDONLY | OFlag::O_CLOEXEC)?;
        first_page(&mut File::from(file))
    }

    /// A numeric attribute.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.parse().ok()
    }

    /// Whether a boolean attribute is there and not 0.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.attribute(name).is_some_and(|text| text != "0")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.open_at(name, OFlag::O_PATH | OFlag::O_CLOEXEC)
            .is_some()
    }

    /// As the function of this name; "." lists the directory itself.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let list = self
            .open_at(name, flags)
            .and_then(|fd| Dir::from_fd(fd).ok());
        let entries = list.into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "." && name != "..")
            .collect();
        names.sort();
        names
    }
}

/// Without the padding of fixed-width fields, and as UTF-8.
pub(super) fn trimmed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let padding = |c: char| c == '\0' || c.is_ascii_whitespace();
    text.trim_matches(padding).to_owned()
}

/// A file as text, up to a bound; None when it cannot be read.
pub(super) fn text(path: &Path) -> Option<String> {
    read(File::open(path).ok()?.take(MAX_TEXT)).ok()
}

/// A table of the kernel as text, however long.
pub(super) fn whole(path: &Path) -> std::io::Result<String> {
    read(File::open(path)?.take(u64::MAX))
}

fn read(mut file: std::io::Take<File>) -> std::io::Result<String> {
    // Room for most of them, so that one read does.
    let mut bytes = Vec::with_capacity(4 * ATTRIBUTE_BYTES);
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Names in a directory, sorted; none when it is not there.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// "major:minor" of the block device that a path leads to.
pub(super) fn device_number(path: &Path) -> Option<String> {
    let facts = std::fs::metadata(path).ok()?;
    let number = facts.rdev();
    facts
        .file_type()
        .is_block_device()
        .then(|| format!("{}:{}", stat::major(number), stat::minor(number)))
}

/// The octal escapes that /proc writes for spaces, tabs, newlines and
/// backslashes in names.
pub(super) fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match octal(bytes.get(at + 1..at + 4)).filter(|_| byte == b'\\') {
            Some(decoded) => {
                out.push(decoded);
                at += 4;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn octal(digits: Option<&[u8]>) -> Option<u8> {
    let text = std::str::from_utf8(digits?).ok()?;
    let plain = text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    plain.then(|| u8::from_str_radix(text, 8).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_goes_and_inner_spaces_stay() {
        assert_eq!(trimmed(b"  nvme_card  \0\0\n"), "nvme_card");
        assert_eq!(trimmed(b"a b\n"), "a b");
        assert_eq!(trimmed(b"\xff\n"), "\u{fffd}");
    }

    #[test]
    fn octal_escapes_are_decoded_and_nothing_else() {
        assert_eq!(unescaped("/a\\040b\\134c\\012"), "/a b\\c\n");
        assert_eq!(unescaped("/\\999\\04"), "/\\999\\04");
        assert_eq!(unescaped("/\\777"), "/\\777");
        assert_eq!(unescaped("/\\303\\244"), "/ä");
    }
}
