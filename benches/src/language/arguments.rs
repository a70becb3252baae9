//! The command line: which argument is an option, which its value, which a job
//! file. As fio has it: one or two dashes, the value after `=` or as the next
//! argument, options before the first `--name` are for all jobs.

use std::ffi::OsString;
use std::path::PathBuf;

use super::error::{Error, Place, clean};
use super::options::{self, Chapter, Kind, OptionInfo};
use super::units::{self, Without};
use super::{Action, GLOBAL, Section, Setting, suggest};
use crate::job::{Eta, Format, Output};

/// The arguments, sorted.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) action: Action,
    pub(super) output: Output,
    pub(super) writes: Writes,
    /// `--section`, and where.
    pub(super) chosen: Vec<(String, Place)>,
    pub(super) files: Vec<PathBuf>,
    pub(super) sections: Vec<Section>,
}

/// Whether jobs may write (`--readonly`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    Allowed,
    Refused,
}

pub(super) fn read(arguments: &[OsString]) -> Result<Line, Error> {
    let mut line = Line {
        action: Action::Run,
        output: Output {
            formats: vec![Format::Normal],
            file: None,
            report: None,
            eta: Eta::Auto,
            status_interval: None,
            destructive: false,
        },
        writes: Writes::Allowed,
        chosen: Vec::new(),
        files: Vec::new(),
        sections: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let place = Place::Argument(argument.to_string_lossy().into_owned());
        let text = text(argument, &place)?;
        let Some(option) = text.strip_prefix("--").or_else(|| text.strip_prefix('-')) else {
            line.file(text, place)?;
            continue;
        };
        if text == "-" {
            line.file(text, place)?;
            continue;
        }
        if text == "--" {
            for file in rest.by_ref() {
                let place = Place::Argument(file.to_string_lossy().into_owned());
                line.file(self::text(file, &place)?, place)?;
            }
            continue;
        }
        let (written, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let written = if written == "h" { "help" } else { written };
        let Some(info) = options::find(written) else {
            return Err(Error::Unsupported {
                name: clean(written),
                instead: suggest::option(written),
                place,
            });
        };
        let value = match (value, info.kind) {
            (Some(value), _) => Some(value.to_string()),
            (None, Kind::Flag) => None,
            // some of these are flags, and then it is refused for being on
            (None, Kind::Fixed(_)) if rest.as_slice().first().is_none_or(is_option) => None,
            (None, _) if info.name == "cmdhelp" => None,
            (None, _) => match rest.next() {
                Some(value) => Some(self::text(value, &place)?.to_string()),
                None => return Err(no_value(info, place)),
            },
        };
        if value.as_deref() == Some("") {
            return Err(no_value(info, place));
        }
        line.option(info, value, place)?;
    }
    Ok(line)
}

impl Line {
    fn file(&mut self, text: &str, place: Place) -> Result<(), Error> {
        let problem = match text.split_once('=') {
            Some((name, _)) if options::find(name).is_some() => {
                format!("is no job file: write --{}", clean(text))
            }
            _ if matches!(text, "0" | "1") => {
                "is no job file: write the value of an option after =, as in --time_based=1"
                    .to_string()
            }
            _ if text.is_empty() => "is empty: name a job file, or leave it out".to_string(),
            _ => {
                self.files.push(PathBuf::from(text));
                return Ok(());
            }
        };
        Err(Error::Syntax { place, problem })
    }

    fn option(
        &mut self,
        info: &'static OptionInfo,
        value: Option<String>,
        place: Place,
    ) -> Result<(), Error> {
        if info.chapter == Chapter::CommandLine {
            let name = info.name;
            return self
                .own(name, value, &place)
                .map_err(|problem| Error::Value {
                    place,
                    name,
                    problem,
                });
        }
        if info.name == "name" {
            let name = value.as_deref().unwrap_or_default();
            self.sections.push(Section::new(name, place.clone()));
            if name == GLOBAL {
                return Ok(());
            }
        } else if self.sections.is_empty() {
            self.sections.push(Section::new(GLOBAL, place.clone()));
        }
        if let Some(section) = self.sections.last_mut() {
            section.settings.push(Setting {
                name: info.name,
                value,
                place,
            });
        }
        Ok(())
    }

    /// An option of the command line itself.
    fn own(
        &mut self,
        name: &'static str,
        value: Option<String>,
        place: &Place,
    ) -> Result<(), String> {
        let text = value.as_deref().unwrap_or_default();
        match name {
            "output" => self.output.file = Some(PathBuf::from(text)),
            "report" => self.output.report = Some(PathBuf::from(text)),
            "output-format" => self.output.formats = formats(text)?,
            "eta" => {
                self.output.eta = match text {
                    "auto" => Eta::Auto,
                    "always" => Eta::Always,
                    "never" => Eta::Never,
                    _ => return Err(suggest::word(name, text, &["auto", "always", "never"])),
                }
            }
            "status-interval" => {
                let interval = units::time(text, Without::Seconds)?;
                if interval.is_zero() {
                    return Err("0 is no interval: write 1 or more".to_string());
                }
                self.output.status_interval = Some(interval);
            }
            "section" => self.chosen.push((text.to_string(), place.clone())),
            "cmdhelp" => {
                self.action = Action::OptionHelp(value.unwrap_or_else(|| "all".to_string()))
            }
            _ => match (value.as_deref(), name) {
                (Some("0"), _) | (_, "warnings-fatal") => {}
                (None | Some("1"), "minimal") => self.output.formats = vec![Format::Terse],
                (None | Some("1"), "destructive") => self.output.destructive = true,
                (None | Some("1"), "readonly") => self.writes = Writes::Refused,
                (None | Some("1"), "showcmd") => self.action = Action::ShowCommand,
                (None | Some("1"), "parse-only") => self.action = Action::ParseOnly,
                (None | Some("1"), "help") => self.action = Action::Help,
                _ => return Err(format!("{:?} is neither 0 nor 1", clean(text))),
            },
        }
        Ok(())
    }
}

fn formats(text: &str) -> Result<Vec<Format>, String> {
    let mut formats = Vec::new();
    for word in text.split(',') {
        let format = match word {
            "normal" => Format::Normal,
            "json" => Format::Json,
            "json+" => Format::JsonPlus,
            "terse" | "minimal" => Format::Terse,
            _ => {
                return Err(suggest::word(
                    "output-format",
                    word,
                    &["normal", "json", "json+", "terse"],
                ));
            }
        };
        if formats.contains(&format) {
            return Err(format!("{word} is there twice: write it once"));
        }
        formats.push(format);
    }
    Ok(formats)
}

fn no_value(info: &OptionInfo, place: Place) -> Error {
    Error::Value {
        place,
        name: info.name,
        problem: format!("has no value: it takes {}", info.kind.takes()),
    }
}

fn is_option(argument: &OsString) -> bool {
    argument.to_string_lossy().starts_with('-')
}

/// An argument as text, which all that is written in fio's language is.
fn text<'a>(argument: &'a OsString, place: &Place) -> Result<&'a str, Error> {
    let wrong = |problem: &str| Error::Syntax {
        place: place.clone(),
        problem: problem.to_string(),
    };
    let text = argument
        .to_str()
        .ok_or_else(|| wrong("is not UTF-8 text"))?;
    if text.chars().any(char::is_control) {
        return Err(wrong("has control characters: write text"));
    }
    Ok(text)
}
