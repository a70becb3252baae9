//! `bench-fio INSTORE [options]`: the load engine next to Debian's fio, both in one run and in
//! turn: 4k random reads and writes at several depths, on a file in the page cache, a file on the
//! machine's disk, a zram device made for it, and any empty device that is named. Prints medians,
//! ratios and whether the limits hold; judges nothing. `--agree` has both measure what has a known
//! rate, and compares what they say. Leaves nothing behind, whatever ends it.

#[path = "fio/agree.rs"]
mod agree;
#[path = "fio/cell.rs"]
mod cell;
#[path = "fio/child.rs"]
mod child;
#[path = "fio/limit.rs"]
mod limit;
#[path = "fio/options.rs"]
mod options;
#[path = "fio/place.rs"]
mod place;
#[path = "fio/program.rs"]
mod program;
#[path = "fio/table.rs"]
mod table;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use cell::{Access, Cell, Target};
use child::Stop;
use options::Options;
use place::Place;
use program::{Bench, Cost, Program, Sample};

/// What a run costs apart from its I/O is measured so often.
const BARE_RUNS: usize = 3;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    ensure!(
        nix::unistd::geteuid().is_root(),
        "run this as root: it makes a zram device, and writes to the ones that are named"
    );
    let bench = Bench::new(&options, Stop::new()?)?;
    table::heading(&bench, &options)?;
    if options.agree {
        return agree::run(&bench, &options);
    }
    let mut lines = table::Lines::create(options.lines.as_deref())?;
    for target in options.targets() {
        for access in Access::ALL {
            let cells = options.cells(&target, access);
            if !cells.is_empty() {
                measure(&bench, &options, &target, access, &cells, &mut lines)?;
            }
        }
    }
    Ok(())
}

/// All cells of one target and direction, on files or a device of their own.
fn measure(
    bench: &Bench,
    options: &Options,
    target: &Target,
    access: Access,
    cells: &[Cell],
    lines: &mut table::Lines,
) -> Result<()> {
    let mut place = Place::new(bench, target, access, options.directory.as_deref())?;
    let mut programs = vec![Program::Instore, Program::Fio, Program::Tuned];
    if access == Access::Read && bench.t_io_uring.is_some() {
        programs.push(Program::Minimal);
    }
    for cell in cells {
        let mut bare = Vec::new();
        for program in &programs {
            bare.push(bare_cost(bench, &mut place, *program, cell)?);
        }
        let mut rounds = Vec::new();
        for round in 0..options.pairs {
            let mut samples = vec![Sample::default(); programs.len()];
            // Every other round backwards: whoever comes second meets what the first one left.
            let mut order: Vec<usize> = (0..programs.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let program = programs[index];
                place.ready(bench, program)?;
                samples[index] = bench.sample(program, cell, &place, &bare[index])?;
            }
            rounds.push(samples);
        }
        for (index, program) in programs.iter().enumerate().skip(1) {
            let pairs: Vec<[Sample; 2]> = rounds.iter().map(|r| [r[0], r[index]]).collect();
            let row = table::Row::new(cell, *program, &pairs);
            row.print();
            lines.write(&row)?;
        }
    }
    Ok(())
}

/// What a program spends on starting, ending, and laying out data: the median of runs with one I/O.
fn bare_cost(bench: &Bench, place: &mut Place, program: Program, cell: &Cell) -> Result<Cost> {
    if program == Program::Minimal {
        return Ok(Cost::default());
    }
    let mut costs = Vec::new();
    for _ in 0..BARE_RUNS {
        place.ready(bench, program)?;
        costs.push(bench.bare(program, cell, place)?);
    }
    let median = |of: fn(&Cost) -> f64| table::median(costs.iter().map(of).collect());
    Ok(Cost {
        own: median(|cost| cost.own),
        system: median(|cost| cost.system),
    })
}
