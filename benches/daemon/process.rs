//! A program that is measured: ended when dropped, by its id, and what the kernel says of it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// To end by itself; then it is killed.
const LAST_WORDS: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: Pid,
}

/// From /proc/PID/status, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// VmRSS
    pub(crate) resident: u64,
    /// RssAnon: what is its own, as opposed to pages of files.
    pub(crate) anonymous: u64,
    /// VmHWM: the most that was ever resident.
    pub(crate) peak: u64,
}

/// Processor time until now, or between two times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu {
    /// By the clock of the process, which counts threads that have ended too; schedstat forgets them.
    pub(crate) total: Duration,
    /// utime and stime of /proc/PID/stat: the same, in whole ticks.
    pub(crate) ticks: Duration,
    /// schedstat of the threads that live, by name: who spends it.
    pub(crate) threads: BTreeMap<String, Duration>,
}

impl Process {
    pub(crate) fn new(child: Child) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        Ok(Self { child, pid })
    }

    /// An error when it has ended.
    pub(crate) fn must_live(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended with {status}"),
        }
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        let text = self.read("status")?;
        let field = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value =
                line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
            let value = value.with_context(|| format!("find {name} of a process"))?;
            Ok(value.parse()?)
        };
        Ok(Memory {
            resident: field("VmRSS")?,
            anonymous: field("RssAnon")?,
            peak: field("VmHWM")?,
        })
    }

    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let clock = ClockId::pid_cpu_clock_id(self.pid).context("find the clock of a process")?;
        let total = clock_gettime(clock)?.into();
        Ok(Cpu {
            total,
            ticks: self.ticks()?,
            threads: self.threads()?,
        })
    }

    fn ticks(&self) -> Result<Duration> {
        let text = self.read("stat")?;
        // The name may contain anything; what follows it are the fields from the third on.
        let (_, fields) = text.rsplit_once(')').context("read stat")?;
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u32 = fields.map(|field| field.parse().unwrap_or(0)).sum();
        let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")?;
        Ok(Duration::from_secs(1) * ticks / u32::try_from(per_second)?)
    }

    /// None where the kernel does not tell.
    fn threads(&self) -> Result<BTreeMap<String, Duration>> {
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let task = entry?.path();
            let read = |name: &str| fs::read_to_string(task.join(name));
            // A thread may end meanwhile.
            let (Ok(name), Ok(stat)) = (read("comm"), read("schedstat")) else {
                continue;
            };
            let spent = stat.split(' ').next().and_then(|n| n.parse().ok());
            let spent = Duration::from_nanos(spent.unwrap_or(0));
            *threads.entry(name.trim().to_owned()).or_default() += spent;
        }
        Ok(threads)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }
}

impl Cpu {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let threads = self.threads.iter().map(|(name, spent)| {
            let before = before.threads.get(name).copied().unwrap_or_default();
            (name.clone(), spent.saturating_sub(before))
        });
        Self {
            total: self.total.saturating_sub(before.total),
            ticks: self.ticks.saturating_sub(before.ticks),
            threads: threads.collect(),
        }
    }

    /// Of threads that began and ended meanwhile.
    pub(crate) fn ended(&self) -> Duration {
        let living: Duration = self.threads.values().sum();
        self.total.saturating_sub(living)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = kill(self.pid, Signal::SIGTERM);
        let end = Instant::now() + LAST_WORDS;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(GLANCE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
