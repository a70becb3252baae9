//! The axes of plots: where a value stands, and which values get a line and a label.

use crate::words;

/// How a value becomes a place. Names and numbers are those of page.js.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    Linear {
        top: f64,
    },
    Log {
        low: f64,
        high: f64,
    },
    /// ln(p / (1 - p)): as much room for the slowest in a thousand as for the half.
    Logit {
        low: f64,
        high: f64,
    },
}

impl Scale {
    /// From 0 to 1; what is outside sits on the edge.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { top } => value / top,
            Self::Log { low, high } => {
                (value.max(low) / low).log10() / (high / low).log10().max(f64::MIN_POSITIVE)
            }
            Self::Logit { low, high } => (logit(value) - logit(low)) / (logit(high) - logit(low)),
        };
        place.clamp(0.0, 1.0)
    }

    fn attribute(self) -> String {
        match self {
            Self::Linear { top } => format!("linear 0 {top}"),
            Self::Log { low, high } => format!("log {low} {high}"),
            Self::Logit { low, high } => format!("logit {low} {high}"),
        }
    }
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    (p / (1.0 - p)).ln()
}

/// What is measured along an axis. The name is that of page.js.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Latency,
    Share,
    Seconds,
    Iops,
    Bandwidth,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) scale: Scale,
    unit: Unit,
    /// Values that have a line and a label.
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// From 0 to a round number above `top`.
    pub(super) fn linear(unit: Unit, top: f64) -> Self {
        let ticks = ticks(top, 4);
        let scale = Scale::Linear {
            top: ticks.last().copied().unwrap_or(1.0),
        };
        Self { scale, unit, ticks }
    }

    /// From 0 to `end` exactly.
    pub(super) fn time(end: f64) -> Self {
        let end = end.max(1e-3);
        let mut ticks = ticks(end, 6);
        ticks.retain(|tick| *tick <= end * 1.000_001);
        let (scale, unit) = (Scale::Linear { top: end }, Unit::Seconds);
        Self { scale, unit, ticks }
    }

    /// Latencies between two, in decades; in halves of them when there are few.
    pub(super) fn latency(lowest: f64, highest: f64) -> Self {
        let lowest = lowest.max(1.0);
        let low = step_below(lowest);
        let mut high = low;
        let mut steps = vec![low];
        while high < highest.max(lowest * 1.000_001) {
            high = step_above(high);
            steps.push(high);
        }
        let decades = steps.iter().copied().filter(|v| is_decade(*v));
        let decades: Vec<f64> = decades.collect();
        Self {
            scale: Scale::Log { low, high },
            unit: Unit::Latency,
            ticks: if decades.len() > 2 { decades } else { steps },
        }
    }

    /// From one in a hundred to as many nines as `count` values can tell of.
    pub(super) fn share(count: u64) -> Self {
        let tail = [0.999, 0.9999, 0.999_99, 0.999_999];
        let known = (0_u32..4)
            .take_while(|n| count >= 10_u64.pow(n + 3))
            .count();
        let mut ticks = vec![0.01, 0.1, 0.5, 0.9, 0.99];
        ticks.extend(&tail[..known]);
        let high = ticks.last().copied().unwrap_or(0.99);
        let scale = Scale::Logit { low: 0.01, high };
        Self {
            scale,
            unit: Unit::Share,
            ticks,
        }
    }

    pub(super) fn labels(&self) -> Vec<String> {
        let top = self.ticks.last().copied().unwrap_or(0.0);
        let label = |value: &f64| match self.unit {
            Unit::Latency => words::latency(*value),
            Unit::Share => words::percentile((value * 1e8).round() / 1e6),
            Unit::Seconds => format!("{value} s"),
            _ if *value == 0.0 => "0".to_owned(),
            // One unit for all of an axis.
            Unit::Iops => one_unit(*value, top, &["", "k", "M"]),
            Unit::Bandwidth => one_unit(*value, top, &words::RATES),
        };
        self.ticks.iter().map(label).collect()
    }

    pub(super) fn attribute(&self) -> String {
        let unit = match self.unit {
            Unit::Latency => "latency",
            Unit::Share => "share",
            Unit::Seconds => "seconds",
            Unit::Iops => "iops",
            Unit::Bandwidth => "bandwidth",
        };
        format!("{} {unit}", self.scale.attribute())
    }
}

