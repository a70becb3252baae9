//! Carries a plan out, dully: pools side by side, then binds. What a step means
//! on a real machine is in `machine`; a model of one stands in for it in tests.

mod machine;
mod modules;
mod pool;

use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Error, Result, anyhow};
use tracing::info;

use crate::config::Config;
use crate::fault;
use crate::guard::Guard;
use crate::inventory::Inventory;
use crate::plan::{Plan, PoolPlan, Step};
#[cfg(test)]
mod tests;

pub use machine::Machine;
pub use modules::load_early;

/// What apply needs of a machine.
pub trait Host: Sync {
    /// What is there now.
    ///
    /// # Errors
    /// When the machine cannot be read.
    fn observe(&self, config: &Config) -> Result<Inventory>;

    /// Does one step of one pool. `made` is what earlier steps handed on.
    ///
    /// # Errors
    /// When it fails; what it had begun is safe to begin again.
    fn step(&self, work: Work<'_>, step: &Step, made: &mut Made) -> Result<()>;

    /// Binds directories to a pool that is mounted.
    ///
    /// # Errors
    /// When it fails; what it had begun is put back.
    fn bind(&self, work: Work<'_>, dirs: &[PathBuf]) -> Result<()>;
}

/// What a step works on.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    pub config: &'a Config,
    pub inventory: &'a Inventory,
    pub pool: &'a PoolPlan,
}

/// What the steps of one pool hand on to each other.
#[derive(Debug, Default)]
pub struct Made {
    /// UUID of the pool in the making.
    pub uuid: Option<String>,
    /// An attempt that did not finish left something on a disk.
    pub leftovers: bool,
    /// The disks, open for writing from the claim until it is cleared: when they
    /// are closed, udev looks at each.
    pub held: Vec<Guard>,
    /// What mkfs says of its version, asked while the array is made.
    pub mkfs_version: Option<JoinHandle<Result<String>>>,
}

/// Carries a plan out. One failed pool does not stop the others; binds are made
/// only when their pool is there.
///
/// # Errors
/// All failures, joined.
pub fn apply(host: &impl Host, config: &Config, inventory: &Inventory, plan: &Plan) -> Result<()> {
    let work = |pool| Work {
        config,
        inventory,
        pool,
    };
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let threads: Vec<_> = plan
            .pools
            .iter()
            .map(|pool| scope.spawn(move || build(host, work(pool))))
            .collect();
        threads
            .into_iter()
            .map(|t| {
                t.join()
                    .unwrap_or_else(|_| Err(anyhow!("a step ended in a fault of instore")))
            })
            .collect()
    });
    let first_is_there = results.first().is_some_and(Result::is_ok);
    let mut failures: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
    if let Some(pool) = plan.pools.first()
        && first_is_there
        && !plan.binds.is_empty()
    {
        if let Err(error) = host.bind(work(pool), &plan.binds) {
            failures.push(error.context("bind node directories"));
        }
        fault::boundary("binds done");
    }
    join(failures)
}

fn build(host: &impl Host, work: Work<'_>) -> Result<()> {
    let mut made = Made::default();
    for step in &work.pool.steps {
        fault::boundary("before a step");
        info!(
            "pool {} at {}: {step}",
            work.pool.label,
            work.pool.at.display()
        );
        host.step(work, step, &mut made)
            .with_context(|| format!("pool {}: {step}", work.pool.label))?;
    }
    fault::boundary("pool done");
    Ok(())
}

fn join(failures: Vec<Error>) -> Result<()> {
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else {
        return Ok(());
    };
    let others: Vec<String> = failures.map(|e| format!("{e:#}")).collect();
    if others.is_empty() {
        return Err(first);
    }
    Err(anyhow!("{first:#}; and {}", others.join("; and ")))
}
