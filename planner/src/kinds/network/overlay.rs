//! Overlay networks: one network for all hosts of a swarm, created by one manager.
//!
//! The manager that creates the network is recorded in the status before any entry asks a host to create it. The
//! others show the network when a container uses it.

use dockfleet_crds::network::{NetworkDriver, OverlayState};
use dockfleet_crds::{DockerHost, DockerNetwork, Reason};
use serde_json::{Map, Value, json};

use super::SharedNetwork;
use crate::assignment::Refusal;
use crate::kinds::swarm::SwarmMembership;
use crate::resource::HostReport;

/// Whether a network needs a swarm.
pub(super) fn is_overlay(network: &DockerNetwork) -> bool {
    network.spec.driver == NetworkDriver::Overlay
}

/// Returns the recorded state.
pub(super) fn recorded(network: &DockerNetwork) -> Option<&OverlayState> {
    network.status.as_ref()?.overlay.as_ref()
}

/// Returns a state as the fields of a status.
pub(super) fn fields(state: Option<OverlayState>) -> Map<String, Value> {
    let state = state.and_then(|state| serde_json::to_value(state).ok());
    match state.map(|state| json!({"overlay": state})) {
        Some(Value::Object(fields)) => fields,
        Some(_) | None => Map::new(),
    }
}

fn full_name(host: &DockerHost) -> String {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let meta = &host.metadata;
    format!("{}/{}", of(&meta.namespace), of(&meta.name))
}

/// Returns the SwarmCluster that the network names, if it names one.
fn named_swarm(network: &DockerNetwork) -> Option<&str> {
    network.spec.overlay.as_ref()?.swarm.as_deref()
}

/// Whether a swarm is the one that the network names, if it names one.
fn is_in(network: &DockerNetwork, swarm: &SwarmMembership) -> bool {
    named_swarm(network).is_none_or(|named| {
        let name = swarm.resource.rsplit('/').next();
        named == swarm.resource || Some(named) == name
    })
}

/// Works out the state from the hosts: the writer stays as long as it is a manager that can be reached.
pub(super) fn next(network: &DockerNetwork, hosts: &[HostReport<'_>]) -> Option<OverlayState> {
    let before = recorded(network);
    if network.metadata.deletion_timestamp.is_some() {
        // It removes what it has created, and nobody else does.
        return before.cloned();
    }
    let manages = |report: &&HostReport<'_>| {
        let view = &report.view;
        let swarm = report.swarm.filter(|s| s.is_manager && is_in(network, s));
        // A network does not move to another swarm.
        let same = swarm.is_some_and(|s| before.is_none_or(|b| b.cluster_id == s.cluster));
        same && !view.offline && !report.is_retiring()
    };
    let candidates = || hosts.iter().filter(manages);
    let is_writer = |r: &&HostReport<'_>| before.is_some_and(|b| b.writer == full_name(r.host));
    let Some(writer) = candidates().find(is_writer).or_else(|| candidates().next()) else {
        return before.cloned();
    };
    let stays = is_writer(&writer);
    let conflicts = |s: &&dockfleet_crds::EntryStatus| !s.is_because(Reason::Conflict);
    let reported = writer.view.status.filter(conflicts);
    let reported = reported.and_then(|s| s.id.clone()).filter(|_| stays);
    Some(OverlayState {
        writer: full_name(writer.host),
        cluster_id: writer.swarm?.cluster.clone(),
        network_id: reported.or_else(|| before?.network_id.clone()),
    })
}

/// Returns why a host cannot have the network now, if so.
pub(super) fn refusal(
    network: &DockerNetwork,
    called: &str,
    swarm: Option<&SwarmMembership>,
) -> Option<Refusal> {
    if !is_overlay(network) {
        return None;
    }
    let refuse = |message: String| {
        let reason = Reason::NotInSwarm;
        Some(Refusal { reason, message })
    };
    let Some(swarm) = swarm else {
        return refuse(format!(
            "host {called} is not in a swarm of a SwarmCluster, which an overlay network needs"
        ));
    };
    if !is_in(network, swarm) {
        return refuse(format!(
            "host {called} is in the swarm of SwarmCluster {}, and overlay.swarm is {}; correct overlay.swarm, or do not \
             select the host",
            swarm.resource,
            named_swarm(network).unwrap_or_default()
        ));
    }
    match recorded(network) {
        None => refuse(
            "no selected host is a manager of a swarm; a manager has to create the network, so select one"
                .to_owned(),
        ),
        Some(state) if state.cluster_id != swarm.cluster => refuse(format!(
            "host {called} is in swarm {}, and the network is in swarm {}",
            swarm.cluster, state.cluster_id
        )),
        Some(_) => None,
    }
}

/// Whether a tombstone on a host may permit the removal. The network is removed from the whole swarm, so only the
/// writer may, and only if the resource is deleted.
pub(super) fn may_remove_on(network: &DockerNetwork, host: &DockerHost) -> bool {
    if !is_overlay(network) {
        return true;
    }
    let writes = recorded(network).is_some_and(|state| state.writer == full_name(host));
    writes && network.metadata.deletion_timestamp.is_some()
}

/// Returns what a host has to know of a network that another host creates.
pub(super) fn shared(network: &DockerNetwork, host: &DockerHost) -> Option<SharedNetwork> {
    let state = recorded(network).filter(|_| is_overlay(network))?;
    (state.writer != full_name(host)).then(|| SharedNetwork {
        id: state.network_id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::HostView;

    fn network(overlay: &Value) -> DockerNetwork {
        serde_json::from_value(json!({
            "apiVersion": "dockfleet.io/v1alpha1",
            "kind": "DockerNetwork",
            "metadata": {"name": "mesh", "namespace": "default"},
            "spec": {"hostSelector": {}, "driver": "overlay", "overlay": overlay},
        }))
        .unwrap()
    }

    fn manager(resource: &str) -> SwarmMembership {
        SwarmMembership {
            resource: resource.to_owned(),
            cluster: format!("id of {resource}"),
            is_manager: true,
        }
    }

    #[test]
    fn a_network_is_in_the_swarm_that_it_names() {
        let hosts = ["h1", "h2"].map(|name| crate::fixtures::host(name, &[]));
        let swarms = ["fleet/a", "fleet/b"].map(manager);
        let reports: Vec<HostReport<'_>> = hosts
            .iter()
            .zip(&swarms)
            .map(|(host, swarm)| HostReport {
                host,
                view: HostView {
                    host: "",
                    entry: None,
                    status: None,
                    refused: None,
                    offline: false,
                },
                swarm: Some(swarm),
            })
            .collect();
        let chosen = |overlay: &Value| next(&network(overlay), &reports).map(|s| s.cluster_id);
        assert_eq!(chosen(&json!({})).as_deref(), Some("id of fleet/a"));
        for named in ["b", "fleet/b"] {
            let chosen = chosen(&json!({"swarm": named}));
            assert_eq!(chosen.as_deref(), Some("id of fleet/b"), "{named}");
        }
        assert_eq!(chosen(&json!({"swarm": "other/b"})), None);
        let refused = refusal(
            &network(&json!({"swarm": "b"})),
            "h1",
            Some(&manager("fleet/a")),
        );
        let message = refused.unwrap().message;
        assert!(
            message.contains("of SwarmCluster fleet/a, and overlay.swarm is b"),
            "{message}"
        );
    }
}
