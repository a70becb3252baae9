//! A share of a disk, as people write it.

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// A whole percentage, written "10%".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(u8);

/// More would leave less than half of what was paid for; surely a mistake.
const MAX_RESERVE: u8 = 50;

impl Percent {
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// What remains of `bytes` after the reserve.
    #[must_use]
    pub fn rest_of(self, bytes: u64) -> u64 {
        bytes / 100 * u64::from(100 - self.0)
    }
}

impl std::str::FromStr for Percent {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text
            .strip_suffix('%')
            .with_context(|| format!("reserve {text:?} is not a percentage such as \"10%\""))?;
        let number: u8 = number
            .parse()
            .with_context(|| format!("reserve {text:?} is not a whole percentage"))?;
        ensure!(
            number <= MAX_RESERVE,
            "reserve {text} is more than {MAX_RESERVE}%"
        );
        Ok(Self(number))
    }
}

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|e: anyhow::Error| format!("{e:#}"))
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        percent.to_string()
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn reserve_is_a_share() {
        let config = Config::parse("reserve = \"10%\"").unwrap();
        assert_eq!(config.reserve.rest_of(1000), 900);
        assert!(refusal("reserve = \"90%\"").contains("50%"));
        assert!(refusal("reserve = \"10\"").contains("percentage"));
    }
}
