//! Warnings for the author of a SwarmCluster: what is accepted and is probably not what the author wants.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::SwarmCluster;
use dockfleet_crds::swarm::SwarmState;
use ipnet::IpNet;

use super::events::first;
use super::host::Host;
use super::{address, preflight};

/// From where an engine takes the subnets of overlay networks (swarmkit, `ipamapi`).
const DEFAULT_POOL: &str = "10.0.0.0/8";

/// Returns the warnings.
pub(super) fn warnings(
    cluster: &SwarmCluster,
    state: &SwarmState,
    hosts: &[Host<'_>],
) -> Vec<String> {
    let stays: Vec<&Host<'_>> = hosts.iter().filter(|h| !h.retires && !h.foreign).collect();
    let all = [
        too_few_managers(cluster, hosts),
        other_cluster_id(cluster, state),
        preflight::warning(state),
        preflight::untried(state, hosts),
        unknown_hosts(cluster, hosts),
        different_mtus(cluster, &stays),
        // Later they cannot be changed.
        overlapping_pools(cluster, &stays).filter(|_| state.cluster_id.is_none()),
    ];
    all.into_iter().flatten().collect()
}

fn too_few_managers(cluster: &SwarmCluster, hosts: &[Host<'_>]) -> Option<String> {
    let count = hosts.iter().filter(|h| h.eligible && !h.retires).count();
    let wanted = cluster.spec.managers.count;
    let are_missing = usize::try_from(wanted).is_ok_and(|wanted| count < wanted);
    are_missing
        .then(|| format!("managers.count is {wanted}, and {count} of the hosts can be managers"))
}

fn other_cluster_id(cluster: &SwarmCluster, state: &SwarmState) -> Option<String> {
    let given = cluster.spec.adopt_cluster_id.as_ref()?;
    let id = state.cluster_id.as_ref().filter(|id| *id != given)?;
    Some(format!(
        "adoptClusterID is {given}, and the swarm of this resource is {id}; it is not changed"
    ))
}

fn unknown_hosts(cluster: &SwarmCluster, hosts: &[Host<'_>]) -> Option<String> {
    let overrides = &cluster.spec.host_overrides;
    let named = overrides.iter().flat_map(|o| &o.host_names);
    let unknown: BTreeSet<&str> = named
        .map(|name| name.rsplit('/').next().unwrap_or(name))
        .filter(|name| !hosts.iter().any(|h| h.name == *name))
        .collect();
    let unknown: Vec<&str> = unknown.into_iter().collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "hostOverrides names hosts that are not in this SwarmCluster: {}",
            unknown.join(", ")
        )
    })
}

/// Containers on hosts with large packets would send packets that hosts with small ones cannot receive.
fn different_mtus(cluster: &SwarmCluster, hosts: &[&Host<'_>]) -> Option<String> {
    let mut by_mtu: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for host in hosts {
        if let Some(mtu) = address::mtu(cluster, host.report.host) {
            by_mtu.entry(mtu).or_default().push(host.name);
        }
    }
    let (smallest, _) = by_mtu.first_key_value()?;
    let each = by_mtu
        .iter()
        .map(|(mtu, names)| format!("{mtu} on {}", first(names)));
    let each: Vec<String> = each.collect();
    (each.len() > 1).then(|| {
        format!(
            "the hosts have different packet sizes (MTU): {}; set overlay.mtu of the networks to {smallest}",
            each.join(", ")
        )
    })
}

/// Containers in a network from a pool would not reach addresses that the network has too.
fn overlapping_pools(cluster: &SwarmCluster, hosts: &[&Host<'_>]) -> Option<String> {
    let given = &cluster.spec.default_address_pools;
    let pools = given.iter().map(String::as_str);
    let default = given.is_empty().then_some(DEFAULT_POOL);
    let pools: Vec<IpNet> = pools
        .chain(default)
        .filter_map(|p| p.parse().ok())
        .collect();
    let overlap = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
    let mut found: BTreeMap<(IpNet, IpNet), Vec<&str>> = BTreeMap::new();
    for host in hosts {
        for subnet in address::subnets(host.report.host) {
            for pool in pools.iter().filter(|pool| overlap(pool, &subnet)) {
                found.entry((*pool, subnet)).or_default().push(host.name);
            }
        }
    }
    let ((pool, subnet), names) = found.first_key_value()?;
    Some(format!(
        "networks without ipam get their subnets from {pool}, which overlaps with {subnet} of {}; set \
         defaultAddressPools before the swarm is created, or ipam of each network",
        first(names)
    ))
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::DockerHost;

    use super::*;
    use crate::aggregate::HostView;
    use crate::fixtures::networked_host;
    use crate::kinds::swarm::host::hosts;
    use crate::resource::HostReport;

    fn told(cluster: &SwarmCluster, all: &[DockerHost]) -> Vec<String> {
        let report = |host| HostReport {
            host,
            view: HostView {
                host: "",
                entry: None,
                status: None,
                refused: None,
                offline: false,
            },
            swarm: None,
        };
        let reports: Vec<HostReport<'_>> = all.iter().map(report).collect();
        let state = SwarmState::default();
        warnings(cluster, &state, &hosts(cluster, &state, &reports))
    }

    #[test]
    fn different_packet_sizes_are_told_with_the_smallest() {
        let mut cluster = SwarmCluster::default();
        cluster.spec.advertise_address = Some("192.168.0.0/16".to_owned());
        let host = |name: &str, address: &str, mtu| networked_host(name, "eth0", address, mtu);
        let same = [
            host("h1", "192.168.0.1/24", 1500),
            host("h2", "192.168.0.2/24", 1500),
        ];
        assert_eq!(told(&cluster, &same), Vec::<String>::new());
        let other = [
            host("h1", "192.168.0.1/24", 1500),
            host("h2", "192.168.0.2/24", 1450),
            host("h3", "192.168.0.3/24", 1500),
            // It is not reached by this one.
            host("h4", "172.16.0.4/24", 1400),
        ];
        assert_eq!(
            told(&cluster, &other),
            [
                "the hosts have different packet sizes (MTU): 1450 on h2, 1500 on h1, h3; set overlay.mtu of the \
                 networks to 1450"
            ]
        );
    }

    #[test]
    fn pools_that_overlap_with_a_network_of_hosts_are_told() {
        let mut cluster = SwarmCluster::default();
        let hosts = ["h1", "h2", "h3", "h4"];
        let hosts = hosts.map(|name| networked_host(name, "eth0", "10.1.2.3/16", 1500));
        assert_eq!(
            told(&cluster, &hosts),
            [
                "networks without ipam get their subnets from 10.0.0.0/8, which overlaps with 10.1.0.0/16 of h1, \
                 h2, h3 and 1 more; set defaultAddressPools before the swarm is created, or ipam of each network"
            ]
        );
        cluster.spec.default_address_pools = vec!["172.20.0.0/14".to_owned()];
        assert_eq!(told(&cluster, &hosts), Vec::<String>::new());
        // The network of the hosts is the larger one.
        cluster.spec.default_address_pools = vec!["10.1.128.0/20".to_owned()];
        assert_eq!(told(&cluster, &hosts).len(), 1);
    }
}
