//! Whether the managers of a swarm have a majority, and how the swarm goes on if it is lost for good.
//!
//! Only a person can know that the other managers never come back. If they did, they could form a majority of
//! their own: two swarms with one ID. So an annotation names the one manager that goes on alone, no other manager
//! may be there at that moment, and those that come back later leave the swarm before they join again.

use std::collections::BTreeSet;

use dockfleet_crds::SwarmCluster;
use dockfleet_crds::swarm::{Member, NodeRole, Quorum, Recovery, SwarmState};

use super::host::Host;
use super::render::{manages, recorded};

/// The annotation that permits one manager to go on without the others. Its value is the name of the host and the ID
/// of the swarm.
const FORCE_NEW_CLUSTER: &str = "dockfleet.io/force-new-cluster";

/// Works out the quorum and the recovery of a swarm.
pub(super) fn follow(cluster: &SwarmCluster, state: &mut SwarmState, hosts: &[Host<'_>]) {
    let before = recorded(cluster);
    let Some(id) = &state.cluster_id else {
        return;
    };
    let quorum = quorum(id, hosts);
    state.quorum = Some(quorum.into());
    state.given_up.clone_from(&before.given_up);
    let annotation = permission(cluster);
    let mut recovery = before.recovery.clone();
    if let Some(recovery) = &mut recovery {
        let alone = hosts.iter().find(|h| h.name == recovery.host);
        recovery.done |= alone.is_some_and(|h| h.manages(id));
    }
    // The permission is used once. Another one needs another annotation, or the same one set again.
    recovery = recovery.filter(|r| !r.done || annotation == Some(r.permission.as_str()));
    if recovery.is_none()
        && quorum == Quorum::Lost
        && !cluster.spec.suspend
        && let Some(permission) = annotation
        && let Ok(host) = survivor(id, permission, before, hosts)
    {
        let others = managers(before).filter(|m| m.host != host.name);
        state
            .given_up
            .extend(others.filter_map(|m| m.node_id.clone()));
        recovery = Some(Recovery {
            host: host.name.to_owned(),
            permission: permission.to_owned(),
            done: false,
        });
    }
    state.recovery = recovery;
}

/// Drops the nodes that no host is any more.
pub(super) fn forget_given_up(state: &mut SwarmState) {
    let members = state.members.iter();
    let nodes: BTreeSet<&String> = members.filter_map(|m| m.node_id.as_ref()).collect();
    state.given_up.retain(|id| nodes.contains(id));
    state.given_up.sort_unstable();
    state.given_up.dedup();
}

/// Returns what to do about a lost quorum, in a sentence.
pub(super) fn advice(cluster: &SwarmCluster, state: &SwarmState, hosts: &[Host<'_>]) -> String {
    let id = state.cluster_id.as_deref().unwrap_or_default();
    let before = recorded(cluster);
    let lost = "the managers of the swarm have lost their quorum, so the swarm cannot be changed";
    if let Some(recovery) = state.recovery.as_ref().filter(|r| !r.done) {
        return format!("{lost}; host {} goes on alone", recovery.host);
    }
    let alone = hosts
        .iter()
        .find(|h| h.lacks_quorum())
        .map_or("", |h| h.name);
    if let Some(Err(why)) = permission(cluster).map(|p| survivor(id, p, before, hosts)) {
        return format!("{lost}; the annotation {FORCE_NEW_CLUSTER} permits nothing: {why}");
    }
    let away: Vec<&str> = managers(before)
        .map(|m| m.host.as_str())
        .filter(|name| !hosts.iter().any(|h| h.name == *name && h.lacks_quorum()))
        .collect();
    format!(
        "{lost}; start the other managers again ({}); only if they are lost for good, the annotation \
         {FORCE_NEW_CLUSTER}={alone}/{id} makes the swarm go on with {alone} as its only manager",
        away.join(", ")
    )
}

fn permission(cluster: &SwarmCluster) -> Option<&str> {
    let annotations = cluster.metadata.annotations.as_ref()?;
    annotations.get(FORCE_NEW_CLUSTER).map(String::as_str)
}

/// Returns whether a majority is known to be there or to be lost.
fn quorum(id: &str, hosts: &[Host<'_>]) -> Quorum {
    let mut online = hosts.iter().filter(|h| h.is_online());
    if online.clone().any(|h| h.manages(id)) {
        Quorum::Available
    } else if online.any(Host::lacks_quorum) {
        Quorum::Lost
    } else {
        Quorum::Unknown
    }
}

/// Returns the hosts that are managers, or are to be, as far as recorded.
fn managers(state: &SwarmState) -> impl Iterator<Item = &Member> {
    let is_one = |m: &&Member| manages(m) || m.role == NodeRole::Manager;
    state.members.iter().filter(is_one)
}

/// Returns the host that a permission names, or why the swarm cannot go on with it alone.
fn survivor<'h, 'a>(
    id: &str,
    permission: &str,
    before: &SwarmState,
    hosts: &'h [Host<'a>],
) -> Result<&'h Host<'a>, String> {
    let Some((name, swarm)) = permission.split_once('/') else {
        return Err(format!("{permission:?} is not HOST/CLUSTERID"));
    };
    if swarm != id {
        return Err(format!("it names swarm {swarm}, and this is swarm {id}"));
    }
    let host = hosts.iter().find(|h| h.name == name && h.lacks_quorum());
    let Some(host) = host else {
        return Err(format!("{name} is not a manager that can be reached"));
    };
    let others = managers(before).filter(|m| m.host != name);
    for other in others {
        // One that is in no swarm any more cannot form a majority.
        let there = hosts.iter().find(|h| h.name == other.host);
        if there.is_some_and(|h| h.is_online() && !h.is_free()) {
            return Err(format!(
                "host {0} can be reached and is a manager too; start more managers, or run `docker swarm leave \
                 --force` on {0} first",
                other.host
            ));
        }
    }
    Ok(host)
}
