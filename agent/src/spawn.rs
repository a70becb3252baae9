//! The one file that starts programs. Callers build argument vectors in pure
//! functions with golden tests; this runs them and turns a failure into an
//! error that quotes the program.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use tracing::debug;

/// How much of a failing program's words an error quotes.
const QUOTED_BYTES: usize = 2000;

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argv(pub Vec<String>);

impl Argv {
    /// Builds a vector from anything that reads as strings.
    #[must_use]
    pub fn new<S: AsRef<str>>(words: &[S]) -> Self {
        Self(words.iter().map(|w| w.as_ref().to_owned()).collect())
    }
}

/// Runs a program to its end and returns what it wrote to standard output. It
/// does not outlive this process: the next run must find nobody copying or
/// formatting behind its back.
///
/// # Errors
/// When it cannot be started or exits with anything but 0; the error names the
/// program and quotes the end of its standard error.
pub fn run(argv: &Argv) -> Result<String> {
    let Some((program, arguments)) = argv.0.split_first() else {
        bail!("run an empty command");
    };
    debug!(command = argv.0.join(" "), "run");
    #[expect(clippy::disallowed_methods, reason = "this is the one file that may")]
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    // SAFETY: prctl is a bare system call, which a child may make after fork.
    unsafe {
        command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?));
    }
    let output = command
        .output()
        .with_context(|| format!("start {program}: is it installed and in PATH?"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.trim();
    let from = words.len().saturating_sub(QUOTED_BYTES);
    let tail = words.get(from..).unwrap_or(words);
    bail!("{} failed ({}): {tail}", argv.0.join(" "), output.status)
}

/// Writes a line to standard error without caring whether anyone reads it.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_quotes_the_program() {
        let error = run(&Argv::new(&["sh", "-c", "echo no room >&2; exit 7"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no room") && text.contains('7'), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&Argv::new(&["instore-no-such-program"])).unwrap_err();
        assert!(format!("{error:#}").contains("instore-no-such-program"));
    }

    #[test]
    fn standard_output_comes_back() {
        assert_eq!(run(&Argv::new(&["echo", "hello"])).unwrap(), "hello\n");
    }
}
