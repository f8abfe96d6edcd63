//! The addresses of a host in its swarm, from what its agent reports of its network.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dockfleet_crds::host::Interface;
use dockfleet_crds::{DockerHost, SwarmCluster};
use ipnet::IpNet;

use super::render::special;

/// Returns the interfaces of a host; `None` if its agent does not share its network.
pub(super) fn interfaces(host: &DockerHost) -> Option<&[Interface]> {
    let network = host.status.as_ref()?.network.as_ref()?;
    Some(&network.interfaces)
}

/// Returns the value of `advertiseAddress` for a host.
pub(super) fn advertised<'a>(cluster: &'a SwarmCluster, host: &DockerHost) -> Option<&'a str> {
    let special = special(cluster, host).and_then(|o| o.advertise_address.as_deref());
    special.or(cluster.spec.advertise_address.as_deref())
}

/// Returns the value of `dataPathAddress` for a host.
pub(super) fn data_path<'a>(cluster: &'a SwarmCluster, host: &DockerHost) -> Option<&'a str> {
    let special = special(cluster, host).and_then(|o| o.data_path_address.as_deref());
    special.or(cluster.spec.data_path_address.as_deref())
}

/// Returns the text that an engine takes for an address: an engine knows no subnets. A subnet in which the host has
/// not exactly one address stays.
pub(super) fn for_engine(given: Option<&str>, host: &DockerHost) -> Option<String> {
    let given = given?;
    let found = interfaces(host).filter(|_| is_subnet(given));
    let found = found.and_then(|interfaces| find(Some(given), interfaces).ok()?);
    Some(found.map_or_else(|| given.to_owned(), |address| address.to_string()))
}

/// Returns the packet size of the interface by which the other hosts reach a host, in bytes.
pub(super) fn mtu(cluster: &SwarmCluster, host: &DockerHost) -> Option<i32> {
    let interfaces = interfaces(host)?;
    let address = find(advertised(cluster, host), interfaces).ok()??;
    let mut with_it = interfaces
        .iter()
        .filter(|i| addresses(i).any(|a| a == address));
    with_it.next()?.mtu
}

/// Returns the subnets in which a host has an address.
pub(super) fn subnets(host: &DockerHost) -> BTreeSet<IpNet> {
    let interfaces = interfaces(host).unwrap_or_default();
    let all = interfaces.iter().flat_map(|i| &i.addresses);
    let all = all.filter_map(|address| address.parse::<IpNet>().ok());
    all.map(|net| net.trunc()).collect()
}

fn is_subnet(given: &str) -> bool {
    given.contains('/')
}

/// Returns the address of a host that a value of `advertiseAddress` means; `None` if only the engine knows which one it
/// takes.
///
/// # Errors
/// Why the host has no such address, in a sentence.
pub(super) fn find(
    given: Option<&str>,
    interfaces: &[Interface],
) -> Result<Option<IpAddr>, String> {
    let all = || interfaces.iter().flat_map(addresses);
    let Some(given) = given else {
        return Ok(one(all()).ok());
    };
    if let Ok(address) = given.parse() {
        // It may be one that a router translates.
        return Ok(Some(address));
    }
    if let Ok(subnet) = given.parse::<IpNet>() {
        let found = one(all().filter(|address| subnet.contains(address)));
        return found.map(Some).map_err(|found| {
            let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
            let inside = if found.is_empty() {
                "no address".to_owned()
            } else {
                format!("the addresses {}", found.join(", "))
            };
            format!(
                "advertiseAddress is {given}, and in it the host has {inside}; it has {}",
                shown(interfaces)
            )
        });
    }
    let Some(interface) = interfaces.iter().find(|i| i.name == given) else {
        return Err(format!(
            "advertiseAddress is {given}, and the host has no such interface with an address; it has {}",
            shown(interfaces)
        ));
    };
    Ok(one(addresses(interface)).ok())
}

fn addresses(interface: &Interface) -> impl Iterator<Item = IpAddr> {
    let all = interface
        .addresses
        .iter()
        .filter_map(|a| a.parse::<IpNet>().ok());
    all.map(|net| net.addr())
}

/// Returns the only address; an engine too takes an IPv4 address beside addresses of IPv6.
///
/// # Errors
/// The addresses, if there are several or none.
fn one(found: impl Iterator<Item = IpAddr>) -> Result<IpAddr, Vec<IpAddr>> {
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = found.partition(IpAddr::is_ipv4);
    let candidates = if v4.is_empty() { v6 } else { v4 };
    match candidates.as_slice() {
        [address] => Ok(*address),
        _ => Err(candidates),
    }
}

/// Returns interfaces in words.
fn shown(interfaces: &[Interface]) -> String {
    if interfaces.is_empty() {
        return "none".to_owned();
    }
    let each = interfaces
        .iter()
        .map(|i| format!("{} ({})", i.name, i.addresses.join(", ")));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        Interface {
            name: name.to_owned(),
            addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
            mtu: None,
        }
    }

    #[test]
    fn an_address_is_found_by_interface_subnet_or_alone() {
        let two = [
            interface("eth0", &["10.0.0.5/24", "fd00::5/64"]),
            interface("eth1", &["192.168.1.5/24"]),
        ];
        let found = |given: Option<&str>, all: &[Interface]| {
            find(given, all).map(|a| a.map(|a| a.to_string()))
        };
        let is = |address: &str| Ok(Some(address.to_owned()));
        assert_eq!(found(Some("eth0"), &two), is("10.0.0.5"));
        assert_eq!(found(Some("192.168.0.0/16"), &two), is("192.168.1.5"));
        assert_eq!(found(Some("fd00::/8"), &two), is("fd00::5"));
        assert_eq!(found(Some("203.0.113.1"), &two), is("203.0.113.1"));
        assert_eq!(found(None, &two[..1]), is("10.0.0.5"));
        // The engine knows, and nobody else.
        assert_eq!(found(None, &two), Ok(None));
        let several = [interface("eth0", &["10.0.0.5/24", "10.0.0.100/32"])];
        assert_eq!(found(Some("eth0"), &several), Ok(None));
    }

    #[test]
    fn an_address_that_is_not_there_is_told_with_those_that_are() {
        let all = [
            interface("eth0", &["10.0.0.5/24"]),
            interface("eth1", &["10.0.1.5/24"]),
        ];
        for (given, why) in [
            (
                Some("ens3"),
                "advertiseAddress is ens3, and the host has no such interface with an address; it has eth0 \
                 (10.0.0.5/24), eth1 (10.0.1.5/24)",
            ),
            (
                Some("172.16.0.0/12"),
                "advertiseAddress is 172.16.0.0/12, and in it the host has no address; it has eth0",
            ),
            (
                Some("10.0.0.0/8"),
                "in it the host has the addresses 10.0.0.5, 10.0.1.5",
            ),
        ] {
            let told = find(given, &all).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
