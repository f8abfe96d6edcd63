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
/// a document has the fields that it is about, and its message only if the rule is broken.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The rules of this schema, with the parts of the schema that they need; null if it has none.
    schema: Value,
    /// The same rules without their messages.
    groups: Vec<Group>,
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
            groups: here.as_ref().map(groups).unwrap_or_default(),
            schema: here.unwrap_or_default(),
            fields: fields.filter(|(_, rules)| !rules.is_empty()).collect(),
            items: inner("items"),
            values: inner("additionalProperties"),
            ..Self::default()
        }
    }

    /// Calls `see` with the rules of every schema, with their messages, and in their groups.
    #[cfg(test)]
    pub(super) fn each(&self, see: &mut impl FnMut(&CompiledSchema, &[Group])) {
        see(&compile_schema(&self.schema), &self.groups);
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
            groups: _,
            with_messages: _,
        } = self;
        schema.is_null() && fields.is_empty() && items.is_none() && values.is_none()
    }

    /// Compiles the rules that every document needs: those of the document itself and of its spec.
    pub(super) fn prepare(&self) {
        for rules in std::iter::once(self).chain(self.fields.values()) {
            for group in rules.groups.iter().filter(|group| group.field.is_none()) {
                group.compiled();
            }
        }
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
        let concerned = self.groups.iter().filter(|group| group.concerns(value));
        let mut broken_groups = concerned
            .filter_map(|group| cel::validate_compiled(group.compiled(), value, old).err());
        let Some(errors) = broken_groups.next() else {
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

/// Rules of one schema that hold for every value without a field.
#[derive(Debug)]
pub(super) struct Group {
    /// The field; `None` if the rules are about every value.
    field: Option<String>,
    schema: Value,
    compiled: OnceLock<CompiledSchema>,
}

impl Group {
    /// Returns the field without which its rules hold, and the broken ones of them for a value without it.
    #[cfg(test)]
    pub(super) fn broken_without_field(&self) -> Option<(&str, Vec<String>)> {
        let found = cel::validate_compiled(self.compiled(), &serde_json::json!({}), None);
        let broken = found.err().into_iter().flatten().map(|error| error.rule);
        Some((self.field.as_deref()?, broken.collect()))
    }

    fn concerns(&self, value: &Value) -> bool {
        let field = self.field.as_ref();
        field.is_none_or(|field| value.get(field).is_some())
    }

    fn compiled(&self) -> &CompiledSchema {
        self.compiled.get_or_init(|| compile_schema(&self.schema))
    }
}

/// Returns the rules of a schema in groups, without their messages.
fn groups(schema: &Value) -> Vec<Group> {
    let mut by_field: BTreeMap<Option<&str>, Vec<Value>> = BTreeMap::new();
    let rules = schema.get(KEYWORD).and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        let text = rule.get("rule").and_then(Value::as_str);
        let mut terse = rule.clone();
        if let Some(parts) = terse.as_object_mut() {
            parts.remove("messageExpression");
        }
        let field = text.and_then(needed_field);
        by_field.entry(field).or_default().push(terse);
    }
    let groups = by_field.into_iter().map(|(field, rules)| {
        let mut schema = schema.clone();
        if let Some(keywords) = schema.as_object_mut() {
            keywords.insert(KEYWORD.to_owned(), rules.into());
        }
        Group {
            field: field.map(str::to_owned),
            schema,
            compiled: OnceLock::new(),
        }
    });
    groups.collect()
}

/// Returns a field without which a rule holds: one of its alternatives is `!has(self.FIELD)`.
fn needed_field(rule: &str) -> Option<&str> {
    // Without these, a string ends at the next quote, and no operator binds weaker than `||`.
    if rule.contains(['\\', '?']) {
        return None;
    }
    let is_plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric());
    alternatives(rule).find_map(|alternative| {
        let field = alternative.trim().strip_prefix("!has(self.")?;
        field.strip_suffix(')').filter(is_plain)
    })
}

/// Splits a rule at each `|` that is in no brackets and in no string.
fn alternatives(rule: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let mut quote = None;
    rule.split(move |c| {
        match (quote, c) {
            (Some(end), _) if c == end => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => return c == '|' && depth == 0,
        }
        false
    })
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
