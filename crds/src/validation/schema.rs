//! The schemas of all kinds. Each is compiled once, when it is needed first.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use super::rules::Rules;
use super::structure;

/// The schema of one kind in the forms that the checks need.
#[derive(Debug)]
pub(super) struct Schema {
    /// The schema in the CRD.
    pub(super) raw: Value,
    /// For types and limits.
    pub(super) structure: Validator,
    /// The CEL rules.
    pub(super) rules: Rules,
}

/// The schema of a committed CRD, from `build.rs`. A test compares the CRD with the type.
macro_rules! committed {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json"))
    };
}

/// Returns a schema that is compiled when it is needed first.
macro_rules! compiled {
    ($name:literal) => {{
        static SCHEMA: OnceLock<Option<Schema>> = OnceLock::new();
        SCHEMA.get_or_init(|| compile(committed!($name))).as_ref()
    }};
}

macro_rules! join {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// The kinds that have a schema.
        pub(super) const KINDS: &[&str] = &["DockerHost", $(stringify!($kind),)* "HostAssignment"];

        /// Returns the schema of a kind.
        ///
        /// Otherwise, a command that reads one small file would spend most of its time on the rules of
        /// other kinds.
        pub(super) fn of(kind: &str) -> Option<&'static Schema> {
            $(if kind == stringify!($kind) {
                return compiled!($plural);
            })*
            match kind {
                "DockerHost" => compiled!("dockerhosts"),
                "HostAssignment" => compiled!("hostassignments"),
                _ => None,
            }
        }
    };
}

kinds!(join);

/// If a schema cannot be compiled, its kind is unknown, so that nothing is accepted unchecked. A
/// test checks that all schemas compile.
fn compile(json: &str) -> Option<Schema> {
    let raw = serde_json::from_str(json).ok()?;
    Some(Schema {
        structure: structure::compile(&raw)?,
        rules: Rules::of(&raw),
        raw,
    })
}
