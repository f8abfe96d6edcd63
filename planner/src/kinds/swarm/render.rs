//! Renders a host's membership from the recorded state of its swarm.

use dockfleet_crds::swarm::{Member, MemberState, Quorum, SwarmHostOverride, SwarmState};
use dockfleet_crds::{DockerHost, SwarmCluster};

use super::{
    DesiredMembership, DesiredNode, Init, MEMBERSHIP, Start, SwarmMembership, SwarmSettings,
    Writer, address, preflight,
};
use crate::desired::Behaviour;
use crate::kinds::ObjectKind as _;
use crate::resource::Resource;
use crate::select::is_meant;

static NONE: SwarmState = SwarmState {
    cluster_id: None,
    bootstrap: None,
    writer: None,
    managers: 0,
    workers: 0,
    quorum: None,
    engine_versions: None,
    token_rotation: None,
    token_epoch: 0,
    recovery: None,
    given_up: Vec::new(),
    members: Vec::new(),
    removed_nodes: Vec::new(),
};

/// Returns the recorded state of a swarm.
pub(super) fn recorded(cluster: &SwarmCluster) -> &SwarmState {
    cluster.status.as_ref().map_or(&NONE, |s| &s.swarm)
}

pub(super) fn name(host: &DockerHost) -> &str {
    host.metadata.name.as_deref().unwrap_or_default()
}

fn member<'a>(state: &'a SwarmState, host: &DockerHost) -> Option<&'a Member> {
    state.members.iter().find(|m| m.host == name(host))
}

/// Whether a host is to join, may do so, and has no node ID yet.
fn is_joining(member: &Member) -> bool {
    member.state == MemberState::Joining
        && member.node_id.is_none()
        && member.preflight.as_ref().is_none_or(|p| p.passed)
}

/// Whether a host is a manager.
pub(super) fn manages(member: &Member) -> bool {
    match member.state.known() {
        Some(MemberState::Manager | MemberState::Leader) => true,
        Some(
            MemberState::Absent
            | MemberState::Joining
            | MemberState::Worker
            | MemberState::Unreachable
            | MemberState::Foreign
            | MemberState::Leaving,
        )
        | None => false,
    }
}

/// Whether the managers have lost their majority, as far as recorded.
pub(super) fn has_lost_quorum(state: &SwarmState) -> bool {
    state.quorum.as_ref().is_some_and(|q| *q == Quorum::Lost)
}

/// Returns the address of the manager through which hosts join. An engine that tries it while the managers have no
/// majority does so in the background for ever.
fn way_in(state: &SwarmState) -> Option<&str> {
    state.cluster_id.as_ref()?;
    if has_lost_quorum(state) {
        return None;
    }
    let writer = state.writer.as_ref()?;
    let member = state.members.iter().find(|m| m.host == *writer)?;
    member.address.as_deref()
}

/// Returns the name of the Secret with the join token, that of the writer's host, while a host needs it.
pub(super) fn token_secret(cluster: &SwarmCluster) -> Option<&str> {
    let state = recorded(cluster);
    way_in(state)?;
    let needed = !cluster.spec.suspend && state.members.iter().any(is_joining);
    state.writer.as_deref().filter(|_| needed)
}

/// Whether a host needs the join token.
pub(super) fn needs_token(cluster: &SwarmCluster, host: &DockerHost) -> bool {
    let joins = member(recorded(cluster), host).is_some_and(is_joining);
    joins && token_secret(cluster).is_some()
}

/// Returns the hosts that a manager lists.
pub(super) fn memberships(cluster: &SwarmCluster) -> Vec<(String, SwarmMembership)> {
    let state = recorded(cluster);
    let Some(id) = &state.cluster_id else {
        return Vec::new();
    };
    let resource: &dyn Resource = cluster;
    let of = |m: &Member| {
        let is_manager = match m.state.known()? {
            MemberState::Manager | MemberState::Leader => true,
            MemberState::Worker | MemberState::Unreachable | MemberState::Leaving => false,
            MemberState::Absent | MemberState::Joining | MemberState::Foreign => return None,
        };
        let cluster = id.clone();
        let membership = SwarmMembership {
            resource: format!("{}/{}", resource.namespace(), resource.name()),
            cluster,
            is_manager,
        };
        Some((m.host.clone(), membership))
    };
    state.members.iter().filter_map(of).collect()
}

/// Whether a host is the writer of a swarm that all hosts leave, while others are still to leave: it demotes them
/// and leaves last. Or it is the only manager, and the swarm would end with it.
pub(super) fn is_needed_on(cluster: &SwarmCluster, host: &DockerHost) -> bool {
    let state = recorded(cluster);
    let ends = cluster.metadata.deletion_timestamp.is_some();
    let writes = state.writer.as_deref() == Some(name(host));
    let mut others = state.members.iter().filter(|m| m.host != name(host));
    let is_last = || !others.clone().any(manages);
    writes && (ends || is_last()) && others.next().is_some()
}

/// Whether a host that has left may be forgotten: it is recorded that it leaves, so that its node is removed, or that it
/// is no member.
pub(super) fn may_forget_on(cluster: &SwarmCluster, host: &DockerHost) -> bool {
    let member = member(recorded(cluster), host);
    member.is_none_or(|m| match m.state.known() {
        Some(MemberState::Leaving) | None => true,
        Some(
            MemberState::Absent
            | MemberState::Joining
            | MemberState::Worker
            | MemberState::Manager
            | MemberState::Leader
            | MemberState::Unreachable
            | MemberState::Foreign,
        ) => false,
    })
}

