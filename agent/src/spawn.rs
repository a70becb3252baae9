//! The one file that starts programs. Callers build argument vectors in pure
//! functions with golden tests; this runs them and turns a failure into an
//! error that quotes the program.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
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
    let (mut command, program) = command(argv)?;
    let output = command
        .output()
        .with_context(|| format!("start {program}: is it installed and in PATH?"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    bail!(
        "{} failed ({}): {}",
        argv.0.join(" "),
        output.status,
        tail(&words)
    )
}

fn command(argv: &Argv) -> Result<(Command, &str)> {
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
    Ok((command, program))
}

fn tail(words: &str) -> &str {
    let words = words.trim();
    let from = words.len().saturating_sub(QUOTED_BYTES);
    words.get(from..).unwrap_or(words)
}

/// Of what a watched program writes to standard output, at most so much is kept.
const WATCHED_BYTES: u64 = 16 << 20;
/// What is watched is not urgent: whoever else wants a processor goes first.
const NICE: i32 = 10;

/// A program that is watched, for whoever may have to end it.
#[derive(Debug, Default)]
pub struct Life {
    stage: Mutex<Stage>,
    ended: AtomicBool,
}

#[derive(Debug, Default, PartialEq)]
enum Stage {
    #[default]
    Before,
    Runs(Pid),
    Over,
}

impl Life {
    /// Sends a signal; what has not begun does not begin any more.
    pub fn end(&self, signal: Signal) {
        self.ended.store(true, Ordering::Relaxed);
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        match *stage {
            Stage::Before => *stage = Stage::Over,
            // Not reaped before the stage changes: the number is still its own.
            Stage::Runs(pid) => drop(kill(pid, signal)),
            Stage::Over => {}
        }
    }

    /// Whether somebody wanted its end.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn begin(&self, start: impl FnOnce() -> Result<Child>) -> Result<Child> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage != Stage::Before {
            bail!("ended before it began");
        }
        let child = start()?;
        *stage = Stage::Runs(Pid::from_raw(i32::try_from(child.id())?));
        Ok(child)
    }

    fn over(&self) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Over;
    }
}

/// As [`run`], for what takes long: each line of its standard error is handed on
/// as it comes, it can be ended, and it is nicer than this process. It dies with
/// the thread that called.
///
/// # Errors
/// As [`run`], and when it was ended.
pub fn watch(argv: &Argv, life: &Life, mut on_line: impl FnMut(&str)) -> Result<String> {
    let (mut command, program) = command(argv)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: nice is a bare system call, which a child may make after fork. That
    // it may fail is no reason not to run.
    unsafe {
        command.pre_exec(|| {
            nix::libc::nice(NICE);
            Ok(())
        });
    }
    let start = || command.spawn().with_context(|| format!("start {program}"));
    let mut child = life.begin(start)?;
    // This process is not to be chosen when memory is short, but its child may be.
    let _ = std::fs::write(format!("/proc/{}/oom_score_adj", child.id()), "0");
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut words = String::new();
    let text = thread::scope(|scope| {
        let text = scope.spawn(|| {
            let mut bytes = Vec::new();
            let out = out.map(|out| out.take(WATCHED_BYTES));
            let _ = out.map(|mut out| out.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let lines = err.map(|err| BufReader::new(err).split(b'\n'));
        for line in lines.into_iter().flatten().map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            on_line(&line);
            words = format!("{}\n{line}", tail(&words));
        }
        text.join().unwrap_or_default()
    });
    if let Ok(pid) = i32::try_from(child.id()) {
        let is_over = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        let _ = waitid(Id::Pid(Pid::from_raw(pid)), is_over);
    }
    life.over();
    let status = child
        .wait()
        .with_context(|| format!("wait for {program}"))?;
    if status.success() {
        return Ok(text);
    }
    bail!("{} failed ({status}): {}", argv.0.join(" "), tail(&words))
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

    #[test]
    fn what_is_watched_tells_line_by_line_and_is_nice() {
        let script = "echo one >&2; nice >&2; echo {}";
        let mut lines = Vec::new();
        let text = watch(
            &Argv::new(&["sh", "-c", script]),
            &Life::default(),
            |line| {
                lines.push(line.to_owned());
            },
        );
        assert_eq!(text.unwrap(), "{}\n");
        assert_eq!(lines[0], "one");
        assert!(lines[1].parse::<i32>().unwrap() >= NICE, "{lines:?}");
        let argv = Argv::new(&["sh", "-c", "echo no room >&2; exit 7"]);
        let text = watch(&argv, &Life::default(), |_| {})
            .unwrap_err()
            .to_string();
        assert!(text.contains("no room") && text.contains('7'), "{text}");
    }

    #[test]
    fn what_is_watched_can_be_ended_before_it_begins_while_it_runs_and_after() {
        let life = Life::default();
        life.end(Signal::SIGTERM);
        let early = watch(&Argv::new(&["true"]), &life, |_| {});
        assert!(early.unwrap_err().to_string().contains("before it began"));

        let life = Life::default();
        let argv = Argv::new(&["sh", "-c", "echo ready >&2; exec sleep 1000"]);
        let ended = watch(&argv, &life, |_| life.end(Signal::SIGTERM));
        assert!(ended.unwrap_err().to_string().contains("signal: 15"));
        life.end(Signal::SIGTERM);
    }
}
