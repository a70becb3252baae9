//! The suite as a table for people, alone or with another beside it.

use std::fmt::Write as _;

use super::result::{Answer, Row, SuiteResult, Versus};
use super::{Caching, Length};

/// The table, what it is of, and what makes it mean less.
#[must_use]
pub fn table(answer: &Answer) -> String {
    let mut text = String::new();
    match &answer.versus {
        None => {
            text += &about("", &answer.result);
            text += "\n";
            text += &aligned(&alone(&answer.result));
        }
        Some(versus) => {
            text += &about("A: ", &answer.result);
            text += &about("B: ", &versus.result);
            text += "\n";
            text += &aligned(&beside(&answer.result, versus));
        }
    }
    text += &remarks("", &answer.result);
    if let Some(versus) = &answer.versus {
        text += &remarks("B: ", &versus.result);
    }
    text
}

fn about(mark: &str, suite: &SuiteResult) -> String {
    let file_system = suite.file_system.as_deref();
    let on = file_system.map_or(String::new(), |name| format!(" ({name})"));
    let how = match suite.caching {
        Caching::Direct => "O_DIRECT",
        Caching::Buffered => "through the page cache",
    };
    let length = match suite.length {
        Length::Full => "full",
        Length::Quick => "quick",
    };
    let (target, engine) = (plain(&suite.target), plain(&suite.engine));
    format!(
        "{mark}{target}{on}, {} MiB, {how}, {engine}, {length} suite\n",
        suite.size_bytes >> 20
    )
}

/// What the first column and all others hold.
type Lines = Vec<Vec<String>>;

fn alone(suite: &SuiteResult) -> Lines {
    let mut head: Vec<&str> = vec!["JOB", "IOPS", "MB/s", "MEAN us", "P50", "P99", "P99.9"];
    let is_judged = suite.rows.iter().any(|row| row.expected_iops.is_some());
    let name = suite.instance_type.as_deref().filter(|_| is_judged);
    let name = name.map(|name| format!("OF {}", plain(name)));
    head.extend(name.as_deref());
    let mut lines = vec![head.into_iter().map(str::to_owned).collect()];
    for row in &suite.rows {
        let mut line = vec![row.job.name().to_owned()];
        line.extend(match row.figures {
            None => vec!["-".to_owned(); 6],
            Some(figures) => {
                let latency = figures.latency_us;
                vec![
                    count(figures.iops),
                    megabytes(figures.bytes_per_second),
                    us(latency.mean),
                    us(latency.p50),
                    us(latency.p99),
                    us(latency.p999),
                ]
            }
        });
        if is_judged {
            line.push(expected(row));
        }
        lines.push(line);
    }
    lines
}

fn expected(row: &Row) -> String {
    match (row.expected_ratio, row.expected_iops) {
        // Rounded down: 79.9 % must not read as enough.
        (Some(ratio), Some(iops)) => format!("{:.0} % of {}", (ratio * 100.0).floor(), count(iops)),
        (None, Some(iops)) => format!("- of {}", count(iops)),
        (_, None) => String::new(),
    }
}

fn beside(suite: &SuiteResult, versus: &Versus) -> Lines {
    let head = [
        "JOB", "A IOPS", "MB/s", "P50 us", "P99", "B IOPS", "MB/s", "P50 us", "P99", "A/B IOPS",
        "P99",
    ];
    let mut lines = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    for row in &suite.rows {
        let other = versus.result.row(row.job);
        let mut line = vec![row.job.name().to_owned()];
        for row in [Some(row), other] {
            line.extend(short(row));
        }
        let ratio = versus.ratios.iter().find(|ratio| ratio.job == row.job);
        line.extend(match ratio {
            Some(ratio) => [times(ratio.iops), times(ratio.latency_p99)],
            None => ["-".into(), "-".into()],
        });
        lines.push(line);
    }
    lines
}

fn short(row: Option<&Row>) -> [String; 4] {
    let Some(figures) = row.and_then(|row| row.figures) else {
        return ["-", "-", "-", "-"].map(str::to_owned);
    };
    [
        count(figures.iops),
        megabytes(figures.bytes_per_second),
        us(figures.latency_us.p50),
        us(figures.latency_us.p99),
    ]
}

fn remarks(mark: &str, suite: &SuiteResult) -> String {
    let mut text = String::new();
    for verdict in &suite.verdict {
        let _ = writeln!(text, "{mark}{}", plain(verdict));
    }
    for row in &suite.rows {
        if let Some(error) = &row.error {
            let _ = writeln!(text, "{mark}error: {}: {}", row.job.name(), plain(error));
        }
    }
    if suite.interrupted {
        let _ = writeln!(
            text,
            "{mark}warning: it was interrupted; this is what was done by then"
        );
    }
    for warning in &suite.warnings {
        let _ = writeln!(text, "{mark}warning: {}", plain(warning));
    }
    match text.is_empty() {
        true => text,
        false => format!("\n{text}"),
    }
}

