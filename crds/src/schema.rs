//! Additions to the schemas of the types: CEL rules with messages that have the value and a correction,
//! plain optional fields, and label selectors that are checked.

use schemars::Schema;
use schemars::transform::transform_subschemas;
use serde_json::{Map, Value, json};

/// A CEL rule and the CEL expression of its message.
///
/// The message is an expression, so that it can quote the wrong value.
/// <https://kubernetes.io/docs/reference/using-api/cel/>
pub(crate) struct Rule {
    pub(crate) rule: &'static str,
    pub(crate) message: &'static str,
}

/// Adds `rules` to the schema of the value that is `self` in them.
pub(crate) fn rules(schema: &mut Schema, rules: &[Rule]) {
    let list = schema
        .ensure_object()
        .entry("x-kubernetes-validations")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(list) = list {
        list.extend(
            rules
                .iter()
                .map(|r| json!({"rule": r.rule, "messageExpression": r.message})),
        );
    }
}

/// Adds `rules` to the schema of an object. Their errors name its `field`, such as `.gateway`.
pub(crate) fn rules_at(schema: &mut Schema, field: &str, rules: &[Rule]) {
    self::rules(schema, rules);
    let list = schema
        .get_mut("x-kubernetes-validations")
        .and_then(Value::as_array_mut);
    let Some(list) = list else { return };
    let first = list.len().saturating_sub(rules.len());
    for rule in list.iter_mut().skip(first).filter_map(Value::as_object_mut) {
        rule.insert("fieldPath".to_owned(), json!(field));
    }
}

/// Requires that a spec selects hosts, by name or by label.
pub(crate) fn selects_hosts(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "has(self.hostSelector) || has(self.hostNames) && self.hostNames.size() > 0",
            message: "'no host is selected; set hostNames, or hostSelector ({} selects every host)'",
        }],
    );
}

/// An override names or selects hosts.
pub(crate) fn overrides_hosts(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "has(self.hostSelector) || has(self.hostNames) && self.hostNames.size() > 0",
            message: "'a host override names no host; set hostNames or hostSelector'",
        }],
    );
}

/// Bounds the values of a map of strings, so that rules over it stay within the API server's
/// cost limit.
pub(crate) fn bounded_map(schema: &mut Schema) {
    let map = schema.ensure_object();
    // schemars bounds a map with minProperties and maxProperties only through an extension.
    if let Some(max) = map.remove("maxItems") {
        map.insert("maxProperties".to_owned(), max);
    }
    map.entry("maxProperties").or_insert_with(|| 64.into());
    map.insert(
        "additionalProperties".to_owned(),
        json!({"type": "string", "maxLength": 1024}),
    );
}

/// Gives optional fields the same form as the others, in the whole schema.
///
/// schemars writes `Option<T>` as "a `T` or null" and keeps the text of the field separate from the
/// text of `T`, which then hides it in `kubectl explain`. Without the null, an API server treats
/// `field:` without a value as not set. With the null, `has(self.field)` would be true in every
/// rule.
pub(crate) fn plain_options(schema: &mut Schema) {
    if let Some(object) = schema.as_object_mut() {
        if let Some(Value::Object(inner)) = only_branch(object) {
            object.remove("anyOf");
            for (key, value) in inner {
                object.entry(key).or_insert(value);
            }
        }
        if let Some(kept) = object.get("type").and_then(type_without_null) {
            object.insert("type".to_owned(), kept);
        }
    }
    transform_subschemas(&mut plain_options, schema);
}

/// Returns the branch of an `anyOf` whose only other branch is null.
fn only_branch(object: &Map<String, Value>) -> Option<Value> {
    let branches = object.get("anyOf")?.as_array()?;
    let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
    let mut others = branches.iter().filter(|b| !is_null(b));
    match (others.next(), others.next()) {
        (Some(branch), None) => Some(branch.clone()),
        _ => None,
    }
}

/// Returns the type that remains when null is removed from a list of types.
fn type_without_null(types: &Value) -> Option<Value> {
    let mut others = types
        .as_array()?
        .iter()
        .filter(|t| t.as_str() != Some("null"));
    match (others.next(), others.next()) {
        (Some(kept), None) => Some(kept.clone()),
        _ => None,
    }
}

