//! Extended attributes of a path, of a symbolic link itself if it is one.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::libc;

pub(super) type Attributes = BTreeMap<CString, Vec<u8>>;

/// Reads all of them. A filesystem without any has none.
pub(super) fn read(path: &Path) -> Result<Attributes> {
    let what = || format!("read the attributes of {}", path.display());
    let c_path = CString::new(path.as_os_str().as_bytes()).with_context(what)?;
    let names = grow(|buffer| {
        // SAFETY: the path ends in NUL, and the buffer is as long as said.
        unsafe { libc::llistxattr(c_path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    });
    let names = match names {
        Ok(names) => names,
        Err(Errno::ENOTSUP) => return Ok(Attributes::new()),
        Err(e) => return Err(e).with_context(what),
    };
    let mut found = Attributes::new();
    for name in names.split_inclusive(|b| *b == 0) {
        let name = CStr::from_bytes_with_nul(name).with_context(what)?;
        if left_out(name) {
            continue;
        }
        let value = grow(|buffer| {
            // SAFETY: path and name end in NUL, the buffer is as long as said.
            unsafe {
                libc::lgetxattr(
                    c_path.as_ptr(),
                    name.as_ptr(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                )
            }
        });
        match value {
            Ok(value) => drop(found.insert(name.to_owned(), value)),
            // Listed, but there is nothing to read.
            Err(Errno::ENODATA | Errno::ENOTSUP) => {}
            Err(e) => return Err(e).with_context(what),
        }
    }
    Ok(found)
}

/// Sets one of them.
pub(super) fn set(path: &Path, name: &CStr, value: &[u8]) -> Result<()> {
    let what = || format!("set {} of {}", name.to_string_lossy(), path.display());
    let c_path = CString::new(path.as_os_str().as_bytes()).with_context(what)?;
    // SAFETY: path and name end in NUL, the value is as long as said.
    let done = unsafe {
        libc::lsetxattr(
            c_path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error()).with_context(what)
    }
}

/// Only the kernel writes these, or they mean something on one disk only.
fn left_out(name: &CStr) -> bool {
    let name = name.to_bytes();
    name == b"security.evm" || name == b"security.ima" || name.starts_with(b"trusted.SGI_")
}

/// Calls with ever longer buffers until the answer fits.
fn grow(mut call: impl FnMut(&mut [u8]) -> isize) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 512];
    loop {
        match usize::try_from(call(&mut buffer)) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(_) if Errno::last() == Errno::ERANGE && buffer.len() < 1 << 20 => {
                buffer = vec![0; buffer.len() * 4];
            }
            Err(_) => return Err(Errno::last()),
        }
    }
}
