//! What is kept of suites: in memory for whoever asks, and on the pool itself, so
//! that it goes and comes back with the pool.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use instore_bench::suite::{Length, Row, SuiteResult, Test};
use serde::{Deserialize, Serialize};

use super::By;
use crate::daemon::state::Pool;
use crate::output::plain;

/// Of root alone, in each pool.
pub(super) const OURS: &str = ".instore";
/// Where a suite has its files while it runs.
pub(super) const WORK: &str = ".instore/bench";
/// The last result.
const RESULT: &str = ".instore/bench.json";
/// There when a suite was ever begun on this filesystem.
const MARK: &str = ".instore/benched";
/// A result takes a few KiB: what is larger is none.
const RESULT_BYTES: u64 = 1 << 20;

/// The last result of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Of the filesystem: another one is another pool.
    pub uuid: String,
    pub result: SuiteResult,
}

/// All that is known of suites.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Benches {
    pub running: Option<Running>,
    /// By label of the pool.
    kept: BTreeMap<String, Arc<Kept>>,
}

/// The one that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// For people: a pool or a directory.
    pub target: String,
    pub pool: Option<String>,
    pub by: By,
    pub length: Length,
    pub since: SystemTime,
}

impl Running {
    pub(super) fn refusal(&self) -> String {
        let since = humantime::format_rfc3339_seconds(self.since);
        format!(
            "another suite runs: on {}, since {since}, by {}",
            self.target,
            self.by.word()
        )
    }

    #[must_use]
    pub fn length_word(&self) -> &'static str {
        match self.length {
            Length::Full => "full",
            Length::Quick => "quick",
        }
    }
}

impl Benches {
    /// The last result of this pool, if it is of the filesystem that it has now.
    #[must_use]
    pub fn of(&self, pool: &Pool) -> Option<&Arc<Kept>> {
        let kept = self.kept.get(&pool.label);
        kept.filter(|kept| kept.uuid == pool.uuid)
    }

    /// The same of all of them, by label.
    pub(in crate::daemon) fn of_all(&self, pools: &[Pool]) -> BTreeMap<String, Arc<Kept>> {
        let one = |pool: &Pool| Some((pool.label.clone(), Arc::clone(self.of(pool)?)));
        pools.iter().filter_map(one).collect()
    }

    pub(in crate::daemon) fn keep(&mut self, label: &str, kept: &Arc<Kept>) {
        self.kept.insert(label.to_owned(), Arc::clone(kept));
    }
}

impl Kept {
    /// One line of what counts most.
    #[must_use]
    pub fn words(&self) -> String {
        let row = |test: Test| {
            let row = self.result.row(test)?;
            let iops = row.figures?.iops;
            let share = share(row, &self.result);
            Some(format!("{} {iops:.0} IOPS{share}", test.name()))
        };
        let rows = [Test::RandRead4k, Test::RandWrite4k];
        let rows: Vec<String> = rows.into_iter().filter_map(row).collect();
        match rows.is_empty() {
            true => "nothing could be done there".into(),
            false => rows.join(", "),
        }
    }

    /// Writes it whole or not at all.
    pub(super) fn store(&self, at: &Path) -> Result<()> {
        let path = at.join(RESULT);
        let what = || format!("write {}", path.display());
        let new = path.with_extension("new");
        let mut file = File::create(&new).with_context(what)?;
        file.write_all(&serde_json::to_vec(self)?)
            .with_context(what)?;
        file.sync_all().with_context(what)?;
        fs::rename(&new, &path).with_context(what)
    }
}

fn share(row: &Row, result: &SuiteResult) -> String {
    match (row.expected_ratio, &result.instance_type) {
        (Some(ratio), Some(name)) => {
            format!(" ({:.0} % of {})", (ratio * 100.0).floor(), plain(name))
        }
        _ => String::new(),
    }
}

/// What an earlier run of the daemon left on a pool.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::daemon) struct Found {
    /// A suite was begun there before.
    pub(in crate::daemon) marked: bool,
    pub(in crate::daemon) kept: Option<Kept>,
}

/// Looks, and removes files of a suite that was cut off: none runs now.
pub(in crate::daemon) fn look(at: &Path) -> Found {
    if let Err(error) = clean(at) {
        tracing::warn!("remove what a suite left: {error:#}");
    }
    let text = File::open(at.join(RESULT)).and_then(|file| {
        let mut text = Vec::new();
        file.take(RESULT_BYTES).read_to_end(&mut text).map(|_| text)
    });
    Found {
        marked: at.join(MARK).exists(),
        // One of another version, or half of one, is none.
        kept: text
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok()),
    }
}

pub(super) fn clean(at: &Path) -> Result<()> {
    let work = at.join(WORK);
    match fs::remove_dir_all(&work) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", work.display()))
        }
        _ => Ok(()),
    }
}

/// Set at the beginning: a suite that fails is not begun at every start.
pub(super) fn mark(at: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false);
    let path = at.join(MARK);
    let what = || format!("write {}", path.display());
    let file = file.open(&path).with_context(what)?;
    file.set_modified(SystemTime::now()).with_context(what)
}
