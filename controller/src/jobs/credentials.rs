//! Writes credentials into the own Secret of a host.

use std::collections::BTreeMap;

use dockfleet_planner::credentials::{CredentialEntry, JOIN_TOKEN_KEY, UNLOCK_KEY_KEY};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use tracing::info;

use super::{JobContext, JobResult, Learned, in_time};
use crate::index::SecretSync;
use crate::lanes::LaneKey;
use crate::object::Name;

/// The field manager of the credentials in a Secret; it owns nothing else there.
const FIELD_MANAGER: &str = "dockfleet-controller-credentials";

/// Writes the changes. The Secret is never created here: a host without its Secret has lost its
/// access, until its identity is created again.
pub(crate) async fn sync_secret(ctx: JobContext, host: Name, sync: SecretSync) -> JobResult {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &host.namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let SecretSync { put, take, look: _ } = &sync;
    let answer = if put.is_empty() && take.is_empty() {
        in_time(api.get(&host.name)).await
    } else {
        let patch = Patch::Merge(patch(&sync));
        in_time(api.patch(&host.name, &params, &patch)).await
    };
    let key = LaneKey::SecretSync(host.clone());
    match answer {
        Ok(secret) => {
            let (put, taken) = (sync.put.len(), sync.take.len());
            if put + taken > 0 {
                info!(put, taken, "credentials written");
            }
            let had = versions(&secret);
            let learned = vec![Learned::SecretSynced { host, had }];
            JobResult {
                key,
                learned,
                failed: None,
            }
        }
        Err(err) => JobResult {
            key,
            learned: Vec::new(),
            failed: Some(err),
        },
    }
}

/// A merge patch changes only the named keys, and can be repeated.
fn patch(sync: &SecretSync) -> Value {
    let put = sync.put.iter().map(|(uid, credentials)| {
        let packed = ByteString(credentials.packed());
        (
            uid.clone(),
            serde_json::to_value(packed).unwrap_or_default(),
        )
    });
    let take = sync.take.iter().map(|uid| (uid.clone(), Value::Null));
    let data: Map<String, Value> = put.chain(take).collect();
    json!({ "data": data })
}

/// Returns the versions of the credentials that a Secret has.
fn versions(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    // The host's agent writes the secrets of a swarm.
    let data = data.filter(|(key, _)| *key != JOIN_TOKEN_KEY && *key != UNLOCK_KEY_KEY);
    data.filter_map(|(uid, bytes)| {
        Some((uid.clone(), CredentialEntry::unpacked(&bytes.0)?.version))
    })
    .collect()
}
