//! Reads a Secret that resources name.
//!
//! It is read by name, so that the right can be granted for that Secret only.

use dockfleet_planner::credentials::{CredentialEntry, Credentials, JOIN_TOKEN_KEY, SecretForm};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use super::{JobContext, JobResult, Learned, in_time};
use crate::error::CallError;
use crate::index::SecretReading;
use crate::lanes::LaneKey;
use crate::object::Name;

/// Reads a Secret. A missing or forbidden Secret is a result and not a failure.
pub(crate) async fn read_secret(ctx: JobContext, name: Name, form: SecretForm) -> JobResult {
    let api: Api<Secret> = Api::namespaced(ctx.client.clone(), &name.namespace);
    let (reading, failed) = match in_time(api.get_opt(&name.name)).await {
        // Only the credentials are passed on.
        Ok(Some(secret)) => {
            let meta = &secret.metadata;
            let uid = meta.uid.as_deref().unwrap_or_default();
            let version = meta.resource_version.as_deref().unwrap_or_default();
            let reading = match form {
                SecretForm::Mount => SecretReading::found(uid, version, Credentials::of(&secret)),
                SecretForm::Repository => {
                    SecretReading::found(uid, version, Credentials::of_repository(&secret))
                }
                SecretForm::JoinToken => CredentialEntry::of_host(&secret, JOIN_TOKEN_KEY)
                    .map_or(SecretReading::NoToken, SecretReading::Token),
            };
            (reading, None)
        }
        Ok(None) => (SecretReading::Missing, None),
        Err(CallError::Refused(status)) if status.is_forbidden() => {
            let why =
                "the controller has no right to get it; grant that with a Role in its namespace";
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
