//! Rules over several fields of a network that can be checked without an engine.
//!
//! Messages use `format`: the API server estimates the cost of every rule before it accepts a CRD, and
//! only `format` accepts text of unknown length.

use crate::schema::{Rule, plain_options, rules_at, selects_hosts};
use schemars::Schema;

/// A rule against an option that a field of the driver's block sets already.
macro_rules! repeated {
    ($block:literal, $field:literal, $key:literal) => {
        Rule {
            rule: concat!(
                "!has(self.options) || !has(self.",
                $block,
                ") || !has(self.",
                $block,
                ".",
                $field,
                ") || !('",
                $key,
                "' in self.options)"
            ),
            message: concat!(
                "'options sets ",
                $key,
                ", which ",
                $block,
                ".",
                $field,
                " sets already; remove it from options'"
            ),
        }
    };
}

/// Rules on the spec of a network.
pub(super) fn spec(schema: &mut Schema) {
    plain_options(schema);
    selects_hosts(schema);
    names(schema);
    driver_blocks(schema);
    families(schema);
    overlays(schema);
    overrides(schema);
    gateway_modes(schema);
    maps(schema);
}

fn names(schema: &mut Schema) {
    rules_at(
        schema,
        ".networkName",
        &[
            Rule {
                rule: "!has(self.networkName) || !(self.networkName in ['bridge', 'host', 'none'])",
                message: "'networkName %s is one of the engine\\'s own networks; choose another name'.format([self.networkName])",
            },
            Rule {
                rule: "has(self.networkName) == has(oldSelf.networkName) && (!has(self.networkName) || self.networkName == oldSelf.networkName)",
                message: "'networkName cannot change from %s; delete the resource and create one with the new name'.format([has(oldSelf.networkName) ? oldSelf.networkName : 'the default'])",
            },
        ],
    );
}

fn driver_blocks(schema: &mut Schema) {
    rules_at(
        schema,
        ".bridge",
        &[Rule {
            rule: "!has(self.bridge) || self.driver == 'bridge'",
            message: "'bridge options are set, but driver is %s; set driver: bridge or remove the block bridge'.format([self.driver])",
        }],
    );
    rules_at(
        schema,
        ".macvlan",
        &[Rule {
            rule: "!has(self.macvlan) || self.driver == 'macvlan'",
            message: "'macvlan options are set, but driver is %s; set driver: macvlan or remove the block macvlan'.format([self.driver])",
        }],
    );
    rules_at(
        schema,
        ".ipvlan",
        &[Rule {
            rule: "!has(self.ipvlan) || self.driver == 'ipvlan'",
            message: "'ipvlan options are set, but driver is %s; set driver: ipvlan or remove the block ipvlan'.format([self.driver])",
        }],
    );
    rules_at(
        schema,
        ".overlay",
        &[Rule {
            rule: "!has(self.overlay) || self.driver == 'overlay'",
            message: "'overlay options are set, but driver is %s; set driver: overlay or remove the block overlay'.format([self.driver])",
        }],
    );
}

