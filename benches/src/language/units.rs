//! Numbers as fio reads them: sizes, times, shares, lists. Where fio 3.33 reads
//! something else than its manual says, as a rule a trap, the value is refused.

use std::time::Duration;

use crate::job::Size;

/// `kb_base`: what `k` means. `kib` means the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Binary,
    Decimal,
}

/// A whole number, with an optional unit: `4k`, `1g`, `0x1000`, `4kib`.
pub(super) fn bytes(text: &str, base: Base) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return whole(digits, 16)
            .ok_or_else(|| format!("{text:?} is not a hexadecimal number of at most 64 bits"));
    }
    let (number, unit) = split(&lower);
    let (power, own) = match unit {
        "" | "b" => (0, Unit::Plain),
        "k" | "kb" => (1, Unit::Plain),
        "m" | "mb" => (2, Unit::Plain),
        "g" | "gb" => (3, Unit::Plain),
        "t" | "tb" => (4, Unit::Plain),
        "p" | "pb" => (5, Unit::Plain),
        "kib" => (1, Unit::Iec),
        "mib" => (2, Unit::Iec),
        "gib" => (3, Unit::Iec),
        "tib" => (4, Unit::Iec),
        "pib" => (5, Unit::Iec),
        // fio's manual and fio 3.33 differ on what this is
        "ki" | "mi" | "gi" | "ti" | "pi" => {
            let letter = &unit[..1];
            return Err(format!(
                "{text:?} is read differently by different fio: write {number}{letter} or {number}{letter}ib"
            ));
        }
        _ if unit.starts_with('.') || unit.starts_with('e') => {
            return Err(format!(
                "{text:?} is not a whole number: write it in a smaller unit, as in 1536k"
            ));
        }
        _ => return Err(not_a_number(text, "k, m, g, t, p, kb, kib")),
    };
    let Some(number) = whole(number, 10) else {
        return Err(not_a_number(text, "k, m, g, t, p, kb, kib"));
    };
    let step: u64 = match (base, own) {
        (Base::Binary, Unit::Plain) | (Base::Decimal, Unit::Iec) => 1024,
        (Base::Binary, Unit::Iec) | (Base::Decimal, Unit::Plain) => 1000,
    };
    number
        .checked_mul(step.pow(power))
        .ok_or_else(|| format!("{text:?} is more than 64 bits hold: write a smaller one"))
}

enum Unit {
    Plain,
    Iec,
}

/// As `bytes`, that must fit a 32-bit counter.
pub(super) fn count(text: &str, base: Base) -> Result<u32, String> {
    let number = bytes(text, base)?;
    u32::try_from(number)
        .map_err(|_| format!("{text:?} is more than {}: write a smaller one", u32::MAX))
}

/// As `bytes`, or a share of the target: `50%`.
pub(super) fn size(text: &str, base: Base) -> Result<Size, String> {
    let Some(share) = text.strip_suffix('%') else {
        return bytes(text, base).map(Size::Bytes);
    };
    match whole(share, 10).and_then(|share| u32::try_from(share).ok()) {
        Some(share @ 0..=100) => Ok(Size::Percent(share)),
        _ => Err(format!("{text:?} is not a whole share from 0% to 100%")),
    }
}

/// What a time without a unit is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    Seconds,
    Microseconds,
}

/// A time: `30`, `2m`, `500ms`.
pub(super) fn time(text: &str, without: Without) -> Result<Duration, String> {
    const UNITS: &str = "d, h, m, s, ms, us";
    let lower = text.to_ascii_lowercase();
    let (number, unit) = split(&lower);
    let micros: u64 = match unit.trim_start() {
        "" => match without {
            Without::Seconds => 1_000_000,
            Without::Microseconds => 1,
        },
        "us" | "usec" => 1,
        "ms" | "msec" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        // its manual allows it, and fio 3.33 takes it for microseconds
        "sec" => {
            return Err(format!(
                "{text:?} is read as microseconds by fio: write {number}s"
            ));
        }
        _ if unit.starts_with('.') => {
            return Err(format!(
                "{text:?} is not a whole number: write it in a smaller unit, as in 1500ms"
            ));
        }
        _ => return Err(not_a_number(text, UNITS)),
    };
    let Some(number) = whole(number, 10) else {
        return Err(not_a_number(text, UNITS));
    };
    number
        .checked_mul(micros)
        .map(Duration::from_micros)
        .ok_or_else(|| {
            format!("{text:?} is longer than 64 bits of microseconds: write a shorter one")
        })
}

/// A share in percent: `70`.
pub(super) fn percent(text: &str) -> Result<u32, String> {
    match whole(text, 10).and_then(|share| u32::try_from(share).ok()) {
        Some(share @ 0..=100) => Ok(share),
        _ => Err(format!("{text:?} is not a whole number from 0 to 100")),
    }
}

/// A decimal fraction: `1.2`.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => Ok(number),
        _ => Err(format!("{text:?} is not a number, as in 1.2")),
    }
}

/// One value for reads and one for writes, as `4k`, `4k,8k`, `,8k` and `4k,`. A
/// third one would be for trims, which no job here does. A missing one is `None`.
pub(super) fn each<T: Copy>(
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<[Option<T>; 2], String> {
    let parts: Vec<&str> = text.split(',').collect();
    let some = |part: &str| {
        if part.is_empty() {
            Ok(None)
        } else {
            read(part).map(Some)
        }
    };
    match parts.as_slice() {
        [one] => read(one).map(|value| [Some(value); 2]),
        [one, two] | [one, two, _] => {
            if let Some(trims) = parts.get(2) {
                some(trims)?;
            }
            Ok([some(one)?, some(two)?])
        }
        _ => Err(format!(
            "{text:?} has {} values: write one for reads and one for writes, as in 4k,8k",
            parts.len()
        )),
    }
}

/// Digits, and what comes after them.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn whole(digits: &str, radix: u32) -> Option<u64> {
    // from_str_radix would take a sign
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if plain {
        u64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

fn not_a_number(text: &str, units: &str) -> String {
    if text.starts_with('(') {
        return format!("{text:?}: arithmetic is not supported: write the result");
    }
    if text.is_empty() {
        return "has no value".to_string();
    }
    format!(
        "{text:?} is not a whole number of at most 64 bits with one of the units {units}, or none"
    )
}

#[cfg(test)]
mod tests;
