//! Distributions with favourites: zipf, pareto and normal, as fio means them. The
//! favourites of zipf and pareto are spread over the target by a hash; those of
//! normal lie around its middle.

use crate::job::Distribution;

/// Draws blocks of a target.
#[derive(Debug, Clone)]
pub(super) struct Skew {
    blocks: u64,
    kind: Kind,
    /// Moves the favourites of one seed away from those of another.
    salt: u64,
}

#[derive(Debug, Clone)]
enum Kind {
    Uniform,
    Zipf {
        zeta: f64,
        alpha: f64,
        eta: f64,
        second: f64,
    },
    Pareto {
        power: f64,
    },
    Normal {
        deviation: f64,
    },
}

/// Terms of the zeta sum that are added one by one; the rest is its integral. fio
/// leaves the rest out.
const ZETA_TERMS: u64 = 10_000_000;

impl Skew {
    pub(super) fn is_uniform(distribution: Distribution) -> bool {
        matches!(distribution, Distribution::Uniform)
    }

    pub(super) fn new(distribution: Distribution, blocks: u64, seed: u64) -> Self {
        let kind = match distribution {
            Distribution::Uniform => Kind::Uniform,
            Distribution::Zipf(theta) => zipf(theta, blocks),
            Distribution::Pareto(h) => Kind::Pareto {
                power: h.ln() / (1.0 - h).ln(),
            },
            Distribution::Normal(percent) => Kind::Normal {
                deviation: blocks as f64 * percent / 100.0,
            },
        };
        Self {
            blocks,
            kind,
            salt: seed,
        }
    }

    #[inline]
    pub(super) fn draw(&self, choices: &mut fastrand::Rng) -> u64 {
        match self.kind {
            Kind::Uniform => choices.u64(0..self.blocks),
            Kind::Zipf {
                zeta,
                alpha,
                eta,
                second,
            } => {
                let u = choices.f64();
                let z = u * zeta;
                let rank = if z < 1.0 {
                    0
                } else if z < 1.0 + second {
                    1
                } else {
                    whole(self.blocks as f64 * (eta * u - eta + 1.0).powf(alpha))
                };
                self.spread(rank)
            }
            Kind::Pareto { power } => {
                let rank = whole((self.blocks - 1) as f64 * choices.f64().powf(power));
                self.spread(rank)
            }
            Kind::Normal { deviation } => {
                let middle = self.blocks as f64 / 2.0;
                let drawn = middle + deviation * gauss(choices);
                // What falls outside comes in again at the other end.
                whole(drawn.rem_euclid(self.blocks as f64)).min(self.blocks - 1)
            }
        }
    }

    fn spread(&self, rank: u64) -> u64 {
        let mut hash = rank
            .wrapping_add(self.salt)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^= hash >> 29;
        hash % self.blocks
    }
}

/// After Gray and others, "Quickly Generating Billion-Record Synthetic Databases"
/// (SIGMOD 1994).
fn zipf(theta: f64, blocks: u64) -> Kind {
    let terms = blocks.min(ZETA_TERMS);
    let summed: f64 = (1..=terms).map(|i| (i as f64).powf(-theta)).sum();
    let rest = if blocks > terms {
        let power = 1.0 - theta;
        ((blocks as f64).powf(power) - (terms as f64).powf(power)) / power
    } else {
        0.0
    };
    let zeta = summed + rest;
    let second = 0.5_f64.powf(theta);
    let eta = (1.0 - (2.0 / blocks as f64).powf(1.0 - theta)) / (1.0 - (1.0 + second) / zeta);
    Kind::Zipf {
        zeta,
        alpha: 1.0 / (1.0 - theta),
        eta,
        second,
    }
}

/// Standard normal, by the sum of twelve uniform numbers: no logarithm, and its
/// tails end at six deviations.
fn gauss(choices: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| choices.f64()).sum::<f64>() - 6.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to an integer saturates: negative is 0"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
