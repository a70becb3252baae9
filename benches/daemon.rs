//! `bench-daemon INSTORE [SCRAPES [SECONDS]]`: what `instore run` costs a node, next to Debian's
//! prometheus-node-exporter, both in one run: memory at rest and after many scrapes, processor time
//! at rest, and the time of a scrape, with 8 disks and with 24. The disks are sparse files behind
//! loop devices, of which the daemon makes one pool each. Prints medians, ratios and whether the
//! limits hold; judges nothing. Leaves nothing behind, whatever ends it.

#[path = "daemon/node.rs"]
mod node;
#[path = "daemon/process.rs"]
mod process;
#[path = "daemon/report.rs"]
mod report;
#[path = "daemon/scrape.rs"]
mod scrape;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use node::{Node, Traces};
use process::{Cpu, Memory, Process};
use scrape::{Connection, Door, Scrapes};

/// All of it with as many disks as the limit of memory names; with the others, no load.
const DISKS_LOADED: usize = 8;
/// As the limit of a scrape names them.
const DISKS_MANY: usize = 24;
/// What is left in memory of the work at the start depends on how its threads met.
const STARTS: usize = 5;
/// Timed singly.
const TIMED: usize = 1000;
/// In all, on one connection, and then as many on connections of their own.
const SCRAPES: usize = 10_000;
/// How long is idle.
const IDLE: Duration = Duration::from_secs(60);
/// After the start: the loop has looked again at what its own mounts changed.
const SETTLE: Duration = Duration::from_secs(10);
/// Of one program before it is the other's turn: noise meets both.
const BLOCK: usize = 50;
/// Not timed: what is only done for the first few.
const WARM_UP: usize = 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let instore = arguments.next().map(PathBuf::from);
    let instore = instore.context("usage: bench-daemon INSTORE [SCRAPES [SECONDS]]")?;
    let number = |text: Option<String>| text.map(|text| text.parse::<usize>()).transpose();
    let scrapes = number(arguments.next())?.unwrap_or(SCRAPES);
    let idle = number(arguments.next())?.map_or(IDLE, |s| Duration::from_secs(s as u64));
    ensure!(
        nix::unistd::geteuid().is_root(),
        "run this as root: it makes loop devices and mounts"
    );
    let bench = Bench {
        instore: instore.canonicalize().context("find instore")?,
        scrapes: scrapes.max(2 * TIMED),
        idle,
        stop: Stop::new()?,
    };
    let traces = Traces::see()?;
    let result = bench.run();
    // Also after a failure: this is when something may be left.
    traces.compare()?;
    bench.stop.check().and(result)
}

/// Set by Ctrl-C; then the first thing that waits or scrapes is an error, and all is taken down.
#[derive(Debug, Clone)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn new() -> Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("listen for Ctrl-C")?;
        }
        Ok(Self(flag))
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.0.load(Ordering::Relaxed), "interrupted");
        Ok(())
    }

    fn wait(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.check()?;
            sleep(Duration::from_millis(100));
        }
        self.check()
    }
}

struct Bench {
    instore: PathBuf,
    scrapes: usize,
    idle: Duration,
    stop: Stop,
}

/// A program under measurement and what was seen of it.
#[derive(Debug)]
struct Subject {
    process: Process,
    door: Door,
    seen: Seen,
}

/// In the order in which it is measured.
#[derive(Debug, Default)]
struct Seen {
    disks: usize,
    at_rest: Memory,
    rested: Rest,
    series: usize,
    bytes: usize,
    kept: Scrapes,
    fresh: Scrapes,
    /// Processor time of one scrape on a connection that is kept.
    cost: Duration,
    after_timed: Memory,
    /// Of the limit: none with the other numbers of disks.
    loaded: Option<Loaded>,
}

/// What an idle time cost.
#[derive(Debug, Default)]
struct Rest {
    time: Duration,
    cpu: Cpu,
    /// Of the daemon's loop.
    turns: Option<u64>,
}

#[derive(Debug)]
struct Loaded {
    scrapes: usize,
    after_kept: Memory,
    after_fresh: Memory,
    later: Memory,
}

