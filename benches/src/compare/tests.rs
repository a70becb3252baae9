use super::*;
use crate::output::parse::{LatencySummary, SampleSummary, read_json};

/// A job that reads with so many IOPS, deviating by a share of them in 60 samples.
fn job(name: &str, group: u32, iops: f64, share: f64) -> Summary {
    let samples = |mean: f64| SampleSummary {
        count: 60,
        mean,
        stddev: mean * share,
        min: mean * 0.9,
        max: mean * 1.1,
    };
    let read = DirectionSummary {
        ios: 1000,
        bytes: 4_096_000,
        iops,
        bandwidth: iops * 4096.0,
        iops_samples: samples(iops),
        bandwidth_samples: samples(iops * 4096.0),
        latency: LatencySummary {
            count: 1000,
            mean: 32e9 / iops,
            percentiles: vec![(50.0, 300_000), (99.0, 900_000)],
            ..LatencySummary::default()
        },
        ..DirectionSummary::default()
    };
    Summary {
        job: name.to_owned(),
        group,
        error: 0,
        options: [("bs".to_owned(), "4k".to_owned())].into(),
        directions: [read, DirectionSummary::default()],
    }
}

fn changes(row: &Row) -> Vec<(What, Change)> {
    row.figures.iter().map(|f| (f.what, f.change)).collect()
}

