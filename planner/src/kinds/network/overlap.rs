//! Finds subnets of two networks that an engine refuses to create together.

use ipnet::IpNet;

use super::desired::{DEFAULT_IPAM, DesiredNetwork};

/// The subnets of a network that the engine's own IPAM assigns.
#[derive(Clone, Debug)]
pub struct Subnets {
    is_bridge: bool,
    subnets: Vec<IpNet>,
}

impl Subnets {
    /// Returns the subnets of a network; nothing if it names none, or has another IPAM driver.
    pub fn of(network: &DesiredNetwork) -> Option<Self> {
        let driver = network.ipam_driver.as_deref().unwrap_or(DEFAULT_IPAM);
        let blocks = network.ipam.iter();
        let subnets: Vec<IpNet> = blocks.filter_map(|b| b.subnet.parse().ok()).collect();
        (driver == DEFAULT_IPAM && !subnets.is_empty()).then(|| Self {
            is_bridge: network.driver == "bridge",
            subnets,
        })
    }

    /// Returns a subnet of each of two networks of one host if these overlap, so that an engine refuses the
    /// second network. The engine's own IPAM refuses a subnet that is a part of another one, for any
    /// drivers (`Pool overlaps`), and the bridge driver refuses two networks with the same subnet. Several
    /// macvlan or ipvlan networks may have the same subnet.
    pub fn overlap(&self, other: &Self) -> Option<(IpNet, IpNet)> {
        let bridges = self.is_bridge && other.is_bridge;
        let overlaps = |mine: &IpNet, theirs: &IpNet| {
            if mine.trunc() == theirs.trunc() {
                bridges
            } else {
                mine.contains(theirs) || theirs.contains(mine)
            }
        };
        self.subnets.iter().find_map(|mine| {
            let theirs = other.subnets.iter().find(|theirs| overlaps(mine, theirs))?;
            Some((*mine, *theirs))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::network::AddressBlock;

    fn overlap(one: &DesiredNetwork, other: &DesiredNetwork) -> Option<(String, String)> {
        let overlap = Subnets::of(one)?.overlap(&Subnets::of(other)?);
        overlap.map(|(a, b)| (a.to_string(), b.to_string()))
    }

    fn network(driver: &str, subnets: &[&str]) -> DesiredNetwork {
        let block = |subnet: &&str| AddressBlock {
            subnet: (*subnet).to_owned(),
            ..AddressBlock::default()
        };
        DesiredNetwork {
            driver: driver.to_owned(),
            ipam: subnets.iter().map(block).collect(),
            ..DesiredNetwork::default()
        }
    }

    #[test]
    fn a_subnet_inside_another_one_overlaps_whatever_the_drivers() {
        for driver in ["bridge", "macvlan"] {
            let wide = network("bridge", &["fd00:1::/64", "10.0.0.0/16"]);
            let narrow = network(driver, &["10.0.7.1/24"]);
            let both = Some(("10.0.0.0/16".to_owned(), "10.0.7.1/24".to_owned()));
            assert_eq!(overlap(&wide, &narrow), both, "{driver}");
            assert!(overlap(&narrow, &wide).is_some(), "{driver}");
        }
    }

    #[test]
    fn only_bridges_cannot_share_one_subnet() {
        let same = ["10.0.0.0/24"];
        let (bridge, macvlan) = (network("bridge", &same), network("macvlan", &same));
        assert!(overlap(&bridge, &bridge).is_some());
        assert_eq!(overlap(&macvlan, &macvlan), None);
        assert_eq!(overlap(&bridge, &macvlan), None);
    }

    #[test]
    fn other_subnets_and_other_ipam_drivers_do_not_overlap() {
        let one = network("bridge", &["10.0.0.0/24", "fd00:1::/64"]);
        assert_eq!(
            overlap(&one, &network("bridge", &["10.0.1.0/24", "fd00:2::/64"])),
            None
        );
        assert_eq!(overlap(&one, &network("bridge", &[])), None);
        let elsewhere = DesiredNetwork {
            ipam_driver: Some("plugin".to_owned()),
            ..one.clone()
        };
        assert_eq!(overlap(&one, &elsewhere), None);
    }
}
