//! Renders a DockerNetwork for one host.

use std::collections::BTreeMap;

use dockfleet_crds::DockerHost;
use dockfleet_crds::network::{
    DockerNetwork, DockerNetworkSpec, HostOverride, IpamConfig, NetworkDriver,
};

use super::desired::{AddressBlock, DesiredNetwork};
use super::{options, overlay};
use crate::desired::Behaviour;
use crate::kinds::ObjectKind as _;
use crate::options::Options;
use crate::resource::Resource;
use crate::select::is_meant;

/// Renders a network for a host: the first override that names or selects the host applies.
pub fn network(network: &DockerNetwork, host: &DockerHost) -> DesiredNetwork {
    let spec = &network.spec;
    let special = spec.host_overrides.iter().find(|o| applies(o, host));
    let ipam = spec.ipam.clone().unwrap_or_default();
    let ingress = spec.overlay.as_ref().is_some_and(|o| o.ingress);
    let mut ipam_options = Options::default();
    ipam_options.extend(&ipam.options);
    ipam_options.set(options::IPAM_SERIAL, ipam.serial);
    let blocks = match special {
        Some(o) if !o.ipam_config.is_empty() => &o.ipam_config,
        _ => &ipam.config,
    };
    DesiredNetwork {
        name: (network as &dyn Resource).object_name().to_owned(),
        driver: spec.driver.as_str().to_owned(),
        options: driver_options(spec, special),
        labels: spec.labels.clone(),
        internal: spec.internal,
        attachable: spec
            .attachable
            .unwrap_or(spec.driver == NetworkDriver::Overlay && !ingress),
        ingress,
        enable_ipv4: spec.enable_ipv4,
        enable_ipv6: spec.enable_ipv6,
        ipam_driver: ipam.driver,
        ipam_options: ipam_options.into_map(),
        ipam: blocks.iter().map(block).collect(),
        shared: overlay::shared(network, host),
        policy: Behaviour::of(spec.policies(), DockerNetwork::DEFAULT_DELETION),
    }
}

fn applies(special: &HostOverride, host: &DockerHost) -> bool {
    is_meant(&special.host_names, special.host_selector.as_ref(), host)
}

fn block(config: &IpamConfig) -> AddressBlock {
    AddressBlock {
        subnet: config.subnet.clone(),
        ip_range: config.ip_range.clone(),
        gateway: config.gateway.clone(),
        aux_addresses: config.aux_addresses.clone(),
    }
}

/// Merges raw options, typed options and those of an override; later ones take precedence.
fn driver_options(
    spec: &DockerNetworkSpec,
    special: Option<&HostOverride>,
) -> BTreeMap<String, String> {
    let mut all = Options::default();
    all.extend(&spec.options);
    all.set(
        options::ADVERTISE_ADDR_MESSAGES,
        spec.advertise_addr_messages,
    );
    all.set(
        options::ADVERTISE_ADDR_INTERVAL,
        spec.advertise_addr_interval_milliseconds,
    );
    if let Some(b) = &spec.bridge {
        all.set(options::MTU, b.mtu);
        all.set(
            options::CONTAINER_INTERFACE_PREFIX,
            b.container_interface_prefix.as_ref(),
        );
        all.set(options::HOST_IPV4, b.host_ipv4.as_ref());
        all.set(options::HOST_IPV6, b.host_ipv6.as_ref());
        all.set(options::BRIDGE_NAME, b.bridge_name.as_ref());
        all.set(options::ENABLE_IP_MASQUERADE, b.enable_ip_masquerade);
        all.set(options::ENABLE_ICC, b.enable_icc);
        all.set(options::HOST_BINDING_IPV4, b.host_binding_ipv4.as_ref());
        all.set(options::INHIBIT_IPV4, b.inhibit_ipv4);
        all.set(
            options::GATEWAY_MODE_IPV4,
            b.gateway_mode_ipv4
                .map(dockfleet_crds::network::GatewayMode::as_str),
        );
        all.set(
            options::GATEWAY_MODE_IPV6,
            b.gateway_mode_ipv6
                .map(dockfleet_crds::network::GatewayMode::as_str),
        );
        let trusted = Some(b.trusted_host_interfaces.join(":")).filter(|t| !t.is_empty());
        all.set(options::TRUSTED_HOST_INTERFACES, trusted);
    }
    if let Some(m) = &spec.macvlan {
        all.set(options::PARENT, m.parent.as_ref());
        all.set(
            options::MACVLAN_MODE,
            m.mode.map(dockfleet_crds::network::MacvlanMode::as_str),
        );
    }
    if let Some(i) = &spec.ipvlan {
        all.set(options::PARENT, i.parent.as_ref());
        all.set(
            options::IPVLAN_MODE,
            i.mode.map(dockfleet_crds::network::IpvlanMode::as_str),
        );
        all.set(
            options::IPVLAN_FLAG,
            i.flag.map(dockfleet_crds::network::IpvlanFlag::as_str),
        );
    }
    if let Some(o) = &spec.overlay {
        all.set(options::MTU, o.mtu);
        // The engine looks only whether the key is there.
        all.set(options::ENCRYPTED, o.encrypted.then_some(""));
        let ids: Vec<String> = o.vxlan_ids.iter().map(ToString::to_string).collect();
        all.set(options::VXLAN_IDS, (!ids.is_empty()).then(|| ids.join(",")));
    }
    if let Some(special) = special {
        all.extend(&special.options);
        all.set(options::PARENT, special.parent.as_ref());
    }
    all.into_map()
}

#[cfg(test)]
mod tests;
