//! The schemas of all kinds, compiled once.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::{CompiledSchema, compile_schema};
use serde_json::Value;

use super::structure;
use crate::manifests;

/// The schema of one kind in the forms that the checks need.
#[derive(Debug)]
pub(super) struct Schema {
    /// As it stands in the CRD.
    pub(super) raw: Value,
    /// For types and limits.
    pub(super) structure: Validator,
    /// For the CEL rules.
    pub(super) rules: CompiledSchema,
}

/// Returns the schema of a kind.
pub(super) fn of(kind: &str) -> Option<&'static Schema> {
    all().get(kind)
}

/// Returns the kinds that have a schema, sorted.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    all().keys().map(String::as_str)
}

/// A schema that cannot be compiled would leave its kind unknown, so that nothing passes unchecked;
/// a test rules that out.
fn all() -> &'static BTreeMap<String, Schema> {
    static ALL: OnceLock<BTreeMap<String, Schema>> = OnceLock::new();
    ALL.get_or_init(|| {
        let compile = |(_, crd): (_, CustomResourceDefinition)| {
            let raw = crd
                .spec
                .versions
                .into_iter()
                .next()?
                .schema?
                .open_api_v3_schema?;
            let raw = serde_json::to_value(raw).ok()?;
            let structure = structure::compile(&raw)?;
            let rules = compile_schema(&raw);
            Some((
                crd.spec.names.kind,
                Schema {
                    raw,
                    structure,
                    rules,
                },
            ))
        };
        manifests::all().into_iter().filter_map(compile).collect()
    })
}
