//! One turn of the loop: observe, plan, do what is safe unasked, and say what
//! is the matter.

mod act;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use tracing::{error, info, warn};

use super::conditions::{self, Condition, Facts, Failures, Finding, Object, Severity};
use super::look::Looker;
use super::memory::Memory;
use super::notify::Watchdog;
use super::state::{Shared, Snapshot};
use super::view;
use crate::config::Config;
use crate::inventory::{Inventory, Mount};
use crate::metrics::{Events, Kind};
use crate::mounting;
use crate::plan::{self, Plan};
use crate::root::Root;
use act::Failed;

/// What failed is tried again after this, then after twice as long, and so on.
const AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Turns {
    config: Config,
    shared: Arc<Shared>,
    events: Arc<Events>,
    looker: Looker,
    memory: Memory,
    memory_path: PathBuf,
    /// The memory is not on record as it is.
    unsaved: bool,
    failures: Failures,
    failed: Option<Failed>,
    /// Since when a pool could be made, or an array lacks a disk.
    wanted: Option<Instant>,
    conditions: Vec<Condition>,
    /// What was mounted at the places of pools and binds before the last look.
    mounts: Vec<Mount>,
    instance: String,
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
            looker: Looker::default(),
            memory,
            memory_path: memory_path.to_path_buf(),
            unsaved: false,
            failures: Failures::default(),
            failed: None,
            wanted: None,
            conditions: Vec::new(),
            mounts: Vec::new(),
            instance: view::instance(&Root::system()),
        }
    }

    pub(super) fn configure(&mut self, config: Config) {
        self.config = config;
        self.failed = None;
    }

    pub(super) fn failures_mut(&mut self) -> &mut Failures {
        &mut self.failures
    }

    /// Whether the mounts that matter here are others than before the last look.
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
        let begin = Instant::now();
        let seen = self.look();
        self.events.reconciled(begin.elapsed());
        let (inventory, plan) = match seen {
            Ok(seen) => seen,
            Err(failure) => return self.blind(&failure),
        };
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
        // Before the look: a mount that goes meanwhile is a change.
        self.mounts = self.own_mounts();
        let inventory = self.looker.look(&self.config)?;
        let plan = plan::plan(&self.config, &inventory);
        self.unsaved |= self.memory.learn(&inventory, &plan);
        if self.unsaved {
            let stored = self.memory.store(&self.memory_path);
            stored.context("remember what the disks hold")?;
            self.unsaved = false;
        }
        self.failures.observe = None;
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

    /// Which disks there are, and what is about to be done: an apply takes its
    /// time. What is the matter is judged after it.
    fn show(&self, inventory: &Inventory, plan: &Plan) {
        let mut snapshot = Snapshot::clone(&self.shared.snapshot());
        snapshot.disks = view::disks(inventory, plan, &self.memory);
        snapshot.plan = plan.clone();
        self.shared.set_snapshot(snapshot);
    }

    fn tell(&mut self, inventory: &Inventory, plan: Plan) {
        let (readings, benches) = (self.shared.readings(), self.shared.benches());
        let before = self.shared.snapshot();
        let pools = view::pools(
            inventory,
            &plan,
            &self.memory,
            &before.pools,
            &self.instance,
        );
        let findings = conditions::find(&Facts {
            inventory,
            plan: &plan,
            memory: &self.memory,
            readings: &readings,
            benches: &benches.of_all(&pools),
            failures: &self.failures,
        });
        let now = SystemTime::now();
        let conditions = conditions::update(&self.conditions, findings, now);
        say_changes(&self.conditions, &conditions);
        self.conditions = conditions;
        self.shared.set_snapshot(Snapshot {
            reconciled: Some(now),
            looked: Some(Instant::now()),
            node: view::node(&Root::system(), inventory),
            disks: view::disks(inventory, &plan, &self.memory),
            pools,
            is_pending: plan.blockers.is_empty() && !self.memory.allowed(plan.clone()).is_done(),
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
