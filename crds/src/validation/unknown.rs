//! Unknown fields, which kubectl refuses with `--validate=strict`, its default.

use serde_json::Value;

use super::FieldError;

/// Fields of `metadata`, which is not in the schema of a CRD.
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

/// Fields of every document.
const COMMON: [&str; 3] = ["apiVersion", "kind", "metadata"];
/// Minimum similarity of two names, as a share of their letters, for a suggestion.
const ALIKE: f64 = 0.6;
/// Maximum number of suggested paths.
const PLACES: usize = 2;

/// Returns the unknown fields of a document, sorted, each with a suggestion.
pub(super) fn fields(schema: &Value, object: &Value) -> Vec<FieldError> {
    let mut unknown = Vec::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => metadata(value, &mut unknown),
            _ => field(schema, name, value, "", &mut unknown),
        }
    }
    unknown.sort_by(|a, b| a.path.cmp(&b.path));
    let reported = unknown.into_iter().map(|Unknown { path, near }| {
        let name = path.rsplit('.').next().unwrap_or_default();
        let meant = near.map_or_else(|| elsewhere(schema, name), |near| vec![near]);
        let meant: Vec<String> = meant.iter().map(|m| format!("\"{m}\"")).collect();
        let hint = (!meant.is_empty()).then(|| format!("did you mean {}?", meant.join(" or ")));
        FieldError::unknown_field(path).with_hint(hint)
    });
    reported.collect()
}

/// An unknown field.
struct Unknown {
    path: String,
    /// A known field beside it with a similar name.
    near: Option<String>,
}

fn metadata(value: &Value, unknown: &mut Vec<Unknown>) {
    let fields = value.as_object().into_iter().flatten();
    let names = fields.map(|(name, _)| name);
    let names = names.filter(|n| !METADATA.contains(&n.as_str()));
    unknown.extend(names.map(|name| Unknown {
        path: format!("metadata.{name}"),
        near: near(name, METADATA.into_iter()),
    }));
}

/// Checks one field of an object with `schema`, and the fields in it if it is known.
fn field(schema: &Value, name: &str, value: &Value, parent: &str, unknown: &mut Vec<Unknown>) {
    let path = join(parent, name);
    let properties = schema.get("properties").and_then(Value::as_object);
    let own = properties.and_then(|p| p.get(name));
    if let Some(schema) = own.or_else(|| schema.get("additionalProperties")) {
        inside(schema, value, &path, unknown);
        return;
    }
    let known = properties
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str());
    // The schema of a CRD does not have the fields of every document.
    let common = parent.is_empty().then_some(COMMON);
    let near = near(name, known.chain(common.into_iter().flatten()));
    unknown.push(Unknown { path, near });
}

fn inside(schema: &Value, value: &Value, path: &str, unknown: &mut Vec<Unknown>) {
    if is_opaque(schema) {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                field(schema, name, value, path, unknown);
            }
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            for (index, item) in items.iter().enumerate() {
                inside(schema, item, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

fn is_opaque(schema: &Value) -> bool {
    let opaque = schema.get("x-kubernetes-preserve-unknown-fields");
    opaque.and_then(Value::as_bool) == Some(true)
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() {
        name.to_owned()
    } else {
        format!("{parent}.{name}")
    }
}

/// Returns the most similar known name, if there is one.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = plain(name);
    let alike = known.map(|k| {
        (
            strsim::normalized_damerau_levenshtein(&wanted, &plain(k)),
            k,
        )
    });
    let best = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(share, _)| *share >= ALIKE)
        .map(|(_, name)| name.to_owned())
}

/// Returns the paths of fields with that name, if there are few.
fn elsewhere(schema: &Value, name: &str) -> Vec<String> {
    let mut paths = Vec::new();
    if METADATA.contains(&name) {
        paths.push(format!("metadata.{name}"));
    }
    if let Some(spec) = schema.pointer("/properties/spec") {
        search(spec, "spec", name, &mut paths);
    }
    if paths.len() > PLACES {
        Vec::new()
    } else {
        paths
    }
}

fn search(schema: &Value, path: &str, wanted: &str, paths: &mut Vec<String>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, inner) in properties.into_iter().flatten() {
        let path = join(path, name);
        search(inner, &path, wanted, paths);
        if let Some(items) = inner.get("items") {
            search(items, &format!("{path}[]"), wanted, paths);
        }
        if name == wanted {
            paths.push(path);
        }
    }
}
