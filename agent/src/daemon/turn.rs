//! One turn of the loop: observe, plan, do what is safe unasked, and say what
//! is the matter.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use tracing::{error, info, warn};

use super::conditions::{self, Condition, Facts, Failures, Finding, Object, Severity};
use super::memory::Memory;
use super::notify::Watchdog;
use super::state::{Shared, Snapshot};
use super::view;
use crate::apply::{self, Machine};
use crate::cli::exit;
use crate::commands::patience;
use crate::config::Config;
use crate::inventory::{Inventory, Mount};
use crate::lock::{self, Lock};
use crate::metrics::{Events, Kind, Outcome};
use crate::observe::{self, Purpose};
use crate::plan::{self, Plan, Step};
use crate::root::Root;
use crate::{mounting, output, services};

/// What failed is tried again after this, then after twice as long, and so on.
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// Somebody else holds the lock, or a disk is about to appear.
const SOON: Duration = Duration::from_secs(1);

pub(super) struct Turns {
    config: Config,
    shared: Arc<Shared>,
    events: Arc<Events>,
    memory: Memory,
    memory_path: PathBuf,
    failures: Failures,
    failed: Option<Failed>,
    conditions: Vec<Condition>,
    /// What is mounted at the places of pools and binds.
    mounts: Vec<Mount>,
    instance: String,
    began: Instant,
}

/// An apply that failed, and when to try it again.
struct Failed {
    plan: Plan,
    next: Instant,
    delay: Duration,
}

impl Turns {
    pub(super) fn new(
        config: Config,
        shared: Arc<Shared>,
        events: Arc<Events>,
        memory: Memory,
        memory_path: &Path,
    ) -> Self {
        Self {
            config,
            shared,
            events,
            memory,
            memory_path: memory_path.to_path_buf(),
            failures: Failures::default(),
            failed: None,
            conditions: Vec::new(),
            mounts: Vec::new(),
            instance: view::instance(&Root::system()),
            began: Instant::now(),
        }
    }

    pub(super) fn configure(&mut self, config: Config) {
        self.config = config;
        self.failed = None;
    }

    pub(super) fn failures_mut(&mut self) -> &mut Failures {
        &mut self.failures
    }

    /// Whether the mounts that matter here are others than after the last turn.
    pub(super) fn mounts_changed(&self) -> bool {
        self.own_mounts() != self.mounts
    }

    fn own_mounts(&self) -> Vec<Mount> {
        // What cannot be read is a change: the turn says so.
        let mut mounts = mounting::mounts().unwrap_or_default();
        let pools = self.memory.pools().values().map(|pool| pool.at.as_path());
        let places: Vec<&Path> = self.config.targets().into_iter().chain(pools).collect();
        mounts.retain(|mount| places.contains(&mount.at.as_path()));
        mounts
    }

    /// Looks, acts, and tells. Returns how long nothing is due.
    pub(super) fn turn(&mut self, watchdog: &Watchdog) -> Duration {
        let wait = self.look_and_act(watchdog);
        self.mounts = self.own_mounts();
        wait
    }

    fn look_and_act(&mut self, watchdog: &Watchdog) -> Duration {
        let begin = Instant::now();
        let seen = self.look();
        self.events.reconciled(begin.elapsed());
        let (inventory, plan) = match seen {
            Ok(seen) => seen,
            Err(failure) => return self.blind(&failure),
        };
        self.failures.observe = None;
        let (wait, acted) = self.act(&inventory, &plan, watchdog);
        if !acted {
            self.tell(&inventory, plan);
            return wait;
        }
        match self.look() {
            Ok((inventory, plan)) => self.tell(&inventory, plan),
            Err(failure) => return self.blind(&failure),
        }
        wait
    }

    fn look(&mut self) -> Result<(Inventory, Plan)> {
        let root = Root::system();
        let inventory = observe::look(&root, &self.config)?.read(Purpose::Decide)?;
        let plan = plan::plan(&self.config, &inventory);
        if self.memory.learn(&inventory, &plan) {
            let stored = self.memory.store(&self.memory_path);
            stored.context("remember what the disks hold")?;
        }
        Ok((inventory, plan))
    }

