//! A histogram of latencies: constant memory, one addition for a value. The
//! buckets are those of fio's "json+" bins, so that they can be given out as such:
//! exact below 64 ns, then 64 linear steps in each power of two (an error of at
//! most 1/128).

/// Buckets in each power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// fio has 29 groups: up to some 17 seconds, the rest counts into the last bucket.
const BUCKETS: usize = 29 * 64;

/// Latencies in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    #[must_use]
    pub fn new() -> Self {
        let counts: Box<[u64]> = vec![0; BUCKETS].into();
        Self {
            counts: counts.try_into().unwrap_or_else(|_| unreachable!()),
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }

    /// Counts one value.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.sum += ns;
        self.min = self.min.min(ns);
        self.max = self.max.max(ns);
    }

    /// Forgets everything, in place.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.sum, self.min, self.max) = (0, u64::MAX, 0);
    }

    pub fn merge(&mut self, other: &Self) {
        for (into, from) in self.counts.iter_mut().zip(other.counts.iter()) {
            *into += from;
        }
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The exact sum of all values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The exact smallest value; 0 when there is none.
    #[must_use]
    pub fn min(&self) -> u64 {
        if self.min == u64::MAX { 0 } else { self.min }
    }

    /// The exact largest value.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The exact mean; 0 when there is none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match self.count() {
            0 => 0.0,
            count => self.sum as f64 / count as f64,
        }
    }

    /// The standard deviation, from the buckets.
    #[must_use]
    pub fn stddev(&self) -> f64 {
        let (count, mean) = (self.count(), self.mean());
        if count < 2 {
            return 0.0;
        }
        let squares: f64 = self
            .bins()
            .map(|(value, n)| (value as f64 - mean).powi(2) * n as f64)
            .sum();
        (squares / (count - 1) as f64).sqrt()
    }

    /// The value that so many percent do not exceed, to the precision of a
    /// bucket; 0 when there is none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        // Compared as hundredfold, so that 7 % of 100 is 7.
        let wanted = percent * self.count() as f64;
        let mut seen = 0;
        let mut last = 0;
        for (value, count) in self.bins() {
            seen += count;
            last = value;
            if 100.0 * seen as f64 >= wanted {
                break;
            }
        }
        last
    }

    /// Buckets that hold something: their value and their count, ascending.
    pub fn bins(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| (value(index), *count))
    }

    /// How many values were below a bound, to the precision of a bucket.
    #[must_use]
    pub fn below(&self, ns: u64) -> u64 {
        self.bins()
            .take_while(|(value, _)| *value < ns)
            .map(|(_, count)| count)
            .sum()
    }
}

#[inline]
fn bucket(ns: u64) -> usize {
    let index = if ns < 2 * STEPS {
        ns
    } else {
        let shift = ns.ilog2() - STEP_BITS;
        u64::from(shift + 1) * STEPS + ((ns >> shift) & (STEPS - 1))
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The value a bucket stands for: its middle.
fn value(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let low = (STEPS + index % STEPS) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_values_are_exact() {
        for ns in 0..128 {
            assert_eq!(value(bucket(ns)), ns);
        }
    }

    #[test]
    fn what_is_too_large_counts_into_the_last_bucket() {
        let mut all = Histogram::new();
        all.record(u64::MAX / 2);
        assert_eq!((all.count(), all.max()), (1, u64::MAX / 2));
        assert_eq!(bucket(u64::MAX / 2), BUCKETS - 1);
    }

    #[test]
    fn an_empty_one_answers_with_zeros() {
        let none = Histogram::new();
        assert_eq!(
            (none.count(), none.min(), none.max(), none.percentile(99.0)),
            (0, 0, 0, 0)
        );
        assert!(none.mean() == 0.0 && none.stddev() == 0.0);
    }

    proptest! {
        #[test]
        fn a_bucket_is_within_one_part_in_128(ns in 1_u64..17_000_000_000) {
            prop_assert!(value(bucket(ns)).abs_diff(ns) <= ns / 128);
        }

        #[test]
        fn buckets_ascend(a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
            prop_assert_eq!(bucket(a.min(b)).min(bucket(a.max(b))), bucket(a.min(b)));
        }

        #[test]
        fn percentiles_are_those_of_the_values(mut values in prop::collection::vec(0_u64..1 << 32, 1..500), percent in 1_u32..=100) {
            let mut all = Histogram::new();
            let mut halves = [Histogram::new(), Histogram::new()];
            for (index, ns) in values.iter().enumerate() {
                all.record(*ns);
                halves[index % 2].record(*ns);
            }
            values.sort_unstable();
            let rank = (percent as usize * values.len()).div_ceil(100);
            let exact = values[rank - 1];
            prop_assert!(all.percentile(f64::from(percent)).abs_diff(exact) <= exact / 64 + 1);
            prop_assert_eq!(all.mean(), values.iter().sum::<u64>() as f64 / values.len() as f64);
            let [mut merged, other] = halves;
            merged.merge(&other);
            prop_assert_eq!(merged, all);
        }
    }
}
