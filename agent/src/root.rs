//! Where the system's files are: the seam that lets a captured tree stand in
//! for /sys, /proc, /etc, /run and /dev.

use std::path::{Path, PathBuf};

/// The directory under which `sys`, `proc`, `etc`, `run` and `dev` are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The machine itself.
    #[must_use]
    pub fn system() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A captured tree.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    /// Whether this is the machine itself and not a captured tree: only then
    /// do device numbers, ioctls and the udev database mean anything.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The place of an absolute path below this root.
    #[must_use]
    pub fn join(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// The same for a path that is not a literal.
    #[must_use]
    pub fn place(&self, absolute: &Path) -> PathBuf {
        self.0.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_stay_below_the_root() {
        let root = Root::at(Path::new("/captured"));
        assert_eq!(root.join("/sys/block"), Path::new("/captured/sys/block"));
        assert_eq!(root.place(Path::new("/data")), Path::new("/captured/data"));
        assert_eq!(Root::system().join("/proc"), Path::new("/proc"));
    }
}
