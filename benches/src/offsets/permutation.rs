//! Each number below a bound once, in an order that looks random, without a bitmap:
//! a bit map of a 7.5 TB disk in blocks of 4 KiB would take 230 MB. A bijection on
//! the next power of two is applied until its value is below the bound.

/// All numbers below a bound, again and again, each time in another order.
#[derive(Debug, Clone)]
pub(super) struct Permutation {
    bound: u64,
    mask: u64,
    shift: u32,
    seed: u64,
    keys: [u64; ROUNDS],
    next: u64,
}

/// With three, the distances of neighbours still have favourites; with four they
/// pass for random (the test below).
const ROUNDS: usize = 4;

/// Odd, so that multiplication is a bijection; from splitmix64 and a hash after it,
/// whose bits they mix well.
const MULTIPLIERS: [u64; ROUNDS] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
];

impl Permutation {
    pub(super) fn new(bound: u64, seed: u64) -> Self {
        let bits = (u64::BITS - bound.saturating_sub(1).leading_zeros()).max(1);
        let mut all = Self {
            bound,
            mask: u64::MAX >> (u64::BITS - bits),
            shift: bits.div_ceil(2),
            seed,
            keys: [0; ROUNDS],
            next: 0,
        };
        all.choose_keys();
        all
    }

    fn choose_keys(&mut self) {
        let mut source = fastrand::Rng::with_seed(self.seed);
        self.keys = std::array::from_fn(|_| source.u64(..) & self.mask);
    }

    #[inline]
    pub(super) fn draw(&mut self) -> u64 {
        if self.next == self.bound {
            self.next = 0;
            self.seed = self.seed.wrapping_add(MULTIPLIERS[0]);
            self.choose_keys();
        }
        self.next += 1;
        self.at(self.next - 1)
    }

    /// The number at a place of this round, which is below the bound as well.
    #[inline]
    pub(super) fn at(&self, place: u64) -> u64 {
        let mut value = place;
        loop {
            value = self.mixed(value);
            if value < self.bound {
                return value;
            }
        }
    }

    /// Adding, multiplying by an odd number and folding the upper half onto the
    /// lower are each reversible on so many bits.
    #[inline]
    fn mixed(&self, mut value: u64) -> u64 {
        for (key, multiplier) in self.keys.iter().zip(MULTIPLIERS) {
            value = value.wrapping_add(*key).wrapping_mul(multiplier) & self.mask;
            value ^= value >> self.shift;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_comes_once_in_each_round(bound in 1_u64..5_000, seed: u64) {
            let mut all = Permutation::new(bound, seed);
            for _ in 0..3 {
                let mut seen: Vec<u64> = (0..bound).map(|_| all.draw()).collect();
                seen.sort_unstable();
                prop_assert!(seen.into_iter().eq(0..bound));
            }
        }
    }

    #[test]
    fn rounds_differ() {
        let mut all = Permutation::new(1000, 7);
        let rounds: [Vec<u64>; 2] =
            std::array::from_fn(|_| (0..1000).map(|_| all.draw()).collect());
        assert_ne!(rounds[0], rounds[1]);
    }

    /// Chi-square over the distance of neighbours: a random order has no favourite.
    #[test]
    fn neighbours_are_far_apart_like_random_ones() {
        let bound = 1_u64 << 16;
        let mut all = Permutation::new(bound, 42);
        let mut bins = [0_u64; 64];
        let mut last = all.draw();
        for _ in 1..bound {
            let next = all.draw();
            bins[usize::try_from(next.wrapping_sub(last) % bound * 64 / bound).unwrap()] += 1;
            last = next;
        }
        let expected = (bound - 1) as f64 / 64.0;
        let chi: f64 = bins
            .iter()
            .map(|n| (*n as f64 - expected).powi(2) / expected)
            .sum();
        // 63 degrees of freedom: 120 is beyond one in 50,000.
        assert!(chi < 120.0, "{chi}");
    }
}
