//! What stays of an output when its numbers are taken out of it.

use serde_json::Value;

/// Every key of one is in the other, with the same type.
pub(crate) fn same_types(path: &str, theirs: &Value, ours: &Value) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            // the keys are latencies that happened to occur
            if path.ends_with(".bins") {
                assert!(
                    !ours.is_empty() && ours.values().all(Value::is_u64),
                    "{path}"
                );
                return;
            }
            for (key, value) in theirs {
                let path = format!("{path}.{key}");
                match ours.get(key) {
                    Some(ours) => same_types(&path, value, ours),
                    None => panic!("{path} is missing"),
                }
            }
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            assert_eq!(theirs.len(), ours.len(), "{path}");
            let pairs = theirs.iter().zip(ours);
            pairs.for_each(|(theirs, ours)| same_types(path, theirs, ours));
        }
        (theirs, ours) => assert_eq!(kind(theirs), kind(ours), "{path}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "text",
        Value::Bool(_) => "bool",
        Value::Null => "null",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Keys with their indentation, in their order; without what depends on the
/// latencies, options, and ours at the end.
pub(crate) fn keys(json: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut left_out: Option<usize> = None;
    for line in json.lines() {
        let indent = line.len() - line.trim_start().len();
        if left_out.is_some_and(|above| indent > above) {
            continue;
        }
        left_out = None;
        let Some((key, _)) = line.split_once(" : ") else {
            continue;
        };
        match key.trim() {
            "\"instore\"" => break,
            // absent in fio when it does not know the disk
            "\"disk_util\"" | "\"bins\"" | "\"job options\"" | "\"global options\"" => {
                left_out = Some(indent);
            }
            _ => keys.push(key.to_owned()),
        }
    }
    keys
}

/// Fields of a terse line: their form, and how many digits a fraction has.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let mut fields: Vec<String> = line.split(';').map(form).collect();
    // who wrote it
    fields.remove(1);
    fields
}

fn form(field: &str) -> String {
    let mut form = String::new();
    let mut fraction = false;
    for character in field.chars() {
        match character {
            '0'..='9' if fraction => form.push('0'),
            '0'..='9' if form.ends_with('1') => {}
            '0'..='9' => form.push('1'),
            other => {
                fraction = other == '.';
                form.push(other);
            }
        }
    }
    form
}

/// Lines of the text for people: numbers are "1", units "x"; tables that break
/// where their numbers are wide are one line; without what fio measures and we do
/// not (submission latencies), and without our notes.
pub(crate) fn lines(normal: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in normal.lines().take_while(|line| *line != "Notes:") {
        if line.trim_start().starts_with("slat (") {
            continue;
        }
        let line = plain(line);
        match lines.last_mut() {
            Some(last) if line.starts_with("     |") => last.push_str(&line["     |".len()..]),
            Some(last) if line.starts_with("  lat (") && last.starts_with("  lat (") => {}
            _ => lines.push(line),
        }
    }
    // the blank line before the notes
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn plain(line: &str) -> String {
    // a date has no other place than behind the process id
    if let Some((job, _)) = line.split_once(": pid=") {
        return job.to_owned();
    }
    // which bounds had latencies in them
    if line.starts_with("  lat (") {
        return "  lat (".to_owned();
    }
    let mut plain = String::new();
    for character in line.chars() {
        let number = plain.ends_with('1');
        match character {
            '0'..='9' | '.' if number => {}
            '0'..='9' => plain.push('1'),
            // prefixes of units differ with the numbers
            'k' | 'K' | 'M' | 'G' | 'i' if number => {}
            // as do widths
            ' ' if plain.ends_with(['=', '[']) => {}
            other => plain.push(other),
        }
    }
    for unit in ["nsec", "usec", "msec"] {
        plain = plain.replace(&format!("({unit})"), "(x)");
    }
    plain
        .replace("(  KiB/s)", "(x)")
        .replace("(  MiB/s)", "(x)")
}
