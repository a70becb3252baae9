//! `--report FILE.html`: one page that needs nothing else, from any place, for as
//! long as there are browsers. Everything is in it as text and SVG before a script
//! runs; page.js only adds a cursor. It looks like the daemon's page. What is told
//! about one job is in `job`; which threads make a job, in `rows`.

mod axis;
mod job;
mod plot;
mod rows;

#[cfg(test)]
#[path = "../tests/report/sample.rs"]
pub(crate) mod sample;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use crate::instance::{Judgement, Verdict};
use crate::results::Results;
use crate::words::{self, Text, bytes, latency, many, percent, rate};
use job::Scales;
use rows::{Row, rows};

/// What a page is made of.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// Its heading.
    pub title: &'a str,
    /// What was measured, in order: one part, or several side by side.
    pub parts: &'a [Part<'a>],
    /// Against the figures of the instance type; empty where none were asked for.
    pub verdicts: &'a [Verdict],
}

/// The results of one place.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The place: "/data", "/mnt/ebs". Shown when there are several.
    pub name: &'a str,
    pub results: &'a Results,
}

/// Writes the page of one run.
///
/// # Errors
/// When `to` does not take it.
pub fn write(results: &Results, to: &mut dyn Write) -> io::Result<()> {
    let parts = [Part { name: "", results }];
    write_page(
        &Page {
            title: "Benchmark",
            parts: &parts,
            verdicts: &[],
        },
        to,
    )
}

/// Writes the page of a suite, or of several places side by side.
///
/// # Errors
/// When `to` does not take it.
pub fn write_page(page: &Page<'_>, to: &mut dyn Write) -> io::Result<()> {
    to.write_all(html(page).as_bytes())
}

/// The scripts that may run are these, by the hash of page.js: a name that were
/// taken for a script would not run. The page test fails when the hash is not its.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    base-uri 'none'; form-action 'none'; \
    script-src 'sha256-CVQEXGv+Y03lgbAeZB4X0IeFEt28X4Uun1y2Nc8BMac='";

/// The sign of the daemon's page.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' \
    viewBox='0 0 16 16'%3E%3Cg fill='%234a76b8'%3E%3Crect x='1' y='2' width='14' height='5' \
    rx='1.5'/%3E%3Crect x='1' y='9' width='14' height='5' rx='1.5'/%3E%3C/g%3E%3C/svg%3E";

fn html(page: &Page<'_>) -> String {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (part, Part { results, .. }) in page.parts.iter().enumerate() {
        rows.extend(self::rows(part, results));
    }
    let mut text = String::new();
    let _ = write!(
        text,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"{ICON}\">\n<style>\n{}</style>\n</head>\n<body>\n",
        Text(page.title),
        include_str!("report/page.css"),
    );
    header(page, &rows, &mut text);
    text.push_str("<main id=\"main\">\n");
    notes(page, &rows, &mut text);
    verdicts(page.verdicts, &mut text);
    table(page, &rows, &mut text);
    let scales = Scales::of(&rows);
    section("jobs", "Jobs", &mut text);
    text.push_str("<div class=\"jobs\">\n");
    for row in in_order(&rows) {
        job::card(row, place(page, row.part), &scales, &mut text);
    }
    text.push_str("</div>\n</section>\n");
    disks(page, &mut text);
    options(page, &mut text);
    let _ = write!(
        text,
        "</main>\n<footer class=\"muted\"><p>Made by instore {}. Latencies are from submission to \
         completion; sizes and rates are decimal.</p></footer>\n<script>{}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        include_str!("report/page.js"),
    );
    text
}

/// The same job of all places stands together.
fn in_order<'a, 'b>(rows: &'b [Row<'a>]) -> Vec<&'b Row<'a>> {
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let first = |row: &Row<'_>| names.iter().position(|name| *name == row.name);
    let mut ordered: Vec<&Row<'_>> = rows.iter().collect();
    if rows.iter().any(|row| row.part > 0) {
        ordered.sort_by_key(|row| first(row));
    }
    ordered
}

/// The name of a part, when there is more than one.
fn place<'a>(page: &Page<'a>, part: usize) -> Option<&'a str> {
    (page.parts.len() > 1).then(|| page.parts[part].name)
}

fn section(id: &str, title: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "<section id=\"{id}\" aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\">{title}</h2>"
    );
}

