//! apply, by hand and at boot.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use tracing::{error, info, warn};

use crate::apply::{self, Host as _, Machine};
use crate::cli::exit;
use crate::config::{Config, OnFailure};
use crate::inventory::Inventory;
use crate::lock::{self, Lock};
use crate::plan::{self, Plan};
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
    let disks = observe::count_candidates(&Root::system(), config)?;
    let modules = apply::load_early(config, disks);
    let (inventory, plan) = wait_for_disks(config)?;
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
    let _ = modules.join();
    let code = if plan.refused().next().is_some() {
        exit::REFUSED
    } else {
        exit::FINE
    };
    Ok(Outcome { code, plan })
}

fn wait_for_disks(config: &Config) -> Result<(Inventory, Plan)> {
    let end = Instant::now() + Duration::from_secs(config.wait_seconds);
    loop {
        let inventory = Machine.observe(config)?;
        let plan = plan::plan(config, &inventory);
        let left = end.saturating_duration_since(Instant::now());
        if !plan.pools.is_empty() || left.is_zero() {
            return Ok((inventory, plan));
        }
        info!("no ephemeral disk yet; wait up to {} s", left.as_secs());
        let _ = observe::udev::wait_for_change(left);
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