/// Address families: which are enabled, and the subnets of each.
fn families(schema: &mut Schema) {
    rules_at(
        schema,
        ".enableIPv4",
        &[Rule {
            rule: "!(has(self.enableIPv4) && !self.enableIPv4 && (!has(self.enableIPv6) || !self.enableIPv6))",
            message: "'enableIPv4 is false and enableIPv6 is not true; a network needs at least one of them'",
        }],
    );
    rules_at(
        schema,
        ".ipam.config",
        &[
            Rule {
                rule: "(has(self.enableIPv6) && self.enableIPv6) || !has(self.ipam) || !has(self.ipam.config) || !self.ipam.config.exists(c, c.subnet.contains(':'))",
                message: "'subnet %s is IPv6, which the engine ignores unless IPv6 is enabled; set enableIPv6: true'.format([self.ipam.config.filter(c, c.subnet.contains(':'))[0].subnet])",
            },
            Rule {
                rule: "!(has(self.enableIPv4) && !self.enableIPv4) || !has(self.ipam) || !has(self.ipam.config) || !self.ipam.config.exists(c, !c.subnet.contains(':'))",
                message: "'subnet %s is IPv4, but enableIPv4 is false; remove one of them'.format([self.ipam.config.filter(c, !c.subnet.contains(':'))[0].subnet])",
            },
            Rule {
                rule: "self.driver != 'bridge' || !has(self.ipam) || !has(self.ipam.config) || self.ipam.config.filter(c, !c.subnet.contains(':')).size() <= 1",
                message: "'driver bridge takes one IPv4 subnet, and there are %d: %s and %s; keep one'.format([self.ipam.config.filter(c, !c.subnet.contains(':')).size(), self.ipam.config.filter(c, !c.subnet.contains(':'))[0].subnet, self.ipam.config.filter(c, !c.subnet.contains(':'))[1].subnet])",
            },
            Rule {
                rule: "self.driver != 'bridge' || !has(self.ipam) || !has(self.ipam.config) || self.ipam.config.filter(c, c.subnet.contains(':')).size() <= 1",
                message: "'driver bridge takes one IPv6 subnet, and there are %d: %s and %s; keep one'.format([self.ipam.config.filter(c, c.subnet.contains(':')).size(), self.ipam.config.filter(c, c.subnet.contains(':'))[0].subnet, self.ipam.config.filter(c, c.subnet.contains(':'))[1].subnet])",
            },
        ],
    );
}

/// What a swarm does not pass on to its networks, or refuses.
fn overlays(schema: &mut Schema) {
    rules_at(
        schema,
        ".attachable",
        &[Rule {
            rule: "!has(self.overlay) || !has(self.overlay.ingress) || !self.overlay.ingress || !has(self.attachable) || !self.attachable",
            message: "'attachable is true, but no container can connect to an ingress network; remove attachable, or overlay.ingress'",
        }],
    );
    rules_at(
        schema,
        ".ipam.config",
        &[Rule {
            rule: "self.driver != 'overlay' || !has(self.ipam) || !has(self.ipam.config) || !self.ipam.config.exists(c, has(c.auxAddresses) && c.auxAddresses.size() > 0)",
            message: "'subnet %s has auxAddresses, which a swarm ignores; use ipRange to keep addresses free'.format([self.ipam.config.filter(c, has(c.auxAddresses) && c.auxAddresses.size() > 0)[0].subnet])",
        }],
    );
}

/// Values of a host override have to fit the network as a whole.
fn overrides(schema: &mut Schema) {
    rules_at(
        schema,
        ".hostOverrides",
        &[
            Rule {
                rule: "self.driver != 'overlay' || !has(self.hostOverrides) || self.hostOverrides.size() == 0",
                message: "'hostOverrides is set, but an overlay network is the same on all hosts; remove it'",
            },
            Rule {
                rule: "self.driver != 'bridge' || !has(self.hostOverrides) || !self.hostOverrides.exists(o, has(o.parent))",
                message: "'a host override sets parent: %s, but driver bridge has none; set driver: macvlan or ipvlan, or remove parent'.format([self.hostOverrides.filter(o, has(o.parent))[0].parent])",
            },
            Rule {
                rule: "(has(self.enableIPv6) && self.enableIPv6) || !has(self.hostOverrides) || !self.hostOverrides.exists(o, has(o.ipamConfig) && o.ipamConfig.exists(c, c.subnet.contains(':')))",
                message: "'a host override has the IPv6 subnet %s, which the engine ignores unless IPv6 is enabled; set enableIPv6: true'.format([self.hostOverrides.map(o, has(o.ipamConfig) && o.ipamConfig.exists(c, c.subnet.contains(':')), o.ipamConfig.filter(c, c.subnet.contains(':'))[0].subnet)[0]])",
            },
            Rule {
                rule: "!(has(self.enableIPv4) && !self.enableIPv4) || !has(self.hostOverrides) || !self.hostOverrides.exists(o, has(o.ipamConfig) && o.ipamConfig.exists(c, !c.subnet.contains(':')))",
                message: "'a host override has the IPv4 subnet %s, but enableIPv4 is false; remove one of them'.format([self.hostOverrides.map(o, has(o.ipamConfig) && o.ipamConfig.exists(c, !c.subnet.contains(':')), o.ipamConfig.filter(c, !c.subnet.contains(':'))[0].subnet)[0]])",
            },
            Rule {
                rule: "self.driver != 'bridge' || !has(self.hostOverrides) || self.hostOverrides.all(o, !has(o.ipamConfig) || o.ipamConfig.filter(c, c.subnet.contains(':')).size() <= 1 && o.ipamConfig.filter(c, !c.subnet.contains(':')).size() <= 1)",
                message: "'driver bridge takes one subnet of each family, and a host override has more; keep one IPv4 and one IPv6 subnet'",
            },
        ],
    );
}

