//! From sections to jobs: inheritance, the numbering of threads. What
//! each option does is in `draft`, what cannot be together in `checks`.

mod checks;
mod draft;
mod lists;

use super::arguments::Writes;
use super::error::{Error, Place, clean};
use super::{GLOBAL, Section, Setting};
use crate::job::{Access, Job, Output, Run};
use draft::Draft;

/// Of one job: more threads than any machine has processors, each with its own
/// memory and stack.
const MOST_CLONES: u32 = 1024;

/// Of a whole run; fio's own limit.
const MOST_THREADS: u32 = 4096;

/// All jobs of all files, one file after the other.
pub(super) fn run(files: &[Vec<Section>], output: Output, writes: Writes) -> Result<Run, Error> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut global = Vec::new();
    // threads before the job
    let mut threads: u32 = 0;
    for (number, file) in files.iter().enumerate() {
        let mut inherited: Vec<&Setting> = Vec::new();
        let mut first = number > 0;
        for section in file {
            section_name(section)?;
            if section.is_global() {
                inherited.extend(&section.settings);
                global.extend(section.settings.iter().map(written));
                continue;
            }
            let mut job = job(section, &inherited, threads)?;
            // jobs of the next file wait for those of this one
            job.stonewall |= first;
            first = false;
            let conflict = |problem| Error::Conflict {
                place: section.place.clone(),
                job: clean(&job.name),
                problem,
            };
            threads = threads.saturating_add(job.numjobs);
            if threads > MOST_THREADS {
                return Err(conflict(format!(
                    "more than {MOST_THREADS} threads in all: write a smaller numjobs, or less sections"
                )));
            }
            if writes == Writes::Refused && job.access != Access::Read {
                return Err(conflict(
                    "writes, and --readonly is there: write rw=read or rw=randread".to_string(),
                ));
            }
            jobs.push(job);
        }
    }
    Ok(Run {
        jobs,
        global,
        output,
    })
}

fn job(section: &Section, inherited: &[&Setting], threads: u32) -> Result<Job, Error> {
    let mut draft = Draft::new(&section.name);
    for setting in inherited.iter().copied().chain(&section.settings) {
        draft.apply(setting).map_err(|problem| Error::Value {
            place: setting.place.clone(),
            name: setting.name,
            problem,
        })?;
    }
    let conflict = |problem| Error::Conflict {
        place: section.place.clone(),
        job: clean(&section.name),
        problem,
    };
    let mut job = draft.finish(threads).map_err(conflict)?;
    checks::job(&job).map_err(conflict)?;
    job.options = section.settings.iter().map(written).collect();
    Ok(job)
}

/// As the results show it; a flag alone is on.
fn written(setting: &Setting) -> (String, String) {
    (
        setting.name.to_string(),
        setting.value.clone().unwrap_or_else(|| "1".to_string()),
    )
}

/// fio takes `[globals]` for `[global]`, and `[Global]` for a job.
fn section_name(section: &Section) -> Result<(), Error> {
    let like_global = section
        .name
        .get(..GLOBAL.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(GLOBAL));
    if like_global && !section.is_global() {
        let place: Place = section.place.clone();
        let problem = format!(
            "{} is too like global: write [global] for defaults, or another name for a job",
            clean(&section.name)
        );
        return Err(Error::Syntax { place, problem });
    }
    Ok(())
}
