//! Distributions in percent: of latencies over fixed bounds, and of queue depths
//! over powers of two. Something is never shown as nothing, as in fio.

use crate::histogram::Histogram;

/// What is there at all counts as so many percent at least.
const LEAST_LATENCY: f64 = 0.01;
const LEAST_DEPTH: f64 = 0.1;

/// Bounds in their unit: below them, and not below the one before.
pub const BOUNDS: [u64; 10] = [2, 4, 10, 20, 50, 100, 250, 500, 750, 1000];

/// Milliseconds have one more, and what is above that.
const MSEC_BOUND: u64 = 2000;

/// Nanoseconds in what a bound counts.
const UNITS: [u64; 3] = [1, 1_000, 1_000_000];

/// Percent of all I/Os with a latency below each bound and not below the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Latencies {
    pub nsec: [f64; 10],
    pub usec: [f64; 10],
    /// Two more than `BOUNDS`: below 2000 ms, and the rest.
    pub msec: [f64; 12],
}

impl Latencies {
    /// Of both directions together.
    #[must_use]
    pub fn of(all: &Histogram) -> Self {
        let total = all.count();
        let mut seen = 0;
        let mut until = |below: u64| {
            let new = below - seen;
            seen = below;
            percent(new, total, LEAST_LATENCY)
        };
        let mut unit = |unit: u64| BOUNDS.map(|bound| until(all.below(bound * unit)));
        let [nsec, usec, low] = UNITS.map(&mut unit);
        let mut msec = [0.0; 12];
        msec[..10].copy_from_slice(&low);
        msec[10] = until(all.below(MSEC_BOUND * UNITS[2]));
        msec[11] = until(total);
        Self { nsec, usec, msec }
    }
}

/// Percent in each class of a queue depth.
#[must_use]
pub fn of_depths(classes: &[u64; 7], total: u64) -> [f64; 7] {
    classes.map(|count| percent(count, total, LEAST_DEPTH))
}

fn percent(count: u64, total: u64, least: f64) -> f64 {
    if count == 0 || total == 0 {
        return 0.0;
    }
    (count as f64 * 100.0 / total as f64).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Latencies {
        let mut all = Histogram::new();
        values.iter().for_each(|value| all.record(*value));
        Latencies::of(&all)
    }

    #[test]
    fn latencies_count_below_their_bound() {
        let shares = of(&[
            1,
            3,
            900,
            1_500,
            80_000,
            1_500_000,
            2_100_000_000,
            3_000_000_000,
        ]);
        let one = 12.5;
        assert_eq!(
            shares.nsec,
            [one, one, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, one]
        );
        assert_eq!(
            shares.usec,
            [one, 0.0, 0.0, 0.0, 0.0, one, 0.0, 0.0, 0.0, 0.0]
        );
        assert_eq!((shares.msec[0], shares.msec[11]), (one, 2.0 * one));
        assert_eq!(shares.msec[1..11], [0.0; 10]);
    }

    #[test]
    fn a_few_are_never_none() {
        let mut values = vec![5_000; 100_000];
        values.push(3_000_000);
        let shares = of(&values);
        assert_eq!(shares.msec[1], 0.01);
        assert_eq!(
            of_depths(&[1, 0, 9_999, 0, 0, 0, 0], 10_000)[..2],
            [0.1, 0.0]
        );
    }

    #[test]
    fn nothing_is_zero_everywhere() {
        let shares = of(&[]);
        assert_eq!(shares.msec, [0.0; 12]);
        assert_eq!(of_depths(&[0; 7], 0), [0.0; 7]);
    }
}
