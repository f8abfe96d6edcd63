//! Fills in the defaults of a schema like an API server.

use serde_json::{Map, Value};

/// Returns `value` with the schema's defaults, and without nulls that the schema does not allow.
pub(super) fn fill(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fill_object(schema, fields)),
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            Value::Array(items.iter().map(|item| fill(schema, item)).collect())
        }
        scalar => scalar.clone(),
    }
}

fn fill_object(schema: &Value, fields: &Map<String, Value>) -> Map<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties");
    let mut filled = Map::new();
    for (name, value) in fields {
        let Some(schema) = properties.and_then(|p| p.get(name)).or(others) else {
            filled.insert(name.clone(), value.clone());
            continue;
        };
        let nullable = schema
            .get("nullable")
            .and_then(Value::as_bool)
            .unwrap_or_default();
        if !value.is_null() || nullable {
            filled.insert(name.clone(), fill(schema, value));
        }
    }
    for (name, schema) in properties.into_iter().flatten() {
        // A default may have inner defaults, which are filled in here like in an API server.
        if let (false, Some(default)) = (filled.contains_key(name), schema.get("default")) {
            filled.insert(name.clone(), fill(schema, default));
        }
    }
    filled
}

/// Adds the paths of the keys of maps whose value is null, and that [`fill`] drops.
pub(super) fn without_value(schema: &Value, value: &Value, path: &str, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let others = schema.get("additionalProperties");
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                let own = schema.get("properties").and_then(|p| p.get(name));
                match own.or(others) {
                    Some(_) if own.is_none() && value.is_null() => paths.push(path),
                    Some(schema) => without_value(schema, value, &path, paths),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            let schema = schema.get("items").unwrap_or(&Value::Null);
            for (index, item) in items.iter().enumerate() {
                without_value(schema, item, &format!("{path}[{index}]"), paths);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fill;

    #[test]
    fn a_null_is_a_field_that_is_not_set() {
        let schema = json!({"properties": {
            "driver": {"type": "string", "default": "bridge"},
            "bridge": {"type": "object"},
            "note": {"type": "string", "nullable": true},
        }});
        let value =
            json!({"driver": null, "bridge": null, "note": null, "metadata": {"uid": null}});
        let want = json!({"driver": "bridge", "note": null, "metadata": {"uid": null}});
        assert_eq!(fill(&schema, &value), want);
    }

    #[test]
    fn defaults_reach_into_lists_and_maps() {
        let inner = json!({"properties": {"on": {"default": true}}});
        let schema = json!({"properties": {
            "list": {"items": inner},
            "map": {"additionalProperties": inner},
        }});
        let value = json!({"list": [{}], "map": {"a": {"on": false}, "b": {}}});
        let want = json!({"list": [{"on": true}], "map": {"a": {"on": false}, "b": {"on": true}}});
        assert_eq!(fill(&schema, &value), want);
    }
}
