//! The calls to an engine for its membership in a swarm.

mod node;
mod settings;
mod users;

use std::time::Duration;

use bollard::models::{
    ContainerSummary, LocalNodeState, Node as ListedNode, NodeSpecAvailabilityEnum,
    NodeSpecRoleEnum, NodeState, Reachability, SwarmInfo, SwarmInitRequest, SwarmJoinRequest,
    SwarmSpec,
};
use bollard::query_parameters::{LeaveSwarmOptionsBuilder, ListNodesOptions};
use dockfleet_crds::SwarmCluster;
use dockfleet_crds::swarm::{Availability, NodeRole};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::ObjectKind as _;
use dockfleet_planner::kinds::swarm::{
    DRIVER, DesiredMembership, Init, Node, NodeStatus, ObservedMembership, Start, SwarmChange,
};
use tokio::net::TcpStream;

use super::EngineObject;
use crate::effect::Effects;
use crate::engine::map::{from_engine, to_engine};
use crate::engine::{Engine, EngineCall, EngineError};
use crate::interfaces;

pub(super) use users::network_users;

/// All addresses of the host; the port is that of Docker.
const LISTEN: &str = "0.0.0.0:2377";
/// How long a manager may take to accept a connection.
const REACH: Duration = Duration::from_secs(5);

