//! Containers and services that use the networks of a swarm.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, TaskSpec};
use bollard::query_parameters::{ListServicesOptions, ListTasksOptionsBuilder};

use super::nodes;
use crate::actions::network;
use crate::engine::{Engine, EngineCall, EngineError, usage};

/// Returns the services on a network of the swarm, and the containers of other nodes that belong to no service.
pub(in crate::actions) async fn network_users(
    engine: &Engine,
    id: &str,
) -> Result<Vec<String>, EngineError> {
    let call = EngineCall::Containers;
    let is_on = |spec: Option<&TaskSpec>| {
        let networks = spec.and_then(|s| s.networks.as_ref());
        networks.is_some_and(|all| all.iter().any(|n| n.target.as_deref() == Some(id)))
    };
    let services = engine.docker().list_services(None::<ListServicesOptions>);
    let services = engine.read(call, services).await?;
    let services = services.into_iter().filter_map(|s| s.spec);
    let mut users: Vec<String> = services
        .filter(|spec| is_on(spec.task_template.as_ref()))
        .map(|spec| format!("service {}", spec.name.unwrap_or_default()))
        .collect();
    // The engine leaves these tasks out unless they are asked for (moby, `daemon/cluster/tasks.go`).
    let filters = HashMap::from([("runtime", vec!["attachment"])]);
    let options = ListTasksOptionsBuilder::default().filters(&filters).build();
    let tasks = engine
        .read(call, engine.docker().list_tasks(Some(options)))
        .await?;
    let names: BTreeMap<String, String> = nodes(engine)
        .await?
        .into_iter()
        .filter_map(|n| Some((n.id?, n.description?.hostname?)))
        .collect();
    for task in tasks.iter().filter(|t| is_on(t.spec.as_ref())) {
        let attached = task
            .spec
            .as_ref()
            .and_then(|s| s.network_attachment_spec.as_ref()?.container_id.as_deref());
        let container: String = attached
            .unwrap_or_default()
            .chars()
            .take(usage::SHORT_ID)
            .collect();
        let node = task.node_id.as_deref().unwrap_or_default();
        let node = names.get(node).map_or(node, String::as_str);
        users.push(format!("container {container} on node {node}"));
    }
    users.sort();
    Ok(users)
}

/// The containers that a host would lose, or that would lose their network, if it left the swarm: names, in order.
pub(super) struct SwarmContainers {
    /// Those on networks of the swarm that belong to no service, running or stopped.
    pub(super) attached: Vec<String>,
    /// The running ones of services.
    pub(super) of_services: Vec<String>,
}

/// Looks for them.
pub(super) async fn swarm_containers(engine: &Engine) -> Result<SwarmContainers, EngineError> {
    let swarm_networks = network::swarm_networks(engine).await?;
    let containers = engine.containers().await?;
    let of_a_service = |c: &ContainerSummary| {
        let labels = c.labels.as_ref();
        labels.is_some_and(|l| l.contains_key("com.docker.swarm.service.id"))
    };
    let is_attached = |c: &ContainerSummary| {
        let mut networks = swarm_networks.iter();
        networks.any(|(id, name)| network::is_used_by(c, id, name))
    };
    let names = |is_one: &dyn Fn(&ContainerSummary) -> bool| {
        let found = containers.iter().filter(|c| is_one(c));
        let mut names: Vec<String> = found.map(usage::container_name).collect();
        names.sort();
        names
    };
    let runs = |c: &ContainerSummary| c.state == Some(ContainerSummaryStateEnum::RUNNING);
    Ok(SwarmContainers {
        attached: names(&|c| !of_a_service(c) && is_attached(c)),
        of_services: names(&|c| of_a_service(c) && runs(c)),
    })
}
