//! A rule names disks by what they are; which rule wins is in `rules`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// Matches disks by exact, trimmed values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// "0x1d0f"
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci_vendor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Of a loop device: for tests and the demo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backing_file: Option<PathBuf>,
}

impl Rule {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            *self != Self::default(),
            "an allow or deny rule names nothing: give it a model, serial, pci_vendor, transport or backing_file"
        );
        if let Some(vendor) = &self.pci_vendor {
            parse_vendor(vendor)?;
        }
        ensure!(
            self.model.is_some()
                || self.serial.is_some()
                || self.backing_file.is_some()
                || self.pci_vendor.is_some(),
            "a rule that names only a transport matches every disk: add a model or a serial"
        );
        for value in [&self.model, &self.serial, &self.transport]
            .into_iter()
            .flatten()
        {
            ensure!(
                !value.is_empty() && value.trim() == value,
                "rule value {value:?} is empty or has spaces around it; values are compared trimmed"
            );
        }
        Ok(())
    }

    /// The PCI vendor as a number, if the rule names one that parses.
    #[must_use]
    pub fn vendor(&self) -> Option<u16> {
        self.pci_vendor
            .as_deref()
            .and_then(|v| parse_vendor(v).ok())
    }
}

fn parse_vendor(text: &str) -> Result<u16> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u16::from_str_radix(digits, 16)
        .with_context(|| format!("pci_vendor {text:?} is not a PCI id such as \"0x1d0f\""))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn rules_must_name_something() {
        assert!(refusal("[[allow]]\n").contains("names nothing"));
        assert!(refusal("[[allow]]\ntransport = \"pcie\"\n").contains("every disk"));
        assert!(refusal("[[allow]]\npci_vendor = \"amazon\"\n").contains("PCI id"));
    }
}
