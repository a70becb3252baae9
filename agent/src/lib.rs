//! The node agent for ephemeral NVMe disks: observe, plan, apply.
//!
//! `observe` reads the machine into an `Inventory`, `plan` decides over it
//! without touching anything, `apply` carries the plan out and checks again
//! right before whatever cannot be undone. See ARCHITECTURE.md.

pub mod config;
pub mod inventory;
pub mod root;
pub mod spawn;
