//! The CEL rules of a schema, run by kube-cel and told in the words of the API server.

use kube::core::cel;
use serde_json::Value;

use super::error::{FieldError, quoted};
use super::schema::Schema;

/// Returns the rules that a document breaks. Its structure has to be right.
pub(super) fn check(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let Err(errors) = cel::validate_compiled(&schema.rules, object, old) else {
        return Vec::new();
    };
    let told = cel::validate_compiled(schema.with_messages(), object, old);
    told.err()
        .unwrap_or(errors)
        .iter()
        .map(|error| tell(schema, object, error))
        .collect()
}

/// The API server shows the value with the message, unless it is an object or a list.
fn tell(schema: &Schema, object: &Value, error: &cel::ValidationError) -> FieldError {
    // kube-cel leaves the dot of a rule's own field path where the rule stands at the document.
    let path = error.field_path.trim_start_matches('.');
    let shown = owner(&schema.raw, path, &error.rule)
        .then(|| look_up(object, path))
        .flatten()
        .filter(|value| !value.is_object() && !value.is_array());
    let message = match shown {
        Some(value) => format!("Invalid value: {}: {}", quoted(value), error.message),
        None => format!("Invalid value: {}", error.message),
    };
    FieldError::invalid(path, message)
}

/// Whether the rule stands at the very field that its error names, and not at an object around it.
fn owner(schema: &Value, path: &str, rule: &str) -> bool {
    let place = segments(path).try_fold(schema, |schema, segment| match segment {
        Segment::Index(_) => schema.get("items"),
        Segment::Name(name) => schema
            .get("properties")
            .and_then(|p| p.get(name))
            .or_else(|| schema.get("additionalProperties")),
    });
    let rules = place
        .and_then(|p| p.get("x-kubernetes-validations"))
        .and_then(Value::as_array);
    rules.is_some_and(|rules| {
        rules
            .iter()
            .any(|r| r.get("rule").and_then(Value::as_str) == Some(rule))
    })
}

fn look_up<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    segments(path).try_fold(object, |value, segment| match segment {
        Segment::Index(index) => value.get(index),
        Segment::Name(name) => value.get(name),
    })
}

enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

/// Splits `a.b[0].c`. No field of ours has a dot or a bracket in its name, and no rule stands in a
/// map whose keys might.
fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    path.split(['.', '['])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let index = part
                .strip_suffix(']')
                .and_then(|digits| digits.parse().ok());
            index.map_or(Segment::Name(part), Segment::Index)
        })
}
