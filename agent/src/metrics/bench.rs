//! Metrics of the last suite of each pool. They stand still until the next one.

use instore_bench::suite::{Figures, Row};

use super::family::Families;
use super::node::number;
use crate::daemon::bench::Benches;
use crate::daemon::state::Snapshot;

pub(super) fn tell(snapshot: &Snapshot, benches: &Benches, out: &mut Families) {
    for pool in &snapshot.pools {
        let running = benches.running.as_ref();
        let runs = running.is_some_and(|running| running.pool.as_ref() == Some(&pool.label));
        out.gauge(
            "instore_bench_running",
            "Whether the standard suite runs on the pool now.",
            &[("pool", &pool.label)],
            f64::from(u8::from(runs)),
        );
        let Some(kept) = benches.of(pool) else {
            continue;
        };
        out.gauge(
            "instore_bench_timestamp_seconds",
            "End of the last suite.",
            &[("pool", &pool.label)],
            number(kept.result.ended_unix_ms) / 1000.0,
        );
        for row in &kept.result.rows {
            tell_row(&pool.label, row, out);
        }
    }
}

fn tell_row(pool: &str, row: &Row, out: &mut Families) {
    let labels = [("pool", pool), ("job", row.job.name())];
    if let Some(figures) = &row.figures {
        tell_figures(&labels, figures, out);
    }
    if let Some(ratio) = row.expected_ratio {
        out.gauge(
            "instore_bench_expected_ratio",
            "Operations a second over those that the instance type promises.",
            &labels,
            ratio,
        );
    }
}

fn tell_figures(labels: &[(&str, &str); 2], figures: &Figures, out: &mut Families) {
    let seconds = |us: f64| us / 1e6;
    let latency = &figures.latency_us;
    out.gauge(
        "instore_bench_iops",
        "Operations a second in the last suite.",
        labels,
        figures.iops,
    );
    out.gauge(
        "instore_bench_bytes_per_second",
        "Bytes a second in the last suite.",
        labels,
        figures.bytes_per_second,
    );
    out.summary(
        "instore_bench_latency_seconds",
        "Time of an operation in the last suite.",
        labels,
        &[
            (0.5, seconds(latency.p50)),
            (0.99, seconds(latency.p99)),
            (0.999, seconds(latency.p999)),
        ],
        (figures.ios, seconds(latency.mean) * number(figures.ios)),
    );
}
