//! What a suite found to be less than was paid for.

use instore_bench::suite::Row;

use crate::daemon::bench::Kept;
use crate::output::plain;

/// Nothing, or which jobs fell short.
pub(super) fn slow(kept: &Kept) -> Option<String> {
    let of_type = plain(kept.result.instance_type.as_ref()?);
    let one = |row: &Row| {
        Some(format!(
            "{} does {:.0} IOPS, {:.0} % of the {:.0} of {of_type}",
            row.job.name(),
            row.figures?.iops,
            (row.expected_ratio? * 100.0).floor(),
            row.expected_iops?
        ))
    };
    let slow: Vec<String> = kept.result.slow().filter_map(one).collect();
    (!slow.is_empty()).then(|| slow.join("; "))
}
