//! The words fio puts numbers of the machine for.

use nix::unistd::{SysconfVar, sysconf};

type Number = fn() -> Result<u64, String>;

/// Each word, and its number.
pub(super) const WORDS: [(&str, Number); 3] = [
    ("$mb_memory", megabytes),
    ("$ncpus", processors),
    ("$pagesize", page),
];

/// Those that are on.
pub(super) fn processors() -> Result<u64, String> {
    number(SysconfVar::_NPROCESSORS_ONLN, "processors")
}

fn page() -> Result<u64, String> {
    number(SysconfVar::PAGE_SIZE, "page size")
}

fn megabytes() -> Result<u64, String> {
    let pages = number(SysconfVar::_PHYS_PAGES, "memory")?;
    Ok(pages.saturating_mul(page()?) >> 20)
}

fn number(name: SysconfVar, what: &str) -> Result<u64, String> {
    let found = sysconf(name)
        .map_err(|error| format!("cannot tell the {what} of this machine: {error}"))?;
    found
        .and_then(|number| u64::try_from(number).ok())
        .ok_or_else(|| format!("cannot tell the {what} of this machine"))
}
