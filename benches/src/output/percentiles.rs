//! The table of percentiles in fio's text.

use std::fmt::Write as _;

use crate::histogram::Histogram;

/// Digits behind the point of a percent (`percentile_list` knows no more here).
const PRECISION: usize = 2;

/// What a line may hold, and what it begins with.
const COLUMNS: usize = 80;
const MARGIN: usize = 7;

/// Around a value and its percent: " 99.00th=[" and "],".
const AROUND: usize = 10 + PRECISION;

/// A heading, and lines of as many percentiles as fit.
#[must_use]
pub(super) fn table(name: &str, of: &Histogram, percents: &[f64]) -> String {
    let values: Vec<u64> = percents.iter().map(|at| of.percentile(*at)).collect();
    let (Some(min), Some(max)) = (values.iter().min(), values.iter().max()) else {
        return String::new();
    };
    let (unit, divisor) = if *min > 2_000_000 && *max > 99_999_999 {
        ("msec", 1_000_000)
    } else if *min > 2_000 && *max > 99_999 {
        ("usec", 1_000)
    } else {
        ("nsec", 1)
    };
    let widest = (max / divisor).checked_ilog10().unwrap_or(0) as usize + 1;
    let width = widest.max(5);
    let at_width = PRECISION + 3;
    let shown: Vec<String> = percents
        .iter()
        .zip(&values)
        .map(|(at, value)| {
            let value = value.div_ceil(divisor);
            format!(" {at:at_width$.PRECISION$}th=[{value:width$}]")
        })
        .collect();
    let mut text = format!("    {name} percentiles ({unit}):\n");
    let lines: Vec<String> = shown
        .chunks((COLUMNS - MARGIN) / (AROUND + width))
        .map(|line| format!("     |{}", line.join(",")))
        .collect();
    let _ = writeln!(text, "{}", lines.join(",\n"));
    text
}
