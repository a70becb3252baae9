//! Results in fio's forms, so that people and programs read them as they read
//! fio's, and the way back from its JSON. Nothing here measures or decides.

use std::io::{self, Write};

use crate::job::Format;
use crate::results::{DiskUse, Results};

pub mod clock;
#[cfg(test)]
mod golden;
pub mod json;
pub mod live;
pub mod merge;
pub mod normal;
pub mod number;
pub mod opening;
pub mod parse;
mod percentiles;
pub mod shares;
pub mod terse;

/// What programs find as "fio version". They take the number out of it to know
/// the schema, which is that of fio 3.33; the rest is shown on plots, and says who
/// measured. Builds of fio put their commit there.
pub const VERSION: &str = concat!("fio-3.33-instore-", env!("CARGO_PKG_VERSION"));

/// Classes of queue depths, and of how many were submitted or completed at once.
const DEPTHS: [&str; 7] = ["1", "2", "4", "8", "16", "32", ">=64"];
const BATCHES: [&str; 7] = ["0", "4", "8", "16", "32", "64", ">=64"];

/// Writes results in each of the forms: the order is fio's, whatever was asked for
/// first, and "json+" has all of "json".
///
/// # Errors
/// When writing fails.
pub fn write(results: &Results, formats: &[Format], to: &mut dyn Write) -> io::Result<()> {
    if formats.contains(&Format::Terse) {
        terse::write(results, to)?;
    }
    if formats.contains(&Format::JsonPlus) {
        json::write(results, json::Bins::Shown, to)?;
    } else if formats.contains(&Format::Json) {
        json::write(results, json::Bins::Left, to)?;
    }
    if formats.contains(&Format::Normal) {
        normal::write(results, to)?;
    }
    Ok(())
}

/// How much of the time a disk was busy.
fn busy_percent(disk: &DiskUse) -> f64 {
    let percent = disk.busy_ms as f64 * 100.0 / (disk.elapsed.as_secs_f64() * 1000.0);
    // nothing in no time is no number
    if percent.is_nan() {
        0.0
    } else {
        percent.min(100.0)
    }
}