impl Bench {
    fn run(&self) -> Result<()> {
        report::heading(&self.instore)?;
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(self.start()?);
        }
        report::starts(&mut starts);
        let (eight, _) = self.measure(DISKS_LOADED)?;
        let (many, _) = self.measure(DISKS_MANY)?;
        starts.push(eight.at_rest);
        report::limits(&starts, &eight, &many);
        Ok(())
    }

    /// The daemon's memory at rest, once it has made pools of blank disks.
    fn start(&self) -> Result<Memory> {
        let node = Node::new(DISKS_LOADED)?;
        let (process, _) = node.start_daemon(&self.instore, &self.stop)?;
        self.stop.wait(SETTLE)?;
        process.memory()
    }

    /// Starts both programs on a node with so many disks, measures, prints, and takes all down.
    fn measure(&self, disks: usize) -> Result<(Seen, Seen)> {
        let node = Node::new(disks)?;
        let (instore, door) = node.start_daemon(&self.instore, &self.stop)?;
        let instore = Subject::new(instore, door, disks);
        let (exporter, door) = node.start_exporter(&self.stop)?;
        let exporter = Subject::new(exporter, door, disks);
        let mut subjects = [instore, exporter];
        let told = self.observe(&mut subjects, disks == DISKS_LOADED);
        told.with_context(|| node.last_words())?;
        let [instore, exporter] = subjects.map(|subject| subject.seen);
        report::table(&instore, &exporter);
        Ok((instore, exporter))
    }

    fn observe(&self, subjects: &mut [Subject; 2], is_loaded: bool) -> Result<()> {
        self.stop.wait(SETTLE)?;
        for subject in &mut *subjects {
            subject.seen.at_rest = subject.process.memory()?;
        }
        self.rest(subjects)?;
        for subject in &mut *subjects {
            let text = subject.door.metrics()?;
            subject.seen.bytes = text.len();
            subject.seen.series = series(&text);
        }
        self.scrape(subjects, Connection::Kept, WARM_UP)?;
        let before = cpu(subjects)?;
        let kept = self.scrape(subjects, Connection::Kept, TIMED)?;
        let after = cpu(subjects)?;
        let fresh = self.scrape(subjects, Connection::Fresh, TIMED)?;
        let costs = after.iter().zip(before).map(|(after, before)| {
            let spent = after.total.saturating_sub(before.total);
            spent / u32::try_from(TIMED).unwrap_or(u32::MAX)
        });
        for (((subject, kept), fresh), cost) in subjects.iter_mut().zip(kept).zip(fresh).zip(costs)
        {
            subject.seen.kept = kept;
            subject.seen.fresh = fresh;
            subject.seen.cost = cost;
            subject.seen.after_timed = subject.process.memory()?;
        }
        if is_loaded {
            self.load(subjects)?;
        }
        Ok(())
    }

    /// Both at once, each for itself.
    fn rest(&self, subjects: &mut [Subject; 2]) -> Result<()> {
        let mut turns = Vec::new();
        for subject in &mut *subjects {
            turns.push(subject.turns()?);
        }
        // What those two scrapes began is over.
        self.stop.wait(Duration::from_secs(1))?;
        let begin = Instant::now();
        let before = cpu(subjects)?;
        self.stop.wait(self.idle)?;
        let after = cpu(subjects)?;
        let time = begin.elapsed();
        for (((subject, after), before), turns) in
            subjects.iter_mut().zip(after).zip(before).zip(turns)
        {
            let now = subject.turns()?;
            subject.seen.rested = Rest {
                time,
                cpu: after.since(&before),
                turns: now.zip(turns).map(|(now, then)| now - then),
            };
        }
        Ok(())
    }

    fn load(&self, subjects: &mut [Subject; 2]) -> Result<()> {
        let left = self.scrapes - TIMED;
        self.scrape(subjects, Connection::Kept, left)?;
        let after_kept = memory(subjects)?;
        self.scrape(subjects, Connection::Fresh, left)?;
        let after_fresh = memory(subjects)?;
        self.stop.wait(self.idle)?;
        let later = memory(subjects)?;
        let memories = after_kept.into_iter().zip(after_fresh).zip(later);
        for (subject, ((after_kept, after_fresh), later)) in subjects.iter_mut().zip(memories) {
            subject.seen.loaded = Some(Loaded {
                scrapes: self.scrapes,
                after_kept,
                after_fresh,
                later,
            });
        }
        Ok(())
    }

    /// So many scrapes of each, in turn.
    fn scrape(
        &self,
        subjects: &mut [Subject; 2],
        connection: Connection,
        count: usize,
    ) -> Result<[Scrapes; 2]> {
        let mut scrapes = [Scrapes::default(), Scrapes::default()];
        for begin in (0..count).step_by(BLOCK) {
            for (subject, scrapes) in subjects.iter_mut().zip(&mut scrapes) {
                for _ in begin..count.min(begin + BLOCK) {
                    self.stop.check()?;
                    scrapes.push(subject.door.scrape(connection)?);
                }
            }
        }
        Ok(scrapes)
    }
}

impl Subject {
    fn new(process: Process, door: Door, disks: usize) -> Self {
        Self {
            process,
            door,
            seen: Seen {
                disks,
                ..Seen::default()
            },
        }
    }

    /// How often the daemon's loop went round; node_exporter has none.
    fn turns(&mut self) -> Result<Option<u64>> {
        let text = self.door.metrics()?;
        let turns = text
            .lines()
            .find_map(|line| line.strip_prefix("instore_reconcile_duration_seconds_count "));
        Ok(turns.map(str::parse).transpose()?)
    }
}

fn cpu(subjects: &[Subject; 2]) -> Result<Vec<Cpu>> {
    subjects.iter().map(|s| s.process.cpu()).collect()
}

fn memory(subjects: &[Subject; 2]) -> Result<Vec<Memory>> {
    subjects.iter().map(|s| s.process.memory()).collect()
}

fn series(text: &str) -> usize {
    let is_series = |line: &&str| !line.is_empty() && !line.starts_with('#');
    text.lines().filter(is_series).count()
}
