//! fio's language: job files and command lines, read into what is to be run.
//!
//! An option means what fio 3.33 makes of it, or it is refused by name with what
//! to write: nothing is ignored. What a job is, is in `job`; nothing here looks at
//! targets, and nothing runs.

mod arguments;
mod error;
mod file;
mod help;
mod machine;
mod options;
mod resolve;
mod show;
mod suggest;
mod units;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use error::{Error, Place};
pub use help::{option_help, usage};
pub use options::{Chapter, Kind, OptionInfo, options};
pub use show::show_command;

use crate::job::Run;

/// What a command line says.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub action: Action,
    /// Without jobs for `Help` and `OptionHelp`.
    pub run: Run,
    /// Its sections as they were written: those of each job file, or of the
    /// command line.
    pub files: Vec<Vec<Section>>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Run,
    /// `--showcmd`: print `show_command`.
    ShowCommand,
    /// `--parse-only`: nothing.
    ParseOnly,
    /// `--help`: print `usage`.
    Help,
    /// `--cmdhelp=NAME`: print `option_help`.
    OptionHelp(String),
}

/// A section of a job file, or `--name=` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub place: Place,
    pub settings: Vec<Setting>,
}

impl Section {
    fn new(name: &str, place: Place) -> Self {
        Self {
            name: name.to_string(),
            place,
            settings: Vec::new(),
        }
    }

    /// Whether it holds defaults, and is no job.
    #[must_use]
    pub fn is_global(&self) -> bool {
        self.name == GLOBAL
    }
}

/// One option as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As in the table, whichever name was written.
    pub name: &'static str,
    /// `None`: without a value.
    pub value: Option<String>,
    pub place: Place,
}

const GLOBAL: &str = "global";

/// Reads the arguments after `instore bench`, and the job files they name.
/// `environment` has the variables of job files.
///
/// # Errors
/// When anything is not supported, not understood or contradicts itself: with the
/// place and what to write.
pub fn command_line(
    arguments: &[OsString],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Parsed, Error> {
    let line = arguments::read(arguments)?;
    if matches!(line.action, Action::Help | Action::OptionHelp(_)) {
        let run = Run {
            jobs: Vec::new(),
            global: Vec::new(),
            output: line.output,
        };
        return Ok(Parsed {
            action: line.action,
            run,
            files: Vec::new(),
        });
    }
    let mut files = Vec::new();
    for path in &line.files {
        let content = read(path)?;
        files.push(file::sections(path, &content, environment)?);
    }
    let files = together(line.sections, files, &line.chosen)?;
    let run = resolve::run(&files, line.output, line.writes)?;
    Ok(Parsed {
        action: line.action,
        run,
        files,
    })
}

/// The sections of the command line and those of the files.
fn together(
    own: Vec<Section>,
    mut files: Vec<Vec<Section>>,
    chosen: &[(String, Place)],
) -> Result<Vec<Vec<Section>>, Error> {
    if files.is_empty() {
        if let Some((_, place)) = chosen.first() {
            let problem = "option section chooses from a job file: name one".to_string();
            return Err(Error::Syntax {
                place: place.clone(),
                problem,
            });
        }
        if own.iter().all(Section::is_global) {
            let what = if own.is_empty() {
                "nothing to run"
            } else {
                "no job to run"
            };
            return Err(Error::NoJob(format!(
                "{what}: write --name=NAME and its options after it, or name a job file"
            )));
        }
        return Ok(vec![own]);
    }
    if let Some(job) = own.iter().find(|section| !section.is_global()) {
        let problem =
            "a job on the command line together with job files: write it as a section of the file"
                .to_string();
        return Err(Error::Syntax {
            place: job.place.clone(),
            problem,
        });
    }
    if let (Some(first), true) = (own.first(), files.len() > 1) {
        // fio gives them to the first file alone, which nobody means
        let problem = "options together with several job files: name one file, or write them into each [global]".to_string();
        return Err(Error::Syntax {
            place: first.place.clone(),
            problem,
        });
    }
    for (name, place) in chosen {
        if !files
            .iter()
            .flatten()
            .any(|section| section.name == *name && !section.is_global())
        {
            let mut there: Vec<&str> = files
                .iter()
                .flatten()
                .filter(|section| !section.is_global())
                .map(|section| section.name.as_str())
                .collect();
            there.truncate(20);
            let problem = format!(
                "there is no section {}: there are {}",
                error::clean(name),
                error::clean(&there.join(", "))
            );
            return Err(Error::Syntax {
                place: place.clone(),
                problem,
            });
        }
    }
    for file in &mut files {
        if !chosen.is_empty() {
            file.retain(|section| {
                section.is_global() || chosen.iter().any(|(name, _)| *name == section.name)
            });
        }
    }
    if files.iter().flatten().all(Section::is_global) {
        return Err(Error::NoJob(
            "no job to run: write a section [name] into the job file".to_string(),
        ));
    }
    if let Some(file) = files.first_mut() {
        file.splice(0..0, own);
    }
    Ok(files)
}

/// A whole job file; `-` is standard input.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read {
        path: PathBuf::from(path),
        source,
    };
    let from: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut content = Vec::new();
    from.take(file::LONGEST_FILE + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.len() as u64 > file::LONGEST_FILE {
        return Err(failed(io::Error::other(format!(
            "is longer than {} bytes: no job file is",
            file::LONGEST_FILE
        ))));
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
