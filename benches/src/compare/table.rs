//! A comparison for people.

use std::io::{self, Write};

use super::{Change, Comparison, Figure, Row, What};
use crate::words::{digits, latency, plain, rate};

/// Writes it as text.
///
/// # Errors
/// When `to` does not take it.
pub fn write_table(comparison: &Comparison, to: &mut dyn Write) -> io::Result<()> {
    for row in &comparison.rows {
        write_row(row, to)?;
    }
    for (file, names) in [("A", &comparison.only_a), ("B", &comparison.only_b)] {
        for name in names {
            writeln!(to, "{}: only in {file}", plain(name))?;
        }
    }
    let figures = || comparison.rows.iter().flat_map(|row| &row.figures);
    if comparison.rows.is_empty() {
        return writeln!(to, "no job is in both files: jobs are known by their names");
    }
    writeln!(
        to,
        "\nB/A beyond +/- noise is a difference, at 99 %. Noise is that between the runs of a job\n\
         where a file has several, else that of its samples over time, and at least 2 %."
    )?;
    if figures().any(|figure| figure.change == Change::CannotTell) {
        writeln!(
            to,
            "Cannot tell: one run says nothing of the noise of percentiles, nor does one of less\n\
             than 5 s of any. Run each job several times, as sections of one name with stonewall."
        )?;
    }
    Ok(())
}

fn write_row(row: &Row, to: &mut dyn Write) -> io::Result<()> {
    let runs = match row.runs {
        [1, 1] => String::new(),
        [a, b] => format!(" ({a} runs, {b} runs)"),
    };
    writeln!(to, "{}: {}{runs}", plain(&row.job), row.direction)?;
    for words in &row.different {
        writeln!(to, "  not the same, {}", plain(words))?;
    }
    for note in &row.notes {
        writeln!(to, "  note: {}", plain(note))?;
    }
    let head = format!(
        "  {:<10}{:>13}{:>13}{:>8}{:>9}",
        "", "A", "B", "B/A", "noise"
    );
    writeln!(to, "{head}")?;
    for figure in &row.figures {
        let (name, say) = words(figure.what);
        let (a, b) = (say(figure.a), say(figure.b));
        let ratio = figure.ratio.map_or("-".to_owned(), |r| format!("{r:.3}"));
        let (noise, change) = (noise(figure), change(figure));
        writeln!(
            to,
            "  {name:<10}{a:>13}{b:>13}{ratio:>8}{noise:>9}  {change}"
        )?;
    }
    Ok(())
}

fn words(what: What) -> (&'static str, fn(f64) -> String) {
    match what {
        What::Iops => ("IOPS", digits),
        What::Bandwidth => ("bandwidth", rate),
        What::MeanLatency => ("mean", latency),
        What::P50 => ("p50", latency),
        What::P99 => ("p99", latency),
    }
}

fn noise(figure: &Figure) -> String {
    match figure.noise {
        // A tenth of a percent is not known of noise.
        Some(share) => format!("{:.0} %", (share * 100.0).ceil()),
        None => "?".to_owned(),
    }
}

fn change(figure: &Figure) -> &'static str {
    match figure.change {
        Change::Better => "better",
        Change::Worse => "worse",
        Change::Noise => "noise",
        Change::CannotTell => "cannot tell",
    }
}
