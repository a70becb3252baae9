//! Numbers and times as people read them, and foreign text in HTML: whatever a person
//! named passes through [`Text`], so that nothing of it is markup. fio's own way to
//! write numbers is not here; it is part of its output.

use std::fmt::{self, Write as _};

/// Text for HTML, in content and in quoted attributes. Control characters and
/// changes of direction show as such, as on the daemon's page.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => to.write_str("&amp;")?,
                '<' => to.write_str("&lt;")?,
                '>' => to.write_str("&gt;")?,
                '"' => to.write_str("&quot;")?,
                '\'' => to.write_str("&#39;")?,
                c => to.write_char(shown(c))?,
            }
        }
        Ok(())
    }
}

/// Text for a terminal: no escape sequence of it is obeyed.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(c: char) -> char {
    if c.is_control() || turns(c) {
        '\u{fffd}'
    } else {
        c
    }
}

/// Unicode's `Bidi_Control`.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

pub(crate) const TIMES: [&str; 4] = ["ns", "µs", "ms", "s"];
pub(crate) const RATES: [&str; 5] = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];
const BYTES: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// A value in the largest decimal unit that leaves at least 1, to three digits.
pub(crate) fn scaled(mut value: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while unit + 1 < units.len() && value >= 999.5 {
        value /= 1000.0;
        unit += 1;
    }
    format!("{} {}", digits(value), units[unit])
}

/// Three digits, without zeros at the end that say nothing.
pub(crate) fn digits(value: f64) -> String {
    let places = match value {
        v if v >= 99.95 => return count(v),
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

/// A whole number with its thousands apart.
pub(crate) fn count(value: f64) -> String {
    let plain = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn bytes(value: u64) -> String {
    scaled(value as f64, &BYTES)
}

pub(crate) fn rate(bytes_per_second: f64) -> String {
    scaled(bytes_per_second, &RATES)
}

pub(crate) fn latency(ns: f64) -> String {
    scaled(ns, &TIMES)
}

pub(crate) fn percent(ratio: f64) -> String {
    match ratio * 100.0 {
        p if p > 0.0 && p < 1.0 => "< 1 %".to_owned(),
        p => format!("{p:.0} %"),
    }
}

/// As a percentile is written: 50 %, 99.9 %.
pub(crate) fn percentile(percent: f64) -> String {
    format!("{percent} %")
}

/// "1 job", "2 jobs".
pub(crate) fn many(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_never_markup() {
        let hostile = "</script><b a='1' b=\"2\">&\u{202e}\u{7}\u{0}";
        assert_eq!(
            Text(hostile).to_string(),
            "&lt;/script&gt;&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;\u{fffd}\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn values_have_the_unit_that_fits() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (7.0, "7 ns"),
            (999.4, "999 ns"),
            (999.7, "1 µs"),
            (1_234.0, "1.23 µs"),
            (45_600.0, "45.6 µs"),
            (12_000_000_000.0, "12 s"),
            (5_000_000_000_000.0, "5,000 s"),
        ] {
            assert_eq!(latency(ns), text);
        }
        assert_eq!(rate(1_536_000_000.0), "1.54 GB/s");
        assert_eq!(bytes(4096), "4.1 kB");
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(count(0.0), "0");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(digits(0.0), "0");
        assert_eq!(digits(10.0), "10");
        assert_eq!(digits(100.0), "100");
    }
}
