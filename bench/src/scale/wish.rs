//! What the fleet is asked for: hosts in namespaces, and resources that select every host.

use anyhow::Result;
use dockfleet_crds::{DEFAULT_FLEET_NAMESPACE, DockerHost, DockerNetwork, DockerVolume};
use serde_json::{Value, json};

/// The namespace of the resources.
pub(crate) const APPS: &str = "apps";
/// Most hosts of one namespace.
pub(crate) const PER_NAMESPACE: u32 = 500;
/// The network that is edited.
pub(crate) const EDITED: &str = "net-000";

/// A namespace of hosts, and which of them are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The namespace.
    pub(crate) namespace: String,
    /// Number of its first host.
    pub(crate) first: u32,
    /// How many hosts.
    pub(crate) count: u32,
}

/// Spreads hosts over namespaces, the first of which is the one that is there by default.
pub(crate) fn sites(hosts: u32) -> Vec<Site> {
    (0..hosts.div_ceil(PER_NAMESPACE))
        .map(|number| {
            let first = number * PER_NAMESPACE;
            let namespace = match number {
                0 => DEFAULT_FLEET_NAMESPACE.to_owned(),
                _ => format!("{DEFAULT_FLEET_NAMESPACE}-{number}"),
            };
            let count = PER_NAMESPACE.min(hosts - first);
            Site {
                namespace,
                first,
                count,
            }
        })
        .collect()
}

/// Gives the name of a host.
pub(crate) fn host_name(number: u32) -> String {
    format!("host-{number:05}")
}

/// Gives a namespace; one of hosts says so.
pub(crate) fn namespace(name: &str, hosts: bool) -> Value {
    let labels = if hosts {
        json!({"dockfleet.io/hosts": "true"})
    } else {
        json!({})
    };
    json!({"metadata": {"name": name, "labels": labels}})
}

/// Gives a host.
pub(crate) fn host(site: &Site, number: u32) -> Result<DockerHost> {
    Ok(serde_json::from_value(json!({
        "metadata": {
            "name": host_name(number),
            "namespace": site.namespace,
            "labels": {"site": site.namespace, "rack": format!("r{:02}", number % 40)},
        },
        "spec": {"allowedNamespaces": {"from": "All"}},
    }))?)
}

/// Gives the networks among so many entries of each host: the larger half.
pub(crate) fn networks(entries: u32) -> Result<Vec<DockerNetwork>> {
    (0..entries.div_ceil(2)).map(network).collect()
}

fn network(number: u32) -> Result<DockerNetwork> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": format!("net-{number:03}"), "namespace": APPS},
        "spec": {
            "hostSelector": {},
            "ipam": {"config": [{"subnet": format!("10.{number}.0.0/24")}]},
            "labels": {"app": format!("app-{number:03}"), "edit": "0"},
            "updatePolicy": "WhenUnused",
        },
    }))?)
}

/// Gives the volumes among so many entries of each host.
pub(crate) fn volumes(entries: u32) -> Result<Vec<DockerVolume>> {
    (0..entries / 2).map(volume).collect()
}

fn volume(number: u32) -> Result<DockerVolume> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": format!("vol-{number:03}"), "namespace": APPS},
        "spec": {
            "hostSelector": {},
            "labels": {"app": format!("app-{number:03}"), "tier": "data"},
        },
    }))?)
}

/// Gives the edit that reaches every host: each has to replace a network.
pub(crate) fn edit(round: u32) -> Value {
    json!({"spec": {"labels": {"edit": round.to_string()}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_in_one_namespace() {
        let sites = sites(1200);
        let namespaces: Vec<&str> = sites.iter().map(|s| s.namespace.as_str()).collect();
        assert_eq!(
            namespaces,
            ["dockfleet-hosts", "dockfleet-hosts-1", "dockfleet-hosts-2"]
        );
        let spans: Vec<(u32, u32)> = sites.iter().map(|s| (s.first, s.count)).collect();
        assert_eq!(spans, [(0, 500), (500, 500), (1000, 200)]);
    }

    #[test]
    fn a_host_has_as_many_entries_as_asked_for() {
        for entries in [1, 2, 7, 20] {
            let all = networks(entries).unwrap().len() + volumes(entries).unwrap().len();
            assert_eq!(u32::try_from(all).unwrap(), entries);
        }
    }
}
