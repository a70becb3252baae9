//! Every option there is: what it is called, what it takes, what it is without
//! being written. Parsing, the help and the manual are made from this one table;
//! what a value does to a job is in `resolve`.

mod fixed;
mod table;

use std::sync::LazyLock;

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionInfo {
    /// As fio shows it.
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub chapter: Chapter,
    pub kind: Kind,
    /// Empty: none.
    pub default: &'static str,
    /// What it does, in a few words.
    pub help: &'static str,
}

/// Where an option belongs in the manual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chapter {
    CommandLine,
    Description,
    Target,
    Pattern,
    Blocks,
    Engine,
    Time,
    Sync,
    Rate,
    Cpu,
    Buffers,
    Verify,
    Reporting,
    Units,
    /// Taken with the one value that says what happens here anyway.
    Fixed,
}

impl Chapter {
    /// In the order of the manual.
    pub const ALL: [Self; 15] = [
        Self::CommandLine,
        Self::Description,
        Self::Target,
        Self::Pattern,
        Self::Blocks,
        Self::Engine,
        Self::Time,
        Self::Sync,
        Self::Rate,
        Self::Cpu,
        Self::Buffers,
        Self::Verify,
        Self::Reporting,
        Self::Units,
        Self::Fixed,
    ];

    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::CommandLine => "command line",
            Self::Description => "jobs",
            Self::Target => "files and devices",
            Self::Pattern => "pattern",
            Self::Blocks => "block sizes",
            Self::Engine => "engine and queue",
            Self::Time => "time and amount",
            Self::Sync => "syncs",
            Self::Rate => "rates and pauses",
            Self::Cpu => "processors",
            Self::Buffers => "data written",
            Self::Verify => "verification",
            Self::Reporting => "reporting",
            Self::Units => "units",
            Self::Fixed => "accepted, for what they say happens anyway",
        }
    }
}

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or 0 or 1.
    Flag,
    /// 0 or 1.
    Bool,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number, with k, m or g if it must.
    Number,
    /// A size in bytes, or a share with `%`.
    Size,
    /// One for reads and one for writes; bytes or counts.
    Pair,
    /// A list, as its help says.
    List,
    Percent,
    /// A time, in seconds without a unit.
    Seconds,
    /// A time, in microseconds without a unit.
    Microseconds,
    /// Only these values.
    Fixed(&'static [&'static str]),
}

impl Kind {
    /// For people.
    #[must_use]
    pub fn takes(self) -> String {
        match self {
            Self::Flag => "nothing, or 0 or 1".to_string(),
            Self::Bool => "0 or 1".to_string(),
            Self::Text => "text".to_string(),
            Self::Word(words) => words.join(", "),
            Self::Number => "a number (k, m, g)".to_string(),
            Self::Size => "a size (k, m, g, t, p) or a share (50%)".to_string(),
            Self::Pair => {
                "a number or size, or one for reads and one for writes (4k,8k)".to_string()
            }
            Self::List => "a list".to_string(),
            Self::Percent => "0 to 100".to_string(),
            Self::Seconds => "a time (s without a unit; d, h, m, s, ms, us)".to_string(),
            Self::Microseconds => "a time (us without a unit; d, h, m, s, ms, us)".to_string(),
            Self::Fixed(values) => format!("only {}", values.join(" or ")),
        }
    }
}

/// All of them, in the order of the manual.
#[must_use]
pub fn options() -> &'static [OptionInfo] {
    static ALL: LazyLock<Vec<OptionInfo>> = LazyLock::new(|| {
        let mut all = [table::COMMAND_LINE, table::JOB, fixed::FIXED].concat();
        all.sort_by_key(|option| {
            Chapter::ALL
                .iter()
                .position(|chapter| *chapter == option.chapter)
        });
        all
    });
    &ALL
}

/// The option of that name, or of that other name.
pub(super) fn find(name: &str) -> Option<&'static OptionInfo> {
    options()
        .iter()
        .find(|option| option.name == name || option.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_is_there_twice() {
        let mut seen = HashSet::new();
        for option in options() {
            for name in option.aliases.iter().chain([&option.name]) {
                assert!(seen.insert(*name), "{name} is there twice");
                assert!(std::ptr::eq(find(name).unwrap(), option), "{name}");
            }
        }
    }

    #[test]
    fn every_option_says_what_it_does() {
        for option in options() {
            assert!(!option.help.is_empty(), "{}", option.name);
            assert!(Chapter::ALL.contains(&option.chapter), "{}", option.name);
            if let Kind::Word(words) | Kind::Fixed(words) = option.kind {
                assert!(!words.is_empty(), "{}", option.name);
                assert!(
                    option.default.is_empty() || words.contains(&option.default),
                    "{}",
                    option.name
                );
            }
        }
    }
}