    fn blind(&mut self, failure: &anyhow::Error) -> Duration {
        let words = format!("{failure:#}");
        self.events.error(Kind::Observe);
        self.failures.observe = Some(words);
        // What was the matter before is, as far as one can tell, the matter still.
        let mut findings = conditions::find_blind(&self.failures);
        let before = self.conditions.iter().map(|c| &c.finding);
        let is_own = |finding: &&Finding| finding.object == Object::Node;
        findings.extend(before.filter(|finding| !is_own(finding)).cloned());
        let mut snapshot = Snapshot::clone(&self.shared.snapshot());
        let conditions = conditions::update(&self.conditions, findings, SystemTime::now());
        say_changes(&self.conditions, &conditions);
        self.conditions = conditions;
        snapshot.conditions.clone_from(&self.conditions);
        self.shared.set_snapshot(snapshot);
        AGAIN
    }

    /// Does what may be done unasked. Returns when to look again at the latest,
    /// and whether anything was done.
    fn act(&mut self, inventory: &Inventory, plan: &Plan, watchdog: &Watchdog) -> (Duration, bool) {
        let allowed = self.memory.allowed(plan.clone());
        if !plan.blockers.is_empty() || allowed.is_done() {
            self.failed = None;
            self.failures.apply = None;
            return (Duration::MAX, false);
        }
        // A pool that is made now would lack what appears in a moment.
        let (patience, what) = patience(&self.config, inventory, &allowed);
        let left = patience.saturating_sub(self.began.elapsed());
        if !left.is_zero() {
            info!("{what}; wait up to {} ms", left.as_millis());
            return (left.min(SOON), false);
        }
        if let Some(failed) = self.failed.as_ref().filter(|failed| failed.plan == allowed) {
            let left = failed.next.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return (left, false);
            }
        }
        self.show(inventory, plan);
        let result = self.apply(inventory, &allowed, Duration::ZERO, watchdog);
        match result {
            Ok(()) => {
                self.failed = None;
                self.failures.apply = None;
                (Duration::MAX, true)
            }
            Err(failure) if failure.is::<lock::Held>() => (SOON, false),
            Err(failure) => (self.fail(allowed, &failure), true),
        }
    }

    fn fail(&mut self, plan: Plan, failure: &anyhow::Error) -> Duration {
        let words = format!("{failure:#}");
        error!("{words}");
        let before = self.failed.take().filter(|failed| failed.plan == plan);
        let delay = before.map_or(AGAIN, |failed| (failed.delay * 2).min(AGAIN_AT_MOST));
        self.failed = Some(Failed {
            plan,
            next: Instant::now() + delay,
            delay,
        });
        self.failures.apply = Some(words);
        delay
    }

    fn apply(
        &mut self,
        inventory: &Inventory,
        plan: &Plan,
        patience: Duration,
        watchdog: &Watchdog,
    ) -> Result<()> {
        let _lock = Lock::take(Path::new(lock::PATH), patience, "run")?;
        watchdog.begin_work();
        let begin = Instant::now();
        let result = apply::apply(&Machine, &self.config, inventory, plan)
            .and_then(|()| services::start_left_stopped());
        watchdog.end_work();
        self.events.applied(Outcome::of(&result), begin.elapsed());
        if result.is_err() {
            self.events.error(Kind::Apply);
        }
        result?;
        for pool in plan.pools.iter().filter(|pool| !pool.steps.is_empty()) {
            let is_repair = pool.steps.iter().all(is_repair);
            if is_repair && self.memory.pools().contains_key(&pool.label) {
                warn!("pool {} had lost its mount and has it again", pool.label);
                self.events.repaired(&pool.label);
            } else {
                info!("pool {} is mounted at {}", pool.label, pool.at.display());
            }
        }
        Ok(())
    }

    /// All of the plan, since a person asks. Returns an exit status.
    pub(super) fn apply_all(&mut self, watchdog: &Watchdog) -> u8 {
        let done = self.look().and_then(|(inventory, plan)| {
            for note in &plan.notes {
                info!("{note}");
            }
            for refused in plan.refused() {
                let why = output::plain(&refused.why);
                warn!(
                    "disk {} ({}) is not used: {why}",
                    refused.name, refused.identity
                );
            }
            for blocker in &plan.blockers {
                error!("{}", output::plain(blocker));
            }
            if plan.is_done() {
                info!(
                    "nothing to do: {} pools are as configured",
                    plan.pools.len()
                );
            } else if plan.blockers.is_empty() {
                self.apply(&inventory, &plan, lock::PATIENCE, watchdog)?;
            }
            let refused = plan.refused().next().is_some() || !plan.blockers.is_empty();
            Ok(if refused { exit::REFUSED } else { exit::FINE })
        });
        let code = match done {
            Ok(code) => {
                self.failures.apply = None;
                self.failed = None;
                code
            }
            Err(failure) if failure.is::<lock::Held>() => {
                error!("{failure:#}");
                exit::LOCKED
            }
            Err(failure) => {
                let words = format!("{failure:#}");
                error!("{words}");
                self.failures.apply = Some(words);
                exit::FAILED
            }
        };
        if let Ok((inventory, plan)) = self.look() {
            self.tell(&inventory, plan);
        }
        code
    }

    /// Which disks there are, and what is about to be done: an apply takes its
    /// time. What is the matter is judged after it.
    fn show(&self, inventory: &Inventory, plan: &Plan) {
        let mut snapshot = Snapshot::clone(&self.shared.snapshot());
        snapshot.disks = view::disks(inventory, plan, &self.memory);
        snapshot.plan = plan.clone();
        self.shared.set_snapshot(snapshot);
    }

    fn tell(&mut self, inventory: &Inventory, plan: Plan) {
        let readings = self.shared.readings();
        let findings = conditions::find(&Facts {
            inventory,
            plan: &plan,
            memory: &self.memory,
            readings: &readings,
            failures: &self.failures,
        });
        let now = SystemTime::now();
        let conditions = conditions::update(&self.conditions, findings, now);
        say_changes(&self.conditions, &conditions);
        self.conditions = conditions;
        let before = self.shared.snapshot();
        self.shared.set_snapshot(Snapshot {
            reconciled: Some(now),
            node: view::node(&Root::system(), inventory),
            disks: view::disks(inventory, &plan, &self.memory),
            pools: view::pools(
                inventory,
                &plan,
                &self.memory,
                &before.pools,
                &self.instance,
            ),
            plan,
            conditions: self.conditions.clone(),
        });
    }

    /// One line: the worst that is the matter, or what there is.
    pub(super) fn status(&self) -> String {
        let snapshot = self.shared.snapshot();
        let worst = snapshot.conditions.first();
        if let Some(worst) = worst.filter(|c| c.finding.severity != Severity::Info) {
            let finding = &worst.finding;
            let more = match snapshot.conditions.len() {
                1 => String::new(),
                n => format!(" (and {} more)", n - 1),
            };
            return format!(
                "{:?}: {}: {}{more}",
                finding.kind, finding.object, finding.message
            );
        }
        let pools: Vec<String> = snapshot.pools.iter().map(describe).collect();
        match pools.is_empty() {
            true => "No ephemeral disk to use on this node".into(),
            false => pools.join("; "),
        }
    }
}

fn describe(pool: &super::state::Pool) -> String {
    format!(
        "Pool {} of {} disks at {}",
        pool.label,
        pool.disks.len(),
        pool.at.display()
    )
}

fn is_repair(step: &Step) -> bool {
    matches!(step, Step::Mount | Step::AssembleArray { .. })
}

/// Each change once, so that the log tells a story and not a state.
fn say_changes(before: &[Condition], after: &[Condition]) {
    let is_in = |list: &[Condition], one: &Condition| {
        list.iter()
            .any(|c| (c.finding.kind, &c.finding.object) == (one.finding.kind, &one.finding.object))
    };
    for condition in after.iter().filter(|c| !is_in(before, c)) {
        let finding = &condition.finding;
        let words = format!(
            "{:?}: {}: {}; {}",
            finding.kind, finding.object, finding.message, finding.action
        );
        match finding.severity {
            Severity::Critical => error!("{words}"),
            Severity::Warning => warn!("{words}"),
            Severity::Info => info!("{words}"),
        }
    }
    for condition in before.iter().filter(|c| !is_in(after, c)) {
        let finding = &condition.finding;
        info!("over: {:?}: {}", finding.kind, finding.object);
    }
}
