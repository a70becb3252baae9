//! Distributions with favourites: zipf, pareto and normal, as fio 3.33 draws them.
//! The favourites are spread over the target, those of normal as well: it says how
//! often blocks are visited, not where they lie.

use super::permutation::Permutation;
use crate::job::Distribution;

/// Draws blocks of a target.
#[derive(Debug, Clone)]
pub(super) struct Skew {
    blocks: u64,
    kind: Kind,
    /// Where the block of each rank lies: each has a place of its own.
    places: Permutation,
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
        width: f64,
    },
}

/// Terms of the zeta sum that are added one by one; the rest is its integral. fio
/// leaves the rest out.
const ZETA_TERMS: u64 = 10_000_000;

/// In percent: fio takes more for this.
const WIDEST: f64 = 50.0;

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
                width: blocks as f64 * percent.min(WIDEST) / 100.0,
            },
        };
        Self {
            blocks,
            kind,
            places: Permutation::new(blocks, seed),
        }
    }

    #[inline]
    pub(super) fn draw(&self, choices: &mut fastrand::Rng) -> u64 {
        let rank = match self.kind {
            Kind::Uniform => return choices.u64(0..self.blocks),
            Kind::Zipf {
                zeta,
                alpha,
                eta,
                second,
            } => {
                let u = choices.f64();
                let z = u * zeta;
                if z < 1.0 {
                    0
                } else if z < 1.0 + second {
                    1
                } else {
                    whole(self.blocks as f64 * (eta * u - eta + 1.0).powf(alpha))
                }
            }
            Kind::Pareto { power } => whole((self.blocks - 1) as f64 * choices.f64().powf(power)),
            Kind::Normal { width } => {
                let drawn = self.blocks as f64 * bell(choices) + width * (choices.f64() - 0.5);
                // What falls outside comes in again at the other end.
                whole(drawn.rem_euclid(self.blocks as f64))
            }
        };
        // A float may be rounded up to the bound.
        self.places.at(rank.min(self.blocks - 1))
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

/// Between 0 and 1, with a deviation of a twelfth: the mean of twelve uniform
/// numbers, as fio has it. The deviation that is asked for comes on top of it.
fn bell(choices: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| choices.f64()).sum::<f64>() / 12.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to an integer saturates: negative is 0"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
