//! How much two measurements of the same thing differ by chance.
//!
//! Between runs: where a file holds a job several times, its runs are independent
//! measurements, and Welch's interval of the two means is used as it is, for every
//! figure. Where only one file does, its spread stands for both.
//!
//! Within one run: fio keeps mean, deviation and number of the samples over time,
//! not the samples. Disks drift and stall over many of them, so neighbours are
//! alike; a correlation of one half is assumed, with which n samples tell as much as
//! n/3 independent ones. Threads of one group are taken to waver together, for their
//! file does not say. Mean latency has the relative noise of the IOPS, because the
//! queue is kept full and one is the inverse of the other; a job with a rate or a
//! think time has no such law. Percentiles have no noise that a single run could
//! tell of.
//!
//! Limits: one run each cannot see what differs between runs (the state of the
//! disk, neighbours, placement), so differences of up to [`RUN_TO_RUN`] are noise
//! whatever the samples say, and a larger difference says that the two runs differ,
//! not why. At 99 %, one comparison in a hundred is wrong by chance.

use super::What;
use crate::output::parse::Summary;

/// As a share: what a job differs by when it is run again on an idle disk.
const RUN_TO_RUN: f64 = 0.02;

/// How many samples tell as much as an independent one: (1 + r) / (1 - r), r = 1/2.
const ALIKE: f64 = 3.0;

/// Fewer are too few to tell their deviation: some five seconds of fio's samples.
const FEWEST: f64 = 9.0;

/// The threads of one run together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    iops: f64,
    bandwidth: f64,
    mean: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    /// Deviation of the samples, as a share of their mean.
    iops_deviation: f64,
    bandwidth_deviation: f64,
    /// Of each thread.
    iops_samples: f64,
    bandwidth_samples: f64,
    /// The queue is not kept full on purpose.
    paced: bool,
}

impl Run {
    /// Of at least one thread.
    pub(super) fn of(threads: &[&Summary], direction: usize) -> Self {
        let all: Vec<_> = threads.iter().map(|t| &t.directions[direction]).collect();
        let sum = |value: &dyn Fn(usize) -> f64| (0..all.len()).map(value).sum::<f64>();
        // How many threads an entry stands for: fio repeats numjobs in each.
        let options = &threads[0].options;
        let numjobs = options.get("numjobs").and_then(|n| n.parse::<f64>().ok());
        let each = (numjobs.unwrap_or(1.0) / all.len() as f64).max(1.0);
        let fewest = |count: &dyn Fn(usize) -> u64| {
            let counts = (0..all.len()).map(|i| count(i) as f64 / each);
            counts.fold(f64::INFINITY, f64::min)
        };
        let ios = sum(&|i| all[i].latency.count as f64).max(1.0);
        let mean_of =
            |value: &dyn Fn(usize) -> f64| sum(&|i| value(i) * all[i].latency.count as f64) / ios;
        let percentile = |percent: f64| {
            let values: Option<Vec<u64>> =
                all.iter().map(|d| d.latency.percentile(percent)).collect();
            values.map(|values| mean_of(&|i| values[i] as f64))
        };
        // In a group fio adds the means, and keeps the deviation of one thread.
        let share = |deviation: f64, mean: f64| {
            if mean > 0.0 {
                deviation * each / mean
            } else {
                0.0
            }
        };
        let given = |name: &str| options.get(name).is_some_and(|value| value != "0");
        Self {
            iops: sum(&|i| all[i].iops),
            bandwidth: sum(&|i| all[i].bandwidth),
            mean: mean_of(&|i| all[i].latency.mean),
            p50: percentile(50.0),
            p99: percentile(99.0),
            iops_deviation: share(
                sum(&|i| all[i].iops_samples.stddev),
                sum(&|i| all[i].iops_samples.mean),
            ),
            bandwidth_deviation: share(
                sum(&|i| all[i].bandwidth_samples.stddev),
                sum(&|i| all[i].bandwidth_samples.mean),
            ),
            iops_samples: fewest(&|i| all[i].iops_samples.count),
            bandwidth_samples: fewest(&|i| all[i].bandwidth_samples.count),
            paced: ["rate", "rate_iops", "thinktime"].into_iter().any(given),
        }
    }

