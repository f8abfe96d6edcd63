//! The calls to an engine for pruning: volumes and networks of whoever created them, by their identity.

use std::convert::Infallible;

use bollard::models::{ContainerSummary, Network, Volume};
use dockfleet_crds::PrunePolicy;
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::ObservedObject as _;
use dockfleet_planner::kinds::prune::{DesiredPrune, Identity, NoIdentity, PrunableObject};

use super::{EngineObject, network, volume};
use crate::effect::Effects;
use crate::engine::map::from_engine;
use crate::engine::{Engine, EngineError};

/// The scope of an object that is on one engine only.
const LOCAL: &str = "local";

impl EngineObject for PrunePolicy {
    async fn list(engine: &Engine) -> Result<(Vec<PrunableObject>, Vec<String>), EngineError> {
        let (volumes, warnings) = volume::volumes(engine).await?;
        let networks = network::networks(engine).await?;
        let volumes = volumes.into_iter().map(of_volume);
        let all = volumes.chain(networks.into_iter().map(of_network));
        Ok((all.collect(), warnings))
    }

    async fn create(
        _: &Engine,
        desired: &DesiredPrune,
        _: Option<&Credentials>,
    ) -> Result<(), EngineError> {
        Err(EngineError::Refused(format!(
            "PrunePolicy {} has no object of its own",
            desired.name
        )))
    }

    async fn remove(engine: &Engine, id: &str, name: &str) -> Result<(), EngineError> {
        match identity(id)? {
            Identity::Volume { .. } => dockfleet_crds::DockerVolume::remove(engine, id, name).await,
            Identity::Network { id } => {
                dockfleet_crds::DockerNetwork::remove(engine, &id, name).await
            }
        }
    }

    /// Volumes are removed by name, and another volume may have the name now.
    async fn is_still(engine: &Engine, id: &str, name: &str) -> Result<bool, EngineError> {
        match identity(id)? {
            Identity::Volume { .. } => {
                let found = volume::named(engine, name).await?;
                Ok(found.is_some_and(|found| of_volume(found).id() == id))
            }
            Identity::Network { .. } => Ok(true),
        }
    }

    /// It has no object that could change.
    async fn update(
        _: &Engine,
        _: &Effects,
        _: &str,
        change: &Infallible,
    ) -> Result<(), EngineError> {
        match *change {}
    }

    fn is_used_by(container: &ContainerSummary, id: &str, name: &str) -> bool {
        match id.parse() {
            Ok(Identity::Volume { .. }) => volume::is_used_by(container, name),
            Ok(Identity::Network { id }) => {
                network::is_used_by(container, &id, name)
                    || network::is_configured_in(container, &id, name)
            }
            // What is not understood counts as used.
            Err(NoIdentity) => true,
        }
    }
}

fn identity(id: &str) -> Result<Identity, EngineError> {
    id.parse()
        .map_err(|err: NoIdentity| EngineError::Refused(format!("{id}: {err}")))
}

/// Returns the volume with an identity as it is now; `None` for a network.
pub(crate) async fn volume_to_prune(
    engine: &Engine,
    id: &str,
    name: &str,
) -> Result<Option<PrunableObject>, EngineError> {
    match identity(id)? {
        Identity::Network { .. } => Ok(None),
        Identity::Volume { .. } => {
            let found = volume::named(engine, name).await?.map(of_volume);
            let same = found.filter(|found| found.id() == id);
            let gone = || EngineError::NotFound(format!("volume {name}"));
            same.map(Some).ok_or_else(gone)
        }
    }
}

fn of_volume(shown: Volume) -> PrunableObject {
    let created = shown.created_at.unwrap_or_default();
    PrunableObject {
        identity: Identity::Volume {
            name: shown.name.clone(),
            created: created.clone(),
        },
        name: shown.name,
        driver: shown.driver,
        labels: from_engine(Some(shown.labels)),
        is_local: shown.scope.is_none_or(|scope| scope.as_ref() == LOCAL),
        serves_others: shown.cluster_volume.is_some(),
        has_options: !shown.options.is_empty(),
        created,
        mountpoint: shown.mountpoint,
    }
}

fn of_network(shown: Network) -> PrunableObject {
    let is_set = |flag: Option<bool>| flag.unwrap_or_default();
    PrunableObject {
        identity: Identity::Network {
            id: shown.id.unwrap_or_default(),
        },
        name: shown.name.unwrap_or_default(),
        driver: shown.driver.unwrap_or_default(),
        labels: from_engine(shown.labels),
        is_local: shown.scope.is_none_or(|scope| scope == LOCAL),
        serves_others: is_set(shown.ingress) || is_set(shown.config_only),
        has_options: false,
        created: shown.created.unwrap_or_default(),
        mountpoint: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn uses(container: Value, id: &str, name: &str) -> bool {
        let container = serde_json::from_value(container).unwrap();
        PrunePolicy::is_used_by(&container, id, name)
    }

    #[test]
    fn a_container_needs_its_volumes_and_networks_also_those_it_left() {
        let network = format!("network/{ID}");
        let mounts = json!({"Mounts": [{"Type": "volume", "Name": "data"}]});
        assert!(uses(mounts.clone(), "volume/now/data", "data"));
        assert!(!uses(mounts.clone(), "volume/now/other", "other"));
        assert!(!uses(mounts, &network, "data"));
        // It was created and never started.
        let created = json!({"NetworkSettings": {"Networks": {"lab": {"NetworkID": ""}}}});
        assert!(uses(created, &network, "lab"));
        let moved = json!({
            "HostConfig": {"NetworkMode": "lab"},
            "NetworkSettings": {"Networks": {"other": {"NetworkID": "ffff"}}}
        });
        assert!(uses(moved.clone(), &network, "lab"));
        assert!(!uses(moved, &network, "lab-2"));
    }

    #[test]
    fn a_volume_is_another_one_if_it_was_created_at_another_time() {
        let volume = |created: &str| {
            let shown = json!({
                "Name": "data", "Driver": "local", "Mountpoint": "/v/data/_data", "CreatedAt": created,
                "Labels": null, "Options": null, "Scope": "local"
            });
            of_volume(serde_json::from_value(shown).unwrap())
        };
        let first = volume("2026-01-01T00:00:00Z");
        assert!(first.is_local && !first.has_options && !first.serves_others);
        assert_ne!(first.id(), volume("2026-01-01T00:00:01Z").id());
    }
}
