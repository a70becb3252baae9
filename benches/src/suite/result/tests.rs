//! Made-up measurements of the suite, and what becomes of them.

use std::time::Duration;

use super::super::jobs;
use super::super::tests::setup;
use super::*;
use crate::instance::Origin;
use crate::job::{Access, Run};
use crate::results::{Direction, Failure, Queue, Usage};

/// What each thread of a run would say that did so many I/Os in every second of
/// ten, each of which took 100 us, and some 1 ms.
pub(crate) fn made_up(run: &Run, iops: u64) -> Results {
    let mut threads = Vec::new();
    for (index, job) in run.jobs.iter().enumerate() {
        let direction = |share: u64| {
            let ios = iops * 10 * share / 100;
            let mut part = Direction {
                ios,
                bytes: ios * job.block_size[0].largest(),
                ..Direction::default()
            };
            if ios > 0 {
                part.runtime = Duration::from_secs(10);
                (0..98).for_each(|_| part.latency.record(100_000));
                (0..2).for_each(|_| part.latency.record(1_000_000));
            }
            part
        };
        let directions = match job.access {
            Access::Read => [direction(100), direction(0)],
            Access::Write => [direction(0), direction(100)],
            Access::Mixed => [direction(70), direction(30)],
        };
        for _ in 0..job.numjobs {
            threads.push(ThreadResult {
                name: job.name.clone(),
                description: String::new(),
                options: job.options.clone(),
                job: index,
                group: u32::try_from(index).unwrap(),
                group_reporting: true,
                tid: 1,
                error: None,
                elapsed: Duration::from_secs(11),
                directions: directions.clone(),
                syncs: Histogram::new(),
                usage: Usage::default(),
                depth: job.depth,
                queue: Queue::default(),
                percentiles: job.percentiles.clone(),
                engine: "io_uring, registered files and buffers".into(),
            });
        }
    }
    Results {
        unix_ms: 1_800_000_120_000,
        global: run.global.clone(),
        threads,
        disks: Vec::new(),
        warnings: Vec::new(),
        interrupted: false,
    }
}

/// On the one disk of an i4i.large: 50,000 and 27,500 are published.
pub(crate) fn on_i4i() -> Setup {
    Setup {
        instance: Detected::Known {
            name: "i4i.large".into(),
            origin: Origin::Given,
        },
        ..setup()
    }
}

/// A suite that did so many I/Os a second in each thread.
pub(crate) fn suite(iops: u64, setup: &Setup) -> SuiteResult {
    let results = made_up(&jobs::run(setup), iops);
    SuiteResult::new(setup, &results, 1_800_000_000_000)
}

#[test]
fn threads_are_added_up_and_the_mix_is_two_rows() {
    let suite = suite(10_000, &setup());
    let jobs: Vec<Test> = suite.rows.iter().map(|row| row.job).collect();
    assert_eq!(jobs, Test::ALL);
    let of = |test| suite.row(test).unwrap().figures.unwrap();
    // Two processors: two threads.
    let all = of(Test::RandRead4k);
    assert_eq!((all.ios, all.iops), (200_000, 20_000.0));
    assert_eq!(all.bytes_per_second, 20_000.0 * 4096.0);
    assert_eq!(of(Test::LatencyRead4k).iops, 10_000.0);
    assert_eq!(of(Test::SeqWrite128k).bytes_per_second, 1_310_720_000.0);
    assert_eq!(of(Test::MixedRead4k).iops, 14_000.0);
    assert_eq!(of(Test::MixedWrite4k).iops, 6_000.0);
    let latency = all.latency_us;
    assert_eq!((latency.mean, latency.max), (118.0, 1000.0));
    assert!((latency.p50 - 100.0).abs() < 1.0 && (latency.p99 - 1000.0).abs() < 10.0);
}

#[test]
fn only_random_4k_is_judged_and_only_on_a_type_that_is_known() {
    let unknown = suite(1, &setup());
    assert!(unknown.rows.iter().all(|r| r.expected_ratio.is_none()));
    assert!(unknown.verdict[0].contains("no verdict"), "{unknown:?}");
    let suite = suite(11_000, &on_i4i());
    let judged: Vec<(Test, f64)> = suite
        .rows
        .iter()
        .filter_map(|row| Some((row.job, row.expected_ratio?)))
        .collect();
    assert_eq!(judged, [(Test::RandRead4k, 0.44), (Test::RandWrite4k, 0.8)]);
    let slow: Vec<Test> = suite.slow().map(|row| row.job).collect();
    assert_eq!(slow, [Test::RandRead4k], "80 % is enough");
    assert!(suite.verdict[0].starts_with("random read: "), "{suite:?}");
    assert!(suite.verdict[1].starts_with("random write: "), "{suite:?}");
}

#[test]
fn a_job_that_failed_is_a_row_with_its_error_and_is_not_judged() {
    let setup = on_i4i();
    let mut results = made_up(&jobs::run(&setup), 1000);
    let index = SPECS
        .iter()
        .position(|s| s.tests[1] == Some(Test::RandWrite4k));
    for thread in results.threads.iter_mut().filter(|t| Some(t.job) == index) {
        thread.error = Some(Failure {
            errno: 28,
            text: "write /data/x: no space left on device".into(),
        });
    }
    // The last was not reached.
    results.threads.retain(|thread| thread.job != 6);
    results.interrupted = true;
    let suite = SuiteResult::new(&setup, &results, 0);
    let row = suite.row(Test::RandWrite4k).unwrap();
    assert!(row.error.as_ref().unwrap().contains("no space") && row.expected_ratio.is_none());
    assert!(suite.row(Test::MixedRead4k).is_none() && suite.interrupted);
}

#[test]
fn what_went_through_the_page_cache_is_told_and_not_judged() {
    let setup = Setup {
        caching: Caching::Buffered,
        ..on_i4i()
    };
    let suite = suite(1, &setup);
    assert!(suite.warnings[0].contains("page cache"));
    assert!(suite.verdict[0].contains("page cache"));
    assert_eq!(suite.slow().count(), 0);
}

#[test]
fn json_survives_a_round_trip_and_the_other_is_beside_it() {
    let answer = Answer::new(suite(1000, &on_i4i()), None);
    let text = serde_json::to_string(&answer).unwrap();
    assert!(text.contains(r#""job":"rand-read-4k""#) && !text.contains("versus"));
    assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);

    let answer = Answer::new(suite(1000, &setup()), Some(suite(250, &setup())));
    let versus = answer.versus.clone().unwrap();
    assert_eq!(versus.ratios.len(), Test::ALL.len());
    assert!(
        versus
            .ratios
            .iter()
            .all(|r| r.iops == 4.0 && r.latency_p99 == 1.0)
    );
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
}

#[test]
fn names_are_those_of_the_json() {
    for test in Test::ALL {
        let json = serde_json::to_string(&test).unwrap();
        assert_eq!(json, format!("{:?}", test.name()));
    }
}
