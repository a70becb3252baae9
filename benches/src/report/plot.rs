//! Plots as SVG that reads without a script. Its viewBox is stretched to the
//! figure, so the labels are HTML beside it. The lines are the data: page.js reads
//! the points back through the scales for the cursor.

use std::fmt::Write as _;

use super::axis::{Axis, Scale};
use crate::words::Text;

/// The viewBox. Strokes do not scale with it.
const WIDE: f64 = 1000.0;
const HIGH: f64 = 240.0;
/// More points than this are finer than any screen draws them.
const POINTS: usize = 500;

/// One line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// "read" or "write".
    pub(super) name: &'static str,
    /// Ascending in x.
    pub(super) points: Vec<(f64, f64)>,
    /// What it is, in a few words, when no cursor asks.
    pub(super) words: String,
}

#[derive(Debug)]
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    /// What the x axis is, beside the title.
    pub(super) about: String,
    /// What it is of, for those who do not see it.
    pub(super) of: &'a str,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) lines: Vec<Line>,
}

/// Writes a figure.
pub(super) fn draw(plot: &Plot<'_>, page: &mut String) {
    let mut keys = String::new();
    let mut told = format!("{} of {}, {}.", plot.title, plot.of, plot.about);
    let mut drawn = String::new();
    for tick in &plot.y.ticks {
        let y = HIGH * (1.0 - plot.y.scale.place(*tick));
        let _ = write!(
            drawn,
            r#"<line class="grid" x1="0" x2="{WIDE}" y1="{y:.1}" y2="{y:.1}"/>"#
        );
    }
    for tick in &plot.x.ticks {
        let x = WIDE * plot.x.scale.place(*tick);
        let _ = write!(
            drawn,
            r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="0" y2="{HIGH}"/>"#
        );
    }
    for line in &plot.lines {
        let name = line.name;
        let _ = write!(
            keys,
            r#"<span class="key">{}{name} <b data-words="{1}">{1}</b></span>"#,
            sign(name),
            Text(&line.words)
        );
        let _ = write!(told, " {name}: {}.", line.words);
        shape(plot, line, &mut drawn);
    }
    let _ = write!(
        page,
        concat!(
            r#"<figure class="plot" data-x="{}" data-y="{}"><figcaption><strong>{}</strong>"#,
            r#"<span class="when" data-words="{}">{}</span><span class="keys">{}</span></figcaption>"#,
            r#"<div class="chart"><div class="y" aria-hidden="true">{}</div>"#,
            r#"<div class="area" role="img" tabindex="0" aria-label="{}">"#,
            r#"<svg viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">{}"#,
            r#"<line class="cursor" y1="0" y2="{}" visibility="hidden"/></svg></div>"#,
            r#"<div class="x" aria-hidden="true">{}</div></div></figure>"#,
            "\n"
        ),
        plot.x.attribute(),
        plot.y.attribute(),
        Text(plot.title),
        Text(&plot.about),
        Text(&plot.about),
        keys,
        labels(plot.y, "bottom"),
        Text(&told),
        WIDE,
        HIGH,
        drawn,
        HIGH,
        labels(plot.x, "left"),
    );
}

/// The sign of a line in the legend: reads are filled below, writes are dashed.
pub(super) fn sign(name: &str) -> String {
    let fill = match name {
        "read" => r#"<polygon class="read" points="0,3 14,3 14,10 0,10"/>"#,
        _ => "",
    };
    format!(
        r#"<svg class="sign" viewBox="0 0 14 10" aria-hidden="true">{fill}<polyline class="{name}" points="0,3 14,3"/></svg>"#
    )
}

fn shape(plot: &Plot<'_>, line: &Line, drawn: &mut String) {
    let points = thinned(&line.points);
    let at = |(x, y): &(f64, f64)| {
        let (x, y) = (plot.x.scale.place(*x), plot.y.scale.place(*y));
        format!("{:.1},{:.2}", WIDE * x, HIGH * (1.0 - y))
    };
    let texts: Vec<String> = points.iter().map(at).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return;
    };
    let texts = texts.join(" ");
    // Below a distribution there is nothing.
    let is_amount = matches!(plot.y.scale, Scale::Linear { .. });
    if line.name == "read" && is_amount {
        let [from, to] = [first, last].map(|(x, _)| WIDE * plot.x.scale.place(*x));
        let _ = write!(
            drawn,
            r#"<polygon class="read" points="{from:.1},{HIGH} {texts} {to:.1},{HIGH}"/>"#
        );
    }
    let _ = write!(
        drawn,
        r#"<polyline class="{}" points="{texts}"/>"#,
        line.name
    );
}

/// As many points as can be told apart: the lowest and the highest of each stretch,
/// in their order, so that a single stall of a long run stays visible.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(POINTS / 2);
    let mut kept = Vec::with_capacity(POINTS);
    for chunk in points.chunks(stretch) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = [
            chunk.iter().min_by(by_height),
            chunk.iter().max_by(by_height),
        ];
        let mut ends: Vec<_> = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        kept.extend(ends);
    }
    kept
}

fn labels(axis: &Axis, side: &str) -> String {
    let mut spans = String::new();
    for (tick, label) in axis.ticks.iter().zip(axis.labels()) {
        let place = 100.0 * axis.scale.place(*tick);
        let _ = write!(spans, r#"<span style="{side}:{place:.2}%">{label}</span>"#);
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_of_a_long_run_stays() {
        let points: Vec<_> = (0..100_000_u32)
            .map(|i| (f64::from(i), if i == 61_803 { 0.0 } else { 100.0 }))
            .collect();
        let kept = thinned(&points);
        assert!(kept.len() <= POINTS + 2, "{}", kept.len());
        assert!(kept.contains(&(61_803.0, 0.0)));
        assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
    }
}
