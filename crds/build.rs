//! Writes the schemas of the committed CRDs as JSON, without the descriptions, which are for people. Commands read
//! them at each start. Generating them from the types would take as long as checking a hundred documents.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let from = Path::new("manifests");
    let to = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    println!("cargo::rerun-if-changed={}", from.display());
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let crd: Value = serde_saphyr::from_str(&fs::read_to_string(&path)?)?;
        let schema = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .ok_or_else(|| format!("{} has no schema", path.display()))?;
        let schema = without_descriptions(schema);
        let name = path.with_extension("json");
        let name = name.file_name().ok_or("a file has a name")?;
        fs::write(Path::new(&to).join(name), schema.to_string())?;
    }
    Ok(())
}

fn without_descriptions(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            // A field of this name is a schema, not a text.
            let is_kept = |name: &str, value: &Value| name != "description" || !value.is_string();
            let kept = keywords.iter().filter(|(name, value)| is_kept(name, value));
            kept.map(|(name, value)| (name.clone(), without_descriptions(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(without_descriptions).collect(),
        other => other.clone(),
    }
}
