//! What an instance type promises of its local disks, and whether a measurement
//! keeps up with it. The figures and their sources are in types.json; how the type
//! of this machine is found out is in `detect`.

mod detect;

pub use detect::{Detected, METADATA, Origin, PATIENCE, Places, detect};

use serde::{Deserialize, Serialize};

use crate::words::count;

/// A measurement below this share of the published figure is too slow: published
/// figures are rounded and reached by several jobs, but no healthy disk misses
/// them by a fifth.
pub const LIMIT: f64 = 0.8;

/// One line of types.json: all disks of an instance together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Figures {
    #[serde(rename = "type")]
    pub instance_type: String,
    pub disks: u32,
    /// Of each disk, in decimal gigabytes.
    pub gigabytes: u64,
    /// Random, 4 KiB; `None` where none are published.
    pub read_iops: Option<u64>,
    pub write_iops: Option<u64>,
    /// Where they were published, in words.
    pub source: String,
}

/// The figures of a type, when it has local disks and is one of those known.
#[must_use]
pub fn figures(instance_type: &str) -> Option<Figures> {
    let data = data();
    let mut types = data.types.into_iter();
    let mut found = types.find(|figures| figures.instance_type == instance_type)?;
    let source = data
        .sources
        .into_iter()
        .find(|(key, _)| *key == found.source);
    found.source = source.map(|(_, words)| words).unwrap_or_default();
    Some(found)
}

#[derive(Deserialize)]
struct Data {
    sources: std::collections::BTreeMap<String, String>,
    types: Vec<Figures>,
}

fn data() -> Data {
    serde_json::from_str(include_str!("instance/types.json"))
        .expect("types.json is part of the program, and a test reads it")
}

/// What was measured, of all disks of a pool together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Random, 4 KiB, at saturating depth; `None` where it was not measured.
    pub read_iops: Option<f64>,
    pub write_iops: Option<f64>,
    /// How many local disks were under it.
    pub disks: u32,
}

/// One measurement against the figure it has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// "random read" or "random write".
    pub what: &'static str,
    /// IOPS.
    pub measured: f64,
    /// Published, for as many disks as were measured.
    pub expected: Option<f64>,
    pub ratio: Option<f64>,
    pub judgement: Judgement,
    /// For people: all of the above, and why there is no verdict.
    pub sentence: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// At least [`LIMIT`] of the figure.
    Met,
    Below,
    /// There is no figure.
    Unknown,
}

/// Judges each direction that was measured.
#[must_use]
pub fn judge(instance: &Detected, measured: &Measured) -> Vec<Verdict> {
    let known = match instance {
        Detected::Known { name, .. } => figures(name),
        Detected::Unknown { .. } => None,
    };
    let directions = [
        (
            "random read",
            measured.read_iops,
            known.as_ref().and_then(|f| f.read_iops),
        ),
        (
            "random write",
            measured.write_iops,
            known.as_ref().and_then(|f| f.write_iops),
        ),
    ];
    let judged = directions
        .into_iter()
        .filter_map(|(what, iops, published)| {
            let iops = iops.filter(|iops| iops.is_finite())?;
            let verdict = match (&known, published) {
                (Some(figures), Some(published)) if measured.disks > 0 => {
                    against(what, iops, measured.disks, figures, published)
                }
                (figures, _) => no_verdict(what, iops, instance, figures.as_ref()),
            };
            Some(verdict)
        });
    judged.collect()
}

fn against(
    what: &'static str,
    iops: f64,
    disks: u32,
    figures: &Figures,
    published: u64,
) -> Verdict {
    let name = &figures.instance_type;
    let counted = disks.min(figures.disks);
    let expected = published as f64 * f64::from(counted) / f64::from(figures.disks.max(1));
    let ratio = iops / expected;
    let judgement = if ratio >= LIMIT {
        Judgement::Met
    } else {
        Judgement::Below
    };
    let promise = match disks {
        n if n < figures.disks => format!(
            "{} that {name} promises of {n} of its {} disks",
            count(expected),
            figures.disks
        ),
        n if n > figures.disks => format!(
            "{} that {name} promises, although it has {} disks and {n} were measured",
            count(expected),
            figures.disks
        ),
        _ => format!("{} that {name} promises", count(expected)),
    };
    // Rounded down: 79.9 % must not read as the 80 % it misses.
    let percent = (ratio * 100.0).floor();
    let mut sentence = format!("{} IOPS are {percent} % of the {promise}", count(iops));
    if judgement == Judgement::Below {
        sentence.push_str(&format!(
            "; less than {:.0} % is too slow: measure again on an idle node, and if it stays so, replace the instance",
            LIMIT * 100.0
        ));
    }
    Verdict {
        what,
        measured: iops,
        expected: Some(expected),
        ratio: Some(ratio),
        judgement,
        sentence,
    }
}

