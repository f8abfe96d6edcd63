//! Whether the managers of a swarm have a majority, and how the swarm goes on if it is lost for good.
//!
//! Only a person can know that the other managers never come back. If they did, they could form a majority of
//! their own: two swarms with one ID. So an annotation names the one manager that goes on alone, no other manager
//! may be there at that moment, and those that come back later leave the swarm before they join again.

use dockfleet_crds::swarm::{Member, NodeRole, Quorum, Recovery, SwarmState};
use dockfleet_crds::{Open, SwarmCluster};

use super::host::Host;
use super::render::{manages, recorded};

/// The annotation that permits one manager to go on without the others. Its value is the name of the host and the ID
/// of the swarm.
const FORCE_NEW_CLUSTER: &str = "dockfleet.io/force-new-cluster";
/// As many as the schema allows.
const MOST_GIVEN_UP: usize = 64;

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
    let recovery = before.recovery.clone();
    // The permission is used once. Another one needs another annotation, or the same one set again.
    let recovery = recovery.filter(|r| annotation == Some(r.permission.as_str()));
    let recovery = match recovery {
        Some(recovery) if recovery.done => Some(recovery),
        Some(recovery) => go_on(recovery, id, hosts, &mut state.given_up),
        None => None,
    };
    state.recovery = recovery.or_else(|| {
        let permission = annotation.filter(|_| quorum == Quorum::Lost && !cluster.spec.suspend)?;
        let host = survivor(cluster, id, permission, before, hosts).ok()?;
        let others = managers(before).filter(|m| m.host != host.name);
        Some(Recovery {
            host: host.name.to_owned(),
            permission: permission.to_owned(),
            done: false,
            given_up: others.filter_map(|m| m.node_id.clone()).collect(),
        })
    });
}

/// Looks whether a recovery that is permitted is done; `None` if the others came back before it was.
fn go_on(
    mut recovery: Recovery,
    id: &str,
    hosts: &[Host<'_>],
    given_up: &mut Vec<String>,
) -> Option<Recovery> {
    let is_alone = |h: &&Host<'_>| h.name == recovery.host;
    if hosts
        .iter()
        .any(|h| !is_alone(&h) && (h.manages(id) || h.lacks_quorum()))
    {
        return None;
    }
    let Some(host) = hosts.iter().find(is_alone).filter(|h| h.manages(id)) else {
        return Some(recovery);
    };
    let nodes = &host.detail.nodes;
    let is_back = |id: &String| {
        let status = nodes.get(id).and_then(Open::known);
        status.is_some_and(|s| s.is_manager() && s.is_reachable())
    };
    if recovery.given_up.iter().any(is_back) {
        return None;
    }
    // It reports the nodes as soon as it is the writer.
    if !nodes.is_empty() {
        recovery.done = true;
        given_up.append(&mut recovery.given_up);
    }
    Some(recovery)
}

/// Drops the nodes whose hosts have left or joined again. A host that is not here may come back as the node that it was.
pub(super) fn forget_given_up(before: &SwarmState, hosts: &[Host<'_>], state: &mut SwarmState) {
    let is_over = |id: &String| {
        let was = before
            .members
            .iter()
            .find(|m| m.node_id.as_ref() == Some(id));
        let host = was.and_then(|m| hosts.iter().find(|h| h.name == m.host));
        host.is_some_and(|h| h.node().as_ref() != Some(id))
    };
    state.given_up.retain(|id| !is_over(id));
    state.given_up.sort_unstable();
    state.given_up.dedup();
    state.given_up.truncate(MOST_GIVEN_UP);
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
    let permitted = permission(cluster).map(|p| survivor(cluster, id, p, before, hosts));
    if let Some(Err(why)) = permitted {
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
    // Only a manager has an address, also one that is to be demoted or to leave.
    let is_one = |m: &&Member| manages(m) || m.role == NodeRole::Manager || m.address.is_some();
    state.members.iter().filter(is_one)
}

/// Returns the host that a permission names, or why the swarm cannot go on with it alone.
fn survivor<'h, 'a>(
    cluster: &SwarmCluster,
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
    if cluster.spec.auto_lock == Some(true) {
        // moby#36852: the engine loses the swarm, and nothing is left to unlock.
        return Err("autoLock is true, and an engine that locks cannot go on alone".to_owned());
    }
    let is_manager = |h: &Host<'_>| managers(before).any(|m| m.host == h.name);
    let there = |h: &&Host<'_>| {
        let reports = h.lacks_quorum() || h.manages(id);
        h.name != name && (reports || (is_manager(h) && h.is_online() && !h.is_free()))
    };
    // One that is in no swarm any more cannot form a majority.
    if let Some(other) = hosts.iter().find(there) {
        return Err(format!(
            "host {0} can be reached and is a manager too; start more managers, or run `docker swarm leave \
             --force` on {0} first",
            other.name
        ));
    }
    Ok(host)
}
