//! Works out the state of a swarm from what is recorded of it and what its hosts report.
//!
//! The order of a swarm's life: every host reports that it is in no swarm; one host gets the permission to create
//! the swarm (`bootstrap`); its ID is recorded; the others join as workers; one manager, the writer, gives nodes
//! their roles. Each step is taken only after the one before it is recorded.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::swarm::{
    Availability, Bootstrap, Member, MemberState, NodeRole, Preflight, RemovedHosts, SwarmState,
};
use dockfleet_crds::{Open, SwarmCluster};
use sha2::{Digest, Sha256};

use super::NodeStatus;
use super::events::events;
use super::host::{Host, hosts};
use super::managers::managers;
use super::preflight;
use super::quorum;
use super::render::{has_lost_quorum, recorded, special};
use super::warnings::warnings;
use crate::capability::ApiVersion;
use crate::desired::{fields, hex};
use crate::resource::{HostReport, OwnStatus};

/// The annotation that permits another host to create the swarm, because the host with the permission is lost. Its
/// value is the attempt in the status, so that it does not permit a later one.
const ALLOW_CREATION: &str = "dockfleet.io/allow-swarm-creation";

/// Works out the status of a swarm.
pub(super) fn status(cluster: &SwarmCluster, reports: &[HostReport<'_>]) -> OwnStatus {
    let hosts = hosts(cluster, recorded(cluster), reports);
    let state = next(cluster, &hosts);
    OwnStatus {
        fields: fields(&state),
        events: events(cluster, recorded(cluster), &state),
        waits_for: waits_for(cluster, &state, &hosts),
        warnings: warnings(cluster, &state, &hosts),
        ..OwnStatus::default()
    }
}

/// Returns what all hosts wait for, if so.
fn waits_for(cluster: &SwarmCluster, state: &SwarmState, hosts: &[Host<'_>]) -> Option<String> {
    let offline = |name: &str| {
        let host = hosts.iter().find(|h| h.name == name);
        host.is_none_or(|h| !h.is_online())
    };
    match (&state.cluster_id, &state.bootstrap) {
        (None, None) => {
            let mut selected = hosts.iter().filter(|h| !h.retires && !h.foreign);
            let Some(host) = selected.clone().find(|h| !h.is_free()) else {
                let eligible = selected.any(|h| h.eligible);
                let why = if cluster.spec.managers.host_selector.is_some() {
                    "managers.hostSelector selects no host that can create the swarm"
                } else {
                    "no selected host can create the swarm"
                };
                return if eligible {
                    preflight::waits_for(state)
                } else {
                    Some(why.to_owned())
                };
            };
            Some(format!(
                "the swarm is created when every host has reported that it is in no swarm; {} has not",
                host.name
            ))
        }
        (None, Some(bootstrap)) if offline(&bootstrap.host) => Some(format!(
            "host {0} was chosen to create the swarm and cannot be reached; no other host creates it, unless {0} \
             is lost and the annotation {ALLOW_CREATION}={1} says so",
            bootstrap.host, bootstrap.attempt
        )),
        (Some(_), _) if has_lost_quorum(state) => Some(quorum::advice(cluster, state, hosts)),
        (Some(_), _) if state.writer.as_deref().is_some_and(offline) => {
            Some("no manager of the swarm can be reached".to_owned())
        }
        (None | Some(_), _) => preflight::warning(state),
    }
}

/// Works out the state of a swarm.
fn next(cluster: &SwarmCluster, hosts: &[Host<'_>]) -> SwarmState {
    let before = recorded(cluster);
    let mut state = SwarmState {
        bootstrap: before.bootstrap.clone(),
        cluster_id: before.cluster_id.clone(),
        ..SwarmState::default()
    };
    let ends = cluster.metadata.deletion_timestamp.is_some();
    let mut tried = preflight::of_all(cluster, hosts);
    let given = cluster.spec.adopt_cluster_id.as_ref();
    if cluster.spec.suspend || ends {
        // Nothing new begins.
    } else if state.bootstrap.is_none() && state.cluster_id.is_none() && given.is_some() {
        state.cluster_id = given.cloned();
    } else if state.bootstrap.is_none() && state.cluster_id.is_none() {
        state.bootstrap = bootstrap(cluster, hosts, &tried, None);
    } else if state.cluster_id.is_none() && is_given_up(cluster, before) {
        let another = bootstrap(cluster, hosts, &tried, before.bootstrap.as_ref());
        state.bootstrap = another.or(state.bootstrap);
    }
    if state.cluster_id.is_none() {
        state.cluster_id = created(before, hosts);
    }
    quorum::follow(cluster, &mut state, hosts);
    state.engine_versions = engine_versions(hosts);
    state.writer = writer(before, &state, hosts);
    let nodes = nodes(&state, hosts);
    let managers = managers(cluster, &state, hosts, nodes.as_ref());
    let leave = cluster.spec.removed_hosts == RemovedHosts::Leave;
    state.members = hosts
        .iter()
        .filter(|h| !h.retires || leave)
        // Nobody waits for a host that is offline when the swarm is deleted.
        .filter(|h| !ends || (h.report.view.entry.is_some() && !h.report.view.offline))
        .map(|h| Member {
            preflight: tried.remove(h.name).filter(|_| !h.retires),
            ..member(cluster, h, &state, nodes.as_ref(), &managers)
        })
        .collect();
    quorum::forget_given_up(before, hosts, &mut state);
    state.removed_nodes = removed_nodes(cluster, before, &state, nodes.as_ref());
    let has_left = |id: &String| !before.removed_nodes.contains(id);
    let left = !ends && state.removed_nodes.iter().any(has_left);
    follow_tokens(cluster, before, &mut state, hosts, left);
    if let Some(nodes) = &nodes {
        let reached = nodes.values().filter_map(Open::known);
        for status in reached.filter(|n| n.is_reachable()) {
            if status.is_manager() {
                state.managers += 1;
            } else {
                state.workers += 1;
            }
        }
    } else {
        (state.managers, state.workers) = (before.managers, before.workers);
    }
    state
}

/// Chooses the host that creates the swarm. Every host must have reported that it is in no swarm: one that has
/// not may be in the swarm that this resource created before its status was lost. The first host that may be a manager
/// and has no failure in its preflight is waited for.
fn bootstrap(
    cluster: &SwarmCluster,
    hosts: &[Host<'_>],
    tried: &BTreeMap<&str, Preflight>,
    given_up: Option<&Bootstrap>,
) -> Option<Bootstrap> {
    let is_lost = |h: &&Host<'_>| given_up.is_some_and(|b| b.host == h.name);
    let mut selected = hosts
        .iter()
        .filter(|h| !h.retires && !h.foreign && !is_lost(h));
    if !selected.clone().all(Host::is_free) {
        return None;
    }
    let fails = |h: &Host<'_>| tried.get(h.name).is_some_and(|p| !p.failures.is_empty());
    let host = selected.find(|h| h.eligible && !fails(h))?;
    if tried.get(host.name).is_some_and(|p| !p.passed) {
        return None;
    }
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    let before = given_up.map_or("", |b| &b.attempt);
    let attempt = format!("{uid}\0{}\0{before}", host.name);
    let attempt = hex(&Sha256::digest(attempt), 16);
    Some(Bootstrap {
        host: host.name.to_owned(),
        attempt,
    })
}

/// Whether somebody has permitted that another host creates the swarm.
fn is_given_up(cluster: &SwarmCluster, before: &SwarmState) -> bool {
    let annotations = cluster.metadata.annotations.as_ref();
    let permitted = annotations.and_then(|all| all.get(ALLOW_CREATION));
    before
        .bootstrap
        .as_ref()
        .is_some_and(|b| permitted == Some(&b.attempt))
}

/// Returns the ID of the swarm that the host with the permission has created; or, if the record of the permission
/// was lost, that of the swarm which the engine of a host says was created for this resource.
fn created(before: &SwarmState, hosts: &[Host<'_>]) -> Option<String> {
    let permitted = before.bootstrap.as_ref().map(|b| b.host.as_str());
    let mut created = hosts.iter().filter(|h| {
        !h.foreign && h.detail.cluster.is_some() && permitted.is_none_or(|p| p == h.name)
    });
    created.next()?.detail.cluster.clone()
}

/// Chooses the manager that changes the swarm: the same as before, as long as it is there.
fn writer(before: &SwarmState, state: &SwarmState, hosts: &[Host<'_>]) -> Option<String> {
    let cluster = state.cluster_id.as_ref()?;
    let manages = |h: &&Host<'_>| !h.retires && h.manages(cluster);
    let same = |h: &&Host<'_>| before.writer.as_deref() == Some(h.name);
    let stays = |h: &&Host<'_>| h.before.is_some_and(|m| m.role == NodeRole::Manager);
    let candidates = || hosts.iter().filter(manages);
    let chosen = candidates()
        .find(same)
        .or_else(|| candidates().find(stays))
        .or_else(|| candidates().next());
    // If none can be reached, the last one is still named.
    chosen.map_or_else(|| before.writer.clone(), |h| Some(h.name.to_owned()))
}

/// Returns the nodes that the writer reports; `None` if it has not reported any.
fn nodes(state: &SwarmState, hosts: &[Host<'_>]) -> Option<BTreeMap<String, Open<NodeStatus>>> {
    let writer = state.writer.as_deref()?;
    let host = hosts.iter().find(|h| h.name == writer)?;
    let reported = host.detail.cluster.is_some() && host.detail.cluster == state.cluster_id;
    let nodes = &host.detail.nodes;
    (reported && !nodes.is_empty()).then(|| nodes.clone())
}

/// Counts the rotations of the join tokens: one for each change of the spec, and one whenever hosts have left, which
/// had the token once. A new swarm has new tokens.
fn follow_tokens(
    cluster: &SwarmCluster,
    before: &SwarmState,
    state: &mut SwarmState,
    hosts: &[Host<'_>],
    left: bool,
) {
    let asked = cluster.spec.token_rotation.as_ref();
    state.token_epoch = before.token_epoch;
    state.token_rotation = asked.cloned();
    if before.cluster_id.is_none() {
        return;
    }
    if left || (asked.is_some() && asked != before.token_rotation.as_ref()) {
        // The swarm may have a greater number than is recorded: of before it was taken over, or before the record was
        // lost.
        let reported = hosts.iter().filter_map(|h| h.detail.token_epoch).max();
        state.token_epoch = state.token_epoch.max(reported.unwrap_or_default()) + 1;
    }
}

/// Returns the oldest and the newest engine version of the hosts.
fn engine_versions(hosts: &[Host<'_>]) -> Option<String> {
    let engine = |h: &Host<'_>| {
        let engine = h.report.host.status.as_ref()?.engine.as_ref()?;
        let api: ApiVersion = engine.api_version.parse().ok()?;
        Some((api, engine.version.clone()))
    };
    let all: BTreeSet<(ApiVersion, String)> = hosts.iter().filter_map(engine).collect();
    let ((_, oldest), (_, newest)) = (all.first()?, all.last()?);
    Some(if oldest == newest {
        oldest.clone()
    } else {
        format!("{oldest} to {newest}")
    })
}

/// Returns the availability and the labels that a host's node must have.
fn settings(
    cluster: &SwarmCluster,
    host: &Host<'_>,
) -> (Option<Open<Availability>>, BTreeMap<String, String>) {
    let spec = &cluster.spec;
    let special = special(cluster, host.report.host);
    let availability = special.and_then(|o| o.availability).or(spec.availability);
    let mut labels = spec.node_labels.clone();
    labels.extend(special.into_iter().flat_map(|o| o.node_labels.clone()));
    (availability.map(Open::from), labels)
}

fn member(
    cluster: &SwarmCluster,
    host: &Host<'_>,
    state: &SwarmState,
    nodes: Option<&BTreeMap<String, Open<NodeStatus>>>,
    managers: &BTreeSet<&str>,
) -> Member {
    let node_id = host.node();
    let role = if managers.contains(host.name) {
        NodeRole::Manager
    } else {
        NodeRole::Worker
    };
    let (availability, node_labels) = settings(cluster, host);
    Member {
        host: host.name.to_owned(),
        availability,
        node_labels,
        state: member_state(host, state, node_id.as_ref(), nodes).into(),
        role: role.into(),
        preflight: None,
        address: host
            .detail
            .address
            .clone()
            .filter(|_| !host.foreign)
            .or_else(|| {
                // Without a report the recorded address is the best that is known.
                let before = host.before.filter(|_| host.status.is_none())?;
                before.address.clone()
            }),
        node_id,
    }
}

fn member_state(
    host: &Host<'_>,
    state: &SwarmState,
    node_id: Option<&String>,
    nodes: Option<&BTreeMap<String, Open<NodeStatus>>>,
) -> MemberState {
    if host.retires {
        return MemberState::Leaving;
    }
    if host.foreign {
        return MemberState::Foreign;
    }
    let Some(id) = node_id else {
        return match state.cluster_id {
            Some(_) => MemberState::Joining,
            None => MemberState::Absent,
        };
    };
    let Some(nodes) = nodes else {
        // Nobody says otherwise.
        let same = host.before.filter(|m| m.node_id.as_ref() == Some(id));
        let known = same.and_then(|m| m.state.known());
        return known.unwrap_or(MemberState::Joining);
    };
    match nodes.get(id).map(Open::known) {
        Some(Some(NodeStatus::Leader)) => MemberState::Leader,
        Some(Some(NodeStatus::Manager)) => MemberState::Manager,
        Some(Some(NodeStatus::Worker)) => MemberState::Worker,
        Some(Some(NodeStatus::UnreachableManager | NodeStatus::DownWorker) | None) => {
            MemberState::Unreachable
        }
        None => MemberState::Joining,
    }
}

/// Returns the nodes to be removed: those of hosts that have left, or that have another node ID now, for as long
/// as the writer lists them.
fn removed_nodes(
    cluster: &SwarmCluster,
    before: &SwarmState,
    state: &SwarmState,
    nodes: Option<&BTreeMap<String, Open<NodeStatus>>>,
) -> Vec<String> {
    let current: BTreeSet<&String> = state
        .members
        .iter()
        .filter_map(|m| m.node_id.as_ref())
        .collect();
    let leaves = cluster.spec.removed_hosts == RemovedHosts::Leave;
    let ends = cluster.metadata.deletion_timestamp.is_some();
    let abandoned = before.members.iter().filter(|m| {
        let still = state.members.iter().any(|now| now.host == m.host);
        // A host that was released stays in the swarm, and so does one whose DockerHost is gone: nobody told it to
        // leave.
        still || (leaves && (ends || m.state == MemberState::Leaving))
    });
    let mut removed: BTreeSet<String> = before.removed_nodes.iter().cloned().collect();
    // Two hosts with one node are about to exchange their engines, and one of them has not reported yet.
    let count = state.members.iter().filter(|m| m.node_id.is_some()).count();
    if count == current.len() {
        removed.extend(abandoned.filter_map(|m| m.node_id.clone()));
    }
    removed.retain(|id| !current.contains(id) && nodes.is_none_or(|n| n.contains_key(id)));
    removed.into_iter().collect()
}

#[cfg(test)]
mod tests;
