//! YAML and JSON as values with line numbers.
//!
//! A text has the same meaning as in kubectl, or it is refused: a field that is set twice, a name that
//! is not a string, a merge key below a field that it sets. granit-parser parses the syntax. This
//! module builds the values, because a general deserialiser has other limits, other scalars and other
//! messages.

mod compose;
pub(super) mod limits;
mod node;
mod problem;
mod scalar;
mod syntax;

use std::sync::Arc;

use serde::de::IgnoredAny;

pub(super) use node::Node;
pub(super) use problem::Problem;

/// Returns the documents of a text, without empty documents.
///
/// JSON values may follow each other without a separator, as in kubectl.
pub(super) fn parse(text: &str) -> Result<Vec<Arc<Node>>, Problem> {
    let mut all = Vec::new();
    let mut before = 0;
    for part in parts(text) {
        all.extend(compose::documents(part, before)?);
        before += part.matches('\n').count();
    }
    Ok(all)
}

/// Splits the JSON objects at the start of a text from each other and from the rest.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    if text.trim_start().starts_with('{') {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
        while let Some(Ok(IgnoredAny)) = stream.next() {
            parts.extend(text.get(begin..stream.byte_offset()));
            begin = stream.byte_offset();
        }
    }
    parts.extend(text.get(begin..).filter(|rest| !rest.trim().is_empty()));
    parts
}

#[cfg(test)]
mod tests;
