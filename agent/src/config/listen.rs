//! Where the daemon answers HTTP: an address, or "none".

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Of the ports that no other exporter is registered for.
const PORT: u16 = 9810;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    At(SocketAddr),
    /// Only the unix socket.
    Nowhere,
}

impl Default for Listen {
    fn default() -> Self {
        Self::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT))
    }
}

impl std::str::FromStr for Listen {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::Nowhere);
        }
        let address = text.parse().with_context(|| {
            format!("listen {text:?} is neither an address such as \"127.0.0.1:9810\" nor \"none\"")
        })?;
        Ok(Self::At(address))
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|e: anyhow::Error| format!("{e:#}"))
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "{address}"),
            Self::Nowhere => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn an_address_or_none() {
        assert_eq!(Listen::default().to_string(), "0.0.0.0:9810");
        let parse = |text: &str| Config::parse(&format!("listen = {text:?}"));
        assert_eq!(parse("none").unwrap().listen, Listen::Nowhere);
        assert_eq!(parse("[::1]:80").unwrap().listen.to_string(), "[::1]:80");
        let error = format!("{:#}", parse("localhost").unwrap_err());
        assert!(
            error.contains("localhost") && error.contains("none"),
            "{error}"
        );
    }
}
