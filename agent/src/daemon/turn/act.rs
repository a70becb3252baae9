//! What the loop does: unasked no more than is safe, for a person all of the
//! plan. Whatever it does, it looks again under the lock first.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tracing::{error, info, warn};

use super::{AGAIN, Turns};
use crate::apply::{self, Machine};
use crate::cli::exit;
use crate::commands::patience;
use crate::daemon::notify::Watchdog;
use crate::inventory::Inventory;
use crate::lock::{self, Lock};
use crate::metrics::{Kind, Outcome};
use crate::plan::{Plan, Step};
use crate::{output, services};

const AGAIN_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// Each try of a bind stops the services that hold the directory.
const BIND_AGAIN: Duration = Duration::from_secs(60 * 60);
/// Somebody else holds the lock, or a disk is about to appear.
const SOON: Duration = Duration::from_secs(1);

/// An apply that failed, and when to try it again.
pub(super) struct Failed {
    plan: Plan,
    next: Instant,
    delay: Duration,
}

impl Failed {
    /// The words on disks that are not used may differ.
    fn is_of(&self, plan: &Plan) -> bool {
        self.plan.pools == plan.pools && self.plan.binds == plan.binds
    }
}

impl Turns {
    /// Does what may be done unasked. Returns when to look again at the latest,
    /// and whether anything was done.
    pub(super) fn act(
        &mut self,
        inventory: &Inventory,
        plan: &Plan,
        watchdog: &Watchdog,
    ) -> (Duration, bool) {
        let allowed = self.memory.allowed(plan.clone());
        let is_done = !plan.blockers.is_empty() || allowed.is_done();
        if is_done && !services::are_left_stopped() {
            self.failed = None;
            self.wanted = None;
            self.failures.apply = None;
            return (Duration::MAX, false);
        }
        // A pool that is made now would lack what appears in a moment.
        let wanted = *self.wanted.get_or_insert_with(Instant::now);
        let (patience, what) = patience(&self.config, inventory, &allowed);
        let left = patience.saturating_sub(wanted.elapsed());
        if !left.is_zero() {
            info!("{what}; wait up to {} ms", left.as_millis());
            return (left.min(SOON), false);
        }
        if let Some(failed) = self.failed.as_ref().filter(|failed| failed.is_of(&allowed)) {
            let left = failed.next.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return (left, false);
            }
        }
        self.show(inventory, plan);
        match self.act_locked(watchdog) {
            Ok(()) => {
                self.failed = None;
                self.wanted = None;
                self.failures.apply = None;
                (Duration::MAX, true)
            }
            Err(failure) if failure.is::<lock::Held>() => (SOON, false),
            Err(failure) => (self.fail(allowed, &failure), true),
        }
    }

    fn act_locked(&mut self, watchdog: &Watchdog) -> Result<()> {
        let _lock = Lock::take(Path::new(lock::PATH), Duration::ZERO, "run")?;
        let (inventory, plan) = self.look()?;
        let allowed = self.memory.allowed(plan);
        self.apply(&inventory, &allowed, watchdog)
    }

    fn fail(&mut self, plan: Plan, failure: &anyhow::Error) -> Duration {
        let words = format!("{failure:#}");
        error!("{words}");
        let before = self.failed.take().filter(|failed| failed.is_of(&plan));
        let delay = match (plan.binds.is_empty(), before) {
            (false, _) => BIND_AGAIN,
            (true, None) => AGAIN,
            (true, Some(failed)) => (failed.delay * 2).min(AGAIN_AT_MOST),
        };
        self.failed = Some(Failed {
            plan,
            next: Instant::now() + delay,
            delay,
        });
        self.failures.apply = Some(words);
        delay
    }

    /// Under the lock.
    fn apply(&mut self, inventory: &Inventory, plan: &Plan, watchdog: &Watchdog) -> Result<()> {
        watchdog.begin_work();
        let begin = Instant::now();
        let result = match plan.is_done() || !plan.blockers.is_empty() {
            true => Ok(()),
            false => apply::apply(&Machine, &self.config, inventory, plan),
        };
        // What an interrupted run had stopped is started whatever the plan says.
        let started = services::start_left_stopped();
        let result = result.and(started);
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
    pub(in crate::daemon) fn apply_all(&mut self, watchdog: &Watchdog) -> u8 {
        // The lock is waited for, and that is work as well.
        watchdog.begin_work();
        let done = self.apply_all_locked(watchdog);
        watchdog.end_work();
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

    fn apply_all_locked(&mut self, watchdog: &Watchdog) -> Result<u8> {
        let _lock = Lock::take(Path::new(lock::PATH), lock::PATIENCE, "run")?;
        let (inventory, plan) = self.look()?;
        for note in &plan.notes {
            info!("{note}");
        }
        for refused in plan.refused() {
            let why = output::plain(&refused.why);
            let (name, identity) = (&refused.name, &refused.identity);
            warn!("disk {name} ({identity}) is not used: {why}");
        }
        for blocker in &plan.blockers {
            error!("{}", output::plain(blocker));
        }
        if plan.is_done() && plan.blockers.is_empty() {
            let pools = plan.pools.len();
            info!("nothing to do: {pools} pools are as configured");
        }
        self.apply(&inventory, &plan, watchdog)?;
        let refused = plan.refused().next().is_some() || !plan.blockers.is_empty();
        Ok(if refused { exit::REFUSED } else { exit::FINE })
    }
}

fn is_repair(step: &Step) -> bool {
    matches!(step, Step::Mount | Step::AssembleArray { .. })
}