fn header(page: &Page<'_>, rows: &[Row<'_>], text: &mut String) {
    let _ = write!(
        text,
        "<header>\n<div class=\"who\"><h1>{}</h1>",
        Text(page.title)
    );
    if let Some(part) = page.parts.last() {
        let at = UNIX_EPOCH + Duration::from_millis(part.results.unix_ms);
        let time = humantime::format_rfc3339_seconds(at).to_string();
        let (day, clock) = time.split_once('T').unwrap_or((&time, ""));
        let _ = write!(
            text,
            "<p class=\"muted\">{} · ended <time datetime=\"{time}\">{day} {} UTC</time></p>",
            many(rows.len(), "job"),
            clock.trim_end_matches('Z'),
        );
    }
    let (tone, words) = state(page, rows);
    let _ = writeln!(
        text,
        "</div>\n<p id=\"state\" class=\"{tone}\">{words}</p>\n</header>"
    );
}

/// The whole in one line: the worst that is to be said of it.
fn state(page: &Page<'_>, rows: &[Row<'_>]) -> (&'static str, String) {
    let failed = rows.iter().filter(|row| !row.errors.is_empty()).count();
    let warnings: usize = page.parts.iter().map(|p| p.results.warnings.len()).sum();
    let judged = |judgement| page.verdicts.iter().any(|v| v.judgement == judgement);
    let care = match warnings {
        0 => String::new(),
        _ => format!(" Read the {} first.", many(warnings, "warning")),
    };
    if failed > 0 {
        let what = many(failed, "job");
        return ("critical", format!("{what} ended with an error.{care}"));
    }
    if page.parts.iter().any(|part| part.results.interrupted) {
        let what = "Interrupted: these are the figures up to then.";
        return ("warning", format!("{what}{care}"));
    }
    if judged(Judgement::Below) {
        let what = "Slower than the instance type promises.";
        return ("warning", format!("{what}{care}"));
    }
    if warnings > 0 {
        let what = match warnings {
            1 => "A warning says".to_owned(),
            _ => format!("{warnings} warnings say"),
        };
        return ("warning", format!("{what} what these figures do not mean."));
    }
    if judged(Judgement::Met) {
        return ("good", "As fast as the instance type promises.".to_owned());
    }
    ("info", "Done, without a warning.".to_owned())
}

/// Errors and warnings, before any figure.
fn notes(page: &Page<'_>, rows: &[Row<'_>], text: &mut String) {
    let mut cards = String::new();
    let mut card = |tone: &str, badge: &str, about: &str, words: &str| {
        let _ = writeln!(
            cards,
            "<li class=\"card condition {tone}\"><span class=\"badge\">{badge}</span> \
             <bdi class=\"muted\">{}</bdi><p>{}</p></li>",
            Text(about),
            Text(words)
        );
    };
    for row in rows {
        for error in &row.errors {
            card("critical", "Error", &row.name, error);
        }
    }
    for part in page.parts {
        if part.results.interrupted {
            let words = "ended early by a signal; jobs that had not begun are missing";
            card("warning", "Interrupted", part.name, words);
        }
        for warning in &part.results.warnings {
            card("warning", "Warning", part.name, warning);
        }
    }
    if !cards.is_empty() {
        section("notes", "Before you believe it", text);
        let _ = writeln!(text, "<ul>\n{cards}</ul>\n</section>");
    }
}

fn verdicts(verdicts: &[Verdict], text: &mut String) {
    if verdicts.is_empty() {
        return;
    }
    section("verdict", "Against the instance type", text);
    text.push_str("<ul>\n");
    for verdict in verdicts {
        let (tone, badge) = match verdict.judgement {
            Judgement::Met => ("good", "Met"),
            Judgement::Below => ("warning", "Below"),
            Judgement::Unknown => ("", "No verdict"),
        };
        let _ = writeln!(
            text,
            "<li class=\"card condition {tone}\"><span class=\"badge\">{badge}</span> \
             <strong>{}</strong><p>{}</p></li>",
            Text(verdict.what),
            Text(&verdict.sentence)
        );
    }
    text.push_str("</ul>\n</section>\n");
}

