//! Numbers as fio shows them to people: few digits and a prefix. The values of
//! the tests are those that fio 3.33 printed.

/// What a prefix stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Ki: 1024.
    Binary,
    /// k: 1000.
    Decimal,
}

/// How wide fio shows most numbers, the point counted but not the prefix.
pub const WIDTH: usize = 4;

/// How wide it shows the extremes of latencies.
pub const LATENCY_WIDTH: usize = 6;

/// A number with at most so many characters before its prefix: "9538", "10.2k".
#[must_use]
pub fn short(value: u64, width: usize, prefix: Prefix) -> String {
    let (base, prefixes) = match prefix {
        Prefix::Binary => (1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
        Prefix::Decimal => (1000, ["", "k", "M", "G", "T", "P", "E"]),
    };
    let mut whole = value;
    let mut rest = None;
    let mut power = 0;
    while digits(whole) > width && power + 1 < prefixes.len() {
        rest = Some(whole % base);
        whole /= base;
        power += 1;
    }
    let prefix = prefixes[power];
    let Some(rest) = rest else {
        return format!("{whole}{prefix}");
    };
    // one character is the point
    match width.saturating_sub(digits(whole) + 1) {
        0 if rest * 2 >= base => format!("{}{prefix}", whole + 1),
        0 => format!("{whole}{prefix}"),
        decimals => {
            let number = whole as f64 + rest as f64 / base as f64;
            format!("{number:.decimals$}{prefix}")
        }
    }
}

/// Bytes both ways: "992KiB (1016kB)" are its two parts.
#[must_use]
pub fn bytes(value: u64) -> [String; 2] {
    [Prefix::Binary, Prefix::Decimal].map(|prefix| short(value, WIDTH, prefix) + "B")
}

/// Bytes in a second, both ways.
#[must_use]
pub fn rate(value: u64) -> [String; 2] {
    bytes(value).map(|text| text + "/s")
}

/// A count: "316k".
#[must_use]
pub fn count(value: u64) -> String {
    short(value, WIDTH, Prefix::Decimal)
}

fn digits(value: u64) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_fio() {
        for (value, text) in [
            (0, "0"),
            (9538, "9538"),
            (9999, "9999"),
            (10_153, "10.2k"),
            (85_333, "85.3k"),
            (64_000, "64.0k"),
            (187_566, "188k"),
            (1_234_567, "1235k"),
            (99_960, "100.0k"),
            (9_999_600, "10000k"),
            (10_000_000, "10.0M"),
        ] {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn bytes_are_those_of_fio() {
        for (value, binary, decimal) in [
            (1_015_808, "992KiB", "1016kB"),
            (1_048_576, "1024KiB", "1049kB"),
            (1_537_310_720, "1466MiB", "1537MB"),
            (4096, "4096B", "4096B"),
        ] {
            assert_eq!(bytes(value), [binary, decimal]);
        }
        for (value, binary, decimal) in [
            (39_069_538, "37.3MiB/s", "39.1MB/s"),
            (349_525_333, "333MiB/s", "350MB/s"),
            (768_271_224, "733MiB/s", "768MB/s"),
            (0, "0B/s", "0B/s"),
        ] {
            assert_eq!(rate(value), [binary, decimal]);
        }
    }

    #[test]
    fn extremes_of_latencies_are_wider() {
        for (value, text) in [
            (671_783, "671783"),
            (1_564_412, "1564.4k"),
            (3_042_012, "3042.0k"),
            (9_318_480, "9318.5k"),
        ] {
            assert_eq!(short(value, LATENCY_WIDTH, Prefix::Decimal), text);
        }
    }

    #[test]
    fn the_largest_has_a_prefix_too() {
        assert_eq!(bytes(u64::MAX), ["16.0EiB", "18.4EB"]);
    }
}
