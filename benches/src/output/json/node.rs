//! A JSON value that remembers the order of its members, and shows itself as fio
//! does: blanks around colons, six digits behind the point. Programs that read
//! fio's with grep exist.

use std::fmt::{self, Display, Formatter};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Int(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.show(f, 0)
    }
}

impl Node {
    fn show(&self, f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Signed(value) => write!(f, "{value}"),
            // JSON has no infinity
            Self::Float(value) if value.is_finite() => write!(f, "{value:.6}"),
            Self::Float(_) => write!(f, "0.000000"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(value) => quoted(f, value),
            Self::Array(values) => Self::array(f, values, depth),
            Self::Object(members) => {
                write!(f, "{{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    line(f, depth + 1, index)?;
                    quoted(f, name)?;
                    write!(f, " : ")?;
                    value.show(f, depth + 1)?;
                }
                end(f, depth)?;
                write!(f, "}}")
            }
        }
    }

    /// Objects each on lines of their own, numbers in one line.
    fn array(f: &mut Formatter<'_>, values: &[Self], depth: usize) -> fmt::Result {
        write!(f, "[")?;
        let lines = values.iter().any(|value| !matches!(value, Self::Int(_)));
        for (index, value) in values.iter().enumerate() {
            if lines {
                line(f, depth + 1, index)?;
            } else if index > 0 {
                write!(f, ", ")?;
            }
            value.show(f, depth + 1)?;
        }
        if lines {
            end(f, depth)?;
        }
        write!(f, "]")
    }
}

fn line(f: &mut Formatter<'_>, depth: usize, index: usize) -> fmt::Result {
    let comma = if index > 0 { "," } else { "" };
    write!(f, "{comma}\n{:1$}", "", depth * 2)
}

fn end(f: &mut Formatter<'_>, depth: usize) -> fmt::Result {
    write!(f, "\n{:1$}", "", depth * 2)
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
    write!(f, "{quoted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_laid_out_as_that_of_fio() {
        let node = Node::Object(vec![
            ("name".to_owned(), Node::Text("a \"b\"\n".to_owned())),
            ("util".to_owned(), Node::Float(0.5)),
            ("error".to_owned(), Node::Signed(-5)),
            (
                "jobs".to_owned(),
                Node::Array(vec![Node::Object(vec![(
                    "on".to_owned(),
                    Node::Bool(true),
                )])]),
            ),
            (
                "ios".to_owned(),
                Node::Array(vec![Node::Int(1), Node::Int(2)]),
            ),
            ("none".to_owned(), Node::Array(Vec::new())),
        ]);
        let text = r#"{
  "name" : "a \"b\"\n",
  "util" : 0.500000,
  "error" : -5,
  "jobs" : [
    {
      "on" : true
    }
  ],
  "ios" : [1, 2],
  "none" : []
}"#;
        assert_eq!(node.to_string(), text);
    }

    #[test]
    fn what_is_no_number_is_zero() {
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(Node::Float(value).to_string(), "0.000000");
        }
    }
}
