//! Writes credentials into the own Secret of a host.

use std::collections::BTreeMap;

use dockfleet_planner::credentials::CredentialEntry;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use tracing::info;

use super::{JobContext, JobResult, Learned, in_time};
use crate::index::Delivery;
use crate::lanes::LaneKey;
use crate::object::Name;

/// The name under which the credentials in a Secret are owned; the rest of it is another's.
const FIELD_MANAGER: &str = "dockfleet-controller-credentials";

/// Writes what is to be written. The Secret is never made here: a host whose Secret is gone has lost
/// its access, and that is to stay so until it is given anew.
pub(crate) async fn deliver(ctx: JobContext, host: Name, delivery: Delivery) -> JobResult {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &host.namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(patch(&delivery));
    let answer = in_time(api.patch(&host.name, &params, &patch)).await;
    let key = LaneKey::Delivery(host.clone());
    match answer {
        Ok(secret) => {
            let (put, taken) = (delivery.put.len(), delivery.take.len());
            info!(put, taken, "credentials handed over");
            let had = versions(&secret);
            let learned = vec![Learned::Delivered { host, had }];
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

/// A merge touches what it names and nothing else, and can be repeated.
fn patch(delivery: &Delivery) -> Value {
    let put = delivery.put.iter().map(|(uid, parcel)| {
        let packed = ByteString(parcel.packed());
        (
            uid.clone(),
            serde_json::to_value(packed).unwrap_or_default(),
        )
    });
    let take = delivery.take.iter().map(|uid| (uid.clone(), Value::Null));
    let data: Map<String, Value> = put.chain(take).collect();
    json!({ "data": data })
}

/// Returns the versions of the credentials that a Secret has.
fn versions(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.filter_map(|(uid, bytes)| {
        Some((uid.clone(), CredentialEntry::unpacked(&bytes.0)?.version))
    })
    .collect()
}
