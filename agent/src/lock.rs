//! One instore at a time: a lock file that says who holds it. The kernel lets
//! go of the lock when its holder dies, so a stale one cannot exist.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tracing::info;

/// Where the lock of a node is.
pub const PATH: &str = "/run/instore/lock";
/// How long an apply waits for another instore, unless it is told.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Someone else holds the lock.
#[derive(Debug, thiserror::Error)]
#[error("another instore is at work: {holder} holds {path}; try again when it is done")]
pub struct Held {
    holder: String,
    path: String,
}

impl Lock {
    /// Takes the lock, waiting for its holder for a while.
    ///
    /// # Errors
    /// [`Held`] when the time is over, and when the file cannot be made.
    pub fn take(path: &Path, patience: Duration, what: &str) -> Result<Self> {
        let context = || format!("lock {}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(context)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(context)?;
        let file = match file.try_lock() {
            Ok(()) => file,
            Err(TryLockError::WouldBlock) => wait(file, path, patience)?,
            Err(TryLockError::Error(e)) => return Err(e).with_context(context),
        };
        sign(&file, what).with_context(context)?;
        Ok(Self { _file: file })
    }
}

fn wait(mut file: File, path: &Path, patience: Duration) -> Result<File> {
    let mut holder = String::new();
    file.read_to_string(&mut holder).unwrap_or_default();
    let held = Held {
        holder: holder.trim().to_owned(),
        path: path.display().to_string(),
    };
    if patience.is_zero() {
        return Err(held.into());
    }
    info!(
        "wait up to {} s: {} is at work",
        patience.as_secs(),
        held.holder
    );
    // The thread may outlive a refusal by a moment; the process ends then.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        let _ = sender.send(locked);
    });
    match receiver.recv_timeout(patience) {
        Ok(locked) => locked.context("wait for the lock"),
        Err(_) => Err(held.into()),
    }
}

fn sign(file: &File, what: &str) -> Result<()> {
    file.set_len(0)?;
    let line = format!("pid {} ({what})\n", std::process::id());
    file.write_all_at(line.as_bytes(), 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/lock");
        let first = Lock::take(&path, Duration::ZERO, "apply").unwrap();
        let error = Lock::take(&path, Duration::ZERO, "apply").unwrap_err();
        assert!(error.is::<Held>());
        let wanted = format!("pid {} (apply)", std::process::id());
        assert!(error.to_string().contains(&wanted), "{error}");
        drop(first);
        Lock::take(&path, Duration::ZERO, "wipe").unwrap();
    }

    #[test]
    fn a_patient_second_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path, Duration::ZERO, "apply").unwrap();
        let (started, waiting) = mpsc::channel();
        let second = {
            let path = path.clone();
            thread::spawn(move || {
                started.send(()).unwrap();
                Lock::take(&path, Duration::from_secs(60), "apply").is_ok()
            })
        };
        waiting.recv().unwrap();
        drop(first);
        assert!(second.join().unwrap());
    }
}
