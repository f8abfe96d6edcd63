//! Fields that no schema has: what kubectl's `--validate=strict`, its default, refuses.

use serde_json::Value;

use super::FieldError;

/// Fields of `metadata`, which is in no CRD's schema.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Returns the fields of a document that its schema does not have, sorted.
pub(super) fn fields(schema: &Value, object: &Value) -> Vec<FieldError> {
    let mut paths = Vec::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => metadata(value, &mut paths),
            _ => field(schema, name, value, "", &mut paths),
        }
    }
    paths.sort();
    paths.into_iter().map(FieldError::unknown_field).collect()
}

fn metadata(value: &Value, paths: &mut Vec<String>) {
    let names = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name);
    paths.extend(
        names
            .filter(|n| !METADATA.contains(&n.as_str()))
            .map(|name| format!("metadata.{name}")),
    );
}

/// Looks at one field of an object with `schema`, and into it where the schema has it.
fn field(schema: &Value, name: &str, value: &Value, parent: &str, paths: &mut Vec<String>) {
    let path = if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    };
    let own = schema.get("properties").and_then(|p| p.get(name));
    match own.or_else(|| schema.get("additionalProperties")) {
        Some(schema) => inside(schema, value, &path, paths),
        None => paths.push(path),
    }
}

fn inside(schema: &Value, value: &Value, path: &str, paths: &mut Vec<String>) {
    if schema
        .get("x-kubernetes-preserve-unknown-fields")
        .and_then(Value::as_bool)
        == Some(true)
    {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                field(schema, name, value, path, paths);
            }
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            for (index, item) in items.iter().enumerate() {
                inside(schema, item, &format!("{path}[{index}]"), paths);
            }
        }
        _ => {}
    }
}
