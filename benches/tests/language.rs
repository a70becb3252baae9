//! Job files and command lines as people write them, read by `language` and by
//! Debian's fio side by side: each is the same to both, or refused by name.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "language/collection.rs"]
mod collection;
#[path = "language/fio.rs"]
mod fio;

use std::collections::HashMap;
use std::ffi::OsString;

use collection::{Case, REFUSED, cases, environment};
use instore_bench::job::Job;
use instore_bench::language::{
    Chapter, Error, Kind, OptionInfo, Parsed, Section, command_line, option_help, options,
    show_command,
};

#[test]
fn the_collection_is_large_enough() {
    assert!(cases().len() >= 44, "{}", cases().len());
    for (name, ..) in REFUSED {
        assert!(
            cases().iter().any(|case| case.name == *name),
            "{name} is not in the collection"
        );
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for case in refused() {
        let (option, instead) = case.refused.unwrap();
        let said = read(&case.arguments).expect_err(&case.name).to_string();
        let named = said.contains(&format!("option {option} "))
            || said.contains(&format!("option {option}:"));
        assert!(named, "{}: {said}", case.name);
        assert!(said.contains(instead), "{}: {said}", case.name);
        assert!(
            said.contains(&case.name) || said.starts_with("argument --"),
            "{}: {said}",
            case.name
        );
    }
}

#[test]
fn every_number_is_what_fio_makes_of_it() {
    for case in accepted() {
        let parsed = read(&case.arguments).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let numbers = fio::numbers(&case.arguments);
        let (arguments, replaced) = spelled_out(&parsed.files, &numbers);
        assert!(
            replaced > 0,
            "{}: fio says nothing of its numbers",
            case.name
        );
        let again = read(&arguments)
            .unwrap_or_else(|error| panic!("{} with fio's numbers: {error}", case.name));
        assert_eq!(jobs(&again), jobs(&parsed), "{}", case.name);
    }
}

#[test]
fn what_fio_shows_as_a_command_is_the_same_to_us() {
    let mut compared = 0;
    for case in accepted() {
        let Some(shown) = fio::show_command(&case.arguments) else {
            continue;
        };
        let parsed = read(&case.arguments).unwrap();
        let sections = parsed.files.iter().flatten();
        if sections.filter(|section| section.is_global()).count() > 1 {
            // fio gives the options of a later [global] to the job before it
            continue;
        }
        if shown.contains("= ") {
            // fio shows no quotes around a value with a blank
            continue;
        }
        let again =
            read(&split(&shown)).unwrap_or_else(|error| panic!("{}: {error}: {shown}", case.name));
        assert_eq!(jobs(&again), jobs(&parsed), "{}: {shown}", case.name);
        compared += 1;
    }
    assert!(compared >= 25, "only {compared} were compared");
}

#[test]
fn what_we_show_as_a_command_is_the_same_to_fio_and_to_us() {
    for case in accepted() {
        let parsed = read(&case.arguments).unwrap();
        let shown = show_command(&parsed);
        let arguments = split(&shown);
        let again =
            read(&arguments).unwrap_or_else(|error| panic!("{}: {error}: {shown}", case.name));
        assert_eq!(jobs(&again), jobs(&parsed), "{}: {shown}", case.name);
        assert_eq!(
            fio::handled(&arguments),
            fio::handled(&case.arguments),
            "{}: {shown}",
            case.name
        );
    }
}

#[test]
fn the_table_of_options_has_the_names_and_defaults_of_fio() {
    let of_jobs = |option: &&OptionInfo| {
        option.chapter != Chapter::CommandLine && option.name != "terse-version"
    };
    let options: Vec<&OptionInfo> = options().iter().filter(of_jobs).collect();
    let names: Vec<&str> = options.iter().map(|option| option.name).collect();
    for (option, help) in options.iter().zip(fio::option_help(&names)) {
        assert!(
            help.contains(&format!("{}: ", option.name)),
            "{}: {help}",
            option.name
        );
        let said = |what: &str| {
            help.lines()
                .find_map(|line| line.trim().strip_prefix(what))
                .map(str::trim)
        };
        assert_eq!(
            said("alias:"),
            option.aliases.first().copied(),
            "{}",
            option.name
        );
        let default = said("default:").unwrap();
        match option.kind {
            Kind::Fixed(values) => assert!(
                default == "no default"
                    || values.contains(&default)
                    || ["thinktime_blocks_type"].contains(&option.name),
                "{}: {default}",
                option.name
            ),
            _ if option.name == "unlink" => assert_eq!((option.default, default), ("1", "0")),
            // fio has 1 for as many at once; here that is only so when it is written
            _ if ["iodepth_batch", "randseed"].contains(&option.name) => {
                assert_eq!(option.default, "")
            }
            _ if option.name == "percentage_random" => assert_eq!(default, "100,100,100"),
            _ if default == "no default" => assert!(
                ["", "0", "shared", "50"].contains(&option.default),
                "{}: {default} and {}",
                option.name,
                option.default
            ),
            _ => assert_eq!(option.default, default, "{}", option.name),
        }
    }
}

#[test]
fn every_option_of_fio_is_supported_or_has_something_in_its_stead() {
    let names = fio::all_options();
    assert!(names.len() > 190, "{}", names.len());
    for name in names {
        if let Err(said) = option_help(&name) {
            assert!(
                !said.contains("did you mean") && !said.contains("no option is called that"),
                "{said}"
            );
        }
    }
}

fn accepted() -> Vec<Case> {
    cases()
        .into_iter()
        .filter(|case| case.refused.is_none())
        .collect()
}

fn refused() -> Vec<Case> {
    cases()
        .into_iter()
        .filter(|case| case.refused.is_some())
        .collect()
}

fn read(arguments: &[OsString]) -> Result<Parsed, Error> {
    command_line(arguments, &|name| {
        environment().get(name).map(ToString::to_string)
    })
}

/// Without what a job is called by, and without seeds that nobody chose.
fn jobs(parsed: &Parsed) -> Vec<Job> {
    let random = |section: &Section| {
        section
            .settings
            .iter()
            .any(|setting| setting.name == "randrepeat" && setting.value.as_deref() == Some("0"))
    };
    let unseeded = parsed.files.iter().flatten().any(random);
    let mut jobs = parsed.run.jobs.clone();
    for job in &mut jobs {
        job.options.clear();
        if unseeded {
            job.random.seed = 0;
        }
    }
    jobs
}

/// The sections as a command line, with fio's own numbers in place of what was
/// written; and how many there are.
fn spelled_out(
    files: &[Vec<Section>],
    numbers: &HashMap<(String, String), String>,
) -> (Vec<OsString>, usize) {
    let mut arguments = Vec::new();
    let mut replaced = 0;
    for section in files.iter().flatten() {
        arguments.push(format!("--name={}", section.name));
        for setting in &section.settings {
            match &setting.value {
                _ if setting.name == "kb_base" => {}
                Some(value) if setting.name == "name" && *value == section.name => {}
                Some(value) => {
                    let number = numbers.get(&(setting.name.to_string(), value.clone()));
                    replaced += usize::from(number.is_some());
                    arguments.push(format!("--{}={}", setting.name, number.unwrap_or(value)));
                }
                None => arguments.push(format!("--{}", setting.name)),
            }
        }
    }
    (
        arguments.into_iter().map(OsString::from).collect(),
        replaced,
    )
}

/// Words as a shell has them, without the name of the program. fio does not
/// escape backslashes, so they are plain but for a quote behind them.
fn split(line: &str) -> Vec<OsString> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(letter),
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('\\', None) if letters.peek() == Some(&'\'') => {
                word.get_or_insert_default().extend(letters.next())
            }
            (' ' | '\n', None) => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
        .into_iter()
        .skip_while(|word| !word.starts_with('-'))
        .map(OsString::from)
        .collect()
}
