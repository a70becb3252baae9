//! Whether both say the same of what has a known rate: a job that is limited by itself, and a
//! device that is limited by the kernel. Or a named device, as it is.

use anyhow::Result;
use serde::Serialize;

use crate::cell::{Access, Cell, Target};
use crate::limit::Limit;
use crate::options::Options;
use crate::place::Place;
use crate::program::{Bench, Program, Sample, read};
use crate::table::{Lines, median};

/// In a second, of the job and of the device.
const RATE: u32 = 1000;
/// How far they may be apart.
const APART: f64 = 0.03;
/// The kernel lets through what is due about each 100 ms, 100 at a time. So many in flight wait for
/// the second time after theirs, most of them: the latency is that of the limit, not of the machine,
/// and the median is not between two steps.
const DEEP: u32 = 180;
/// The first and the last of these I/Os, which are others, are few.
const SECONDS: u32 = 8;

/// A figure of a run.
type Of = fn(&Sample) -> f64;

#[derive(Debug, Serialize)]
struct Figure {
    case: String,
    figure: &'static str,
    instore: f64,
    fio: f64,
    ratio: f64,
    holds: bool,
}

pub(crate) fn run(bench: &Bench, options: &Options) -> Result<()> {
    let mut lines = Lines::create(options.lines.as_deref())?;
    println!(
        "{:<34} {:<10} {:>12} {:>12} {:>7}",
        "", "", "instore", "fio", "ratio"
    );
    let seconds = options.runtime.max(SECONDS);
    let cell = |target: Target, depth| Cell {
        target,
        access: Access::Read,
        depth,
        jobs: 1,
    };
    if !options.devices.is_empty() {
        for device in &options.devices {
            for depth in [1, 32] {
                let cell = cell(Target::Device(device.clone()), depth);
                let mut place = Place::new(bench, &cell.target, cell.access, None)?;
                let name = format!("{}, depth {depth}", device.display());
                compare(
                    bench,
                    options,
                    &cell,
                    &mut place,
                    &[],
                    &name,
                    seconds,
                    &mut lines,
                )?;
            }
        }
        return Ok(());
    }
    let rated = cell(Target::Disk, 1);
    let directory = options.directory.as_deref();
    let mut place = Place::new(bench, &rated.target, rated.access, directory)?;
    let rate = [format!("--rate_iops={RATE}")];
    let name = format!("file, rate_iops={RATE}");
    compare(
        bench, options, &rated, &mut place, &rate, &name, seconds, &mut lines,
    )?;
    drop(place);

    let limited = cell(Target::Zram, DEEP);
    let mut place = Place::new(bench, &limited.target, limited.access, None)?;
    place.limit = Limit::new(&place.file(Program::Fio), RATE)?;
    let name = format!("zram, {RATE} reads/s by cgroup");
    compare(
        bench,
        options,
        &limited,
        &mut place,
        &[],
        &name,
        seconds,
        &mut lines,
    )
}

#[expect(clippy::too_many_arguments, reason = "one caller, three cases")]
fn compare(
    bench: &Bench,
    options: &Options,
    cell: &Cell,
    place: &mut Place,
    rest: &[String],
    name: &str,
    seconds: u32,
    lines: &mut Lines,
) -> Result<()> {
    let mut pairs: Vec<[Sample; 2]> = Vec::new();
    for round in 0..options.pairs {
        let mut pair = [Sample::default(); 2];
        let mut order = [0, 1];
        order.rotate_left(round % 2);
        for index in order {
            let program = [Program::Instore, Program::Fio][index];
            place.ready(bench, program)?;
            let mut words = vec![format!("--runtime={seconds}"), "--time_based".into()];
            words.extend_from_slice(rest);
            if program == Program::Fio {
                // From submission on, as instore has it.
                words.push("--lat_percentiles=1".into());
            }
            let ended = bench.job(program, cell, place, &words)?;
            pair[index] = read(&ended.text, cell)?.0;
        }
        pairs.push(pair);
    }
    let figures: [(&str, Of); 4] = [
        ("IOPS", |sample| sample.iops),
        ("mean, us", |sample| sample.mean / 1000.0),
        ("p50, us", |sample| sample.p50 / 1000.0),
        ("p99, us", |sample| sample.p99 / 1000.0),
    ];
    for (figure, of) in figures {
        let [instore, fio] =
            [0, 1].map(|side| median(pairs.iter().map(|pair| of(&pair[side])).collect()));
        let ratio = median(pairs.iter().map(|[a, b]| of(a) / of(b)).collect());
        let holds = (ratio - 1.0).abs() <= APART;
        let word = if holds { "pass" } else { "MISS" };
        println!("{name:<34} {figure:<10} {instore:>12.1} {fio:>12.1} {ratio:>7.3}  {word}");
        lines.write(&Figure {
            case: name.to_owned(),
            figure,
            instore,
            fio,
            ratio,
            holds,
        })?;
    }
    Ok(())
}
