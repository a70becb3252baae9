//! The load engine behind `instore bench`: fio's language, io_uring underneath,
//! results in fio's words. Knows nothing of pools and rules: what may be written
//! over is asked of a [`target::Gate`], which the agent implements.

pub mod histogram;
pub mod job;
pub mod language;
pub mod results;
pub mod target;
