//! Whether nodeadm of EKS was told to set up local storage. Its configuration
//! comes as YAML or JSON, also inside MIME user data; this looks for the one
//! setting in the text, and takes a doubtful text for a yes.

use super::owner;
use crate::inventory::Owner;
use crate::observe::read::{names, text};
use crate::root::Root;

/// Drop-ins, which win over user data.
const DROP_INS: &str = "/etc/eks/nodeadm.d";

/// What nodeadm resolved at boot, and copies of user data by cloud-init.
const FILES: &[&str] = &[
    "/run/eks/nodeadm/config.json",
    "/var/lib/cloud/instance/user-data.txt",
    "/var/lib/cloud/instance/user-data.txt.i",
];

pub(super) fn find(root: &Root) -> Option<Owner> {
    let drop_ins = names(&root.join(DROP_INS));
    let drop_ins = drop_ins
        .into_iter()
        .map(|name| format!("{DROP_INS}/{name}"));
    let files = FILES.iter().map(|file| (*file).to_owned());
    drop_ins.chain(files).find_map(|file| {
        let strategy = strategy(&text(&root.join(&file))?)?;
        Some(owner(
            &format!("nodeadm local storage ({strategy})"),
            format!("localStorage strategy {strategy} in {file}"),
        ))
    })
}

/// The value of `strategy` under a `localStorage`, if it is not empty.
fn strategy(text: &str) -> Option<String> {
    let text = without_comments(text);
    keys(&text, "localStorage").find_map(|(indent, rest)| {
        let block = block(indent, rest);
        keys(block, "strategy").find_map(|(_, value)| scalar(value))
    })
}

/// YAML comments; JSON has none, and a '#' inside a value has no space before.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let end = line
            .char_indices()
            .find(|(at, c)| {
                *c == '#'
                    && line[..*at]
                        .chars()
                        .next_back()
                        .is_none_or(char::is_whitespace)
            })
            .map_or(line.len(), |(at, _)| at);
        &line[..end]
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a key is: the indent of its line, and the text after its colon.
fn keys<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    text.match_indices(key).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            return None;
        }
        let rest = text[at + key.len()..].trim_start_matches(['"', '\'']);
        let rest = rest
            .trim_start_matches([' ', '\t', '\r', '\n'])
            .strip_prefix(':')?;
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let indent = text[line..].bytes().take_while(|b| *b == b' ').count();
        Some((indent, rest))
    })
}

/// What belongs to a key: a JSON object up to its closing brace, or the lines
/// that are indented further.
fn block(indent: usize, rest: &str) -> &str {
    if rest.trim_start().starts_with('{') {
        let mut depth = 0_usize;
        for (at, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => continue,
            }
            if depth == 0 {
                return &rest[..at];
            }
        }
        return rest;
    }
    let mut end = rest.find('\n').unwrap_or(rest.len());
    for line in rest[end..].split_inclusive('\n').skip(1) {
        let deep = line.len() - line.trim_start_matches(' ').len();
        if !line.trim().is_empty() && deep <= indent {
            break;
        }
        end += line.len();
    }
    &rest[..(end + 1).min(rest.len())]
}

/// A value without its quotes; None for an empty one.
fn scalar(text: &str) -> Option<String> {
    let end = text.trim_start_matches([' ', '\t']);
    let end = end.split(['\n', ',', '}']).next().unwrap_or_default();
    let value = end.trim().trim_matches(['"', '\'']).trim();
    (!matches!(value, "" | "null" | "~")).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        strategy(text)
    }

    #[test]
    fn yaml_and_json_and_flow() {
        for text in [
            "spec:\n  instance:\n    localStorage:\n      strategy: RAID0\n",
            "spec:\n  instance:\n    localStorage:\n\n      mountPath: /x\n      strategy: \"RAID0\" # fast\n    x: 1",
            "    localStorage: {mountPath: /x, strategy: RAID0}\n",
            "{\"spec\":{\"instance\":{\"localStorage\":{\"strategy\":\"RAID0\"}}}}",
            "{\n  \"localStorage\" : {\n    \"disabledMounts\": [],\n    \"strategy\" : \"RAID0\"\n  }\n}",
            "--b\nContent-Type: application/node.eks.aws\n\nlocalStorage:\n  strategy: RAID0\n--b--\n",
            "localStorage:\r\n  strategy: RAID0\r\n",
            "\"localStorage\":\n  'strategy': 'RAID0'\n",
        ] {
            assert_eq!(found(text).as_deref(), Some("RAID0"), "{text}");
        }
    }

    #[test]
    fn no_strategy_is_no_owner() {
        for text in [
            "",
            "# localStorage:\n#   strategy: RAID0\n",
            "localStorage:\n  # strategy: RAID0\n  mountPath: /x\n",
            "localStorage:\n  strategy: \"\"\n",
            "localStorage: {}\nupgrade:\n  strategy: rolling\n",
            "localStorage:\n  mountPath: /x\nupgrade:\n  strategy: rolling\n",
            "{\"localStorage\":{\"strategy\":\"\"},\"strategy\":\"x\"}",
            "myLocalStorage:\n  strategy: RAID0\n",
            "nolocalStorage:\n  strategy: RAID0\n",
            "localStorage:\n  substrategy: RAID0\n",
            "localStorage",
            "localStorage:",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
