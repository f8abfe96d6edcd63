//! Checks the metadata of a document, with the messages of the API server.

use serde_json::{Map, Value};

use super::error::{FieldError, quoted};
use super::structure::quotes;

const LABEL: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', \
    regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
    regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
    must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
    regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Returns the first field of the metadata whose type an API server cannot read.
pub(super) fn undecodable(object: &Value) -> Vec<FieldError> {
    let metadata = object.get("metadata");
    let texts = ["generateName", "name", "namespace"]
        .into_iter()
        .filter_map(|name| {
            let value = metadata?.get(name)?;
            (!value.is_string() && !value.is_null())
                .then(|| cannot_read(name, name, value, "string"))
        });
    let maps = ["annotations", "labels"].into_iter().filter_map(|name| {
        let map = metadata?.get(name)?;
        let Some(map) = map.as_object() else {
            return (!map.is_null()).then(|| cannot_read(name, name, map, "map[string]string"));
        };
        let (key, wrong) = map
            .iter()
            .find(|(_, value)| !value.is_string() && !value.is_null())?;
        Some(cannot_read(name, &format!("{name}.{key}"), wrong, "string"))
    });
    texts.chain(maps).take(1).collect()
}

fn cannot_read(field: &str, place: &str, value: &Value, want: &str) -> FieldError {
    let have = match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Null => "null",
    };
    FieldError::document(
        format!("metadata.{place}"),
        format!(
            "json: cannot unmarshal {have} into Go struct field ObjectMeta.{field} of type {want}"
        ),
    )
    .with_hint(quotes(value, want).map(|hint| format!("metadata.{place}: {hint}")))
}

/// Gives labels and annotations without a value an empty string, because an API server reads null
/// as an empty string there.
pub(super) fn fill(object: &mut Value) {
    for pointer in ["/metadata/labels", "/metadata/annotations"] {
        let map = object.pointer_mut(pointer).and_then(Value::as_object_mut);
        for (_, value) in map.into_iter().flatten() {
            if value.is_null() {
                *value = Value::from("");
            }
        }
    }
}

/// Returns the errors of names, labels and annotations.
pub(super) fn check(object: &Value) -> Vec<FieldError> {
    let metadata = object.get("metadata");
    let text = |field: &str| metadata.and_then(|m| m.get(field)).and_then(Value::as_str);
    let map = |field: &str| {
        metadata
            .and_then(|m| m.get(field))
            .and_then(Value::as_object)
    };
    let mut errors = Vec::new();
    match text("name").filter(|name| !name.is_empty()) {
        None => {
            errors.push(FieldError::structure(
                "metadata.name",
                "Required value: name or generateName is required",
            ));
        }
        Some(name) => errors.extend(invalid("metadata.name", name, subdomain(name))),
    }
    if let Some(namespace) = text("namespace").filter(|n| !n.is_empty()) {
        errors.extend(invalid(
            "metadata.namespace",
            namespace,
            dns_label(namespace),
        ));
    }
    errors.extend(map("labels").into_iter().flat_map(labels));
    errors.extend(map("annotations").into_iter().flat_map(annotations));
    errors
}

fn labels(labels: &Map<String, Value>) -> Vec<FieldError> {
    let path = "metadata.labels";
    let each = labels.iter().flat_map(|(key, value)| {
        let value = value.as_str().unwrap_or_default();
        let keys = invalid(path, key, label_key(key));
        keys.into_iter()
            .chain(invalid(path, value, label_value(value)))
    });
    each.collect()
}

fn annotations(annotations: &Map<String, Value>) -> Vec<FieldError> {
    let path = "metadata.annotations";
    annotations
        .keys()
        .flat_map(|key| invalid(path, key, label_key(&key.to_lowercase())))
        .collect()
}

fn invalid(path: &str, value: &str, messages: Vec<String>) -> Vec<FieldError> {
    let shown = quoted(&Value::from(value));
    let tell = |message| FieldError::invalid(path, format!("Invalid value: {shown}: {message}"));
    messages.into_iter().map(tell).collect()
}

fn subdomain(name: &str) -> Vec<String> {
    let long = (name.len() > 253).then(|| "must be no more than 253 characters".to_owned());
    let bad = !name.split('.').all(is_dns_label);
    long.into_iter()
        .chain(bad.then(|| SUBDOMAIN.to_owned()))
        .collect()
}

fn dns_label(name: &str) -> Vec<String> {
    let long = (name.len() > 63).then(|| "must be no more than 63 characters".to_owned());
    let bad = (!is_dns_label(name)).then(|| {
        let dots = name.split('.').all(is_dns_label);
        if dots {
            "must not contain dots".to_owned()
        } else {
            DNS_LABEL.to_owned()
        }
    });
    long.into_iter().chain(bad).collect()
}

fn label_key(key: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (*name).to_owned(),
        [prefix, name] => {
            if prefix.is_empty() {
                messages.push("prefix part must be non-empty".to_owned());
            } else {
                messages.extend(
                    subdomain(prefix)
                        .into_iter()
                        .map(|m| format!("prefix part {m}")),
                );
            }
            (*name).to_owned()
        }
        _ => {
            return vec![format!(
                "a valid label key {LABEL} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        messages.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label(&name) {
        messages.push(format!("name part {LABEL}"));
    }
    messages
}

fn label_value(value: &str) -> Vec<String> {
    let long = (value.len() > 63).then(|| "must be no more than 63 bytes".to_owned());
    let bad = !value.is_empty() && !is_label(value);
    long.into_iter()
        .chain(bad.then(|| LABEL_VALUE.to_owned()))
        .collect()
}

fn is_dns_label(label: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    label.starts_with(edge) && label.ends_with(edge) && label.chars().all(|c| edge(c) || c == '-')
}

fn is_label(label: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    label.starts_with(edge)
        && label.ends_with(edge)
        && label
            .chars()
            .all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
}
