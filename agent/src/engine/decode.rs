//! What an engine shows, in the planner's form.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{IpamConfig, Network, Volume};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::desired::AddressBlock;
use dockfleet_planner::observed::{ObservedNetwork, ObservedVolume};

pub(super) fn network(shown: Network) -> ObservedNetwork {
    let ipam = shown.ipam.unwrap_or_default();
    ObservedNetwork {
        id: shown.id.unwrap_or_default(),
        name: shown.name.unwrap_or_default(),
        driver: shown.driver.unwrap_or_default(),
        options: map(shown.options),
        labels: map(shown.labels),
        internal: shown.internal.unwrap_or_default(),
        attachable: shown.attachable.unwrap_or_default(),
        enable_ipv4: shown.enable_ipv4,
        enable_ipv6: shown.enable_ipv6.unwrap_or_default(),
        ipam_driver: ipam.driver.unwrap_or_default(),
        ipam_options: map(ipam.options),
        ipam: ipam.config.into_iter().flatten().map(block).collect(),
    }
}

fn block(shown: IpamConfig) -> AddressBlock {
    // An engine may write an empty text where it has nothing.
    let some = |text: Option<String>| text.filter(|t| !t.is_empty());
    AddressBlock {
        subnet: shown.subnet.unwrap_or_default(),
        ip_range: some(shown.ip_range),
        gateway: some(shown.gateway),
        aux_addresses: map(shown.auxiliary_addresses),
    }
}

pub(super) fn volume(shown: Volume) -> ObservedVolume {
    let mut options = map(Some(shown.options));
    // From here on no list of options has a password in it (invariant 9).
    let credentials = Credentials::take_out(&mut options);
    ObservedVolume {
        name: shown.name,
        driver: shown.driver,
        options,
        credentials,
        labels: map(Some(shown.labels)),
    }
}

fn map(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.into_iter().flatten().collect()
}
