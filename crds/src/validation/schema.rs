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

/// The kinds that have a schema, sorted.
pub(super) const KINDS: [&str; 4] = [
    "DockerHost",
    "DockerNetwork",
    "DockerVolume",
    "HostAssignment",
];

/// The schema of a committed CRD, from `build.rs`. A test compares the CRD with the type.
macro_rules! committed {
    ($name:literal) => {
        include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json"))
    };
}

/// Returns the schema of a kind.
///
/// Otherwise, a command that reads one small file would spend most of its time on the rules of
/// other kinds.
pub(super) fn of(kind: &str) -> Option<&'static Schema> {
    static HOST: OnceLock<Option<Schema>> = OnceLock::new();
    static NETWORK: OnceLock<Option<Schema>> = OnceLock::new();
    static VOLUME: OnceLock<Option<Schema>> = OnceLock::new();
    static ASSIGNMENT: OnceLock<Option<Schema>> = OnceLock::new();
    let (schema, json) = match kind {
        "DockerHost" => (&HOST, committed!("dockerhosts")),
        "DockerNetwork" => (&NETWORK, committed!("dockernetworks")),
        "DockerVolume" => (&VOLUME, committed!("dockervolumes")),
        "HostAssignment" => (&ASSIGNMENT, committed!("hostassignments")),
        _ => return None,
    };
    schema.get_or_init(|| compile(json)).as_ref()
}

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
