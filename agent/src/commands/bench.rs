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
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use clap::Parser;
use instore_bench::target;
use signal_hook::consts::{SIGINT, SIGTERM};

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

/// A flag that the first Ctrl-C or SIGTERM raises; the second ends the process.
fn stop() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let code = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("listen for signals")?;
    }
    Ok(stop)
}

/// The exit status of a benchmark that could not be run.
fn refused(error: &anyhow::Error) -> Option<u8> {
    match error.downcast_ref::<target::Error>()? {
        target::Error::Refused(_) | target::Error::Gate { .. } => Some(exit::REFUSED),
        target::Error::Io { .. } | target::Error::Stopped => Some(exit::FAILED),
    }
}

/// Writes a file whole, or leaves the one before it.
fn replace(path: &Path, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let shown = path.display();
    // A pipe or a terminal cannot be replaced, and need not be.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        let mut file = File::options()
            .write(true)
            .open(path)
            .with_context(|| format!("open {shown}"))?;
        return write(&mut file).with_context(|| format!("write {shown}"));
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut whole = || -> io::Result<()> {
        let mut file = io::BufWriter::new(File::create(&beside)?);
        write(&mut file)?;
        file.into_inner()?.sync_all()?;
        std::fs::rename(&beside, path)
    };
    whole().with_context(|| format!("write {shown}"))
}
