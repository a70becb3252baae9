//! `observe` over trees that look as /sys, /proc, /etc and /dev do on nodes of
//! each cloud. No root needed: disks are sparse files.
#![expect(clippy::unwrap_used, reason = "the builder is only for tests")]

#[path = "tree/builder.rs"]
mod builder;
#[path = "tree/clouds.rs"]
mod clouds;
#[cfg(feature = "loop-tests")]
#[path = "tree/exclusive.rs"]
mod exclusive;
#[path = "tree/node.rs"]
mod node;
#[path = "tree/owners.rs"]
mod owners;
#[path = "tree/uses.rs"]
mod uses;
