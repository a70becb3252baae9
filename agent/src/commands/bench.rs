//! `instore bench`: fio's language, the standard suite, and comparing results. What
//! is measured and how is the load engine's; here is who is told what, and where
//! results go.

mod compare;
mod fio;
mod show;
mod suite;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use instore_bench::target;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::NamedTempFile;

use super::Usage;
use crate::cli::{Cli, exit};

/// Runs one of its forms.
pub(super) fn run(cli: &Cli, arguments: &[OsString]) -> Result<u8> {
    if arguments.first().is_some_and(|first| first == "compare") {
        return match parse("instore bench compare", &arguments[1..])? {
            Ok(given) => compare::run(&given),
            Err(code) => Ok(code),
        };
    }
    if arguments.iter().any(|argument| argument == "--suite") {
        return match parse("instore bench", arguments)? {
            Ok(given) => suite::run(cli, &given),
            Err(code) => Ok(code),
        };
    }
    fio::run(cli, arguments)
}

/// Reads arguments by clap's rules; help that was asked for is printed here.
fn parse<T: Parser>(name: &str, arguments: &[OsString]) -> Result<std::result::Result<T, u8>> {
    let all = std::iter::once(OsString::from(name)).chain(arguments.iter().cloned());
    match T::try_parse_from(all) {
        Ok(given) => Ok(Ok(given)),
        Err(error) => {
            error.print().context("print")?;
            let code = u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
            Ok(Err(code))
        }
    }
}

/// A flag that the first Ctrl-C, SIGTERM or hangup raises; the second ends the process.
fn stop() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = vec![SIGINT, SIGTERM];
    if !ignores_hangup() {
        signals.push(SIGHUP);
    }
    for signal in signals {
        let code = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("listen for signals")?;
    }
    Ok(stop)
}

/// Whether this was started with nohup(1).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signals count from 1; SIGHUP is the first.
    mask.is_some_and(|mask| mask & 1 != 0)
}

/// The exit status of a benchmark that could not be run.
fn refused(error: &anyhow::Error) -> Option<u8> {
    match error.downcast_ref::<target::Error>()? {
        target::Error::Refused(_) | target::Error::Gate { .. } => Some(exit::REFUSED),
        target::Error::Io { .. } | target::Error::Stopped => Some(exit::FAILED),
    }
}

/// Writes a file whole, or leaves the one before it. A pipe or a terminal is written
/// to as it is.
fn replace(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let shown = path.display();
    match destination(path)? {
        Destination::Stream => {
            let mut file = File::options()
                .write(true)
                .open(path)
                .with_context(|| format!("open {shown}"))?;
            write(&mut file).with_context(|| format!("write {shown}"))
        }
        Destination::File(mut beside, real) => {
            let mut whole = || -> io::Result<()> {
                let mut file = io::BufWriter::new(beside.as_file_mut());
                write(&mut file)?;
                file.flush()
            };
            whole()
                .and_then(|()| beside.as_file().sync_all())
                .with_context(|| format!("write {shown}"))?;
            beside
                .persist(real)
                .with_context(|| format!("write {shown}"))?;
            Ok(())
        }
    }
}

enum Destination {
    /// A new file beside the one that it becomes.
    File(NamedTempFile, PathBuf),
    Stream,
}

/// Where results can go: to a file, a pipe, a terminal; never over a block device.
fn destination(path: &Path) -> Result<Destination> {
    let shown = path.display();
    if let Ok(there) = path.metadata() {
        let kind = there.file_type();
        ensure!(
            !kind.is_block_device() && !kind.is_dir(),
            "write results to {shown}: it is a disk or a directory; name a file"
        );
        if !kind.is_file() {
            return Ok(Destination::Stream);
        }
    }
    // What a link leads to is written, and not the link.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let directory = match real.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let beside = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .with_context(|| format!("make a file beside {shown}"))?;
    Ok(Destination::File(beside, real))
}

/// Whether results can be written there, before anything is measured for them.
fn can_be_written(path: Option<&Path>) -> Result<()> {
    path.map_or(Ok(()), |path| {
        destination(path)
            .map(drop)
            .map_err(|error| Usage(error).into())
    })
}