fn no_verdict(
    what: &'static str,
    iops: f64,
    instance: &Detected,
    figures: Option<&Figures>,
) -> Verdict {
    let why = match (instance, figures) {
        (Detected::Unknown { reason }, _) => format!("the instance type is not known ({reason})"),
        (Detected::Known { name, .. }, None) => format!("no figures of {name} are known"),
        (Detected::Known { name, .. }, Some(figures)) => {
            match figures.read_iops.or(figures.write_iops) {
                Some(_) => "no local disk was measured".to_owned(),
                None => format!("no IOPS are published for {name}"),
            }
        }
    };
    Verdict {
        what,
        measured: iops,
        expected: None,
        ratio: None,
        judgement: Judgement::Unknown,
        sentence: format!("{} IOPS; no verdict: {why}", count(iops)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Detected {
        let (name, origin) = (name.to_owned(), Origin::Given);
        Detected::Known { name, origin }
    }

    fn measured(read: f64, write: f64, disks: u32) -> Measured {
        let (read_iops, write_iops) = (Some(read), Some(write));
        Measured {
            read_iops,
            write_iops,
            disks,
        }
    }

    #[test]
    fn every_type_is_read_once_and_has_a_source() {
        let data = data();
        assert!(data.types.len() >= 62);
        let mut names: Vec<&str> = data
            .types
            .iter()
            .map(|t| t.instance_type.as_str())
            .collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "one is there twice");
        for figures in &data.types {
            assert!(data.sources.contains_key(&figures.source), "{figures:?}");
            assert!(figures.disks > 0 && figures.gigabytes > 0);
            assert!(detect::is_type(&figures.instance_type), "{figures:?}");
            assert_eq!(figures.read_iops.is_some(), figures.write_iops.is_some());
        }
    }

    #[test]
    fn figures_are_those_published() {
        let i4i = figures("i4i.32xlarge").unwrap();
        assert_eq!((i4i.disks, i4i.gigabytes), (8, 3750));
        assert_eq!(
            (i4i.read_iops, i4i.write_iops),
            (Some(3_200_000), Some(1_760_000))
        );
        assert!(i4i.source.contains("storage optimized"));
        assert_eq!(figures("d3.xlarge").unwrap().read_iops, None);
        assert_eq!(figures("t3.micro"), None);
        assert_eq!(figures(""), None);
    }

    #[test]
    fn four_fifths_of_the_figure_is_the_limit() {
        let judged = judge(&of("i4i.4xlarge"), &measured(320_000.0, 175_999.0, 1));
        let facts: Vec<_> = judged.iter().map(|v| (v.what, v.judgement)).collect();
        assert_eq!(
            facts,
            [
                ("random read", Judgement::Met),
                ("random write", Judgement::Below)
            ]
        );
        assert_eq!(
            judged[0].sentence,
            "320,000 IOPS are 80 % of the 400,000 that i4i.4xlarge promises"
        );
        assert!(
            judged[1].sentence.contains("are 79 % of the 220,000"),
            "{}",
            judged[1].sentence
        );
        assert!(judged[1].sentence.contains("replace the instance"));
    }

    #[test]
    fn some_of_the_disks_promise_their_share() {
        let [read, write] = &judge(&of("i4i.32xlarge"), &measured(800_000.0, 440_000.0, 2))[..]
        else {
            panic!("two directions")
        };
        assert_eq!((read.expected, write.ratio), (Some(800_000.0), Some(1.0)));
        assert!(
            read.sentence.ends_with("of 2 of its 8 disks"),
            "{}",
            read.sentence
        );
        // More disks than it has are somebody else's; they promise nothing.
        let more = &judge(&of("i4i.4xlarge"), &measured(400_000.0, 1.0, 3))[0];
        assert_eq!(more.expected, Some(400_000.0));
        assert!(more.sentence.contains("3 were measured"));
    }

    #[test]
    fn without_a_figure_it_says_why() {
        let unknown = Detected::Unknown {
            reason: "not on EC2".to_owned(),
        };
        for (instance, disks, words) in [
            (unknown, 1, "the instance type is not known (not on EC2)"),
            (of("t3.micro"), 1, "no figures of t3.micro are known"),
            (of("d3.xlarge"), 3, "no IOPS are published for d3.xlarge"),
            (of("i3.large"), 0, "no local disk was measured"),
        ] {
            for verdict in judge(&instance, &measured(1.0, 2.0, disks)) {
                assert_eq!(verdict.judgement, Judgement::Unknown);
                assert_eq!((verdict.expected, verdict.ratio), (None, None));
                assert!(verdict.sentence.contains(words), "{}", verdict.sentence);
            }
        }
    }

    #[test]
    fn only_what_was_measured_is_judged() {
        let mut some = measured(1.0, f64::NAN, 1);
        assert_eq!(judge(&of("i3.large"), &some).len(), 1);
        some.read_iops = None;
        assert!(judge(&of("i3.large"), &some).is_empty());
    }
}