    fn value(&self, what: What) -> Option<f64> {
        match what {
            What::Iops => Some(self.iops),
            What::Bandwidth => Some(self.bandwidth),
            What::MeanLatency => Some(self.mean),
            What::P50 => self.p50,
            What::P99 => self.p99,
        }
    }

    /// The share that the samples deviate by, and how many there are.
    fn samples(&self, what: What) -> Option<(f64, f64)> {
        match what {
            What::Bandwidth => Some((self.bandwidth_deviation, self.bandwidth_samples)),
            What::Iops => Some((self.iops_deviation, self.iops_samples)),
            What::MeanLatency if !self.paced => Some((self.iops_deviation, self.iops_samples)),
            What::MeanLatency | What::P50 | What::P99 => None,
        }
    }
}

/// One figure of one file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    spread: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Spread {
    /// Deviation of so many runs.
    Runs {
        deviation: f64,
        count: f64,
    },
    /// Deviation of so many samples of one run, which are not independent.
    Samples {
        deviation: f64,
        count: f64,
    },
    Unknown,
}

impl Estimate {
    /// `None` when one of the runs has no such figure.
    pub(super) fn of(runs: &[Run], what: What) -> Option<Self> {
        let values: Option<Vec<f64>> = runs.iter().map(|run| run.value(what)).collect();
        let values = values?;
        let count = values.len() as f64;
        let value = values.iter().sum::<f64>() / count;
        let spread = match runs {
            [] => return None,
            [one] => match one.samples(what) {
                Some((share, count)) if count >= FEWEST => Spread::Samples {
                    deviation: share * value,
                    count,
                },
                _ => Spread::Unknown,
            },
            _ => {
                let squares: f64 = values.iter().map(|v| (v - value).powi(2)).sum();
                Spread::Runs {
                    deviation: (squares / (count - 1.0)).sqrt(),
                    count,
                }
            }
        };
        Some(Self { value, spread })
    }
}

/// How far two figures may be apart by chance; `None` when that cannot be told.
pub(super) fn half_width(a: &Estimate, b: &Estimate) -> Option<f64> {
    let least = match (a.spread, b.spread) {
        (Spread::Runs { .. }, _) | (_, Spread::Runs { .. }) => 0.0,
        _ => RUN_TO_RUN * a.value,
    };
    let [a, b] = match (a.spread, b.spread) {
        // The spread of several runs is that of the one as well, and nothing new.
        (Spread::Runs { deviation, count }, other) if !matches!(other, Spread::Runs { .. }) => {
            let error = deviation * (1.0 + 1.0 / count).sqrt();
            return Some(critical(count - 1.0) * error);
        }
        (other, Spread::Runs { deviation, count }) if !matches!(other, Spread::Runs { .. }) => {
            let error = deviation * (1.0 + 1.0 / count).sqrt();
            return Some(critical(count - 1.0) * error);
        }
        (a, b) => [a.error()?, b.error()?],
    };
    let squares = a.0.powi(2) + b.0.powi(2);
    if squares <= 0.0 {
        return Some(least);
    }
    // Welch and Satterthwaite.
    let freedom = squares.powi(2) / (a.0.powi(4) / a.1 + b.0.powi(4) / b.1);
    Some((critical(freedom) * squares.sqrt()).max(least))
}

impl Spread {
    /// The standard error of the mean, and its degrees of freedom.
    fn error(self) -> Option<(f64, f64)> {
        let (deviation, count) = match self {
            Self::Runs { deviation, count } => (deviation, count),
            Self::Samples { deviation, count } => (deviation, count / ALIKE),
            Self::Unknown => return None,
        };
        Some((deviation / count.sqrt(), count - 1.0))
    }
}

