//! CEL rules on a schema, with messages that name the value and what would be right.

use schemars::Schema;
use serde_json::{Value, json};

/// A CEL rule and the CEL expression of its message.
///
/// The message is an expression so that it can quote the value that is wrong.
/// <https://kubernetes.io/docs/reference/using-api/cel/>
pub(crate) struct Rule {
    pub(crate) rule: &'static str,
    pub(crate) message: &'static str,
}

/// Adds `rules` to the schema of the value they speak of as `self`.
pub(crate) fn add(schema: &mut Schema, rules: &[Rule]) {
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

/// Marks an object whose fields the API server keeps without a schema.
pub(crate) fn opaque_object(schema: &mut Schema) {
    *schema = schemars::json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    });
}