fn gateway_modes(schema: &mut Schema) {
    rules_at(
        schema,
        ".bridge.gatewayModeIPv4",
        &[Rule {
            rule: "(has(self.internal) && self.internal) || !has(self.bridge) || !has(self.bridge.gatewayModeIPv4) || self.bridge.gatewayModeIPv4 != 'isolated'",
            message: "'gateway mode isolated needs an internal network; set internal: true or choose another mode'",
        }],
    );
    rules_at(
        schema,
        ".bridge.gatewayModeIPv6",
        &[Rule {
            rule: "(has(self.internal) && self.internal) || !has(self.bridge) || !has(self.bridge.gatewayModeIPv6) || self.bridge.gatewayModeIPv6 != 'isolated'",
            message: "'gateway mode isolated needs an internal network; set internal: true or choose another mode'",
        }],
    );
}

/// The maps: reserved labels, and options that a field sets already.
fn maps(schema: &mut Schema) {
    rules_at(
        schema,
        ".labels",
        &[Rule {
            rule: "!has(self.labels) || !self.labels.exists(k, k.startsWith('io.dockfleet.'))",
            message: "'label %s is reserved for Dockfleet; choose a key outside io.dockfleet.'.format([self.labels.filter(k, k.startsWith('io.dockfleet.'))[0]])",
        }],
    );
    rules_at(
        schema,
        ".options",
        &[
            repeated!("bridge", "mtu", "com.docker.network.driver.mtu"),
            repeated!("overlay", "mtu", "com.docker.network.driver.mtu"),
            repeated!("overlay", "encrypted", "encrypted"),
            repeated!(
                "overlay",
                "vxlanIDs",
                "com.docker.network.driver.overlay.vxlanid_list"
            ),
            repeated!(
                "bridge",
                "containerInterfacePrefix",
                "com.docker.network.container_iface_prefix"
            ),
            repeated!("bridge", "hostIPv4", "com.docker.network.host_ipv4"),
            repeated!("bridge", "hostIPv6", "com.docker.network.host_ipv6"),
            repeated!("bridge", "bridgeName", "com.docker.network.bridge.name"),
            repeated!(
                "bridge",
                "enableIPMasquerade",
                "com.docker.network.bridge.enable_ip_masquerade"
            ),
            repeated!(
                "bridge",
                "enableICC",
                "com.docker.network.bridge.enable_icc"
            ),
            repeated!(
                "bridge",
                "hostBindingIPv4",
                "com.docker.network.bridge.host_binding_ipv4"
            ),
            repeated!(
                "bridge",
                "inhibitIPv4",
                "com.docker.network.bridge.inhibit_ipv4"
            ),
            repeated!(
                "bridge",
                "gatewayModeIPv4",
                "com.docker.network.bridge.gateway_mode_ipv4"
            ),
            repeated!(
                "bridge",
                "gatewayModeIPv6",
                "com.docker.network.bridge.gateway_mode_ipv6"
            ),
            repeated!(
                "bridge",
                "trustedHostInterfaces",
                "com.docker.network.bridge.trusted_host_interfaces"
            ),
            repeated!("macvlan", "parent", "parent"),
            repeated!("macvlan", "mode", "macvlan_mode"),
            repeated!("ipvlan", "parent", "parent"),
            repeated!("ipvlan", "mode", "ipvlan_mode"),
            repeated!("ipvlan", "flag", "ipvlan_flag"),
        ],
    );
}
