//! Checks a document against its CRD like an API server, with the same messages.
//!
//! The order is the same as in the API server. First unknown fields. If there are none, the types and
//! limits of the schema, together with the metadata. If the structure is correct, the CEL rules. Not
//! checked is what only an API server can know (quotas, admission webhooks, existing objects). An API
//! server accepts an old error that an update does not change; this crate does not.

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

/// Returns the errors of a document of `kind`. There are none if an API server would accept it.
///
/// `old` is the document that it replaces, for rules about changes.
pub fn validate(kind: &str, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    admit(kind, object, old).err().unwrap_or_default()
}

/// Returns a document of `kind` as an API server would store it: with the defaults of its schema
/// and without a status. A field that is null counts as not set.
///
/// # Errors
/// The errors of [`validate`].
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

/// Returns the keys of maps without a value, such as `spec.labels.team`. An API server drops them,
/// and so does [`admit`].
pub fn without_value(kind: &str, object: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let spec = schema::of(kind).and_then(|schema| schema.raw.pointer("/properties/spec"));
    if let (Some(schema), Some(spec)) = (spec, object.get("spec")) {
        defaults::without_value(schema, spec, "spec", &mut paths);
    }
    paths
}

/// Compiles the schema of `kind` and the rules for every document, if this was not done yet.
/// Otherwise the first [`validate`] does it.
pub fn prepare(kind: &str) {
    if let Some(schema) = schema::of(kind) {
        schema.rules.prepare();
    }
}

/// Returns the names of the kinds that have a schema.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    schema::KINDS.iter().copied()
}

/// Returns the API version of every kind.
pub fn api_version() -> String {
    format!("{GROUP}/{VERSION}")
}

/// Users cannot set a status. An API server drops it.
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
