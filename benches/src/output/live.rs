//! The line that a terminal shows while jobs run, from plain numbers. Who asks
//! for it, how often and where it goes is not here.

use std::fmt::Write as _;

use super::number::{self, Prefix, WIDTH};

/// What is known of a run in progress.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// Of each thread, in their order; see `state`.
    pub states: Vec<char>,
    /// Threads that run.
    pub running: u32,
    pub open_files: u32,
    /// Seconds to go; `None` when that cannot be told yet.
    pub remaining: Option<u64>,
    /// Of the whole run, in percent; `None` when it cannot be told.
    pub done_percent: Option<f64>,
    /// Limits of all running threads together, in bytes in a second; 0 is none.
    pub rate_limit: u64,
    /// Likewise in I/Os.
    pub iops_limit: u64,
    /// Of reads and of writes since the line before.
    pub bytes_per_second: [u64; 2],
    pub ios_per_second: [u64; 2],
}

/// Letters of fio for what a thread does.
pub mod state {
    pub const NOT_STARTED: char = 'P';
    pub const SETTING_UP: char = 'I';
    pub const RAMP: char = '/';
    pub const READ: char = 'R';
    pub const RANDOM_READ: char = 'r';
    pub const WRITE: char = 'W';
    pub const RANDOM_WRITE: char = 'w';
    pub const MIXED: char = 'M';
    pub const RANDOM_MIXED: char = 'm';
    pub const VERIFYING: char = 'V';
    pub const SYNCING: char = 'F';
    pub const ENDED: char = 'E';
    pub const DONE: char = '_';
    pub const FAILED: char = 'X';
    pub const KILLED: char = 'K';
}

/// The line, without a line end.
#[must_use]
pub fn line(status: &Status) -> String {
    let mut line = format!("Jobs: {} (f={})", status.running, status.open_files);
    if status.rate_limit > 0 {
        let limit = number::short(status.rate_limit, WIDTH, Prefix::Binary);
        let _ = write!(line, ", 0B/s-{limit}B/s");
    } else if status.iops_limit > 0 {
        let _ = write!(line, ", 0-{} IOPS", status.iops_limit);
    }
    let Some(remaining) = status.remaining else {
        return line;
    };
    let _ = write!(line, ": [{}]", condensed(&status.states));
    match status.done_percent {
        Some(percent) => {
            let _ = write!(line, "[{percent:.1}%]");
        }
        None => line.push_str("[-.-%]"),
    }
    line.push_str(&rates(status));
    let _ = write!(line, "[eta {}]", duration(remaining));
    line
}

/// Threads that do the same, counted: "r(4),w(1)".
fn condensed(states: &[char]) -> String {
    let runs: Vec<String> = states
        .chunk_by(|a, b| a == b)
        .map(|run| format!("{}({})", run[0], run.len()))
        .collect();
    runs.join(",")
}

/// Only of directions that did something.
fn rates(status: &Status) -> String {
    let active =
        |index: &usize| status.bytes_per_second[*index] > 0 || status.ios_per_second[*index] > 0;
    let active: Vec<usize> = (0..2).filter(active).collect();
    if active.is_empty() {
        return String::new();
    }
    let join = |text: &dyn Fn(usize) -> String| {
        let parts: Vec<String> = active
            .iter()
            .map(|index| format!("{}={}", ['r', 'w'][*index], text(*index)))
            .collect();
        parts.join(",")
    };
    let bytes =
        join(&|index| number::short(status.bytes_per_second[index], WIDTH, Prefix::Binary) + "B/s");
    let ios = join(&|index| number::count(status.ios_per_second[index]));
    format!("[{bytes}][{ios} IOPS]")
}

/// "01h:02m:03s".
fn duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes:02}m:{seconds:02}s"),
        (0, hours) => format!("{hours:02}h:{minutes:02}m:{seconds:02}s"),
        (days, hours) => format!("{days:02}d:{hours:02}h:{minutes:02}m:{seconds:02}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Status {
        Status {
            states: vec![state::RANDOM_READ; 4],
            running: 4,
            open_files: 4,
            remaining: Some(5),
            done_percent: Some(45.0),
            bytes_per_second: [1_293_942_784, 0],
            ios_per_second: [315_904, 0],
            ..Status::default()
        }
    }

    #[test]
    fn a_read_job_is_shown_as_in_fio() {
        assert_eq!(
            line(&running()),
            "Jobs: 4 (f=4): [r(4)][45.0%][r=1234MiB/s][r=316k IOPS][eta 00m:05s]"
        );
    }

    #[test]
    fn both_directions_and_several_states_are_shown() {
        let status = Status {
            states: vec![state::DONE, state::RANDOM_MIXED, state::RANDOM_MIXED],
            running: 2,
            open_files: 2,
            remaining: Some(93_784),
            done_percent: None,
            bytes_per_second: [4096, 40_960_000],
            ios_per_second: [1, 10_000],
            ..Status::default()
        };
        assert_eq!(
            line(&status),
            "Jobs: 2 (f=2): [_(1),m(2)][-.-%][r=4096B/s,w=39.1MiB/s][r=1,w=10.0k IOPS][eta 01d:02h:03m:04s]"
        );
    }

    #[test]
    fn before_anything_is_known_only_jobs_are_shown() {
        let status = Status {
            remaining: None,
            ..running()
        };
        assert_eq!(line(&status), "Jobs: 4 (f=4)");
    }

    #[test]
    fn limits_are_shown() {
        let limited = Status {
            rate_limit: 10 << 20,
            bytes_per_second: [0, 0],
            ios_per_second: [0, 0],
            ..running()
        };
        assert_eq!(
            line(&limited),
            "Jobs: 4 (f=4), 0B/s-10.0MiB/s: [r(4)][45.0%][eta 00m:05s]"
        );
        let limited = Status {
            rate_limit: 0,
            iops_limit: 500,
            ..limited
        };
        assert!(line(&limited).starts_with("Jobs: 4 (f=4), 0-500 IOPS: [r(4)]"));
    }
}
