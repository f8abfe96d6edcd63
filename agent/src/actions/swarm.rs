//! The calls to an engine for its membership in a swarm.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    LocalNodeState, Node as ListedNode, NodeSpecRoleEnum, NodeState, Reachability, SwarmInfo,
    SwarmInitRequest, SwarmJoinRequest, SwarmSpec, TaskSpec,
};
use bollard::query_parameters::{
    LeaveSwarmOptionsBuilder, ListNodesOptions, ListServicesOptions, ListTasksOptionsBuilder,
    UpdateNodeOptionsBuilder,
};
use dockfleet_crds::SwarmCluster;
use dockfleet_crds::swarm::NodeRole;
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::ObjectKind as _;
use dockfleet_planner::kinds::swarm::{
    DRIVER, DesiredMembership, Init, Node, NodeChange, NodeStatus, ObservedMembership, Start,
};

use super::EngineObject;
use crate::engine::map::{from_engine, to_engine};
use crate::engine::{Engine, EngineCall, EngineError, usage};

/// All addresses of the host; the port is that of Docker.
const LISTEN: &str = "0.0.0.0:2377";

impl EngineObject for SwarmCluster {
    async fn list(engine: &Engine) -> Result<(Vec<ObservedMembership>, Vec<String>), EngineError> {
        let swarm = info(engine).await?;
        let state = swarm.local_node_state.unwrap_or(LocalNodeState::EMPTY);
        match state {
            LocalNodeState::INACTIVE | LocalNodeState::EMPTY => Ok((Vec::new(), Vec::new())),
            LocalNodeState::ACTIVE => {
                let nodes = match swarm.cluster {
                    Some(_) => nodes(engine).await?,
                    None => Vec::new(),
                };
                Ok((vec![observed(swarm, &nodes)], Vec::new()))
            }
            // The engine is a member, or becomes one, and does not say more.
            LocalNodeState::PENDING | LocalNodeState::ERROR | LocalNodeState::LOCKED => {
                let why = swarm.error.filter(|e| !e.is_empty());
                let why = why.map_or(String::new(), |why| format!(", {why}"));
                let warning = format!("list {DRIVER}: the node is in state {state}{why}");
                Ok((Vec::new(), vec![warning]))
            }
        }
    }

    async fn create(
        engine: &Engine,
        desired: &DesiredMembership,
        credentials: Option<&Credentials>,
    ) -> Result<(), EngineError> {
        let call = EngineCall::Create(Self::KIND, &desired.name);
        match (&desired.start, credentials) {
            (Some(Start::Init(init)), _) => {
                let answer = engine.docker().init_swarm(init_request(desired, init));
                engine.change(call, answer).await.map(drop)
            }
            (Some(Start::Join(address)), Some(token)) => {
                let answer = engine
                    .docker()
                    .join_swarm(join_request(desired, address, token));
                let joined = engine.change(call, answer).await;
                joined.map_err(|err| err.without(credentials))
            }
            // The planner waits for both.
            (Some(Start::Join(_)), None) | (None, _) => {
                Err(EngineError::Refused("the join token is missing".to_owned()))
            }
        }
    }

    /// Leaves the swarm. The engine would stop the containers of services, and disconnect the others from the
    /// networks of the swarm.
    async fn remove(engine: &Engine, _id: &str, name: &str) -> Result<(), EngineError> {
        let users = attached_containers(engine).await?;
        if !users.is_empty() {
            return Err(EngineError::InUse(users));
        }
        let force = match leaving(engine).await? {
            Leaving::Worker => false,
            Leaving::LastNode => true,
            Leaving::Manager => {
                let why = "this node is a manager; it leaves after another manager has demoted it";
                return Err(EngineError::Busy(why.to_owned()));
            }
        };
        let options = LeaveSwarmOptionsBuilder::default().force(force).build();
        let answer = engine.docker().leave_swarm(Some(options));
        engine
            .change(EngineCall::Remove(Self::KIND, name), answer)
            .await
    }

    /// An engine leaves whatever swarm it is in.
    async fn is_still(engine: &Engine, id: &str, _name: &str) -> Result<bool, EngineError> {
        Ok(info(engine).await?.node_id.as_deref() == Some(id))
    }

    /// Containers use networks of the swarm, and not the membership: [`EngineObject::remove`] looks for them.
    fn is_used_by(_: &bollard::models::ContainerSummary, _id: &str, _name: &str) -> bool {
        false
    }