impl EngineObject for SwarmCluster {
    async fn list(engine: &Engine) -> Result<(Vec<ObservedMembership>, Vec<String>), EngineError> {
        let swarm = info(engine).await?;
        let state = swarm.local_node_state.unwrap_or(LocalNodeState::EMPTY);
        match state {
            LocalNodeState::INACTIVE | LocalNodeState::EMPTY => Ok((Vec::new(), Vec::new())),
            LocalNodeState::ACTIVE => {
                let nodes = if cluster_id(&swarm).is_some() {
                    nodes(engine).await?
                } else {
                    Vec::new()
                };
                let address = swarm.node_addr.as_ref().and_then(|a| a.parse().ok());
                let lost_address = address.filter(|_| engine.shares_network());
                let lost_address = lost_address.and_then(interfaces::lost);
                let seen = ObservedMembership {
                    lost_address,
                    ..observed(swarm, &nodes)
                };
                Ok((vec![seen], Vec::new()))
            }
            LocalNodeState::PENDING | LocalNodeState::ERROR | LocalNodeState::LOCKED => {
                let why = swarm.error.as_deref().filter(|e| !e.is_empty());
                let why = why.map_or(String::new(), |why| format!(", {why}"));
                let unsettled = format!("the node is in state {state}{why}");
                let has_node = swarm.node_id.as_ref().is_some_and(|id| !id.is_empty());
                if !has_node && state != LocalNodeState::ERROR {
                    // It is still trying to join.
                    return Ok((Vec::new(), vec![format!("list {DRIVER}: {unsettled}")]));
                }
                let seen = observed(swarm, &[]);
                let unsettled = Some(unsettled).filter(|_| !seen.lacks_quorum);
                Ok((vec![ObservedMembership { unsettled, ..seen }], Vec::new()))
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
                let created = engine.change(call, answer).await.map(drop);
                created.map_err(|err| with_addresses(err, desired))
            }
            (Some(Start::Join(address)), Some(token)) => {
                if engine.is_local() {
                    reach(address).await?;
                }
                let answer = engine
                    .docker()
                    .join_swarm(join_request(desired, address, token));
                let joined = engine.change(call, answer).await;
                joined.map_err(|err| with_addresses(err.without(credentials), desired))
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
        let containers = users::swarm_containers(engine).await?;
        if !containers.attached.is_empty() {
            return Err(EngineError::InUse(containers.attached));
        }
        let force = match leaving(engine).await? {
            // The writer has drained the node, so they end here when others run elsewhere.
            Leaving::Worker if !containers.of_services.is_empty() => {
                return Err(EngineError::InUse(containers.of_services));
            }
            Leaving::Worker => false,
            Leaving::LastNode => true,
            Leaving::Manager => {
                let why = "this node is a manager; it leaves after another manager has demoted it";
                return Err(EngineError::Busy(why.to_owned()));
            }
        };
        leave(engine, EngineCall::Remove(Self::KIND, name), force).await
    }

    /// An engine leaves whatever swarm it is in.
    async fn is_still(engine: &Engine, id: &str, _name: &str) -> Result<bool, EngineError> {
        Ok(info(engine).await?.node_id.unwrap_or_default() == id)
    }

    /// Containers use networks of the swarm, and not the membership: [`EngineObject::remove`] looks for them.
    fn is_used_by(_: &ContainerSummary, _id: &str, _name: &str) -> bool {
        false
    }

    async fn update(
        engine: &Engine,
        _: &Effects,
        name: &str,
        change: &SwarmChange,
    ) -> Result<(), EngineError> {
        let call = EngineCall::Update(Self::KIND, name);
        match change {
            SwarmChange::SetRole { node, role } => node::set_role(engine, call, node, *role).await,
            SwarmChange::SetSwarm(settings) => settings::change(engine, call, settings).await,
            SwarmChange::SetNodes(all) => {
                for settings in all {
                    node::set_node(engine, call, settings).await?;
                }
                Ok(())
            }
            SwarmChange::Remove { node } => {
                let answer = engine.docker().delete_node(Engine::plain(node)?, None);
                engine.change(call, answer).await
            }
            SwarmChange::ForceNewCluster { data_path_address } => {
                let address = own_address(engine).await?;
                let request = SwarmInitRequest {
                    listen_addr: Some(LISTEN.to_owned()),
                    advertise_addr: address,
                    data_path_addr: data_path_address.clone(),
                    force_new_cluster: Some(true),
                    ..SwarmInitRequest::default()
                };
                let answer = engine.docker().init_swarm(request);
                engine.change(call, answer).await.map(drop)
            }
            SwarmChange::LeaveByForce => leave(engine, call, true).await,
        }
    }
}

async fn leave(engine: &Engine, call: EngineCall<'_>, force: bool) -> Result<(), EngineError> {
    let options = LeaveSwarmOptionsBuilder::default().force(force).build();
    let answer = engine.docker().leave_swarm(Some(options));
    engine.change(call, answer).await
}

/// Tries to connect to the manager through which the engine is to join. If an engine cannot, it tries again and again
/// in the background, and nobody hears why.
async fn reach(address: &str) -> Result<(), EngineError> {
    let why = match tokio::time::timeout(REACH, TcpStream::connect(address)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(err)) => err.to_string(),
        Err(_) => format!("no answer within {} s", REACH.as_secs()),
    };
    Err(EngineError::Busy(format!(
        "the manager at {address} cannot be reached from this host: {why}; allow 2377/tcp from this host to the manager"
    )))
}

/// Adds the addresses to what the engine says about one of them: it does not say which one it means.
fn with_addresses(err: EngineError, desired: &DesiredMembership) -> EngineError {
    let EngineError::Refused(text) = err else {
        return err;
    };
    if !(text.contains("address") || text.contains("interface")) {
        return EngineError::Refused(text);
    }
    let fields = [
        ("advertiseAddress", &desired.advertise_address),
        ("dataPathAddress", &desired.data_path_address),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(field, value)| Some(format!("; {field} is {}", value.as_ref()?)));
    EngineError::Refused(text + &given.collect::<String>())
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

/// Returns the ID of the engine's swarm, if it is a manager that reaches a majority of the managers.
fn cluster_id(swarm: &SwarmInfo) -> Option<&str> {
    let id = swarm.cluster.as_ref()?.id.as_deref();
    id.filter(|id| !id.is_empty())
}

/// Whether the engine was started as a manager and does not reach enough of the others to elect a leader (swarmkit,
/// `manager/controlapi`: "The swarm does not have a leader").
fn starts_without_leader(swarm: &SwarmInfo) -> bool {
    let peers = swarm.remote_managers.iter().flatten();
    let is_manager = swarm.node_id.is_some() && peers.clone().any(|p| p.node_id == swarm.node_id);
    let error = swarm.error.as_deref().unwrap_or_default();
    swarm.local_node_state == Some(LocalNodeState::PENDING)
        && is_manager
        && error.contains("does not have a leader")
}

/// Returns the address by which the other nodes know this engine.
async fn own_address(engine: &Engine) -> Result<Option<String>, EngineError> {
    let address = info(engine).await?.node_addr;
    Ok(address.filter(|address| !address.is_empty()))
}

/// Whether an engine is a manager that can be locked.
pub(crate) enum LockState {
    /// It is locked.
    Locked,
    /// It is a manager that is not locked.
    Manager,
    /// It does not say now.
    Unknown,
    /// It is a worker.
    Worker,
    /// It is in no swarm.
    Inactive,
}

/// Asks an engine whether it is locked.
pub(crate) async fn lock_state(engine: &Engine) -> Result<LockState, EngineError> {
    let swarm = info(engine).await?;
    Ok(match swarm.local_node_state {
        Some(LocalNodeState::LOCKED) => LockState::Locked,
        Some(LocalNodeState::ACTIVE) if swarm.control_available != Some(true) => LockState::Worker,
        Some(LocalNodeState::ACTIVE) if cluster_id(&swarm).is_some() => LockState::Manager,
        Some(LocalNodeState::INACTIVE) => LockState::Inactive,
        Some(
            LocalNodeState::ACTIVE
            | LocalNodeState::PENDING
            | LocalNodeState::ERROR
            | LocalNodeState::EMPTY,
        )
        | None => LockState::Unknown,
    })
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
        data_path_addr: want.data_path_address.clone(),
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
        data_path_addr: want.data_path_address.clone(),
        // An engine tries only the first one.
        remote_addrs: Some(vec![address.to_owned()]),
        join_token: Some(token.secret().to_owned()),
    }
}

fn observed(shown: SwarmInfo, nodes: &[ListedNode]) -> ObservedMembership {
    let is_manager = shown.control_available == Some(true) || starts_without_leader(&shown);
    let node = shown.node_id.unwrap_or_default();
    let peers = shown.remote_managers.unwrap_or_default();
    let own = peers
        .into_iter()
        .find(|p| p.node_id.as_ref() == Some(&node));
    // A manager without a majority shows a swarm without an ID.
    let cluster = shown
        .cluster
        .filter(|c| c.id.as_deref().is_some_and(|id| !id.is_empty()));
    let lacks_quorum = is_manager && cluster.is_none();
    let labels = cluster
        .as_ref()
        .and_then(|c| c.spec.as_ref()?.labels.clone());
    let mut listed: Vec<Node> = nodes
        .iter()
        .filter_map(|n| {
            let spec = n.spec.as_ref();
            Some(Node {
                id: n.id.clone()?,
                status: status(n),
                role: match spec.and_then(|s| s.role) {
                    Some(NodeSpecRoleEnum::MANAGER) => NodeRole::Manager,
                    Some(NodeSpecRoleEnum::WORKER | NodeSpecRoleEnum::EMPTY) | None => {
                        NodeRole::Worker
                    }
                },
                availability: match spec.and_then(|s| s.availability) {
                    Some(NodeSpecAvailabilityEnum::PAUSE) => Availability::Pause,
                    Some(NodeSpecAvailabilityEnum::DRAIN) => Availability::Drain,
                    Some(NodeSpecAvailabilityEnum::ACTIVE | NodeSpecAvailabilityEnum::EMPTY)
                    | None => Availability::Active,
                },
                labels: from_engine(spec.and_then(|s| s.labels.clone())),
            })
        })
        .collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    let settings = cluster.as_ref().map(settings::observed);
    ObservedMembership {
        settings: settings.unwrap_or_default(),
        node,
        lost_address: None,
        address: own.and_then(|p| p.addr).filter(|_| is_manager),
        labels: from_engine(labels),
        cluster: cluster.and_then(|c| c.id),
        nodes: listed,
        lacks_quorum,
        unsettled: None,
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
    fn a_refused_address_is_named() {
        let desired = DesiredMembership {
            advertise_address: Some("eth9".to_owned()),
            ..DesiredMembership::default()
        };
        let said = |text: &str, desired: &DesiredMembership| {
            with_addresses(EngineError::Refused(text.to_owned()), desired).to_string()
        };
        assert_eq!(
            said("advertise address must be an IP address", &desired),
            "the engine refuses: advertise address must be an IP address; advertiseAddress is eth9"
        );
        let none = DesiredMembership::default();
        for (text, desired) in [("multiple addresses", &none), ("no token", &desired)] {
            assert_eq!(said(text, desired), format!("the engine refuses: {text}"));
        }
    }

    #[test]
    fn only_a_manager_has_an_address_and_a_cluster() {
        let info = |cluster: serde_json::Value| -> SwarmInfo {
            serde_json::from_value(json!({
                "NodeID": "n1",
                "ControlAvailable": !cluster.is_null(),
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
        assert!(!seen.lacks_quorum);
        assert_eq!(
            (seen.node.as_str(), seen.cluster, seen.address),
            ("n1", None, None)
        );
        // A manager without a majority shows a swarm without an ID.
        let seen = observed(info(json!({"ID": ""})), &[]);
        assert!(seen.lacks_quorum);
        assert_eq!(seen.cluster, None);
        // So does one that was started while the others are down.
        let pending = |node: &str| SwarmInfo {
            node_id: Some(node.to_owned()),
            local_node_state: Some(LocalNodeState::PENDING),
            error: Some("The swarm does not have a leader. It's possible that".to_owned()),
            ..info(serde_json::Value::Null)
        };
        assert!(observed(pending("n1"), &[]).lacks_quorum);
        assert!(!observed(pending("worker"), &[]).lacks_quorum);
    }
}
