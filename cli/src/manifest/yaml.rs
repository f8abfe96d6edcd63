//! YAML and JSON as values that know where they stand.
//!
//! The meaning of a text is that of kubectl, or it is refused: a field given twice, a name that is no
//! text, a merge key below a field that it sets. granit-parser knows the syntax; what it finds is put
//! together here, because a general deserialiser has other limits, other scalars and other words.

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

/// Returns the documents of a text; those without content are left out.
///
/// JSON values may follow each other without anything in between, as kubectl takes them.
pub(super) fn parse(text: &str) -> Result<Vec<Arc<Node>>, Problem> {
    let mut all = Vec::new();
    let mut before = 0;
    for part in parts(text) {
        all.extend(compose::documents(part, before)?);
        before += part.matches('\n').count();
    }
    Ok(all)
}

/// Parts the JSON objects that a text begins with from each other and from what follows.
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
