//! One job on the page: what it was, its latencies as a curve and a table, and its
//! rates over time.

use std::fmt::Write as _;

use super::axis::{Axis, Unit};
use super::plot::{Line, Plot, draw};
use super::rows::{Merged, Rate, Row};
use crate::words::{self, Text, latency, many, percent, rate};

/// Those of all jobs of a page, so that curves can be compared by eye.
pub(super) struct Scales {
    latency: Axis,
    share: Axis,
}

impl Scales {
    pub(super) fn of(rows: &[Row<'_>]) -> Self {
        let used = || {
            rows.iter()
                .flat_map(|row| row.used().map(|(_, merged)| &merged.latency))
        };
        let lowest = used().map(|l| l.min()).min().unwrap_or(0);
        let highest = used().map(|l| l.max()).max().unwrap_or(0);
        let count = used().map(|l| l.count()).max().unwrap_or(0);
        Self {
            latency: Axis::latency(lowest as f64, highest as f64),
            share: Axis::share(count),
        }
    }
}

pub(super) fn card(row: &Row<'_>, place: Option<&str>, scales: &Scales, page: &mut String) {
    let place = match place {
        Some(place) => format!("<bdi class=\"muted\">{}</bdi>", Text(place)),
        None => String::new(),
    };
    let _ = write!(
        page,
        "<article class=\"card job\">\n<div class=\"top\"><h3>{}</h3>{place}</div>\n",
        Text(&row.name)
    );
    if !row.first.description.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", Text(&row.first.description));
    }
    if !row.first.options.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", options(&row.first.options));
    }
    facts(row, page);
    if row.used().next().is_none() {
        page.push_str("<p class=\"empty\">Nothing was transferred.</p>\n</article>\n");
        return;
    }
    page.push_str("<div class=\"pair\">\n");
    draw(
        &Plot {
            title: "Latency",
            about: "share of I/Os that took no longer".to_owned(),
            of: &row.name,
            x: &scales.latency,
            y: &scales.share,
            lines: row
                .used()
                .map(|(name, merged)| distribution(name, merged))
                .collect(),
        },
        page,
    );
    percentiles(row, page);
    over_time(
        row,
        "IOPS",
        Unit::Iops,
        |rate| rate.ios,
        words::digits,
        page,
    );
    over_time(
        row,
        "Bandwidth",
        Unit::Bandwidth,
        |rate| rate.bytes,
        rate,
        page,
    );
    page.push_str("</div>\n</article>\n");
}

/// Options as they were written.
pub(super) fn options(options: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in options {
        let _ = match value.as_str() {
            "" => write!(text, "<code>{}</code> ", Text(name)),
            _ => write!(text, "<code>{}={}</code> ", Text(name), Text(value)),
        };
    }
    text
}

fn facts(row: &Row<'_>, page: &mut String) {
    let usage = &row.usage;
    let mut list = String::new();
    let mut fact = |term: &str, value: &str| {
        let _ = writeln!(list, "<div><dt>{term}</dt><dd>{}</dd></div>", Text(value));
    };
    fact("Engine", &row.first.engine);
    let threads = many(row.threads, "thread");
    fact("Threads", &format!("{threads}, depth {}", row.first.depth));
    fact("Time", &format!("{:.1} s", row.elapsed.as_secs_f64()));
    for (name, merged) in row.used() {
        let term = if name == "read" { "Read" } else { "Written" };
        let mut value = format!(
            "{} in {} I/Os",
            words::bytes(merged.bytes),
            words::count(merged.ios as f64)
        );
        if merged.short_ios > 0 {
            let _ = write!(value, ", {} of them short", merged.short_ios);
        }
        fact(term, &value);
    }
    let (user, system) = (row.cpu(usage.user), row.cpu(usage.system));
    let each = if row.threads > 1 {
        " of each thread"
    } else {
        ""
    };
    let shares = format!("user {}, system {}{each}", percent(user), percent(system));
    fact("CPU", &shares);
    if let Some(ns) = row.cpu_per_io() {
        fact("CPU per I/O", &latency(ns));
    }
    let switches = words::count(usage.context_switches as f64);
    fact("Switches", &format!("{switches} of context"));
    if row.syncs.count() > 0 {
        let [mean, p99] = [row.syncs.mean(), row.syncs.percentile(99.0) as f64].map(latency);
        let count = words::count(row.syncs.count() as f64);
        fact("Syncs", &format!("{count}, mean {mean}, p99 {p99}"));
    }
    let [user, system] = [user, system].map(|share| (share * 100.0).clamp(0.0, 100.0));
    let _ = writeln!(
        page,
        "<dl>\n{list}</dl>\n<svg class=\"bar\" role=\"img\" \
         aria-label=\"CPU: {shares}\"><rect class=\"user\" height=\"100%\" width=\"{user:.2}%\"/>\
         <rect class=\"system\" height=\"100%\" x=\"{user:.2}%\" width=\"{system:.2}%\"/></svg>\
         <p class=\"muted bar-key\">CPU of a thread: user, then system</p>"
    );
}