fn text(comparison: &Comparison) -> String {
    let mut out = Vec::new();
    write_table(comparison, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_large_difference_of_quiet_runs_is_one() {
    let all = compare(
        &[job("t", 0, 10_000.0, 0.02)],
        &[job("t", 0, 12_000.0, 0.02)],
    );
    assert_eq!(all.rows.len(), 1);
    let row = &all.rows[0];
    assert_eq!((row.direction, row.runs), ("read", [1, 1]));
    assert_eq!(
        changes(row),
        [
            (What::Iops, Change::Better),
            (What::Bandwidth, Change::Better),
            (What::MeanLatency, Change::Better),
            (What::P50, Change::CannotTell),
            (What::P99, Change::CannotTell),
        ]
    );
    assert_eq!(row.figures[0].ratio, Some(1.2));
    assert_eq!(row.figures[3].ratio, Some(1.0));
    let back = compare(
        &[job("t", 0, 12_000.0, 0.02)],
        &[job("t", 0, 10_000.0, 0.02)],
    );
    assert_eq!(back.rows[0].figures[0].change, Change::Worse);
    assert_eq!(back.rows[0].figures[2].change, Change::Worse);
}

#[test]
fn a_difference_within_the_samples_is_noise() {
    let all = compare(&[job("t", 0, 10_000.0, 0.4)], &[job("t", 0, 12_000.0, 0.4)]);
    assert_eq!(all.rows[0].figures[0].change, Change::Noise);
    // Runs without any wavering still differ from run to run.
    let all = compare(&[job("t", 0, 10_000.0, 0.0)], &[job("t", 0, 10_150.0, 0.0)]);
    assert_eq!(all.rows[0].figures[0].change, Change::Noise);
}

#[test]
fn too_few_samples_cannot_tell() {
    let mut short = job("t", 0, 10_000.0, 0.01);
    short.directions[0].iops_samples.count = 8;
    let all = compare(&[short], &[job("t", 0, 99_000.0, 0.01)]);
    assert_eq!(all.rows[0].figures[0].change, Change::CannotTell);
    assert_eq!(all.rows[0].figures[0].noise, None);
    assert!(text(&all).contains("cannot tell"));
}

#[test]
fn a_paced_job_says_nothing_of_its_latency() {
    let mut paced = job("t", 0, 10_000.0, 0.01);
    paced
        .options
        .insert("rate_iops".to_owned(), "10000".to_owned());
    let all = compare(&[paced.clone()], &[paced]);
    assert_eq!(
        changes(&all.rows[0])[..3],
        [
            (What::Iops, Change::Noise),
            (What::Bandwidth, Change::Noise),
            (What::MeanLatency, Change::CannotTell),
        ]
    );
}

#[test]
fn threads_of_one_group_are_added_up() {
    let threads = [job("t", 0, 5_000.0, 0.02), job("t", 0, 5_000.0, 0.02)];
    let all = compare(&threads, &[job("t", 0, 10_000.0, 0.02)]);
    let row = &all.rows[0];
    assert_eq!((row.runs, row.figures[0].a), ([1, 1], 10_000.0));
    assert_eq!(row.figures[0].change, Change::Noise);
    assert!(
        row.notes[0].contains("--group_reporting"),
        "{:?}",
        row.notes
    );
}

#[test]
fn a_group_of_many_threads_has_not_more_samples_of_its_noise() {
    // Four threads: means are added, the number of samples too, the deviation not.
    let mut group = job("t", 0, 40_000.0, 0.02 / 4.0);
    group.options.insert("numjobs".to_owned(), "4".to_owned());
    group.directions[0].iops_samples.count = 240;
    let alone = job("t", 0, 40_000.0, 0.02);
    let of = |job: &Summary| {
        let all = compare(std::slice::from_ref(job), std::slice::from_ref(job));
        all.rows[0].figures[0].noise.unwrap()
    };
    assert!((of(&group) - of(&alone)).abs() < 1e-9);
}

#[test]
fn runs_of_a_job_tell_their_own_noise() {
    let runs = |values: [f64; 3]| {
        let runs = values.into_iter().zip(0..);
        let runs = runs.map(|(iops, group)| job("t", group, iops, 0.5));
        runs.collect::<Vec<_>>()
    };
    let [a, b] = [
        [9_990.0, 10_000.0, 10_010.0],
        [10_090.0, 10_100.0, 10_110.0],
    ]
    .map(runs);
    let all = compare(&a, &b);
    assert_eq!(all.rows[0].runs, [3, 3]);
    // One percent, and the samples waver by half: the runs do not.
    assert_eq!(all.rows[0].figures[0].change, Change::Better);
    assert_eq!(all.rows[0].figures[4].change, Change::Noise);
    assert!(text(&all).contains("(3 runs, 3 runs)"));
}

#[test]
fn jobs_of_one_name_with_other_options_are_paired_in_order() {
    let both = |second: f64| {
        let mut large = job("t", 1, second, 0.01);
        large.options.insert("bs".to_owned(), "1m".to_owned());
        [job("t", 0, 10_000.0, 0.01), large]
    };
    let all = compare(&both(500.0), &both(700.0));
    let rows: Vec<_> = all.rows.iter().map(|r| (&*r.job, r.figures[0].b)).collect();
    assert_eq!(rows, [("t", 10_000.0), ("t (2)", 700.0)]);
}

#[test]
fn what_only_one_has_is_named() {
    let mut mixed = job("mixed", 2, 1_000.0, 0.01);
    mixed.directions[1] = mixed.directions[0].clone();
    let a = [job("x", 0, 1.0, 0.0), mixed, job("only-a", 3, 1.0, 0.0)];
    let b = [job("only-b", 0, 1.0, 0.0), job("mixed", 1, 1_000.0, 0.01)];
    let all = compare(&a, &b);
    assert_eq!(all.only_a, ["x", "mixed (write)", "only-a"]);
    assert_eq!(all.only_b, ["only-b"]);
    assert_eq!(all.rows.len(), 1);
    let none = compare(&a[..1], &b[..1]);
    assert!(text(&none).contains("no job is in both"), "{}", text(&none));
}

#[test]
fn what_is_not_comparable_is_said() {
    let mut b = job("t", 0, 10_000.0, 0.01);
    b.error = 28;
    b.options.insert("bs".to_owned(), "8k\u{1b}[2J".to_owned());
    b.options.insert("direct".to_owned(), "1".to_owned());
    let all = compare(&[job("t", 0, 10_000.0, 0.01)], &[b]);
    let text = text(&all);
    assert!(text.contains("in B it ended with error 28"), "{text}");
    assert!(
        text.contains("not the same, direct: not given, 1"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "a terminal would obey");
}

#[test]
fn programs_get_the_same() {
    let all = compare(
        &[job("t", 0, 10_000.0, 0.02)],
        &[job("t", 0, 12_000.0, 0.02)],
    );
    let mut out = Vec::new();
    write_json(&all, &mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let figure = &json["rows"][0]["figures"][0];
    assert_eq!(figure["what"], "iops");
    assert_eq!(figure["change"], "better");
    assert_eq!(figure["ratio"], 1.2);
    assert_eq!(
        json["rows"][0]["figures"][3]["noise"],
        serde_json::Value::Null
    );
}

/// Runs that nothing happened in, or that say nothing, are no figures.
#[test]
fn zeros_are_no_figures() {
    let mut zero = job("t", 0, 0.0, 0.0);
    zero.directions[0].latency = LatencySummary::default();
    let all = compare(&[zero.clone()], &[zero]);
    let figures = &all.rows[0].figures;
    assert_eq!(figures.len(), 3, "no percentiles");
    assert!(figures.iter().all(|f| f.ratio.is_none()));
    write_json(&all, &mut Vec::new()).unwrap();
}

/// Debian's fio, and what we write ourselves, are read by one reader.
#[test]
fn files_of_fio_and_ours_are_compared() {
    let ours = crate::report::sample::results(&["t"]);
    let mut json = Vec::new();
    crate::output::write(&ours, &[crate::job::Format::Json], &mut json).unwrap();
    let ours = read_json(std::str::from_utf8(&json).unwrap()).unwrap();
    let mut fio = ours.clone();
    for direction in &mut fio.jobs[0].directions {
        direction.iops *= 2.0;
    }
    let all = compare(&ours.jobs, &fio.jobs);
    let rows: Vec<_> = all
        .rows
        .iter()
        .map(|r| (r.direction, r.figures[0].change))
        .collect();
    assert_eq!(rows, [("read", Change::Better), ("write", Change::Better)]);
}
