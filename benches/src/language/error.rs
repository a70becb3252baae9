//! What can be wrong with what was written: where, which option, what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a command line or a job file cannot be run as it is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that is not supported, or that nobody knows.
    #[error("{place}: option {name} is not supported: {instead}")]
    Unsupported {
        place: Place,
        name: String,
        /// What to write in its stead.
        instead: String,
    },
    /// A value that cannot be, or that is not supported.
    #[error("{place}: option {name}: {problem}")]
    Value {
        place: Place,
        name: &'static str,
        problem: String,
    },
    /// Options of one job that cannot be together.
    #[error("{place}: job {job}: {problem}")]
    Conflict {
        /// Where the job begins.
        place: Place,
        job: String,
        problem: String,
    },
    /// Something that is no option at all.
    #[error("{place}: {problem}")]
    Syntax { place: Place, problem: String },
    #[error("cannot read job file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{0}")]
    NoJob(String),
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// File and line, from 1.
    Line(Arc<Path>, usize),
    /// The argument itself.
    Argument(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Argument(text) => write!(f, "argument {}", clean(text)),
        }
    }
}

/// Text of a stranger, fit for a terminal: on one line, and not endless.
pub(super) fn clean(text: &str) -> String {
    /// Longer than any option people write, shorter than a screen.
    const LONGEST: usize = 120;
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect();
    if text.chars().count() > LONGEST {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_short_line() {
        let shown = clean(&format!("a\nb\u{1b}[2J\0{}", "x".repeat(10_000)));
        assert!(shown.starts_with("a\\nb\\u{1b}[2J\\u{0}xxx"), "{shown}");
        assert!(shown.len() < 200);
    }

    #[test]
    fn places_say_file_and_line() {
        let place = Place::Line(Path::new("a.fio").into(), 3);
        assert_eq!(place.to_string(), "a.fio:3");
        assert_eq!(
            Place::Argument("--bs=1".into()).to_string(),
            "argument --bs=1"
        );
    }
}
