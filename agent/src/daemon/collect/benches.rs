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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::daemon::state::{Counters, Pool, PoolReading, Space};
    use crate::daemon::wake::Waker;
    use crate::metrics::Events;
    use crate::spawn::Argv;

    struct Node {
        shared: Arc<Shared>,
        benches: Benches,
        readings: Readings,
        config: Config,
    }

    /// A node whose one pool is a directory, and whose suites note that they began.
    fn node(at: &Path, first: FirstBench) -> Node {
        let shared = Arc::new(Shared::new(SystemTime::now()));
        let pool = Pool {
            label: "instore".into(),
            at: at.join("data"),
            disks: vec!["a/1".into()],
            mounted: true,
            uuid: "u".into(),
            ..Pool::default()
        };
        std::fs::create_dir_all(&pool.at).unwrap();
        shared.set_snapshot(Snapshot {
            pools: vec![pool],
            ..Snapshot::default()
        });
        let script = at.join("suite.sh");
        let begun = at.join("begun");
        std::fs::write(&script, format!("echo >>{}\nexit 1\n", begun.display())).unwrap();
        let bencher = Bencher::with(
            Argv::new(&["sh", script.to_str().unwrap()]),
            Arc::clone(&shared),
            Arc::new(Events::new().unwrap()),
            Waker::of_nobody().unwrap(),
        );
        let space = Space {
            size: 1,
            free: 1,
            inodes: 1,
            inodes_free: 1,
        };
        let reading = PoolReading {
            space: Some(space),
            ..PoolReading::default()
        };
        Node {
            shared,
            benches: Benches::new(Arc::new(bencher)),
            readings: Readings {
                pools: [("instore".to_owned(), reading)].into(),
                ..Readings::default()
            },
            config: Config {
                bench_at_first_boot: first,
                ..Config::default()
            },
        }
    }

    impl Node {
        /// Once, and to the end of what it began.
        fn tend(&mut self) {
            let snapshot = self.shared.snapshot();
            let deadlines = Deadlines::new(Duration::from_secs(60));
            self.benches.tend(
                &snapshot,
                &self.config,
                &deadlines,
                &self.readings,
                &self.shared,
            );
            while self.shared.benches().running.is_some() {
                std::thread::yield_now();
            }
        }

        fn rest(&self) {
            for _ in 0..2 {
                let all = [("a/1".to_owned(), Counters::default())].into();
                self.shared.history().add(SystemTime::now(), 5.0, &all);
            }
        }
    }

    fn begun(at: &Path) -> usize {
        let text = std::fs::read_to_string(at.join("begun"));
        text.unwrap_or_default().lines().count()
    }

    #[test]
    fn a_new_pool_is_measured_once_when_it_is_idle_even_if_that_fails() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = node(dir.path(), FirstBench::Quick);
        first.tend();
        assert_eq!(begun(dir.path()), 0, "whether it is idle is not known yet");
        first.rest();
        first.tend();
        first.tend();
        assert_eq!(begun(dir.path()), 1);
        // After a restart it is known.
        let mut again = node(dir.path(), FirstBench::Quick);
        again.rest();
        again.tend();
        assert_eq!(begun(dir.path()), 1);
        // A pool that was made anew has lost the mark with all else.
        std::fs::remove_dir_all(dir.path().join("data/.instore")).unwrap();
        let mut anew = Snapshot::clone(&again.shared.snapshot());
        anew.pools[0].uuid = "v".into();
        again.shared.set_snapshot(anew);
        again.tend();
        assert_eq!(begun(dir.path()), 2);
    }

    #[test]
    fn unless_it_is_asked_for_nothing_is_measured_and_what_is_there_is_taken_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut node = node(dir.path(), FirstBench::Off);
        node.rest();
        let ours = dir.path().join("data/.instore");
        std::fs::create_dir(&ours).unwrap();
        let kept = serde_json::json!({ "uuid": "u", "result": crate::testing::suite(1000.0) });
        std::fs::write(ours.join("bench.json"), kept.to_string()).unwrap();
        node.tend();
        assert_eq!(begun(dir.path()), 0);
        let pool = &node.shared.snapshot().pools[0];
        assert!(node.shared.benches().of(pool).is_some());
    }
}
