//! Checks a document against its CRD as an API server would, in the same words.
//!
//! The order is the API server's: unknown fields first, and only where there are none the types and
//! limits of the schema together with the metadata, and only where the structure is right the CEL
//! rules. What an API server alone can know (quotas, admission webhooks, what exists) is not
//! checked, and an unchanged mistake of an older version is not forgiven as it forgives one.

mod defaults;
mod error;
mod metadata;
mod rules;
mod schema;
mod structure;
mod unknown;

use serde_json::Value;

pub use error::FieldError;

use crate::{GROUP, VERSION};

/// Returns what is wrong with a document of `kind`; nothing where an API server would take it.
///
/// `old` is the document it replaces, for rules against changes.
pub fn validate(kind: &str, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    admit(kind, object, old).err().unwrap_or_default()
}

/// Returns a document of `kind` as an API server would store it: with the defaults of its schema and
/// without a status. A null in place of a field counts as a field that is left out.
///
/// # Errors
/// What is wrong with the document, as [`validate`] tells it.
pub fn admit(kind: &str, object: &Value, old: Option<&Value>) -> Result<Value, Vec<FieldError>> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let version = text("apiVersion");
    let known = version == api_version() && text("kind") == kind;
    let Some(schema) = schema::of(kind).filter(|_| known) else {
        return Err(vec![FieldError::no_match(text("kind"), version)]);
    };
    let mut errors = metadata::undecodable(object);
    if errors.is_empty() {
        errors = unknown::fields(&schema.raw, object);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let object = stored(&schema.raw, object);
    errors.extend(metadata::check(&object));
    errors.extend(structure::check(schema, &object));
    if !errors.iter().any(FieldError::hides_rules) {
        let old = old.map(|old| stored(&schema.raw, old));
        errors.extend(rules::check(schema, &object, old.as_ref()));
    }
    if errors.is_empty() {
        Ok(object)
    } else {
        Err(errors)
    }
}

/// Returns the entries of maps that have no value, such as `spec.labels.team`: an API server leaves them
/// out, as [`admit`] does.
pub fn without_value(kind: &str, object: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let spec = schema::of(kind).and_then(|schema| schema.raw.pointer("/properties/spec"));
    if let (Some(schema), Some(spec)) = (spec, object.get("spec")) {
        defaults::without_value(schema, spec, "spec", &mut paths);
    }
    paths
}

/// Compiles the schema of `kind`, and of its rules those that concern every document, where that was
/// not done yet. [`validate`] does it too, in the time of the first document.
pub fn prepare(kind: &str) {
    if let Some(schema) = schema::of(kind) {
        schema.rules.prepare();
    }
}

/// Returns the names of the kinds that have a schema, sorted.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    schema::KINDS.into_iter()
}

/// Returns the API version of every kind.
pub fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// The status of a document is not the user's to set; an API server drops it.
fn stored(schema: &Value, object: &Value) -> Value {
    let mut object = defaults::fill(schema, object);
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
    }
    metadata::fill(&mut object);
    object
}

#[cfg(test)]
mod tests;
