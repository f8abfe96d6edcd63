//! Finds subnets of two networks that an engine refuses to create together.

use ipnet::IpNet;

use super::desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork};

/// Returns a subnet of each of two networks of one host if these overlap, so that an engine refuses the
/// second network. The engine's own IPAM refuses a subnet that is a part of another one, for any drivers
/// (`Pool overlaps`), and the bridge driver refuses two networks with the same subnet. Several macvlan or
/// ipvlan networks may have the same subnet.
pub fn overlap<'a>(
    one: &'a DesiredNetwork,
    other: &'a DesiredNetwork,
) -> Option<(&'a str, &'a str)> {
    let is_ours =
        |n: &DesiredNetwork| n.ipam_driver.as_deref().unwrap_or(DEFAULT_IPAM) == DEFAULT_IPAM;
    if !is_ours(one) || !is_ours(other) {
        return None;
    }
    let bridges = one.driver == "bridge" && other.driver == "bridge";
    let subnet = |block: &AddressBlock| block.subnet.parse::<IpNet>().ok().map(|net| net.trunc());
    one.ipam.iter().find_map(|a| {
        let mine = subnet(a)?;
        let refused = |b: &&AddressBlock| {
            subnet(b).is_some_and(|theirs| {
                if mine == theirs {
                    bridges
                } else {
                    mine.contains(&theirs) || theirs.contains(&mine)
                }
            })
        };
        let b = other.ipam.iter().find(refused)?;
        Some((a.subnet.as_str(), b.subnet.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let both = Some(("10.0.0.0/16", "10.0.7.1/24"));
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
