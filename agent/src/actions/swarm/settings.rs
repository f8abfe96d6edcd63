//! The settings of a swarm itself.

use bollard::models::{ClusterInfo, ObjectVersion};
use dockfleet_planner::kinds::swarm::{SwarmSettings, TOKEN_EPOCH};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::engine::{Engine, EngineCall, EngineError};

/// Nanoseconds in an hour.
const HOUR: i64 = 3_600_000_000_000;

/// Returns the settings of a swarm.
pub(super) fn observed(cluster: &ClusterInfo) -> SwarmSettings {
    let spec = cluster.spec.as_ref();
    let label = spec.and_then(|s| s.labels.as_ref()?.get(TOKEN_EPOCH));
    let expiry = spec.and_then(|s| s.ca_config.as_ref()?.node_cert_expiry);
    let locks = spec.and_then(|s| s.encryption_config.as_ref()?.auto_lock_managers);
    SwarmSettings {
        auto_lock: Some(locks == Some(true)),
        certificate_expiry_hours: expiry.map(|nanoseconds| nanoseconds / HOUR),
        token_epoch: label.and_then(|epoch| epoch.parse().ok()),
    }
}

/// A swarm, as its engine shows it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShownSwarm {
    version: ObjectVersion,
    spec: Map<String, Value>,
}

/// Changes those settings that are set. The engine takes the whole spec, so it is changed as it was read: fields that
/// this version does not know stay.
pub(super) async fn change(
    engine: &Engine,
    call: EngineCall<'_>,
    settings: &SwarmSettings,
) -> Result<(), EngineError> {
    let shown = engine.get(call, "/swarm").await?;
    // The error's text would quote the answer, which has the join tokens.
    let shown: Option<ShownSwarm> = serde_json::from_str(&shown).ok();
    let (version, mut spec) = shown
        .and_then(|s| Some((s.version.index?, s.spec)))
        .ok_or_else(|| EngineError::Refused("the spec of the swarm cannot be read".to_owned()))?;
    let mut path = format!("/swarm/update?version={version}");
    if let Some(locks) = settings.auto_lock {
        put(
            &mut spec,
            "EncryptionConfig",
            "AutoLockManagers",
            json!(locks),
        );
    }
    if let Some(hours) = settings.certificate_expiry_hours {
        let expiry = json!(hours.saturating_mul(HOUR));
        put(&mut spec, "CAConfig", "NodeCertExpiry", expiry);
    }
    if let Some(epoch) = settings.token_epoch {
        // In one call with the rotation, so that it is not done twice.
        put(&mut spec, "Labels", TOKEN_EPOCH, json!(epoch.to_string()));
        path.push_str("&rotateWorkerToken=true&rotateManagerToken=true");
    }
    engine.post(call, &path, &Value::Object(spec)).await
}

fn put(spec: &mut Map<String, Value>, field: &str, key: &str, value: Value) {
    match spec.entry(field).or_insert(Value::Null) {
        Value::Object(fields) => drop(fields.insert(key.to_owned(), value)),
        other => *other = json!({ key: value }),
    }
}
