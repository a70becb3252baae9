//! docs/bench-options.md is the table of options, written out. To write it again
//! after a change: `INSTORE_WRITE_DOCS=1 cargo test -p instore-bench --test docs`.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;

use instore_bench::language::{Chapter, Kind, OptionInfo, options};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bench-options.md");

const OPENING: &str = "\
# Options of `instore bench`

This page is written from the table that `instore bench` itself reads
(`benches/src/language/options/table.rs`); a test holds the two together. Names, units
and defaults are those of fio 3.33. The one default that differs is `unlink`. What is
not here is refused, with the nearest option that is: [bench.md](bench.md).

Sizes are in bytes. `k`, `m`, `g`, `t` and `p` are powers of 1024, and `kib`, `mib` and so
on powers of 1000, which is the wrong way round but fio's; `kb_base=1000` swaps the two. A
flag without a value is 1.
`instore bench --cmdhelp=NAME` says the same of one option.
";

#[test]
fn the_page_of_options_is_what_the_program_has() {
    let is = written();
    if std::env::var_os("INSTORE_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &is).unwrap();
    }
    let page = std::fs::read_to_string(PATH).unwrap_or_default();
    let mut pairs = page.lines().zip(is.lines()).zip(1..);
    if let Some(((page, is), line)) = pairs.find(|((page, is), _)| page != is) {
        panic!("line {line} of docs/bench-options.md is\n{page}\nand should be\n{is}");
    }
    assert_eq!(page, is, "one of them is longer");
}

fn written() -> String {
    let mut text = OPENING.to_owned();
    for chapter in Chapter::ALL {
        let title = chapter.title();
        let (first, rest) = title.split_at(1);
        writeln!(text, "\n## {}{rest}\n", first.to_uppercase()).unwrap();
        let rows = options().iter().filter(|option| option.chapter == chapter);
        if chapter == Chapter::Fixed {
            text.push_str("| option | value | in place of any other |\n|---|---|---|\n");
            rows.for_each(|option| fixed(&mut text, option));
        } else {
            text.push_str("| option | takes | default | |\n|---|---|---|---|\n");
            rows.for_each(|option| row(&mut text, option));
        }
    }
    text
}

fn row(text: &mut String, option: &OptionInfo) {
    let default = match option.default {
        "" => String::new(),
        // a word that cannot be broken would make the column wide
        value => format!("`{}`", value.replace(':', ": ").trim_end()),
    };
    let takes = match option.kind {
        Kind::Word(words) => words.map_code(),
        other => other.takes(),
    };
    let help = option.help;
    writeln!(text, "| {} | {takes} | {default} | {help} |", names(option)).unwrap();
}

fn fixed(text: &mut String, option: &OptionInfo) {
    let values = match option.kind {
        Kind::Fixed(values) => values.map_code(),
        other => other.takes(),
    };
    writeln!(text, "| {} | {values} | {} |", names(option), option.help).unwrap();
}

fn names(option: &OptionInfo) -> String {
    let all = [option.name]
        .into_iter()
        .chain(option.aliases.iter().copied());
    all.collect::<Vec<_>>().as_slice().map_code()
}

trait Code {
    fn map_code(&self) -> String;
}

impl Code for [&str] {
    fn map_code(&self) -> String {
        let each: Vec<String> = self.iter().map(|word| format!("`{word}`")).collect();
        each.join(", ")
    }
}