/// Marks an object whose fields the API server keeps without a schema.
pub(crate) fn opaque_object(schema: &mut Schema) {
    let text = schema.get("description").cloned();
    *schema = schemars::json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    });
    if let Some(text) = text {
        schema.insert("description".to_owned(), text);
    }
}

/// Gives a status a default that means "not seen yet". kstatus treats a resource without a status
/// as ready, so a tool would continue too early. No generation is -1.
pub(crate) fn unobserved(schema: &mut Schema) {
    schema.insert("default".to_owned(), json!({"observedGeneration": -1}));
}

/// Checks a label selector by the rules of Kubernetes. The API server does not check the selectors
/// of custom resources, and a wrong term would silently select nothing.
pub(crate) fn selector(schema: &mut Schema) {
    plain_options(schema);
    bound(
        schema,
        "/properties/matchLabels",
        &json!({"maxProperties": 64}),
    );
    bound(
        schema,
        "/properties/matchLabels/additionalProperties",
        &json!({"maxLength": 63}),
    );
    bound(
        schema,
        "/properties/matchExpressions",
        &json!({"maxItems": 32}),
    );
    bound(
        schema,
        "/properties/matchExpressions/items/properties/key",
        &json!({"maxLength": 317}),
    );
    bound(
        schema,
        "/properties/matchExpressions/items/properties/operator",
        &json!({"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}),
    );
    bound(
        schema,
        "/properties/matchExpressions/items/properties/values",
        &json!({"maxItems": 100}),
    );
    bound(
        schema,
        "/properties/matchExpressions/items/properties/values/items",
        &json!({"maxLength": 63}),
    );
    let Some(terms) = schema.pointer_mut("/properties/matchExpressions/items") else {
        return;
    };
    let Ok(terms) = <&mut Schema>::try_from(terms) else {
        return;
    };
    rules_at(
        terms,
        ".values",
        &[
            Rule {
                rule: "!(self.operator in ['In', 'NotIn']) || has(self.values) && self.values.size() > 0",
                message: "'operator %s of %s needs values; add values or use Exists'.format([self.operator, self.key])",
            },
            Rule {
                rule: "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
                message: "'operator %s of %s takes no values; remove them or use In'.format([self.operator, self.key])",
            },
        ],
    );
}

/// Adds keywords to the schema at a JSON pointer, if it exists.
fn bound(schema: &mut Schema, pointer: &str, keywords: &Value) {
    let place = schema.pointer_mut(pointer).and_then(Value::as_object_mut);
    if let (Some(place), Some(keywords)) = (place, keywords.as_object()) {
        place.extend(keywords.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
}

/// A duration.
pub(crate) fn duration(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^(0|[1-9][0-9]{0,5})(s|m|h|d)$')",
            message: "'%s is not a duration; write a whole number with s, m, h or d, such as 72h'.format([self])",
        }],
    );
}

/// The name of a volume, as an engine takes it.
pub(crate) fn volume_name(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[a-zA-Z0-9][a-zA-Z0-9_.-]*$')",
            message: "'a volume name has letters, digits, _, . and -, and starts with a letter or digit, such as app-data'",
        }],
    );
}

#[cfg(test)]
mod tests {
    use schemars::json_schema;

    use super::*;

    #[test]
    fn the_text_of_an_optional_field_wins() {
        let mut schema = json_schema!({
            "description": "The field.",
            "anyOf": [{"type": "string", "enum": ["a"], "description": "The type."}, {"type": "null"}],
        });
        plain_options(&mut schema);
        let want = json_schema!({"description": "The field.", "type": "string", "enum": ["a"]});
        assert_eq!(schema, want);
    }

    #[test]
    fn null_is_not_a_type() {
        let mut schema = json_schema!({"properties": {"mtu": {"type": ["integer", "null"]}}});
        plain_options(&mut schema);
        assert_eq!(
            schema,
            json_schema!({"properties": {"mtu": {"type": "integer"}}})
        );
    }
}