    async fn update(engine: &Engine, name: &str, change: &NodeChange) -> Result<(), EngineError> {
        let call = EngineCall::Update(Self::KIND, name);
        match change {
            NodeChange::SetRole { node, role } => set_role(engine, call, node, *role).await,
            NodeChange::Remove { node } => {
                let answer = engine.docker().delete_node(Engine::plain(node)?, None);
                engine.change(call, answer).await
            }
        }
    }
}

/// Returns the services on a network of the swarm, and the containers of other nodes that belong to no service.
pub(super) async fn network_users(engine: &Engine, id: &str) -> Result<Vec<String>, EngineError> {
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

/// Returns what the engine says about its swarm.
async fn info(engine: &Engine) -> Result<SwarmInfo, EngineError> {
    let call = EngineCall::List(SwarmCluster::KIND);
    let info = engine.read(call, engine.docker().info()).await?;
    Ok(info.swarm.unwrap_or_default())
}

async fn nodes(engine: &Engine) -> Result<Vec<ListedNode>, EngineError> {
    let list = engine.docker().list_nodes(None::<ListNodesOptions>);
    engine
        .read(EngineCall::List(SwarmCluster::KIND), list)
        .await
}

/// Sets the role of a node. The engine takes the whole spec of a node, in the version that it was read in.
async fn set_role(
    engine: &Engine,
    call: EngineCall<'_>,
    node: &str,
    role: NodeRole,
) -> Result<(), EngineError> {
    let inspect = engine.docker().inspect_node(Engine::plain(node)?);
    let found = engine.read(call, inspect).await?;
    let mut spec = found.spec.unwrap_or_default();
    let role = match role {
        NodeRole::Worker => NodeSpecRoleEnum::WORKER,
        NodeRole::Manager => NodeSpecRoleEnum::MANAGER,
    };
    // The swarm takes some time until the node has the role.
    if spec.role.replace(role) == Some(role) {
        return Ok(());
    }
    let version = found.version.and_then(|v| v.index).unwrap_or_default();
    let options = UpdateNodeOptionsBuilder::default()
        .version(i64::try_from(version).unwrap_or(i64::MAX))
        .build();
    let answer = engine.docker().update_node(node, spec, options);
    engine.change(call, answer).await
}

/// Returns the names of the containers, running or stopped, on networks of the swarm, in order. Those of services
/// do not count: the managers start others elsewhere.
async fn attached_containers(engine: &Engine) -> Result<Vec<String>, EngineError> {
    let swarm_networks = super::network::swarm_networks(engine).await?;
    let containers = engine.containers().await?;
    let is_attached = |c: &&bollard::models::ContainerSummary| {
        let of_a_service = c
            .labels
            .as_ref()
            .is_some_and(|l| l.contains_key("com.docker.swarm.service.id"));
        !of_a_service
            && swarm_networks
                .iter()
                .any(|(id, name)| super::network::is_used_by(c, id, name))
    };
    let mut names: Vec<String> = containers
        .iter()
        .filter(is_attached)
        .map(usage::container_name)
        .collect();
    names.sort();
    Ok(names)
}

/// How a node can leave its swarm.
enum Leaving {
    /// As it is.
    Worker,
    /// By force: no other node is left, and the swarm ends.
    LastNode,
    /// Not before it is a worker.
    Manager,
}

async fn leaving(engine: &Engine) -> Result<Leaving, EngineError> {
    let swarm = info(engine).await?;
    if swarm.control_available != Some(true) {
        return Ok(Leaving::Worker);
    }
    let nodes = nodes(engine).await?;
    let mut others = nodes.iter().filter(|n| n.id != swarm.node_id);
    Ok(if others.all(|n| status(n) == NodeStatus::DownWorker) {
        Leaving::LastNode
    } else {
        Leaving::Manager
    })
}

fn init_request(want: &DesiredMembership, init: &Init) -> SwarmInitRequest {
    let pools = &init.default_address_pools;
    let unsigned = |value: Option<i32>| value.and_then(|v| u32::try_from(v).ok());
    SwarmInitRequest {
        listen_addr: Some(LISTEN.to_owned()),
        advertise_addr: want.advertise_address.clone(),
        data_path_port: unsigned(init.data_path_port),
        default_addr_pool: (!pools.is_empty()).then(|| pools.clone()),
        subnet_size: unsigned(init.subnet_size),
        spec: Some(SwarmSpec {
            labels: to_engine(&want.labels),
            ..SwarmSpec::default()
        }),
        ..SwarmInitRequest::default()
    }
}

/// Returns the request to join. The addresses are needed when the node becomes a manager.
fn join_request(want: &DesiredMembership, address: &str, token: &Credentials) -> SwarmJoinRequest {
    SwarmJoinRequest {
        listen_addr: Some(LISTEN.to_owned()),
        advertise_addr: want.advertise_address.clone(),
        // An engine tries only the first one.
        remote_addrs: Some(vec![address.to_owned()]),
        join_token: Some(token.secret().to_owned()),
        ..SwarmJoinRequest::default()
    }
}

fn observed(shown: SwarmInfo, nodes: &[ListedNode]) -> ObservedMembership {
    let node = shown.node_id.unwrap_or_default();
    let peers = shown.remote_managers.unwrap_or_default();
    let own = peers
        .into_iter()
        .find(|p| p.node_id.as_ref() == Some(&node));
    let cluster = shown.cluster;
    let labels = cluster
        .as_ref()
        .and_then(|c| c.spec.as_ref()?.labels.clone());
    let mut listed: Vec<Node> = nodes
        .iter()
        .filter_map(|n| {
            Some(Node {
                id: n.id.clone()?,
                status: status(n),
            })
        })
        .collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    ObservedMembership {
        node,
        address: own.and_then(|p| p.addr).filter(|_| cluster.is_some()),
        labels: from_engine(labels),
        cluster: cluster.and_then(|c| c.id),
        nodes: listed,
    }
}

fn status(node: &ListedNode) -> NodeStatus {
    let ready = node.status.as_ref().and_then(|s| s.state) == Some(NodeState::READY);
    match &node.manager_status {
        Some(manager) if manager.leader == Some(true) => NodeStatus::Leader,
        Some(manager) if ready && manager.reachability == Some(Reachability::REACHABLE) => {
            NodeStatus::Manager
        }
        Some(_) => NodeStatus::UnreachableManager,
        None if ready => NodeStatus::Worker,
        None => NodeStatus::DownWorker,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(value: serde_json::Value) -> ListedNode {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_status_of_a_node_is_that_of_its_manager_and_its_state() {
        let manager = |leader: bool, reachability: &str, state: &str| {
            status(&listed(json!({
                "Status": {"State": state},
                "ManagerStatus": {"Leader": leader, "Reachability": reachability},
            })))
        };
        let worker = |state: &str| status(&listed(json!({"Status": {"State": state}})));
        assert_eq!(manager(true, "reachable", "ready"), NodeStatus::Leader);
        assert_eq!(manager(false, "reachable", "ready"), NodeStatus::Manager);
        assert_eq!(
            manager(false, "unreachable", "down"),
            NodeStatus::UnreachableManager
        );
        assert_eq!(
            manager(false, "reachable", "down"),
            NodeStatus::UnreachableManager
        );
        assert_eq!(worker("ready"), NodeStatus::Worker);
        assert_eq!(worker("down"), NodeStatus::DownWorker);
        assert_eq!(worker("unknown"), NodeStatus::DownWorker);
    }

    #[test]
    fn only_a_manager_has_an_address_and_a_cluster() {
        let info = |cluster: serde_json::Value| -> SwarmInfo {
            serde_json::from_value(json!({
                "NodeID": "n1",
                "RemoteManagers": [
                    {"NodeID": "n0", "Addr": "10.0.0.1:2377"},
                    {"NodeID": "n1", "Addr": "10.0.0.2:2377"},
                ],
                "Cluster": cluster,
            }))
            .unwrap()
        };
        let manager = json!({"ID": "c1", "Spec": {"Labels": {"io.dockfleet.uid": "u"}}});
        let seen = observed(info(manager), &[]);
        assert_eq!(seen.cluster.as_deref(), Some("c1"));
        assert_eq!(seen.address.as_deref(), Some("10.0.0.2:2377"));
        assert_eq!(
            seen.labels.get("io.dockfleet.uid").map(String::as_str),
            Some("u")
        );
        let seen = observed(info(serde_json::Value::Null), &[]);
        assert_eq!(
            (seen.node.as_str(), seen.cluster, seen.address),
            ("n1", None, None)
        );
    }
}
