//! Checks types and limits of a schema with `jsonschema`, with the messages of the API server.

use std::collections::BTreeMap;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::Location;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::error::{FieldError, quoted};
use super::schema::Schema;

/// Compiles a CRD's schema. Returns `None` if it is not a schema.
pub(super) fn compile(schema: &Value) -> Option<Validator> {
    let mut schema = schema.clone();
    // The status of a document is dropped, not checked.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("status");
    }
    nullable_as_type(&mut schema);
    jsonschema::draft7::new(&schema).ok()
}

/// A CRD has `nullable`; JSON Schema has null as one of the types.
fn nullable_as_type(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            if keywords.get("nullable").and_then(Value::as_bool) == Some(true)
                && let Some(Value::String(kind)) = keywords.get("type")
            {
                let types = json!([kind, "null"]);
                keywords.insert("type".to_owned(), types);
            }
            keywords.values_mut().for_each(nullable_as_type);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable_as_type),
        _ => {}
    }
}

/// Returns the errors in the structure of a document.
pub(super) fn check(schema: &Schema, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    // The API server reports only the first error in the length and form of a string.
    let mut texts: BTreeMap<String, (u8, FieldError)> = BTreeMap::new();
    for error in schema.structure.iter_errors(object) {
        let path = field_path(object, error.instance_path());
        let format = schema
            .raw
            .pointer(parent(error.schema_path().as_str()))
            .and_then(|node| node.get("format"))
            .and_then(Value::as_str);
        let reported = tell(&error, path, format);
        let Some(rank) = text_rank(error.kind()) else {
            errors.push(reported);
            continue;
        };
        match texts.get(&reported.path) {
            Some((first, _)) if *first <= rank => {}
            _ => {
                texts.insert(reported.path.clone(), (rank, reported));
            }
        }
    }
    errors.extend(texts.into_values().map(|(_, error)| error));
    errors
}

fn text_rank(kind: &ValidationErrorKind) -> Option<u8> {
    match kind {
        ValidationErrorKind::MaxLength { .. } => Some(0),
        ValidationErrorKind::MinLength { .. } => Some(1),
        ValidationErrorKind::Pattern { .. } => Some(2),
        _ => None,
    }
}

fn tell(error: &ValidationError<'_>, path: String, format: Option<&str>) -> FieldError {
    use ValidationErrorKind as Kind;

    let value = error.instance();
    let invalid = |shown: &str, what: String| {
        FieldError::invalid(
            &path,
            format!("Invalid value: {shown}: {path} in body {what}"),
        )
    };
    match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            FieldError::structure(join(&path, name), "Required value")
        }
        Kind::Enum { options } => {
            let options: Vec<_> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(|o| format!("{:?}", plain(o)))
                .collect();
            let (value, options) = (quoted(value), options.join(", "));
            FieldError::structure(
                path,
                format!("Unsupported value: {value}: supported values: {options}"),
            )
        }
        Kind::Type { kind } => {
            let (have, want) = match (format, value.as_ref()) {
                // The API server compares the format first, if there is one.
                (Some(format), Value::Number(_)) => ("float64", format.to_owned()),
                (Some(format), Value::Bool(_) | Value::Object(_)) => ("", format.to_owned()),
                _ => (type_name(value), wanted(kind)),
            };
            let reported = FieldError::structure(
                &path,
                format!(
                    "Invalid value: \"{have}\": {path} in body must be of type {want}: \"{have}\""
                ),
            );
            reported.with_hint(quotes(value, &wanted(kind)).map(str::to_owned))
        }
        Kind::MaxLength { limit } => {
            let bytes = if *limit == 1 { "byte" } else { "bytes" };
            FieldError::structure(
                path,
                format!("Too long: may not be more than {limit} {bytes}"),
            )
        }
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => {
            let (size, items) = (size(value), if *limit == 1 { "item" } else { "items" });
            FieldError::structure(
                path,
                format!("Too many: {size}: must have at most {limit} {items}"),
            )
        }
        Kind::MinLength { limit } => invalid(
            &quoted(value),
            format!("should be at least {limit} chars long"),
        ),
        Kind::MinItems { limit } => invalid(
            &size(value).to_string(),
            format!("should have at least {limit} items"),
        ),
        Kind::MinProperties { limit } => invalid(
            &size(value).to_string(),
            format!("should have at least {limit} properties"),
        ),
        Kind::Minimum { limit } => invalid(
            &quoted(value),
            format!("should be greater than or equal to {}", number(limit)),
        ),
        Kind::Maximum { limit } => invalid(
            &quoted(value),
            format!("should be less than or equal to {}", number(limit)),
        ),
        Kind::Pattern { pattern } => invalid(&quoted(value), format!("should match '{pattern}'")),
        // No keyword of our schemas comes here. A new keyword would be refused too.
        _ => FieldError::structure(&path, format!("Invalid value: {}: {error}", quoted(value))),
    }
}

/// Returns a hint about quotes for a wrong type.
pub(super) fn quotes(have: &Value, want: &str) -> Option<&'static str> {
    match (have, want) {
        (Value::Number(_) | Value::Bool(_), "string") => Some("put the value into quotes"),
        (Value::String(_), "boolean") => Some("write true or false, without quotes"),
        (Value::Number(_), "boolean") => Some("write true or false"),
        (Value::String(text), "integer") if text.parse::<i64>().is_ok() => {
            Some("write the number without quotes")
        }
        (Value::Number(_) | Value::String(_), "integer") => Some("write a whole number"),
        _ => None,
    }
}

/// Returns a path in the form of the API server: `spec.ipam.config[0].subnet`.
fn field_path(object: &Value, location: &Location) -> String {
    let mut path = String::new();
    let mut inside = Some(object);
    // The pointer itself: only the document distinguishes the key `0` of a map from an index of a
    // list.
    for segment in location.as_str().split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        if inside.is_some_and(Value::is_array) {
            path = format!("{path}[{name}]");
            inside = inside.and_then(|list| list.get(name.parse::<usize>().ok()?));
        } else {
            path = join(&path, &name);
            inside = inside.and_then(|map| map.get(&name));
        }
    }
    path
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn parent(pointer: &str) -> &str {
    pointer.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A CRD stores limits as floats. The API server shows the limits of integers as integers.
fn number(limit: &Value) -> String {
    limit
        .as_f64()
        .map_or_else(|| limit.to_string(), |limit| limit.to_string())
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns the type of a schema, without the null of `nullable`.
fn wanted(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names = several
                .into_iter()
                .map(|t| t.to_string())
                .filter(|t| t != "null");
            names.collect::<Vec<_>>().join(",")
        }
    }
}
