//! The load engine behind `instore bench`: fio's language, io_uring underneath,
//! results in fio's words. Knows nothing of pools and rules: what may be written
//! over is asked of a [`target::Gate`], which the agent implements.

// The samples of results that unit tests and the page test share name the crate.
#[cfg(test)]
extern crate self as instore_bench;

pub mod compare;
pub mod disk;
pub mod engine;
pub mod histogram;
pub mod instance;
pub mod job;
pub mod language;
pub mod offsets;
pub mod output;
pub mod report;
pub mod results;
pub mod run;
pub mod suite;
pub mod target;
pub mod warning;
mod words;
