//! Runs the CEL rules of a schema with kube-cel, with the messages of the API server.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use kube::core::cel::{self, CompiledSchema, compile_schema};
use serde_json::{Map, Value};

use super::error::{FieldError, quoted};
use super::schema::Schema;

/// The keyword of the rules in a schema.
pub(super) const KEYWORD: &str = "x-kubernetes-validations";

/// The rules of a schema, and of the schemas in it.
///
/// Compiling a rule takes as long as running it some thousand times. So a rule is compiled only if
/// a document has its field, and its message only if the rule is broken.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The rules of this schema, with the parts of the schema that they need; null if it has none.
    schema: Value,
    compiled: OnceLock<CompiledSchema>,
    with_messages: OnceLock<CompiledSchema>,
    fields: BTreeMap<String, Rules>,
    items: Option<Box<Rules>>,
    values: Option<Box<Rules>>,
}

impl Rules {
    /// Takes the rules out of a schema.
    pub(super) fn of(schema: &Value) -> Self {
        let inner = |keyword: &str| {
            let rules = Self::of(schema.get(keyword)?);
            (!rules.is_empty()).then(|| Box::new(rules))
        };
        let fields = schema.get("properties").and_then(Value::as_object);
        let fields = fields.into_iter().flatten();
        let fields = fields.map(|(name, schema)| (name.clone(), Self::of(schema)));
        let here = schema.get(KEYWORD).map(|rules| {
            let mut schema = conversion(schema).unwrap_or_default();
            schema.insert(KEYWORD.to_owned(), rules.clone());
            Value::Object(schema)
        });
        Self {
            schema: here.unwrap_or_default(),
            fields: fields.filter(|(_, rules)| !rules.is_empty()).collect(),
            items: inner("items"),
            values: inner("additionalProperties"),
            ..Self::default()
        }
    }

    /// Calls `see` with the rules of every schema, with their messages.
    #[cfg(test)]
    pub(super) fn each(&self, see: &mut impl FnMut(&CompiledSchema)) {
        see(&compile_schema(&self.schema));
        let inner = self.items.iter().chain(&self.values).map(AsRef::as_ref);
        for rules in self.fields.values().chain(inner) {
            rules.each(see);
        }
    }

    fn is_empty(&self) -> bool {
        let Self {
            schema,
            fields,
            items,
            values,
            compiled: _,
            with_messages: _,
        } = self;
        schema.is_null() && fields.is_empty() && items.is_none() && values.is_none()
    }

    /// Compiles the rules of the document itself and of its fields: every document has a spec.
    pub(super) fn prepare(&self) {
        for rules in std::iter::once(self).chain(self.fields.values()) {
            if !rules.schema.is_null() {
                rules.compiled();
            }
        }
    }

    fn compiled(&self) -> &CompiledSchema {
        self.compiled
            .get_or_init(|| compile_schema(&terse(&self.schema)))
    }

    /// Adds to `broken` the rules that a value at `path` breaks.
    fn check(&self, path: &str, value: &Value, old: Option<&Value>, broken: &mut Vec<Broken>) {
        if !self.schema.is_null() {
            self.check_here(path, value, old, broken);
        }
        for (name, value) in value.as_object().into_iter().flatten() {
            if let Some(rules) = self.fields.get(name).or(self.values.as_deref()) {
                let path = format!("{path}.{name}");
                rules.check(&path, value, old.and_then(|o| o.get(name)), broken);
            }
        }
        let items = self.items.iter().flat_map(|rules| {
            let items = value.as_array().into_iter().flatten().enumerate();
            items.map(move |(index, item)| (rules, index, item))
        });
        for (rules, index, item) in items {
            let path = format!("{path}[{index}]");
            rules.check(&path, item, old.and_then(|o| o.get(index)), broken);
        }
    }

    fn check_here(&self, path: &str, value: &Value, old: Option<&Value>, broken: &mut Vec<Broken>) {
        let Err(errors) = cel::validate_compiled(self.compiled(), value, old) else {
            return;
        };
        let rules = self
            .with_messages
            .get_or_init(|| compile_schema(&self.schema));
        let reported = cel::validate_compiled(rules, value, old).err();
        let errors = reported.unwrap_or(errors).into_iter();
        broken.extend(errors.map(|error| Broken {
            path: format!("{path}.{}", error.field_path.trim_start_matches('.')),
            error,
        }));
    }
}

/// A rule that a document breaks.
struct Broken {
    /// Path of its field in the document.
    path: String,
    error: cel::ValidationError,
}

/// Returns the parts of a schema that decide how rules see its values. kube-cel walks all given
/// parts for each rule, so the others are left out.
fn conversion(schema: &Value) -> Option<Map<String, Value>> {
    const OWN: [&str; 3] = [
        "x-kubernetes-int-or-string",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-preserve-unknown-fields",
    ];
    const FORMATS: [&str; 3] = ["date-time", "duration", "byte"];
    let mut kept = Map::new();
    for (keyword, value) in schema.as_object()? {
        let inner = match keyword.as_str() {
            "format" if FORMATS.iter().any(|format| value == format) => Some(value.clone()),
            own if OWN.contains(&own) => Some(value.clone()),
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let fields: Map<String, Value> = fields
                    .filter_map(|(name, field)| Some((name.clone(), conversion(field)?.into())))
                    .collect();
                (!fields.is_empty()).then(|| fields.into())
            }
            "items" => conversion(value).map(Value::Object),
            // This keyword makes it a map with keys of the user.
            "additionalProperties" => match conversion(value) {
                Some(values) => Some(values.into()),
                None => Some(if value.is_object() {
                    Value::Object(Map::new())
                } else {
                    value.clone()
                }),
            },
            _ => None,
        };
        kept.extend(inner.map(|inner| (keyword.clone(), inner)));
    }
    (!kept.is_empty()).then_some(kept)
}

/// Returns the rules without their messages.
fn terse(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let rules = schema.get_mut(KEYWORD).and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
        rule.remove("messageExpression");
    }
    schema
}

/// Returns the errors of the rules that a document breaks. Its structure must be correct.
pub(super) fn check(schema: &Schema, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut broken = Vec::new();
    schema.rules.check("", object, old, &mut broken);
    broken
        .iter()
        .map(|broken| tell(schema, object, broken))
        .collect()
}

/// The API server adds the value to the message, unless it is an object or a list.
fn tell(schema: &Schema, object: &Value, broken: &Broken) -> FieldError {
    let Broken { path, error } = broken;
    let path = path.trim_matches('.');
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

/// Whether the rule belongs to the field of its error, and not to an object around it.
fn owner(schema: &Value, path: &str, rule: &str) -> bool {
    let place = segments(path).try_fold(schema, |schema, segment| match segment {
        Segment::Index(_) => schema.get("items"),
        Segment::Name(name) => schema
            .get("properties")
            .and_then(|p| p.get(name))
            .or_else(|| schema.get("additionalProperties")),
    });
    let rules = place.and_then(|p| p.get(KEYWORD)).and_then(Value::as_array);
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

/// Splits `a.b[0].c`. Field names have no dots or brackets, and there are no rules in maps, whose
/// keys might have some.
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
