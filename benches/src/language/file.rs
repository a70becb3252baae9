//! The syntax of job files: sections, options, comments, variables. What options
//! mean is not here. Files are untrusted: they are bounded and must be text.

use std::path::Path;
use std::sync::Arc;

use super::error::{Error, Place, clean};
use super::options::{self, Kind};
use super::{Section, Setting, machine, suggest};

/// More than any job file has, and bounds memory.
pub(super) const LONGEST_FILE: u64 = 1 << 20;

/// The sections of one job file, in its order.
pub(super) fn sections(
    path: &Path,
    content: &[u8],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Section>, Error> {
    let path: Arc<Path> = path.into();
    let mut sections: Vec<Section> = Vec::new();
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let place = Place::Line(Arc::clone(&path), number + 1);
        let wrong = |problem: String| Error::Syntax {
            place: place.clone(),
            problem,
        };
        let line = str::from_utf8(line).map_err(|_| wrong("is not UTF-8 text".to_string()))?;
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(bad) = line.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(wrong(format!("has the character {:?}: write text", bad)));
        }
        // as fio does: a comment may begin anywhere
        let line = line.split([';', '#']).next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let Some((name, rest)) = rest.split_once(']') else {
                return Err(wrong(format!(
                    "section {} is not closed: write [name]",
                    clean(line)
                )));
            };
            if name.is_empty() || !rest.trim().is_empty() {
                return Err(wrong(format!(
                    "{} is no section: write [name] alone on its line",
                    clean(line)
                )));
            }
            sections.push(Section::new(name, place.clone()));
            continue;
        }
        let Some(section) = sections.last_mut() else {
            return Err(wrong(format!(
                "option {} is before any section: write [global] or [name] above it",
                clean(line)
            )));
        };
        let setting = setting(line, place.clone(), environment)?;
        if section.is_global() && setting.name == "name" {
            return Err(wrong(
                "option name in [global]: write it in the section of the job".to_string(),
            ));
        }
        section.settings.push(setting);
    }
    for section in &mut sections {
        // fio reads it before all other options of the section
        section
            .settings
            .sort_by_key(|setting| setting.name != "kb_base");
    }
    Ok(sections)
}

/// `name=value`, or `name` alone.
fn setting(
    line: &str,
    place: Place,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Setting, Error> {
    let (written, value) = match line.split_once('=') {
        Some((name, value)) => (name.trim_end(), Some(value)),
        None => (line, None),
    };
    if written.starts_with("include ") || written == "include" {
        return Err(Error::Unsupported {
            place,
            name: "include".to_string(),
            instead: suggest::option("include"),
        });
    }
    let Some(option) =
        options::find(written).filter(|option| option.chapter != options::Chapter::CommandLine)
    else {
        let instead = match options::find(written.trim_start_matches('-')) {
            Some(option) if option.chapter == options::Chapter::CommandLine => {
                format!("write --{} on the command line", option.name)
            }
            Some(option) => format!("write {} without dashes in a job file", option.name),
            None => suggest::option(written.split([' ', ':']).next().unwrap_or(written)),
        };
        return Err(Error::Unsupported {
            place,
            name: clean(written),
            instead,
        });
    };
    let value = value.map(|value| expand(value, environment)).transpose();
    let problem = match value {
        Ok(Some(value)) if value.starts_with([' ', '\t']) => match blank(option.kind, value.trim())
        {
            Ok(()) => {
                let value = value.trim().to_string();
                return Ok(Setting {
                    name: option.name,
                    value: Some(value),
                    place,
                });
            }
            Err(problem) => problem,
        },
        Ok(value) => {
            return Ok(Setting {
                name: option.name,
                value,
                place,
            });
        }
        Err(problem) => problem,
    };
    Err(Error::Value {
        place,
        name: option.name,
        problem,
    })
}

/// A blank after `=` is a part of the value to fio: most words are then unknown,
/// and of ` 4k` it makes 4. What it reads as it looks is accepted.
fn blank(kind: Kind, value: &str) -> Result<(), String> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        Kind::Text | Kind::Seconds => Ok(()),
        _ if digits => Ok(()),
        _ => Err(format!(
            "there is a blank before {:?}, and fio does not read that as it looks: write it right after =",
            clean(value)
        )),
    }
}

/// `${NAME}` from the environment, empty where it is not set, as fio has it; then
/// `$ncpus`, `$pagesize` and `$mb_memory`, also as in `8*$mb_memory`.
fn expand(value: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err(format!("{:?} is not closed: write ${{NAME}}", clean(rest)));
        };
        let put = environment(name).unwrap_or_default();
        if put.chars().any(char::is_control) {
            return Err(format!(
                "the variable {} has control characters: set it to text",
                clean(name)
            ));
        }
        expanded.push_str(&put);
        rest = after;
    }
    expanded.push_str(rest);
    for (word, number) in machine::WORDS {
        if expanded.contains(word) {
            expanded = expanded.replace(word, &number()?.to_string());
            expanded = product(&expanded)?.unwrap_or(expanded);
        }
    }
    Ok(expanded)
}

/// `8*2048` as 16384.
fn product(text: &str) -> Result<Option<String>, String> {
    let mut product: u64 = 1;
    for factor in text.split('*') {
        let Ok(factor) = factor.trim().parse::<u64>() else {
            return Ok(None);
        };
        product = product
            .checked_mul(factor)
            .ok_or_else(|| format!("{:?} is more than 64 bits hold", clean(text)))?;
    }
    Ok(text.contains('*').then(|| product.to_string()))
}
