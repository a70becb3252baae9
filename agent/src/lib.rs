//! The node agent for ephemeral NVMe disks: observe, plan, apply.
//!
//! `observe` reads the machine into an `Inventory`, `plan` decides over it
//! without touching anything, `apply` carries the plan out and checks again
//! right before whatever cannot be undone. See ARCHITECTURE.md.

pub mod apply;
pub mod bench;
pub mod carry;
pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod fault;
pub mod guard;
pub mod http;
pub mod inventory;
pub mod lock;
pub mod log;
pub mod metrics;
pub mod mounting;
pub mod nvme;
pub mod observe;
pub mod output;
pub mod plan;
pub mod probe;
pub mod release;
pub mod root;
pub mod rules;
pub mod services;
pub mod spawn;
#[cfg(test)]
mod testing;
pub mod tools;
pub mod wipe;
pub mod workers;
