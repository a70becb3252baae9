//! `instore bench compare`: two files of results, side by side.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use instore_bench::compare::{compare, write_json, write_table};
use instore_bench::output::parse::{Document, read_json};
use tracing::warn;

use crate::cli::{Output, exit};
use crate::commands::print;

/// Compare two files of results, of instore or of fio
#[derive(Debug, Parser)]
#[command(name = "instore bench compare")]
pub(super) struct Arguments {
    /// JSON that was measured before
    a: PathBuf,
    /// JSON that was measured after it
    b: PathBuf,
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) fn run(given: &Arguments) -> Result<u8> {
    let (a, b) = (read(&given.a)?, read(&given.b)?);
    let comparison = compare(&a.jobs, &b.jobs);
    let mut text = Vec::new();
    match given.output {
        Output::Table => write_table(&comparison, &mut text)?,
        Output::Json => write_json(&comparison, &mut text)?,
    }
    print(&String::from_utf8_lossy(&text))?;
    Ok(exit::FINE)
}

fn read(path: &Path) -> Result<Document> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
    let document = read_json(&text).with_context(|| format!("read results from {shown}"))?;
    if document.interrupted {
        warn!("{shown}: it was ended early");
    }
    for warning in &document.warnings {
        warn!("{shown}: {warning}");
    }
    Ok(document)
}
