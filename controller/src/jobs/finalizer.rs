//! Finalizers, changed by JSON patches that apply only to the known version, and change no other
//! finalizer.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{apply, in_time};
use crate::error::CallError;

/// Returns the patch that adds a finalizer to the known version of an object.
pub(super) fn added(meta: &ObjectMeta, finalizer: &str) -> Value {
    let same = json!({ "op": "test", "path": "/metadata/uid", "value": meta.uid });
    match &meta.finalizers {
        Some(others) => json!([
            same,
            { "op": "test", "path": "/metadata/finalizers", "value": others },
            { "op": "add", "path": "/metadata/finalizers/-", "value": finalizer },
        ]),
        None => json!([
            same,
            { "op": "test", "path": "/metadata/finalizers", "value": null },
            { "op": "add", "path": "/metadata/finalizers", "value": [finalizer] },
        ]),
    }
}

/// Returns the patch that removes one finalizer.
pub(super) fn removed(meta: &ObjectMeta, finalizer: &str) -> Value {
    let at = meta
        .finalizers
        .iter()
        .flatten()
        .position(|f| f == finalizer)
        .unwrap_or_default();
    let path = format!("/metadata/finalizers/{at}");
    json!([
        { "op": "test", "path": "/metadata/uid", "value": meta.uid },
        { "op": "test", "path": path, "value": finalizer },
        { "op": "remove", "path": path },
    ])
}

/// Sends such a patch.
pub(super) async fn write<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K, CallError>
where
    K: Clone + Debug + DeserializeOwned,
{
    let patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: apply().field_manager,
        ..PatchParams::default()
    };
    in_time(api.patch(name, &params, &Patch::Json::<()>(patch))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "dockfleet.io/hosts";

    fn with(finalizers: Option<&[&str]>) -> ObjectMeta {
        ObjectMeta {
            uid: Some("u1".to_owned()),
            finalizers: finalizers.map(|all| all.iter().map(|f| (*f).to_owned()).collect()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn the_finalizer_is_added_to_what_is_known() {
        assert_eq!(
            added(&with(None), OURS),
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u1" },
                { "op": "test", "path": "/metadata/finalizers", "value": null },
                { "op": "add", "path": "/metadata/finalizers", "value": ["dockfleet.io/hosts"] },
            ])
        );
        assert_eq!(
            added(&with(Some(&["a.io/b"])), OURS),
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u1" },
                { "op": "test", "path": "/metadata/finalizers", "value": ["a.io/b"] },
                { "op": "add", "path": "/metadata/finalizers/-", "value": "dockfleet.io/hosts" },
            ])
        );
    }

    #[test]
    fn only_our_finalizer_is_removed() {
        assert_eq!(
            removed(&with(Some(&["a.io/b", OURS])), OURS),
            json!([
                { "op": "test", "path": "/metadata/uid", "value": "u1" },
                { "op": "test", "path": "/metadata/finalizers/1", "value": "dockfleet.io/hosts" },
                { "op": "remove", "path": "/metadata/finalizers/1" },
            ])
        );
    }
}