/// Student's t for 99 %, both sides; of the next fewer degrees of freedom that the
/// table has, which is the careful side.
fn critical(freedom: f64) -> f64 {
    const TABLE: [(f64, f64); 19] = [
        (1.0, 63.657),
        (2.0, 9.925),
        (3.0, 5.841),
        (4.0, 4.604),
        (5.0, 4.032),
        (6.0, 3.707),
        (7.0, 3.499),
        (8.0, 3.355),
        (9.0, 3.250),
        (10.0, 3.169),
        (12.0, 3.055),
        (15.0, 2.947),
        (20.0, 2.845),
        (25.0, 2.787),
        (30.0, 2.750),
        (40.0, 2.704),
        (60.0, 2.660),
        (120.0, 2.617),
        (1000.0, 2.581),
    ];
    // Rounding must not cost a whole degree.
    let known = TABLE.iter().rev().find(|(from, _)| *from <= freedom + 1e-9);
    known.map_or(TABLE[0].1, |(_, t)| *t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Estimate {
        let count = values.len() as f64;
        let value = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - value).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        let spread = Spread::Runs { deviation, count };
        Estimate { value, spread }
    }

    fn samples(value: f64, deviation: f64, count: f64) -> Estimate {
        let spread = Spread::Samples { deviation, count };
        Estimate { value, spread }
    }

    #[test]
    fn several_runs_are_compared_as_welch_does() {
        // Errors 1 and 2 of five runs each: 5.88 degrees of freedom, t of 5.
        let a = Spread::Runs {
            deviation: 5_f64.sqrt(),
            count: 5.0,
        };
        let b = Spread::Runs {
            deviation: 20_f64.sqrt(),
            count: 5.0,
        };
        let [a, b] = [a, b].map(|spread| Estimate {
            value: 100.0,
            spread,
        });
        let half = half_width(&a, &b).unwrap();
        assert!((half - 4.032 * 5_f64.sqrt()).abs() < 1e-9, "{half}");
    }

    #[test]
    fn one_run_takes_the_spread_of_the_others() {
        let several = runs(&[99.0, 100.0, 101.0]);
        let one = Estimate {
            value: 120.0,
            spread: Spread::Unknown,
        };
        let half = half_width(&several, &one).unwrap();
        assert!(
            (half - 9.925 * (4.0_f64 / 3.0).sqrt()).abs() < 1e-9,
            "{half}"
        );
        assert_eq!(half_width(&one, &several), Some(half));
        assert_eq!(half_width(&samples(120.0, 1.0, 60.0), &several), Some(half));
    }

    #[test]
    fn samples_tell_less_than_their_number() {
        let noisy = samples(1000.0, 100.0, 60.0);
        let half = half_width(&noisy, &noisy).unwrap();
        // Errors of 100 / sqrt(20), 38 degrees of freedom.
        let wanted = 2.750 * (2.0 * 100.0_f64.powi(2) / 20.0).sqrt();
        assert!((half - wanted).abs() < 1e-9, "{half} {wanted}");
        let quiet = samples(1000.0, 0.0, 60.0);
        assert_eq!(half_width(&quiet, &quiet), Some(20.0));
    }

    #[test]
    fn what_one_side_cannot_tell_nobody_can() {
        let unknown = Estimate {
            value: 1.0,
            spread: Spread::Unknown,
        };
        assert_eq!(half_width(&unknown, &samples(1.0, 0.1, 60.0)), None);
        assert_eq!(half_width(&samples(1.0, 0.1, 60.0), &unknown), None);
    }

    #[test]
    fn fewer_degrees_of_freedom_are_more_careful() {
        assert!((critical(0.2) - 63.657).abs() < 1e-9);
        assert!((critical(3.999_999_999_99) - 4.604).abs() < 1e-9);
        assert!((critical(1e9) - 2.581).abs() < 1e-9);
        assert!((critical(f64::NAN) - 63.657).abs() < 1e-9);
    }

    /// A series like that of a drifting disk, compared with itself: the interval holds
    /// as often as it says, or nearly. Without `ALIKE` it would not.
    #[test]
    fn the_same_disk_measured_twice_is_rarely_a_difference() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut series = || {
            let mut state = 0.0;
            let values = (0..60).map(|_| {
                // Autoregressive, with the correlation that is assumed.
                let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
                state = 0.5 * state + normal;
                10_000.0 + 800.0 * state
            });
            let values: Vec<f64> = values.collect();
            let mean = values.iter().sum::<f64>() / 60.0;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            samples(mean, (squares / 59.0).sqrt(), 60.0)
        };
        let pairs = 2000;
        let wrong = (0..pairs).filter(|_| {
            let (a, b) = (series(), series());
            (a.value - b.value).abs() > half_width(&a, &b).unwrap()
        });
        let wrong = wrong.count();
        assert!(wrong <= pairs / 50, "{wrong} of {pairs}");
    }
}
