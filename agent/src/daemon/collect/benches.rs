//! Results of suites that are on the pools already, and the suite of a pool that is
//! new. What reaches the filesystem may hang, and so is asked with a deadline.

use std::collections::BTreeMap;
use std::sync::Arc;

use instore_bench::suite::Length;

use super::Deadlines;
use crate::config::{Config, FirstBench};
use crate::daemon::bench::{self, Bencher};
use crate::daemon::state::{Readings, Shared, Snapshot};

#[derive(Debug)]
pub(super) struct Benches {
    bencher: Arc<Bencher>,
    /// By label: which filesystem was looked at, and whether a suite was begun on it.
    looked: BTreeMap<String, Looked>,
}

#[derive(Debug)]
struct Looked {
    uuid: String,
    marked: bool,
}

impl Benches {
    pub(super) fn new(bencher: Arc<Bencher>) -> Self {
        Self {
            bencher,
            looked: BTreeMap::new(),
        }
    }

    /// Takes up what is there, and begins what is due.
    pub(super) fn tend(
        &mut self,
        snapshot: &Snapshot,
        config: &Config,
        deadlines: &Deadlines,
        readings: &Readings,
        shared: &Shared,
    ) {
        self.bencher.end_if_overdue();
        for pool in snapshot.pools.iter().filter(|pool| pool.mounted) {
            // One that does not answer is not asked for more.
            let reading = readings.pools.get(&pool.label);
            if reading.is_none_or(|reading| reading.space.is_none()) || pool.uuid.is_empty() {
                continue;
            }
            let looked = self.looked.get(&pool.label);
            if looked.is_none_or(|looked| looked.uuid != pool.uuid) {
                let at = pool.at.clone();
                let ask = || deadlines.ask("bench results", move || bench::look(&at));
                let Some(Ok(found)) = self.bencher.if_idle(ask) else {
                    continue;
                };
                if let Some(kept) = found.kept {
                    shared.set_bench(&pool.label, &Arc::new(kept));
                }
                let looked = Looked {
                    uuid: pool.uuid.clone(),
                    marked: found.marked,
                };
                self.looked.insert(pool.label.clone(), looked);
            }
            let length = match config.bench_at_first_boot {
                FirstBench::Off => continue,
                FirstBench::Quick => Length::Quick,
                FirstBench::Full => Length::Full,
            };
            if let Some(looked) = self.looked.get_mut(&pool.label)
                && !looked.marked
                && !pool.read_only
                // Busy now: it is asked again with the next reading.
                && self.bencher.begin_unasked(&pool.label, length).is_ok()
            {
                looked.marked = true;
                return;
            }
        }
    }
}
