//! A value with its line number.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::scalar::Scalar;

/// A value, and the line where it starts. The value of an anchor is stored once, even if it is used
/// often.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
    /// Its size with every alias expanded.
    pub(super) size: Size,
}

#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Arc<Node>>),
    Map(Vec<Field>),
}

impl Default for Content {
    fn default() -> Self {
        Self::Scalar(Scalar::Null)
    }
}

/// A field of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    /// The line of its name.
    pub(super) line: usize,
    pub(super) value: Arc<Node>,
}

/// The size of a value with all nested values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) values: usize,
    /// Bytes of strings and names.
    pub(super) bytes: usize,
    /// Levels of nested values.
    pub(super) levels: usize,
}

impl Size {
    /// Adds a value that is one level below.
    pub(super) fn add(&mut self, name: usize, inner: Self) {
        self.values = self.values.saturating_add(inner.values);
        self.bytes = self.bytes.saturating_add(inner.bytes).saturating_add(name);
        self.levels = self.levels.max(inner.levels.saturating_add(1));
    }
}

impl Node {
    pub(in super::super) fn line(&self) -> usize {
        self.line
    }

    pub(in super::super) fn is_null(&self) -> bool {
        self.content == Content::Scalar(Scalar::Null)
    }

    /// Returns a field of a map.
    pub(in super::super) fn get(&self, name: &str) -> Option<&Arc<Node>> {
        match &self.content {
            Content::Map(fields) => fields.iter().find(|f| f.name == name).map(|f| &f.value),
            Content::Scalar(_) | Content::List(_) => None,
        }
    }

    /// Returns the string in a field of a map.
    pub(in super::super) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.content {
            Content::Scalar(Scalar::Text(text)) => Some(text),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Returns the items of a list.
    pub(in super::super) fn items(&self) -> Option<&[Arc<Node>]> {
        match &self.content {
            Content::List(items) => Some(items),
            Content::Scalar(_) | Content::Map(_) => None,
        }
    }

    /// Returns it as a value of JSON.
    pub(in super::super) fn value(&self) -> Value {
        match &self.content {
            Content::Scalar(scalar) => scalar.value(),
            Content::List(items) => items.iter().map(|item| item.value()).collect(),
            Content::Map(fields) => {
                let fields = fields.iter().map(|f| (f.name.clone(), f.value.value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// Returns the line of a field by its path, such as `spec.ipam.config[0].subnet`, or the line
    /// of the innermost existing field around it.
    pub(in super::super) fn line_of(&self, path: &str) -> usize {
        self.find(path).map_or(self.line, |(_, line)| line)
    }

    /// Returns the length of the existing part of a path in bytes, and the line of its end.
    fn find(&self, path: &str) -> Option<(usize, usize)> {
        match &self.content {
            Content::Scalar(_) => None,
            Content::List(items) => {
                let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                let here = (index.len() + 2, item.line);
                Some(
                    item.find(rest)
                        .map_or(here, |(more, line)| (here.0 + more, line)),
                )
            }
            Content::Map(fields) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let found = fields.iter().filter_map(|field| {
                    let rest = path.strip_prefix(field.name.as_str())?;
                    let ends = rest.is_empty() || rest.starts_with(['.', '[']);
                    let here = (field.name.len(), field.line);
                    let inner = ends.then(|| field.value.find(rest))?;
                    Some(inner.map_or(here, |(more, line)| (here.0 + more, line)))
                });
                // A name may contain dots, so the longest match is correct.
                found.max_by_key(|(length, _)| *length)
            }
        }
    }
}
