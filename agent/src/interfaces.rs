//! The network interfaces of the machine that this process runs on.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use dockfleet_crds::host::{HostNetwork, Interface};
use if_addrs::{IfAddr, get_if_addrs};

/// As many as the schema allows.
const MOST_INTERFACES: usize = 64;
/// As many as the schema allows, on one interface.
const MOST_ADDRESSES: usize = 16;
/// How the names of interfaces begin that an engine makes (moby, `daemon/libnetwork/drivers`): ends of links to
/// containers, and the interfaces of macvlan, ipvlan and overlay networks.
const OF_DOCKER: [&str; 5] = ["veth", "dm-", "di-", "vx-", "ov-"];

/// Whether an engine has made an interface. It names the bridge of a network by 12 digits of the network's ID.
fn is_of_docker(name: &str) -> bool {
    let is_id = |rest: &str| rest.len() == 12 && rest.chars().all(|c| c.is_ascii_hexdigit());
    matches!(name, "docker0" | "docker_gwbridge")
        || name.strip_prefix("br-").is_some_and(is_id)
        || OF_DOCKER.iter().any(|of| name.starts_with(of))
}

/// Returns the addresses by which other hosts may reach this machine; none if the kernel does not say.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = outward().iter().map(if_addrs::Interface::ip).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns the interfaces that other hosts may reach, one for each address.
fn outward() -> Vec<if_addrs::Interface> {
    let mut all = get_if_addrs().unwrap_or_default();
    all.retain(|i| !i.is_loopback() && !i.is_link_local() && !is_of_docker(&i.name));
    all
}

/// Returns the network of this machine.
pub(crate) fn network() -> HostNetwork {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for interface in outward() {
        let prefix = match &interface.addr {
            IfAddr::V4(address) => address.prefixlen,
            IfAddr::V6(address) => address.prefixlen,
        };
        let address = format!("{}/{prefix}", interface.ip());
        by_name.entry(interface.name).or_default().push(address);
    }
    let interfaces = by_name.into_iter().take(MOST_INTERFACES);
    let interfaces = interfaces.map(|(name, mut addresses)| {
        addresses.sort_unstable();
        addresses.truncate(MOST_ADDRESSES);
        Interface {
            mtu: mtu(&name),
            name,
            addresses,
        }
    });
    HostNetwork {
        interfaces: interfaces.collect(),
        ..HostNetwork::default()
    }
}

fn mtu(interface: &str) -> Option<i32> {
    let text = fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_that_of_this_machine_without_loopback() {
        let known = addresses();
        assert!(!known.iter().any(IpAddr::is_loopback));
        let shown: Vec<String> = network()
            .interfaces
            .into_iter()
            .flat_map(|i| i.addresses)
            .collect();
        for address in known {
            let is_it = |shown: &String| shown.starts_with(&format!("{address}/"));
            assert!(shown.iter().any(is_it), "{address} in {shown:?}");
        }
    }

    #[test]
    fn interfaces_that_an_engine_makes_are_left_out() {
        for name in [
            "docker0",
            "docker_gwbridge",
            "br-0123456789ab",
            "veth3f2a1",
            "dm-5b1",
            "vx-001000-x1",
        ] {
            assert!(is_of_docker(name), "{name}");
        }
        for name in ["eth0", "br-lan", "br0", "bond0.20", "wg0", "docker1"] {
            assert!(!is_of_docker(name), "{name}");
        }
    }
}
