//! Runs a program to its end, and says what it cost: its own processor time and that of all it
//! started, and what the whole machine was busy meanwhile.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::TimeValLike as _;
use nix::unistd::{Pid, SysconfVar, sysconf};

/// How often is looked whether it has ended.
const GLANCE: Duration = Duration::from_millis(10);
/// To end by itself, with what it made put away; then it is killed.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// Set by Ctrl-C; then what runs is ended, and all is taken down.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn new() -> Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("listen for Ctrl-C")?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }
}

/// What a program said and cost, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) text: String,
    /// From its start to its end.
    pub(crate) elapsed: f64,
    /// User and system time of the process and of all that it waited for.
    pub(crate) own: f64,
    /// All processors, all work: in ticks of the kernel.
    pub(crate) system: f64,
}

/// Waits for the end of a program, which must be success.
pub(crate) fn run(arguments: &[String], stop: &Stop) -> Result<Ended> {
    let what = || format!("run {}", arguments.join(" "));
    let (mut said, mut complained) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let before = (own()?, system()?);
    let begin = Instant::now();
    let mut child = start(arguments, &said, &complained).with_context(what)?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(stopped) = stop.check() {
            end(&mut child);
            return Err(stopped);
        }
        sleep(GLANCE);
    };
    let elapsed = begin.elapsed().as_secs_f64() * 1e9;
    let after = (own()?, system()?);
    let text = content(&mut said)?;
    if !status.success() {
        let complaint = content(&mut complained)?;
        bail!("{}: {status}: {}", what(), complaint.trim());
    }
    Ok(Ended {
        text,
        elapsed,
        own: after.0 - before.0,
        system: after.1 - before.1,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a harness starts programs; the ban is for the product"
)]
fn start(arguments: &[String], said: &File, complained: &File) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let [program, arguments @ ..] = arguments else {
        bail!("there is no program");
    };
    let child = Command::new(program)
        .args(arguments)
        // Ctrl-C is for the harness alone: it ends them, in order.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(complained.try_clone()?)
        .spawn()?;
    Ok(child)
}

fn end(child: &mut Child) {
    let Ok(id) = i32::try_from(child.id()) else {
        return;
    };
    let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
    let until = Instant::now() + LAST_WORDS;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        sleep(GLANCE);
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn content(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Of all children that have ended: one runs at a time.
fn own() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(time as f64 * 1000.0)
}

fn system() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let fields = text.lines().next().unwrap_or_default().split_whitespace();
    let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq: but for idle and iowait.
    let [user, nice, kernel, _, _, irq, softirq, ..] = times[..] else {
        bail!("read /proc/stat: it has no line of all processors");
    };
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
    Ok((user + nice + kernel + irq + softirq) * 1e9 / per_second as f64)
}