/// Returns the node ID of a host that a manager lists.
pub(super) fn confirmed_node(cluster: &SwarmCluster, host: &DockerHost) -> Option<String> {
    let member = member(recorded(cluster), host)?;
    match member.state.known()? {
        MemberState::Worker
        | MemberState::Manager
        | MemberState::Leader
        | MemberState::Unreachable => member.node_id.clone(),
        MemberState::Absent
        | MemberState::Joining
        | MemberState::Foreign
        | MemberState::Leaving => None,
    }
}

/// Renders the membership of a host, with the version of the join token that it needs.
pub(super) fn membership(
    cluster: &SwarmCluster,
    host: &DockerHost,
    credentials: Option<&str>,
) -> DesiredMembership {
    let state = recorded(cluster);
    let writes = state.writer.as_deref() == Some(name(host));
    let spec = &cluster.spec;
    DesiredMembership {
        name: MEMBERSHIP.to_owned(),
        cluster: state.cluster_id.clone(),
        adopts: spec.adopt_cluster_id.is_some() && spec.adopt_cluster_id == state.cluster_id,
        start: start(
            cluster,
            host,
            credentials.is_some() && needs_token(cluster, host),
        ),
        advertise_address: address::for_engine(address::advertised(cluster, host), host),
        data_path_address: address::for_engine(address::data_path(cluster, host), host),
        preflight: preflight::render(cluster, host),
        goes_on_alone: recovers(state, host),
        given_up: given_up(state, host),
        keeps_unlock_key: spec.auto_lock == Some(true) && member(state, host).is_some_and(manages),
        writer: writes.then(|| writer(cluster)),
        credentials: credentials.map(str::to_owned),
        labels: std::collections::BTreeMap::new(),
        policy: Behaviour::of(cluster.spec.policies(), SwarmCluster::DEFAULT_DELETION),
    }
}

/// Returns how a host becomes a member, if it may now. Invariant 14: only the host that the status names creates
/// the swarm, and only as long as no cluster ID is recorded.
fn start(cluster: &SwarmCluster, host: &DockerHost, has_token: bool) -> Option<Start> {
    let state = recorded(cluster);
    let bootstrap = state.bootstrap.as_ref();
    match (&state.cluster_id, bootstrap) {
        (None, Some(bootstrap)) if bootstrap.host == name(host) => Some(Start::Init(Init {
            attempt: bootstrap.attempt.clone(),
            default_address_pools: cluster.spec.default_address_pools.clone(),
            subnet_size: cluster.spec.subnet_size,
            data_path_port: cluster.spec.data_path_port,
        })),
        (Some(_), _) if has_token => Some(Start::Join(way_in(state)?.to_owned())),
        (None | Some(_), _) => None,
    }
}

/// Returns the override that applies to a host: the first one that names or selects it.
pub(super) fn special<'a>(
    cluster: &'a SwarmCluster,
    host: &DockerHost,
) -> Option<&'a SwarmHostOverride> {
    let mut all = cluster.spec.host_overrides.iter();
    all.find(|o| is_meant(&o.host_names, o.host_selector.as_ref(), host))
}

/// Whether a host is permitted to go on without the other managers.
fn recovers(state: &SwarmState, host: &DockerHost) -> bool {
    let recovery = state.recovery.as_ref().filter(|_| has_lost_quorum(state));
    recovery.is_some_and(|r| !r.done && r.host == name(host))
}

/// Returns the node ID of a host, if the swarm has gone on without it.
fn given_up(state: &SwarmState, host: &DockerHost) -> Option<String> {
    let node = member(state, host)?.node_id.as_ref()?;
    state.given_up.contains(node).then(|| node.clone())
}

/// Returns what the writer changes.
fn writer(cluster: &SwarmCluster) -> Writer {
    let state = recorded(cluster);
    let listed = state.members.iter().filter(|m| match m.state.known() {
        Some(
            MemberState::Worker
            | MemberState::Manager
            | MemberState::Leader
            | MemberState::Unreachable
            | MemberState::Leaving,
        ) => true,
        Some(MemberState::Absent | MemberState::Joining | MemberState::Foreign) | None => false,
    });
    let node = |m: &Member| -> Option<(String, DesiredNode)> {
        let node = DesiredNode {
            role: m.role.clone(),
            availability: m.availability.clone(),
            labels: m.node_labels.clone(),
            leaves: m.state == MemberState::Leaving,
        };
        Some((m.node_id.clone()?, node))
    };
    let hours = cluster.spec.certificate_expiry.as_deref();
    Writer {
        settings: SwarmSettings {
            auto_lock: cluster.spec.auto_lock,
            certificate_expiry_hours: hours.and_then(|h| h.trim_end_matches('h').parse().ok()),
            token_epoch: Some(state.token_epoch).filter(|epoch| *epoch > 0),
        },
        nodes: listed.filter_map(node).collect(),
        removed: state.removed_nodes.clone(),
        shares_token: token_secret(cluster).is_some(),
    }
}