/// The first column to the left, figures to the right, two spaces between.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut written = String::new();
        for (index, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match index {
                0 => write!(written, "{cell:<width$}"),
                _ => write!(written, "  {cell:>width$}"),
            };
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text
}

/// Paths and errors may hold what drives a terminal.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(plain).collect()
}

/// Three figures that count, in thousands or millions.
fn count(value: f64) -> String {
    match value {
        v if v >= 999_500.0 => format!("{} M", figures(v / 1e6)),
        v if v >= 9_999.5 => format!("{} k", figures(v / 1e3)),
        v => format!("{v:.0}"),
    }
}

fn megabytes(bytes: f64) -> String {
    figures(bytes / 1e6)
}

fn us(value: f64) -> String {
    figures(value)
}

fn times(value: f64) -> String {
    format!("{value:.2}x")
}

fn figures(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::{on_i4i, suite};
    use super::super::tests::setup;
    use super::*;

    #[test]
    fn alone_it_has_what_is_expected_beside_it() {
        let mut suite = suite(11_000, &on_i4i());
        suite.verdict = vec!["random read: 44 %".into()];
        let table = table(&Answer::new(suite, None));
        let wanted = "\
/data (xfs), 1024 MiB, O_DIRECT, io_uring, registered files and buffers, full suite

JOB                 IOPS  MB/s  MEAN us   P50   P99  P99.9    OF i4i.large
rand-read-4k      22.0 k  90.1      118  99.8  1000   1000  44 % of 50.0 k
rand-write-4k     22.0 k  90.1      118  99.8  1000   1000  80 % of 27.5 k
latency-read-4k   11.0 k  45.1      118  99.8  1000   1000
latency-write-4k  11.0 k  45.1      118  99.8  1000   1000
seq-read-128k     11.0 k  1442      118  99.8  1000   1000
seq-write-128k    11.0 k  1442      118  99.8  1000   1000
mixed-read-4k     15.4 k  63.1      118  99.8  1000   1000
mixed-write-4k      6600  27.0      118  99.8  1000   1000

random read: 44 %
";
        assert_eq!(table, wanted, "\n{table}");
    }

    #[test]
    fn beside_each_other_each_has_its_columns_and_the_ratio() {
        let mut one = suite(4000, &setup());
        one.verdict.clear();
        one.warnings.push("made \u{1b}[2J up".into());
        let mut two = suite(1000, &setup());
        two.target = "/mnt/ebs".into();
        two.interrupted = true;
        two.verdict = vec!["no verdict: it is no local disk".into()];
        two.rows.retain(|row| row.job.name() != "seq-read-128k");
        let table = table(&Answer::new(one, Some(two)));
        let wanted = "\
A: /data (xfs), 1024 MiB, O_DIRECT, io_uring, registered files and buffers, full suite
B: /mnt/ebs (xfs), 1024 MiB, O_DIRECT, io_uring, registered files and buffers, full suite

JOB               A IOPS  MB/s  P50 us   P99  B IOPS  MB/s  P50 us   P99  A/B IOPS    P99
rand-read-4k        8000  32.8    99.8  1000    2000  8.19    99.8  1000     4.00x  1.00x
rand-write-4k       8000  32.8    99.8  1000    2000  8.19    99.8  1000     4.00x  1.00x
latency-read-4k     4000  16.4    99.8  1000    1000  4.10    99.8  1000     4.00x  1.00x
latency-write-4k    4000  16.4    99.8  1000    1000  4.10    99.8  1000     4.00x  1.00x
seq-read-128k       4000   524    99.8  1000       -     -       -     -         -      -
seq-write-128k      4000   524    99.8  1000    1000   131    99.8  1000     4.00x  1.00x
mixed-read-4k       5600  22.9    99.8  1000    1400  5.73    99.8  1000     4.00x  1.00x
mixed-write-4k      2400  9.83    99.8  1000     600  2.46    99.8  1000     4.00x  1.00x

warning: made \u{fffd}[2J up

B: no verdict: it is no local disk
B: warning: it was interrupted; this is what was done by then
";
        assert_eq!(table, wanted, "\n{table}");
    }

    #[test]
    fn numbers_have_three_figures_or_all_before_the_point() {
        for (value, wanted) in [
            (0.0, "0"),
            (9999.0, "9999"),
            (10_000.0, "10.0 k"),
            (123_456.0, "123 k"),
            (999_600.0, "1.00 M"),
            (5_200_000.0, "5.20 M"),
        ] {
            assert_eq!(count(value), wanted);
        }
    }
}
