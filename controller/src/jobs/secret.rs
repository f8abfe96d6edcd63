//! Reads a Secret that resources name.
//!
//! By its name, so that the right to read can be given for just that one.

use dockfleet_planner::credentials::Credentials;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{JobContext, JobResult, Learned, in_time};
use crate::error::CallError;
use crate::index::SecretReading;
use crate::lanes::LaneKey;
use crate::object::Name;

/// Reads a Secret. That it is not there, or may not be read, is what there is to know of it.
pub(crate) async fn read_secret(ctx: JobContext, name: Name) -> JobResult {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &name.namespace);
    let (reading, failed) = match in_time(api.get_opt(&name.name)).await {
        // Nothing but the credentials goes any further.
        Ok(Some(secret)) => {
            let meta = &secret.metadata;
            let uid = meta.uid.as_deref().unwrap_or_default();
            let version = meta.resource_version.as_deref().unwrap_or_default();
            (
                SecretReading::found(uid, version, Credentials::of(&secret)),
                None,
            )
        }
        Ok(None) => (SecretReading::Missing, None),
        Err(CallError::Refused(status)) if status.is_forbidden() => {
            let why = "the controller has no right to get it; a Role beside it gives the right";
            (SecretReading::Unreadable(why.to_owned()), None)
        }
        Err(err) => (SecretReading::Unreadable(err.to_string()), Some(err)),
    };
    JobResult {
        key: LaneKey::Secret(name.clone()),
        learned: vec![Learned::Secret { name, reading }],
        failed,
    }
}
