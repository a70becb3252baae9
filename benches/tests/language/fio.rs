//! What Debian's fio makes of the same arguments. It only parses here: nothing is
//! run, and nothing is written.

use std::collections::HashMap;
use std::ffi::OsString;

use super::collection::environment;

/// What fio makes of each option with a number, by name and value as written: its
/// number, in a unit that needs no interpretation.
pub(crate) fn numbers(arguments: &[OsString]) -> HashMap<(String, String), String> {
    let mut numbers = HashMap::new();
    for option in parsed(arguments) {
        if !option.found.is_empty() {
            numbers.insert(
                (option.name.clone(), option.value.clone()),
                option.spelled_out(),
            );
        }
    }
    numbers
}

/// Names and values of all options it handles, in no order.
pub(crate) fn handled(arguments: &[OsString]) -> Vec<(String, String)> {
    let mut handled: Vec<_> = parsed(arguments)
        .into_iter()
        .map(|option| (option.name, option.value))
        .collect();
    // that of a section is no option in a job file
    handled.retain(|(name, _)| name != "name");
    handled.sort();
    handled
}

/// `fio --showcmd`, which it does for job files only.
pub(crate) fn show_command(arguments: &[OsString]) -> Option<String> {
    let mut with: Vec<OsString> = vec!["--showcmd".into()];
    with.extend_from_slice(arguments);
    let shown = run(&with);
    let line = shown.lines().find(|line| line.starts_with("fio "))?;
    line.contains("--name=")
        .then(|| line.trim_end().to_string())
}

/// `fio --cmdhelp` of each, or that of its io_uring engine. Several at a time: fio
/// waits a while when it starts.
pub(crate) fn option_help(names: &[&str]) -> Vec<String> {
    const AT_ONCE: usize = 8;
    let help = |name: &str| {
        let help = run(&[format!("--cmdhelp={name}").into()]);
        if help.contains("default:") {
            return help;
        }
        run(&[format!("--enghelp=io_uring,{name}").into()])
    };
    let some = |names: &[&str]| -> Vec<String> {
        std::thread::scope(|scope| {
            let running: Vec<_> = names
                .iter()
                .map(|name| scope.spawn(|| help(name)))
                .collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        })
    };
    names.chunks(AT_ONCE).flat_map(some).collect()
}

/// The name of every option of a job.
pub(crate) fn all_options() -> Vec<String> {
    let all = run(&["--cmdhelp=all".into()]) + &run(&["--enghelp=io_uring".into()]);
    all.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_string())
        .collect()
}

/// One option as fio handled it.
#[derive(Default)]
struct Handled {
    name: String,
    value: String,
    /// fio's type of it.
    kind: String,
    /// A number for each part between commas that has one.
    found: Vec<u64>,
}

impl Handled {
    fn spelled_out(&self) -> String {
        let mut found = self.found.iter();
        let parts: Vec<String> = self
            .value
            .split(',')
            .map(|part| self.part(part, &mut found))
            .collect();
        assert!(
            found.next().is_none(),
            "{}={} has more numbers than parts",
            self.name,
            self.value
        );
        parts.join(",")
    }

    fn part<'a>(&self, part: &str, found: &mut impl Iterator<Item = &'a u64>) -> String {
        if part.is_empty() {
            return String::new();
        }
        let number = *found
            .next()
            .unwrap_or_else(|| panic!("{}={} has less numbers than parts", self.name, self.value));
        match self.kind.as_str() {
            "OPT_STR_VAL_TIME" => format!("{number}us"),
            // a share is counted down from the largest number
            _ if part.ends_with('%') => format!("{}%", u64::MAX - number),
            _ => number.to_string(),
        }
    }
}

/// From fio's log of its parser.
fn parsed(arguments: &[OsString]) -> Vec<Handled> {
    let mut with: Vec<OsString> = vec!["--debug=parse".into(), "--parse-only".into()];
    with.extend_from_slice(arguments);
    let mut options: Vec<Handled> = Vec::new();
    for line in run(&with).lines() {
        assert!(
            !line.contains("dropped") && !line.contains("failed parsing"),
            "{arguments:?}: {line}"
        );
        // "parse", the process, and the rest
        let rest = line
            .trim_start_matches("parse")
            .trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix("handle_option=") {
            let (name, value) = rest.split_once(", ptr=").unwrap();
            let value = if value == "(null)" { "" } else { value.trim() };
            options.push(Handled {
                name: name.to_string(),
                value: value.to_string(),
                ..Handled::default()
            });
        } else if let (Some(rest), Some(option)) =
            (rest.strip_prefix("__handle_option="), options.last_mut())
        {
            let kind = rest
                .split_once("type=")
                .and_then(|(_, rest)| rest.split_once(','))
                .unwrap()
                .0;
            option.kind = kind.to_string();
        } else if let (Some(number), Some(option)) =
            (rest.strip_prefix("ret=0, out="), options.last_mut())
        {
            // what goes on with "type=OPT_STR" has no number of its own
            option.found.push(number.parse().unwrap());
        }
    }
    // the engine's own defaults, which it logs when it is named on a command line
    options.retain(|option| !["nonvectored", "cmd_type"].contains(&option.name.as_str()));
    // without a value there is nothing to spell out
    for option in &mut options {
        if option.value.is_empty() {
            option.found.clear();
        }
    }
    options
}

/// Standard output and standard error.
fn run(arguments: &[OsString]) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "fio is what the tests compare with"
    )]
    let mut command = std::process::Command::new("fio");
    let output = command
        .args(arguments)
        .envs(environment())
        .output()
        .expect("fio must be installed");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
