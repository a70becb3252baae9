//! What to write in place of what is not supported: by meaning where that is
//! known, by spelling otherwise.

mod meanings;

use super::error::clean;
use super::options;
use meanings::{OPTIONS, VALUES};

/// What to do about an option of that name.
pub(super) fn option(name: &str) -> String {
    let lower = name.trim_start_matches('-').to_ascii_lowercase();
    for (names, instead) in OPTIONS {
        if names.contains(&lower.as_str()) {
            return (*instead).to_string();
        }
    }
    let known = options::options()
        .iter()
        .flat_map(|option| option.aliases.iter().chain([&option.name]).copied());
    match nearest(
        &lower,
        known.chain(OPTIONS.iter().flat_map(|(names, _)| names.iter().copied())),
    ) {
        Some(near) if options::find(near).is_some() => format!("did you mean {near}?"),
        Some(near) => format!(
            "did you mean {near}? It is not supported either: {}",
            option(near)
        ),
        None => "no option is called that: see --cmdhelp=all".to_string(),
    }
}

/// What to write for a value that is none of `words`.
pub(super) fn word(name: &str, value: &str, words: &[&str]) -> String {
    for (option, values, instead) in VALUES {
        if *option == name && values.contains(&value) {
            return format!("{} is not supported: {instead}", clean(value));
        }
    }
    let list = words.join(", ");
    match nearest(&value.to_ascii_lowercase(), words.iter().copied()) {
        Some(near) => format!("{:?} is none of {list}: did you mean {near}?", clean(value)),
        None => format!("{:?} is none of {list}", clean(value)),
    }
}

/// The one that is spelled most like it, if any is.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Beyond this it is another word; it also bounds the work on hostile names.
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let known: Vec<&str> = known.collect();
    // a beginning, which fio takes for the whole where it is the only one
    let begun = known
        .iter()
        .filter(|word| name.len() > 2 && word.starts_with(name));
    if let Some(word) = begun.min_by_key(|word| word.len()) {
        return Some(word);
    }
    let near = known.into_iter().map(|word| (distance(name, word), word));
    near.min_by_key(|(distance, _)| *distance)
        .filter(|(distance, word)| *distance <= word.len().min(name.len()).div_ceil(3))
        .map(|(_, word)| word)
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        assert_eq!(distance("iodepth", "iodepht"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert!(
            option("iodepht").contains("iodepth?"),
            "{}",
            option("iodepht")
        );
        assert!(
            option("BS").contains("did you mean bs?"),
            "{}",
            option("BS")
        );
        assert!(option("runtim").contains("runtime?"));
        assert!(option("runt").contains("runtime?"));
        assert!(option("foo").contains("--cmdhelp"), "{}", option("foo"));
        assert!(option("xyzzyxyzzy").contains("--cmdhelp"));
        assert!(option(&"x".repeat(1 << 20)).contains("--cmdhelp"));
    }

    #[test]
    fn meaning_comes_before_spelling() {
        assert!(option("write_bw_log").contains("--report"));
        assert!(option("--prio").contains("ionice"));
        assert!(option("writ_bw_log").contains("It is not supported either"));
        assert!(word("ioengine", "libaio", &["io_uring", "psync"]).contains("ioengine=io_uring"));
        assert!(word("ioengine", "sync", &["io_uring", "psync"]).contains("ioengine=psync"));
        assert!(
            word("ioengine", "iouring", &["io_uring", "psync"]).contains("did you mean io_uring?")
        );
        assert!(word("rw", "randtrim", &["read"]).contains("randwrite"));
    }

    /// What is told to write must be there to be written.
    #[test]
    fn nothing_unsupported_is_in_the_table_of_options() {
        for (names, _) in OPTIONS {
            for name in *names {
                assert!(options::find(name).is_none(), "{name} is supported");
            }
        }
    }
}
