//! `--showcmd`: a job file as a command line.

use super::{Parsed, Section};

/// One command line for each file, as `fio --showcmd` prints it, for a shell.
#[must_use]
pub fn show_command(parsed: &Parsed) -> String {
    let lines: Vec<String> = parsed.files.iter().map(|file| line(file)).collect();
    lines.join("\n")
}

fn line(sections: &[Section]) -> String {
    let mut words = vec!["instore bench".to_string()];
    for (number, section) in sections.iter().enumerate() {
        // defaults come first without a name; a later [global] needs its own
        if number > 0 || !section.is_global() {
            words.push(format!("--name={}", quoted(&section.name)));
        }
        let mut settings: Vec<_> = section.settings.iter().collect();
        // an engine's own options are unknown to fio before the engine
        settings.sort_by_key(|setting| setting.name != "ioengine" && setting.name != "kb_base");
        for setting in settings {
            match &setting.value {
                Some(value) if setting.name == "name" && *value == section.name => {}
                Some(value) => words.push(format!("--{}={}", setting.name, quoted(value))),
                None => words.push(format!("--{}", setting.name)),
            }
        }
    }
    words.join(" ")
}

/// As a shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