/// How many took no longer, for each bucket. Half of the bucket's last value counts:
/// the slowest of n stands at (n - 0.5) / n, not beyond every axis.
fn distribution(name: &'static str, merged: &Merged) -> Line {
    let latencies = &merged.latency;
    let count = latencies.count() as f64;
    let (min, max) = (latencies.min() as f64, latencies.max() as f64);
    let mut points = vec![(min, 0.5 / count)];
    let mut seen = 0;
    for (value, n) in latencies.bins() {
        seen += n;
        points.push(((value as f64).clamp(min, max), (seen as f64 - 0.5) / count));
    }
    points.push((max, (count - 0.5) / count));
    let [half, most] = [50.0, 99.0].map(|p| latency(latencies.percentile(p) as f64));
    Line {
        name,
        points,
        words: format!("p50 {half}, p99 {most}"),
    }
}

fn percentiles(row: &Row<'_>, page: &mut String) {
    let used: Vec<_> = row.used().collect();
    page.push_str(
        "<div><table class=\"percentiles\">\n<thead><tr><th scope=\"col\">Percentile</th>",
    );
    for (name, _) in &used {
        let _ = write!(page, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    let mut line = |head: &str, value: &dyn Fn(&Merged) -> f64| {
        let _ = write!(page, "<tr><th scope=\"row\">{head}</th>");
        for (_, merged) in &used {
            let _ = write!(page, "<td class=\"n\">{}</td>", latency(value(merged)));
        }
        page.push_str("</tr>\n");
    };
    line("lowest", &|m| m.latency.min() as f64);
    for percent in &row.first.percentiles {
        line(&words::percentile(*percent), &|m| {
            m.latency.percentile(*percent) as f64
        });
    }
    line("highest", &|m| m.latency.max() as f64);
    line("mean", &|m| m.latency.mean());
    line("deviation", &|m| m.latency.stddev());
    page.push_str("</tbody>\n</table></div>\n");
}

fn over_time(
    row: &Row<'_>,
    title: &str,
    unit: Unit,
    value: fn(&Rate) -> f64,
    say: fn(f64) -> String,
    page: &mut String,
) {
    let rates = || row.used().flat_map(|(_, merged)| &merged.rates);
    let end = rates().map(|rate| rate.at).fold(0.0, f64::max);
    if row.used().all(|(_, merged)| merged.rates.len() < 2) {
        let _ = writeln!(
            page,
            "<p class=\"empty\">{title} over time: the run was too short to show it.</p>"
        );
        return;
    }
    let lines = row.used().map(|(name, merged)| {
        let points = merged.rates.iter().map(|rate| (rate.at, value(rate)));
        let points: Vec<_> = points.collect();
        let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let mean = points.iter().map(|p| p.1).sum::<f64>() / points.len().max(1) as f64;
        Line {
            name,
            words: match points.len() {
                0 => "no samples".to_owned(),
                _ => format!("mean {}, lowest {}", say(mean), say(low)),
            },
            points,
        }
    });
    draw(
        &Plot {
            title,
            about: "over time".to_owned(),
            of: &row.name,
            x: &Axis::time(end),
            y: &Axis::linear(unit, rates().map(value).fold(0.0, f64::max)),
            lines: lines.collect(),
        },
        page,
    );
}
