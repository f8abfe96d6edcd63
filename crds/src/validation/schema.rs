//! The schemas of all kinds, each compiled once, and not before it is needed.

use std::sync::OnceLock;

use jsonschema::Validator;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use kube::core::cel::{CompiledSchema, compile_schema};
use serde_json::Value;

use super::structure;
use crate::{DockerHost, DockerNetwork, DockerVolume, HostAssignment};

/// The schema of one kind in the forms that the checks need.
#[derive(Debug)]
pub(super) struct Schema {
    /// As it stands in the CRD.
    pub(super) raw: Value,
    /// For types and limits.
    pub(super) structure: Validator,
    /// For the CEL rules, without what they say when they are broken.
    pub(super) rules: CompiledSchema,
    /// The same with their messages.
    messages: OnceLock<CompiledSchema>,
}

impl Schema {
    /// Returns the rules with their messages, which are expressions too: as much to compile as the
    /// rules themselves, and most documents break none.
    pub(super) fn with_messages(&self) -> &CompiledSchema {
        self.messages.get_or_init(|| compile_schema(&self.raw))
    }
}

/// The kinds that have a schema, sorted.
pub(super) const KINDS: [&str; 4] = [
    "DockerHost",
    "DockerNetwork",
    "DockerVolume",
    "HostAssignment",
];

/// Returns the schema of a kind.
///
/// A command that reads one small file would spend most of its time on the rules of kinds that are
/// not in it.
pub(super) fn of(kind: &str) -> Option<&'static Schema> {
    static HOST: OnceLock<Option<Schema>> = OnceLock::new();
    static NETWORK: OnceLock<Option<Schema>> = OnceLock::new();
    static VOLUME: OnceLock<Option<Schema>> = OnceLock::new();
    static ASSIGNMENT: OnceLock<Option<Schema>> = OnceLock::new();
    let (schema, crd): (_, fn() -> CustomResourceDefinition) = match kind {
        "DockerHost" => (&HOST, DockerHost::crd),
        "DockerNetwork" => (&NETWORK, DockerNetwork::crd),
        "DockerVolume" => (&VOLUME, DockerVolume::crd),
        "HostAssignment" => (&ASSIGNMENT, HostAssignment::crd),
        _ => return None,
    };
    schema.get_or_init(|| compile(crd())).as_ref()
}

/// A schema that cannot be compiled leaves its kind unknown, so that nothing passes unchecked; a test
/// rules that out.
fn compile(crd: CustomResourceDefinition) -> Option<Schema> {
    let version = crd.spec.versions.into_iter().next()?;
    let raw = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
    let mut terse = raw.clone();
    drop_messages(&mut terse);
    Some(Schema {
        structure: structure::compile(&raw)?,
        rules: compile_schema(&terse),
        messages: OnceLock::new(),
        raw,
    })
}

fn drop_messages(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            keywords.remove("messageExpression");
            keywords.values_mut().for_each(drop_messages);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_messages),
        _ => {}
    }
}
