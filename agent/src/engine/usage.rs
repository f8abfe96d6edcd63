//! Which containers use an object, running or stopped.
//!
//! The engine's own filters do not tell: that for networks overlooks containers that were made and
//! never started, because those know the network by name only.

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;
use dockfleet_crds::assignment::Kind;

use super::error::Call;
use super::{Engine, EngineError};

/// A shorter beginning of an ID is more likely a name.
const SHORT_ID: usize = 12;

impl Engine {
    /// Returns the names of the containers that use an object, running or stopped, in order.
    pub async fn users(
        &self,
        kind: Kind,
        id: &str,
        name: &str,
    ) -> Result<Vec<String>, EngineError> {
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let answer = self.docker.list_containers(Some(all));
        let containers = self
            .count(Call::List("containers"), self.timeouts.read, answer)
            .await?;
        let uses = |c: &&ContainerSummary| match kind {
            Kind::DockerNetwork => uses_network(c, id, name),
            Kind::DockerVolume => uses_volume(c, name),
        };
        let mut names: Vec<String> = containers.iter().filter(uses).map(name_of).collect();
        names.sort();
        Ok(names)
    }
}

fn uses_network(container: &ContainerSummary, id: &str, name: &str) -> bool {
    let names_it =
        |text: &str| text == name || text == id || (text.len() >= SHORT_ID && id.starts_with(text));
    let mode = container
        .host_config
        .as_ref()
        .and_then(|h| h.network_mode.as_deref());
    let networks = container
        .network_settings
        .as_ref()
        .and_then(|s| s.networks.as_ref());
    match networks.filter(|n| !n.is_empty()) {
        // Disconnected from everything, it still has this network for its own: Engine 29 does not
        // connect it to another one when that is gone.
        None => mode.is_some_and(names_it),
        Some(networks) => networks.iter().any(|(key, endpoint)| {
            match endpoint.network_id.as_deref().filter(|id| !id.is_empty()) {
                // Of several networks of one name, only the one with this ID.
                Some(network) => network == id,
                None => names_it(key),
            }
        }),
    }
}

fn uses_volume(container: &ContainerSummary, name: &str) -> bool {
    container
        .mounts
        .iter()
        .flatten()
        .any(|mount| mount.name.as_deref() == Some(name))
}

fn name_of(container: &ContainerSummary) -> String {
    let names = container
        .names
        .iter()
        .flatten()
        .map(|n| n.trim_start_matches('/'));
    // A link shows as a name with a slash inside.
    let own = names.filter(|n| !n.contains('/')).min();
    let id = || {
        container
            .id
            .as_deref()
            .unwrap_or("unknown")
            .chars()
            .take(SHORT_ID)
            .collect()
    };
    own.map_or_else(id, str::to_owned)
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerSummary;
    use serde_json::{Value, json};

    use super::{name_of, uses_network, uses_volume};

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn container(value: Value) -> ContainerSummary {
        serde_json::from_value(value).unwrap()
    }

    fn on_network(key: &str, id: &str) -> ContainerSummary {
        container(json!({"NetworkSettings": {"Networks": {key: {"NetworkID": id}}}}))
    }

    #[test]
    fn a_container_that_was_never_started_knows_a_network_by_name() {
        assert!(uses_network(&on_network("lab", ""), ID, "lab"));
        assert!(uses_network(&on_network("lab", ID), ID, "lab"));
        assert!(uses_network(
            &container(json!({"HostConfig": {"NetworkMode": "lab"}})),
            ID,
            "lab"
        ));
        let short = json!({"HostConfig": {"NetworkMode": "0123456789ab"}});
        assert!(uses_network(&container(short), ID, "lab"));
    }

    #[test]
    fn a_container_that_went_to_another_network_does_not_count() {
        let moved = json!({
            "HostConfig": {"NetworkMode": "lab"},
            "NetworkSettings": {"Networks": {"other": {"NetworkID": "ffff"}}}
        });
        assert!(!uses_network(&container(moved), ID, "lab"));
    }

    #[test]
    fn a_container_on_another_network_of_the_same_name_does_not_count() {
        assert!(!uses_network(&on_network("lab", "ffff"), ID, "lab"));
        assert!(!uses_network(&on_network("other", ""), ID, "lab"));
        assert!(!uses_network(&on_network("01", ""), ID, "lab"));
    }

    #[test]
    fn a_mount_names_its_volume() {
        let mounts = container(json!({"Mounts": [{"Type": "volume", "Name": "data"}]}));
        assert!(uses_volume(&mounts, "data"));
        assert!(!uses_volume(&mounts, "other"));
    }

    #[test]
    fn a_container_is_called_by_its_own_name() {
        assert_eq!(
            name_of(&container(json!({"Names": ["/other/web", "/web"]}))),
            "web"
        );
        assert_eq!(name_of(&container(json!({"Id": ID}))), "0123456789ab");
    }
}
