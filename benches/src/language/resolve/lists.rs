//! Values with a grammar of their own.

use std::path::PathBuf;

use super::super::error::clean;
use super::super::suggest;
use super::super::units::{self, Base};
use crate::job::Distribution;

/// Block sizes and their shares.
pub(super) type Shares = Vec<(u64, u32)>;

/// Names with colons between them; a colon of a name is written `\:`.
pub(super) fn paths(text: &str) -> Result<Vec<PathBuf>, String> {
    /// Each is opened by each thread.
    const MOST: usize = 1024;
    let mut paths = vec![String::new()];
    let mut letters = text.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&':') => {
                letters.next();
                push(&mut paths, ':');
            }
            ':' => paths.push(String::new()),
            other => push(&mut paths, other),
        }
    }
    if paths.iter().any(String::is_empty) {
        return Err(format!(
            "{:?} has an empty name: write names with one colon between them",
            clean(text)
        ));
    }
    if paths.iter().any(|path| path == "-") {
        return Err("- is not supported: name a file or a device".to_string());
    }
    if paths.len() > MOST {
        return Err(format!("more than {MOST} names: write less"));
    }
    Ok(paths.into_iter().map(PathBuf::from).collect())
}

fn push(paths: &mut [String], letter: char) {
    if let Some(last) = paths.last_mut() {
        last.push(letter);
    }
}

/// `4k-16k`, also with a colon; the smaller one first.
pub(super) fn range(text: &str, base: Base) -> Result<(u64, u64), String> {
    if text.contains('/') {
        return Err(format!(
            "{:?}: write a comma between the range of reads and that of writes",
            clean(text)
        ));
    }
    let Some((one, other)) = text.split_once(['-', ':']) else {
        return Err(format!(
            "{:?} is no range: write two sizes, as in 4k-16k",
            clean(text)
        ));
    };
    let (one, other) = (units::bytes(one, base)?, units::bytes(other, base)?);
    Ok((one.min(other), one.max(other)))
}

/// `4k/60:64k/40`, of reads and of writes with a comma. Shares that are not
/// written have the rest, evenly; what is missing to 100 belongs to the last one.
pub(super) fn splits(text: &str, base: Base) -> Result<[Shares; 2], String> {
    let parts: Vec<&str> = text.split(',').collect();
    match parts.as_slice() {
        [both] => shares(both, base).map(|shares| [shares.clone(), shares]),
        [reads, writes] | [reads, writes, _] => {
            if let Some(trims) = parts.get(2) {
                shares(trims, base)?;
            }
            Ok([shares(reads, base)?, shares(writes, base)?])
        }
        _ => Err(format!(
            "{:?} has {} lists: write one for reads and one for writes",
            clean(text),
            parts.len()
        )),
    }
}

fn shares(text: &str, base: Base) -> Result<Shares, String> {
    /// fio's limit.
    const MOST: usize = 64;
    let mut sizes: Vec<(u64, Option<u32>)> = Vec::new();
    for part in text.trim_end_matches(':').split(':') {
        let (size, share) = part.split_once('/').unwrap_or((part, ""));
        let share = if share.is_empty() {
            None
        } else {
            Some(units::percent(share)?)
        };
        sizes.push((units::bytes(size, base)?, share));
    }
    if sizes.len() > MOST {
        return Err(format!("more than {MOST} block sizes: write less"));
    }
    let given: u32 = sizes.iter().filter_map(|(_, share)| *share).sum();
    if given > 100 {
        return Err(format!("shares are {given} % together: write 100"));
    }
    let missing = u32::try_from(sizes.iter().filter(|(_, share)| share.is_none()).count())
        .unwrap_or(u32::MAX);
    let each = (100 - given).checked_div(missing).unwrap_or(0);
    let mut shares: Shares = sizes
        .into_iter()
        .map(|(size, share)| (size, share.unwrap_or(each)))
        .collect();
    let all: u32 = shares.iter().map(|(_, share)| share).sum();
    if let Some(last) = shares.last_mut() {
        last.1 += 100 - all;
    }
    Ok(shares)
}

/// `random`, `zipf:1.2`, `pareto:0.9`, `normal:50`.
pub(super) fn distribution(text: &str) -> Result<Distribution, String> {
    let (word, number) = match text.split_once(':') {
        Some((word, number)) => (word, Some(number)),
        None => (text, None),
    };
    if let ("zipf" | "pareto" | "normal", Some(number)) = (word, number)
        && number.contains([':', ','])
    {
        return Err(format!(
            "{:?}: a centre, and one for writes, are not supported: write {word}:NUMBER",
            clean(text)
        ));
    }
    let number = number.map(units::fraction).transpose()?;
    match (word, number) {
        ("random", None) => Ok(Distribution::Uniform),
        ("zipf", None) => Ok(Distribution::Zipf(1.1)),
        ("zipf", Some(theta)) if theta > 0.0 && theta != 1.0 => Ok(Distribution::Zipf(theta)),
        ("zipf", Some(_)) => Err("theta is above 0, and not 1: write zipf:1.2".to_string()),
        ("pareto", None) => Ok(Distribution::Pareto(0.2)),
        ("pareto", Some(power)) if power > 0.0 && power < 1.0 => Ok(Distribution::Pareto(power)),
        ("pareto", Some(_)) => {
            Err("the input is above 0 and below 1: write pareto:0.9".to_string())
        }
        ("normal", Some(deviation)) if deviation > 0.0 && deviation < 100.0 => {
            Ok(Distribution::Normal(deviation))
        }
        ("normal", _) => Err("the deviation is above 0 and below 100: write normal:20".to_string()),
        _ => Err(suggest::word(
            "random_distribution",
            word,
            &["random", "zipf", "pareto", "normal"],
        )),
    }
}

/// More than any machine has, and bounds memory.
const MOST_CPUS: usize = 4096;

/// `0,2-5`.
pub(super) fn cpus(text: &str) -> Result<Vec<usize>, String> {
    let wrong = || {
        format!(
            "{:?} is no list of processors: write one as in 0,2-5",
            clean(text)
        )
    };
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part
            .trim()
            .split_once('-')
            .unwrap_or((part.trim(), part.trim()));
        let (first, last) = (cpu(first).ok_or_else(wrong)?, cpu(last).ok_or_else(wrong)?);
        if first > last {
            return Err(wrong());
        }
        cpus.extend(first..=last);
        // else a list of many wide ranges grows before it is sorted
        cpus.sort_unstable();
        cpus.dedup();
    }
    Ok(cpus)
}

fn cpu(text: &str) -> Option<usize> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|cpu| plain && *cpu < MOST_CPUS)
}

/// The processors of the bits.
pub(super) fn mask(bits: u64) -> Result<Vec<usize>, String> {
    let cpus: Vec<usize> = (0..64).filter(|cpu| bits >> cpu & 1 == 1).collect();
    if cpus.is_empty() {
        Err("0 allows no processor: write one bit for each".to_string())
    } else {
        Ok(cpus)
    }
}

/// `99:99.9`, ascending.
pub(super) fn percentiles(text: &str) -> Result<Vec<f64>, String> {
    /// fio's limit.
    const MOST: usize = 20;
    let mut list = text
        .split(':')
        .map(units::fraction)
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(bad) = list
        .iter()
        .find(|percentile| **percentile <= 0.0 || **percentile > 100.0)
    {
        return Err(format!("{bad} is not above 0 and at most 100"));
    }
    list.sort_by(f64::total_cmp);
    list.dedup();
    if list.len() > MOST {
        return Err(format!("more than {MOST} percentiles: write less"));
    }
    Ok(list)
}