fn one_unit(mut value: f64, mut top: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while unit + 1 < units.len() && top >= 1000.0 {
        (value, top, unit) = (value / 1000.0, top / 1000.0, unit + 1);
    }
    // Steps have one digit; what is left of them is rounding.
    let value = (value * 1e6).round() / 1e6;
    format!("{value} {}", units[unit]).trim_end().to_owned()
}

/// Round steps from 0 up to at least `top`, in as few as fit.
fn ticks(top: f64, pieces: u32) -> Vec<f64> {
    let top = if top.is_finite() && top > 0.0 {
        top
    } else {
        1.0
    };
    let pieces = f64::from(pieces);
    let power = 10_f64.powf((top / pieces).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let fits = |step: &f64| step * pieces >= top * (1.0 - 1e-9);
    let step = steps.into_iter().find(fits).unwrap_or(top);
    let mut ticks = vec![0.0];
    while ticks[ticks.len() - 1] < top * (1.0 - 1e-9) {
        // Counted, not added up: no drift.
        ticks.push((ticks.len() as f64 * step * 1e9).round() / 1e9);
    }
    ticks
}

/// The largest 1, 2 or 5 times a power of ten up to `value`.
fn step_below(value: f64) -> f64 {
    let mut step = 1.0;
    while step_above(step) <= value {
        step = step_above(step);
    }
    step
}

fn step_above(step: f64) -> f64 {
    let power = 10_f64.powf((step * 1.000_001).log10().floor());
    match step / power {
        f if f < 1.5 => 2.0 * power,
        f if f < 3.5 => 5.0 * power,
        _ => 10.0 * power,
    }
}

fn is_decade(step: f64) -> bool {
    let power = step.log10();
    (power - power.round()).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_reach_the_top() {
        assert_eq!(ticks(100.0, 4), [0.0, 50.0, 100.0]);
        assert_eq!(ticks(0.3, 4), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(ticks(0.0, 4).last(), Some(&1.0));
        assert_eq!(ticks(f64::NAN, 4).last(), Some(&1.0));
    }

    #[test]
    fn latencies_are_between_round_ends() {
        let axis = Axis::latency(83_000.0, 41_000_000.0);
        assert_eq!(axis.labels(), ["100 µs", "1 ms", "10 ms"]);
        assert_eq!(axis.scale.attribute(), "log 50000 50000000");
        let narrow = Axis::latency(1500.0, 3000.0);
        assert_eq!(narrow.labels(), ["1 µs", "2 µs", "5 µs"]);
        // Nothing measured, or all of it equal, still makes an axis.
        assert_eq!(Axis::latency(0.0, 0.0).labels(), ["1 ns", "2 ns"]);
    }

    #[test]
    fn there_are_as_many_nines_as_values_tell_of() {
        assert_eq!(Axis::share(1).labels().last().unwrap(), "99 %");
        assert_eq!(Axis::share(10_000).labels().last().unwrap(), "99.99 %");
        assert_eq!(Axis::share(u64::MAX).labels().last().unwrap(), "99.9999 %");
    }

    #[test]
    fn an_axis_has_one_unit() {
        let axis = Axis::linear(Unit::Iops, 1_700_000.0);
        assert_eq!(axis.labels(), ["0", "0.5 M", "1 M", "1.5 M", "2 M"]);
        let axis = Axis::linear(Unit::Bandwidth, 900e6);
        assert_eq!(axis.labels().last().unwrap(), "1 GB/s");
    }

    #[test]
    fn places_are_on_the_plot_whatever_the_value() {
        let scales = [
            Scale::Linear { top: 10.0 },
            Scale::Log {
                low: 1.0,
                high: 1e6,
            },
            Scale::Logit {
                low: 0.01,
                high: 0.999,
            },
        ];
        for scale in scales {
            for value in [-1.0, 0.0, 0.5, 1.0, 1e300] {
                assert!(
                    (0.0..=1.0).contains(&scale.place(value)),
                    "{scale:?} {value}"
                );
            }
        }
        assert!((scales[1].place(1e3) - 0.5).abs() < 1e-9);
        assert!(
            (Scale::Logit {
                low: 0.01,
                high: 0.99
            }
            .place(0.5)
                - 0.5)
                .abs()
                < 1e-9
        );
    }
}
