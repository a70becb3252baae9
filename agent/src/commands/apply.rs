//! apply, by hand and at boot.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use tracing::{error, info, warn};

use crate::apply::{self, Machine};
use crate::cli::exit;
use crate::config::{Config, OnFailure};
use crate::inventory::{Content, Inventory};
use crate::lock::{self, Lock};
use crate::observe::Purpose;
use crate::plan::{self, Plan, Step};
use crate::root::Root;
use crate::{observe, output, services};

/// How an apply ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: u8,
    pub(crate) plan: Plan,
}

/// Observes, plans and applies under the lock.
pub(crate) fn apply_once(config: &Config, patience: Duration, lock: &Path) -> Result<Outcome> {
    let _lock = Lock::take(lock, patience, "apply")?;
    let mut modules = None;
    let (inventory, plan) = wait_for_disks(config, &mut modules)?;
    for note in &plan.notes {
        info!("{note}");
    }
    for judged in plan.refused() {
        warn!(
            "disk {} ({}) is not used: {}",
            judged.name,
            judged.identity,
            output::plain(&judged.why)
        );
    }
    for blocker in &plan.blockers {
        error!("{}", output::plain(blocker));
    }
    if !plan.blockers.is_empty() {
        return Ok(Outcome {
            code: exit::REFUSED,
            plan,
        });
    }
    if plan.is_done() {
        info!(
            "nothing to do: {} pools are as configured",
            plan.pools.len()
        );
    } else {
        apply::apply(&Machine, config, &inventory, &plan)?;
        for pool in &plan.pools {
            info!(
                "pool {} is mounted at {} ({} disks)",
                pool.label,
                pool.at.display(),
                pool.disks.len()
            );
        }
    }
    // Not earlier: what was carried over must not change again before it is
    // bound. Work on the same directories has started them by now.
    services::start_left_stopped()?;
    // The process must not end before its helper: a unit would kill modprobe.
    let _ = modules.map(JoinHandle::join);
    let code = if plan.refused().next().is_some() {
        exit::REFUSED
    } else {
        exit::FINE
    };
    Ok(Outcome { code, plan })
}

/// A disk that appears or is let go of within this time takes part in a pool
/// that is made now; later ones never do.
const SETTLE: Duration = Duration::from_secs(2);
/// The data of an array that lacks a disk is worth more patience.
const SETTLE_ARRAY: Duration = Duration::from_secs(5);

fn wait_for_disks(
    config: &Config,
    modules: &mut Option<JoinHandle<()>>,
) -> Result<(Inventory, Plan)> {
    let begin = Instant::now();
    let root = Root::system();
    loop {
        let look = observe::look(&root, config)?;
        if modules.is_none() {
            *modules = apply::load_early(config, look.candidates());
        }
        let inventory = look.read(Purpose::Decide)?;
        let plan = plan::plan(config, &inventory);
        let (patience, what) = patience(config, &inventory, &plan);
        let left = patience.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok((inventory, plan));
        }
        info!("{what}; wait up to {} ms", left.as_millis());
        let _ = observe::udev::wait_for_change(left);
    }
}

/// How long to wait for a better plan than this one, and why.
pub(crate) fn patience(
    config: &Config,
    inventory: &Inventory,
    plan: &Plan,
) -> (Duration, &'static str) {
    let makes = plan
        .pools
        .iter()
        .any(|pool| pool.steps.contains(&Step::Claim));
    let held = plan.refused().any(|refused| {
        let disk = inventory.disks.iter().find(|d| d.name == refused.name);
        matches!(
            disk.and_then(|d| d.content.as_ref()),
            Some(Content::Empty | Content::Ours(_))
        )
    });
    if !plan.incomplete.is_empty() {
        (SETTLE_ARRAY, "an array lacks a disk")
    } else if held && inventory.owners.is_empty() {
        (SETTLE, "somebody holds an empty disk")
    } else if makes && !observe::nvme_is_settled(&Root::system()) {
        (SETTLE, "not every NVMe controller shows a disk yet")
    } else if plan.pools.is_empty() {
        (
            Duration::from_secs(config.wait_seconds),
            "no ephemeral disk yet",
        )
    } else {
        (Duration::ZERO, "")
    }
}

/// At boot `on_failure` decides: what depends on the unit starts only after a
/// success. A refused disk beside a working pool does not keep a node out.
pub(super) fn at_boot(config: &Config, patience: Duration) -> Result<u8> {
    let result = apply_once(config, patience, Path::new(lock::PATH));
    let failed = match &result {
        Ok(outcome) => {
            !outcome.plan.blockers.is_empty()
                || (outcome.code != exit::FINE && outcome.plan.pools.is_empty())
        }
        Err(_) => true,
    };
    if !failed {
        return Ok(exit::FINE);
    }
    match config.on_failure {
        OnFailure::Block => {
            error!(
                "the storage is not as configured; on_failure = \"block\" keeps its consumers from starting"
            );
            result.map(|outcome| outcome.code)
        }
        OnFailure::Continue => {
            if let Err(failure) = result {
                error!("{failure:#}");
            }
            error!(
                "the storage is not as configured; on_failure = \"continue\" lets the node boot on"
            );
            Ok(exit::FINE)
        }
    }
}
