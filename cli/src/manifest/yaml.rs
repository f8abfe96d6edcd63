//! YAML and JSON as values that know the line of every field.
//!
//! Only `true` and `false` are booleans, as in YAML 1.2; a field given twice is an error; anchors,
//! aliases and merge keys work within the limits of the parser.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;
use serde_saphyr::options::DuplicateKeyPolicy;

/// A value and the line of each field in it, by path such as `spec.ipam.config[0].subnet`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Located {
    /// Line of its first field.
    pub(super) line: usize,
    pub(super) value: Value,
    pub(super) lines: BTreeMap<String, usize>,
}

/// Where and why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Returns the documents of a text; those without content are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Located>, SyntaxError> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        // `0755` is 493 for kubectl; another number here would be worse than the old rule.
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| {
            let line = error
                .location()
                .map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
            SyntaxError {
                line,
                message: error.to_string(),
            }
        })?;
    let documents = nodes.into_iter().map(|node| {
        let line = line_of(&node);
        let mut lines = BTreeMap::new();
        let value = node.value.into_value("", &mut lines);
        Located { line, value, lines }
    });
    Ok(documents
        .filter(|document| !document.value.is_null())
        .collect())
}

fn line_of<T>(node: &Spanned<T>) -> usize {
    usize::try_from(node.referenced.line()).unwrap_or(1)
}

/// A value whose parts know their lines.
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn into_value(self, path: &str, lines: &mut BTreeMap<String, usize>) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| {
                    let path = format!("{path}[{index}]");
                    lines.insert(path.clone(), line_of(&item));
                    item.value.into_value(&path, lines)
                });
                Value::Array(items.collect())
            }
            Self::Map(fields) => {
                let fields = fields.into_iter().map(|(name, field)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    let path = format!("{path}{dot}{}", name.value);
                    lines.insert(path.clone(), line_of(&name));
                    (name.value, field.value.into_value(&path, lines))
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number =
            Number::from_f64(value).ok_or_else(|| E::custom("not a number that JSON has"))?;
        Ok(Node::Scalar(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut map: Vec<(Spanned<String>, Spanned<Node>)> = Vec::new();
        while let Some((name, field)) = fields.next_entry::<Spanned<String>, Spanned<Node>>()? {
            // The parser refuses equal keys; `1` and `"1"` are two of them, but one in JSON.
            if map.iter().any(|(other, _)| other.value == name.value) {
                return Err(A::Error::custom(format!(
                    "duplicate field `{}`",
                    name.value
                )));
            }
            map.push((name, field));
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_knows_its_line() {
        let documents =
            parse("# note\nkind: A\nspec:\n  list:\n  - x: 1\n    y: 2\n---\nkind: B\n").unwrap();
        let [a, b] = documents.as_slice() else {
            panic!("{documents:?}")
        };
        assert_eq!(
            a.value,
            json!({"kind": "A", "spec": {"list": [{"x": 1, "y": 2}]}})
        );
        assert_eq!((a.line, b.line), (2, 8));
        assert_eq!(a.lines.get("spec"), Some(&3));
        assert_eq!(a.lines.get("spec.list[0]"), Some(&5));
        assert_eq!(a.lines.get("spec.list[0].y"), Some(&6));
    }

    #[test]
    fn scalars_are_those_of_yaml_1_2_but_for_octal_numbers() {
        let text =
            "a: yes\nb: true\nc: 0755\nd: 1.5\ne: ~\nf: \"1\"\ng: 0x10\nh: off\ni: null\nj:\n";
        let value = parse(text).unwrap().remove(0).value;
        let want = json!({
            "a": "yes", "b": true, "c": 493, "d": 1.5, "e": null, "f": "1", "g": 16, "h": "off", "i": null, "j": null
        });
        assert_eq!(value, want);
    }

    #[test]
    fn a_field_given_twice_is_an_error() {
        let error = parse("kind: A\nspec:\n  x: 1\n  x: 2\n").unwrap_err();
        assert_eq!(error.line, 4, "{error:?}");
        assert!(error.message.contains("duplicate"), "{error:?}");
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let value = parse("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\n")
            .unwrap()
            .remove(0)
            .value;
        assert_eq!(value["b"], json!({"x": 1, "y": 2}));
        assert_eq!(value["c"], json!({"x": 1, "y": 3}));
    }

    #[test]
    fn documents_without_content_are_left_out() {
        assert_eq!(
            parse("---\n# nothing\n---\nkind: A\n---\n").unwrap().len(),
            1
        );
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("# only a comment\n").unwrap(), []);
    }

    #[test]
    fn json_is_yaml_with_tabs_too() {
        let document = parse("{\n\t\"kind\": \"A\",\n\t\"spec\": {\n\t\t\"x\": [1, 2]\n\t}\n}\n")
            .unwrap()
            .remove(0);
        assert_eq!(document.value, json!({"kind": "A", "spec": {"x": [1, 2]}}));
        assert_eq!(document.lines.get("spec.x"), Some(&4));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        assert_eq!(parse("kind: A\nspec: {x: 1\n").unwrap_err().line, 2);
        assert_eq!(parse("kind: A\nspec:\n\tx: 1\n").unwrap_err().line, 3);
    }
}
