//! The network interfaces of the machine that this process runs on.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;

use dockfleet_crds::host::{HostNetwork, Interface};
use dockfleet_planner::kinds::swarm::LostAddress;
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

/// Returns the interfaces, one for each address; none if the kernel does not say.
fn all() -> Vec<if_addrs::Interface> {
    get_if_addrs().unwrap_or_default()
}

/// Whether other hosts may reach an address.
fn is_outward(interface: &if_addrs::Interface) -> bool {
    let is_own = interface.is_loopback() || interface.is_link_local();
    !is_own && !is_of_docker(&interface.name)
}

/// Returns an address if this machine does not have it, with those that it has.
pub(crate) fn lost(address: IpAddr) -> Option<LostAddress> {
    let all = all();
    if all.is_empty() || all.iter().any(|i| i.ip() == address) {
        return None;
    }
    let now = all.iter().filter(|i| is_outward(i));
    let mut now: Vec<IpAddr> = now.map(if_addrs::Interface::ip).collect();
    now.sort_unstable();
    now.dedup();
    Some(LostAddress { address, now })
}

/// Returns the network of this machine.
pub(crate) fn network() -> HostNetwork {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for interface in all().into_iter().filter(is_outward) {
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
        for interface in network().interfaces {
            assert_ne!(interface.name, "lo");
            assert!(!interface.addresses.is_empty());
        }
    }

    #[test]
    fn an_address_is_lost_if_no_interface_has_it() {
        assert_eq!(lost("127.0.0.1".parse().unwrap()), None);
        // For documentation only (RFC 5737).
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let lost = lost(address).unwrap();
        assert_eq!(lost.address, address);
        assert!(!lost.now.iter().any(IpAddr::is_loopback));
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
