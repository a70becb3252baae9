//! Tables for people. Everything that came from a device or a file is escaped
//! here, so that a hostile serial cannot drive a terminal.

use std::fmt::Write as _;

use crate::inventory::{Content, Disk, Inventory};
use crate::plan::{Judged, Plan, Verdict};

/// Replaces what could drive a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Columns as wide as their widest cell, two spaces between.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|r| r.iter().map(|c| plain(c)).collect())
        .collect();
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// All disks with their verdicts.
#[must_use]
pub fn disks(inventory: &Inventory, plan: &Plan) -> String {
    if inventory.disks.is_empty() {
        return "no block devices are seen on this machine\n".into();
    }
    let rows: Vec<Vec<String>> = inventory
        .disks
        .iter()
        .map(|disk| {
            let judged = plan.disks.iter().find(|j| j.name == disk.name);
            vec![
                disk.name.clone(),
                or_dash(&disk.model),
                or_dash(&disk.serial),
                size(disk.size),
                content(disk),
                judged.map_or("", |j| word(j.verdict)).to_owned(),
                judged.map_or(String::new(), |j| j.why.clone()),
            ]
        })
        .collect();
    let head = [
        "DISK", "MODEL", "SERIAL", "SIZE", "CONTENT", "VERDICT", "WHY",
    ];
    format!("cloud: {}\n{}", inventory.node.cloud, table(&head, &rows))
}

/// A plan, step by step.
#[must_use]
pub fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let rows: Vec<Vec<String>> = plan
        .disks
        .iter()
        .filter(|j| j.verdict != Verdict::Ignored)
        .map(judged)
        .collect();
    if !rows.is_empty() {
        text += &table(&["DISK", "IDENTITY", "VERDICT", "WHY"], &rows);
    }
    for pool in &plan.pools {
        let layout = pool.level.map_or("one disk".to_owned(), |l| l.to_string());
        let _ = writeln!(
            text,
            "pool {} at {} ({layout}, {} disks)",
            pool.label,
            plain(&pool.at.display().to_string()),
            pool.disks.len()
        );
        if pool.steps.is_empty() {
            text += "  nothing to do\n";
        }
        for (i, step) in pool.steps.iter().enumerate() {
            let _ = writeln!(text, "  {}. {step}", i + 1);
        }
    }
    for dir in &plan.binds {
        let dir = plain(&dir.display().to_string());
        let _ = writeln!(
            text,
            "bind {dir}: carry its content over, and stop and start what holds it"
        );
    }
    for note in &plan.notes {
        let _ = writeln!(text, "note: {}", plain(note));
    }
    for blocker in &plan.blockers {
        let _ = writeln!(text, "blocked: {}", plain(blocker));
    }
    if plan.blockers.is_empty() && plan.is_done() {
        text += "nothing to do\n";
    }
    text
}

fn judged(judged: &Judged) -> Vec<String> {
    vec![
        judged.name.clone(),
        judged.identity.clone(),
        word(judged.verdict).to_owned(),
        judged.why.clone(),
    ]
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Use => "use",
        Verdict::Spare => "spare",
        Verdict::Refused => "refused",
        Verdict::Ignored => "ignored",
    }
}

fn content(disk: &Disk) -> String {
    match &disk.content {
        Some(Content::Foreign { findings }) => {
            let first = findings.first().map_or("", |f| f.what.as_str());
            format!("Foreign ({first})")
        }
        Some(content) => content.word().to_owned(),
        None => match disk.seen.first() {
            Some(finding) => format!("({})", finding.what),
            None => "(not read)".into(),
        },
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() {
        "-".into()
    } else {
        text.to_owned()
    }
}

/// Decimal, as disks are sold.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = bytes / (unit / 10);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        assert_eq!(size(3_800_000_000_000), "3.8 TB");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(67_108_864), "67.1 MB");
    }

    #[test]
    fn a_hostile_serial_cannot_drive_the_terminal() {
        let text = table(&["A"], &[vec!["\x1b[2J\n\r\x07x".into()]]);
        assert!(!text.contains('\x1b') && !text.contains('\x07') && !text.contains('\r'));
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn columns_line_up() {
        let text = table(
            &["A", "B"],
            &[
                vec!["long".into(), "x".into()],
                vec!["s".into(), "y".into()],
            ],
        );
        assert_eq!(text, "A     B\nlong  x\ns     y\n");
    }
}
