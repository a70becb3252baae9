//! What is printed for `--help` and `--cmdhelp`, from the table of options.

use std::fmt::Write as _;

use super::options::{self, Chapter, Kind, OptionInfo};
use super::suggest;

/// For `--help`.
#[must_use]
pub fn usage() -> String {
    let mut text = String::from(
        "instore bench [options] --name=NAME [options] ...\n\
         instore bench [options] JOB-FILE ...\n\n\
         Speaks fio. Options before the first --name are for all jobs; - is a job file\n\
         on standard input.\n\n",
    );
    for option in options::options()
        .iter()
        .filter(|option| option.chapter == Chapter::CommandLine)
    {
        let _ = writeln!(text, "  --{:<18} {}", option.name, option.help);
    }
    text.push_str("\nOptions of jobs are listed by --cmdhelp=all.\n");
    text
}

/// For `--cmdhelp=NAME`; `all` is a list.
///
/// # Errors
/// When there is no such option: with the nearest one.
pub fn option_help(name: &str) -> Result<String, String> {
    if name == "all" {
        return Ok(all());
    }
    match options::find(name) {
        Some(option) => Ok(one(option)),
        None => Err(format!(
            "option {} is not supported: {}",
            super::error::clean(name),
            suggest::option(name)
        )),
    }
}

fn all() -> String {
    let mut text = String::new();
    for chapter in Chapter::ALL {
        let _ = writeln!(text, "{}:", chapter.title());
        for option in options::options()
            .iter()
            .filter(|option| option.chapter == chapter)
        {
            let help = match option.kind {
                Kind::Fixed(_) => option.kind.takes(),
                _ => option.help.to_string(),
            };
            let _ = writeln!(text, "  {:<26} {help}", option.name);
        }
        text.push('\n');
    }
    text
}

fn one(option: &OptionInfo) -> String {
    let mut text = match option.kind {
        Kind::Fixed(_) => format!(
            "{}: accepted, for what it says happens anyway\n  else: {}\n",
            option.name, option.help
        ),
        _ => format!("{}: {}\n", option.name, option.help),
    };
    if !option.aliases.is_empty() {
        let _ = writeln!(text, "  also called: {}", option.aliases.join(", "));
    }
    let _ = writeln!(text, "  takes: {}", option.kind.takes());
    if !option.default.is_empty() {
        let _ = writeln!(text, "  default: {}", option.default);
    }
    text
}