/// One line for each job and direction.
fn table(page: &Page<'_>, rows: &[Row<'_>], text: &mut String) {
    section("results", "Results", text);
    let several = page.parts.len() > 1;
    let place_head = match several {
        true => "<th scope=\"col\">Where</th>",
        false => "",
    };
    let _ = write!(
        text,
        "<div class=\"scroll\" role=\"region\" aria-labelledby=\"h-results\" tabindex=\"0\">\n\
         <table class=\"cards\">\n<thead><tr><th scope=\"col\">Job</th>{place_head}\
         <th scope=\"col\">Direction</th>"
    );
    for column in COLUMNS {
        let _ = write!(text, "<th scope=\"col\" class=\"n\">{column}</th>");
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in in_order(rows) {
        let name = Text(&row.name);
        let place_cell = match place(page, row.part) {
            Some(place) => format!("<td data-label=\"Where\">{}</td>", Text(place)),
            None => String::new(),
        };
        if row.used().next().is_none() {
            let _ = writeln!(
                text,
                "<tr><th scope=\"row\">{name}</th>{place_cell}<td class=\"none\" colspan=\"{}\">\
                 nothing was transferred</td></tr>",
                COLUMNS.len() + 1
            );
        }
        for (direction, merged) in row.used() {
            let _ = write!(
                text,
                "<tr><th scope=\"row\">{name}</th>{place_cell}\
                 <td data-label=\"Direction\"><span class=\"key\">{}{direction}</span></td>",
                plot::sign(direction)
            );
            let latencies = &merged.latency;
            let at = |percent| latency(latencies.percentile(percent) as f64);
            let cpu = row.cpu(row.usage.user + row.usage.system) * row.threads as f64;
            let cells = [
                words::digits(merged.iops()),
                rate(merged.bandwidth()),
                latency(latencies.mean()),
                at(50.0),
                at(99.0),
                at(99.9),
                latency(latencies.max() as f64),
                percent(cpu),
            ];
            for (label, cell) in COLUMNS.iter().zip(cells) {
                let _ = write!(text, "<td class=\"n\" data-label=\"{label}\">{cell}</td>");
            }
            text.push_str("</tr>\n");
        }
    }
    text.push_str(
        "</tbody>\n</table>\n</div>\n<p class=\"muted foot\">CPU is that of all threads of the \
         job, reads and writes together; 100 % is one processor.</p>\n</section>\n",
    );
}

const COLUMNS: [&str; 8] = [
    "IOPS",
    "Bandwidth",
    "Mean",
    "p50",
    "p99",
    "p99.9",
    "Max",
    "CPU",
];

fn disks(page: &Page<'_>, text: &mut String) {
    let mut lines = String::new();
    for part in page.parts {
        for disk in &part.results.disks {
            let busy = disk.busy_ms as f64 / 1e3 / disk.elapsed.as_secs_f64().max(1e-3);
            // A sector is 512 bytes in /sys/block, whatever the disk has.
            let moved = |sectors: u64| bytes(sectors.saturating_mul(512));
            let _ = writeln!(
                lines,
                "<tr><th scope=\"row\">{}</th><td class=\"n\" data-label=\"Read\">{}</td>\
                 <td class=\"n\" data-label=\"Reads\">{}</td><td class=\"n\" data-label=\"Written\">{}</td>\
                 <td class=\"n\" data-label=\"Writes\">{}</td><td class=\"n\" data-label=\"Busy\">{}</td></tr>",
                Text(&disk.name),
                moved(disk.read_sectors),
                words::count(disk.read_ios as f64),
                moved(disk.write_sectors),
                words::count(disk.write_ios as f64),
                percent(busy.min(1.0)),
            );
        }
    }
    if !lines.is_empty() {
        section("disks", "Disks underneath", text);
        let _ = writeln!(
            text,
            "<div class=\"scroll\" role=\"region\" aria-labelledby=\"h-disks\" tabindex=\"0\">\n\
             <table class=\"cards\">\n<thead><tr><th scope=\"col\">Disk</th>\
             <th scope=\"col\" class=\"n\">Read</th><th scope=\"col\" class=\"n\">Reads</th>\
             <th scope=\"col\" class=\"n\">Written</th><th scope=\"col\" class=\"n\">Writes</th>\
             <th scope=\"col\" class=\"n\">Busy</th></tr></thead>\n<tbody>\n{lines}</tbody>\n\
             </table>\n</div>\n</section>"
        );
    }
}

/// What holds for all jobs, as it was written.
fn options(page: &Page<'_>, text: &mut String) {
    let mut lists = String::new();
    for part in page.parts {
        if !part.results.global.is_empty() {
            let options = job::options(&part.results.global);
            let _ = writeln!(lists, "<p>{} {options}</p>", Text(part.name));
        }
    }
    if !lists.is_empty() {
        section("global", "Options of all jobs", text);
        let _ = writeln!(text, "<div class=\"card\">{lists}</div>\n</section>");
    }
}

#[cfg(test)]
mod tests;
