//! A directory with everything that is easily lost on the way, and a way to
//! tell two of them apart that shares no code with what is tested.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    FileExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown, symlink,
};
use std::path::Path;

use nix::libc;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

pub(crate) fn plant(dir: &Path) {
    let at = |name: &str| dir.join(name);
    fs::write(at("file"), "content").unwrap();
    chown(at("file"), Some(1234), Some(4321)).unwrap();
    fs::set_permissions(at("file"), fs::Permissions::from_mode(0o6711)).unwrap();
    attribute(&at("file"), "user.note", b"a\0b");
    attribute(&at("file"), "trusted.overlay.opaque", b"y");
    attribute(&at("file"), "security.instore", b"label");
    // What cp leaves out by the rules in /etc/xattr.conf.
    attribute(&at("file"), "user.Beagle.x", b"skipped by cp");
    fs::create_dir_all(at("snapshots/1/fs")).unwrap();
    attribute(&at("snapshots/1/fs"), "trusted.overlay.opaque", b"y");
    fs::hard_link(at("file"), at("snapshots/1/fs/same")).unwrap();
    fs::write(at("snapshots/other"), "content").unwrap();
    fs::hard_link(at("snapshots/other"), at("again")).unwrap();
    fs::write(at("empty"), "").unwrap();
    let sparse = fs::File::create(at("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 25 << 20).unwrap();
    symlink("/no/such/place", at("dangling")).unwrap();
    symlink("/etc", at("absolute")).unwrap();
    symlink("snapshots/1", at("relative")).unwrap();
    lchown(at("relative"), Some(5), Some(6)).unwrap();
    attribute(&at("relative"), "trusted.on.link", b"1");
    mkfifo(&at("fifo"), Mode::from_bits_truncate(0o640)).unwrap();
    // An overlay's whiteout, and a device.
    mknod(
        &at("whiteout"),
        SFlag::S_IFCHR,
        Mode::empty(),
        makedev(0, 0),
    )
    .unwrap();
    mknod(
        &at("block"),
        SFlag::S_IFBLK,
        Mode::from_bits_truncate(0o660),
        makedev(7, 99),
    )
    .unwrap();
    let listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    drop(listener);
    fs::write(at("new\nline \\ -rf *"), "x").unwrap();
    fs::write(dir.join(OsStr::from_bytes(b"\xff\xfe not text")), "x").unwrap();
    fs::write(at("-a"), "x").unwrap();
    fs::create_dir(at("read only")).unwrap();
    fs::write(at("read only/file"), "x").unwrap();
    fs::set_permissions(at("read only/file"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(at("read only"), fs::Permissions::from_mode(0o1555)).unwrap();
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let name = CString::new(name).unwrap();
    // SAFETY: both strings end in NUL, and the value is as long as said.
    let done = unsafe {
        libc::lsetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    assert_eq!(done, 0, "{name:?}: {}", std::io::Error::last_os_error());
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    mode: u32,
    owner: (u32, u32),
    rdev: u64,
    content: Vec<u8>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first name of the same inode.
    first: String,
}

/// Everything below a directory, and the directory itself as "".
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    visit(dir, String::new(), &mut found, &mut inodes);
    found
}

fn visit(
    path: &Path,
    name: String,
    found: &mut BTreeMap<String, Entry>,
    inodes: &mut BTreeMap<u64, String>,
) {
    let metadata = path.symlink_metadata().unwrap();
    let kind = metadata.file_type();
    let content = if kind.is_file() {
        fs::read(path).unwrap()
    } else if kind.is_symlink() {
        fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec()
    } else {
        Vec::new()
    };
    let first = inodes
        .entry(metadata.ino())
        .or_insert_with(|| name.clone())
        .clone();
    if kind.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        entries.sort();
        for entry in entries {
            let below = match name.as_str() {
                "" => entry.as_bytes().escape_ascii().to_string(),
                _ => format!("{name}/{}", entry.as_bytes().escape_ascii()),
            };
            visit(&path.join(&entry), below, found, inodes);
        }
    }
    let entry = Entry {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        rdev: metadata.rdev(),
        content,
        attributes: attributes(path),
        first,
    };
    found.insert(name, entry);
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    let mut list = vec![0_u8; 4096];
    // SAFETY: the path ends in NUL, the buffer is as long as said.
    let length = unsafe { libc::llistxattr(path.as_ptr(), list.as_mut_ptr().cast(), list.len()) };
    list.truncate(usize::try_from(length).unwrap());
    list.split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let c_name = CString::new(name).unwrap();
            let mut value = vec![0_u8; 4096];
            // SAFETY: both strings end in NUL, the buffer is as long as said.
            let length = unsafe {
                libc::lgetxattr(
                    path.as_ptr(),
                    c_name.as_ptr(),
                    value.as_mut_ptr().cast(),
                    value.len(),
                )
            };
            value.truncate(usize::try_from(length).unwrap());
            (name.to_vec(), value)
        })
        .collect()
}
