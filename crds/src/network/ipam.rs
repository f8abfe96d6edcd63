//! IP address management of a network.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::bounded_map;
use crate::schema::{Rule, plain_options, rules, rules_at};

/// IP address management of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ipam {
    /// IPAM driver. The engine's default is `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub driver: Option<String>,
    /// Assigns addresses in order, and reuses freed addresses last
    /// (`com.docker.network.ipam.serial`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<bool>,
    /// Options of the IPAM driver, in the driver's own form. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub options: BTreeMap<String, String>,
    /// Address blocks. The driver `bridge` accepts one IPv4 and one IPv6 block. The drivers
    /// `macvlan` and `ipvlan` accept several. Blocks must not overlap. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), transform = disjoint)]
    pub config: Vec<IpamConfig>,
}

/// One address block of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = config_rules)]
pub struct IpamConfig {
    /// Subnet in CIDR form, such as `10.20.0.0/24` or `fd00:20::/64`.
    #[schemars(length(max = 49))]
    pub subnet: String,
    /// Part of the subnet from which containers get their addresses, in CIDR form, such as
    /// `10.20.0.128/25`. If it is not set, the whole subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 49))]
    pub ip_range: Option<String>,
    /// Address of the gateway inside the subnet, such as `10.20.0.1`. If it is not set, the engine
    /// chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub gateway: Option<String>,
    /// Reserved addresses inside the subnet that no container gets. The keys are names of your
    /// choice. At most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 32), transform = aux_addresses_map)]
    pub aux_addresses: BTreeMap<String, String>,
}

/// Whether a value is a CIDR block. The API server refuses the leading zeros of `10.020.0.0/24`,
/// kube-cel's `isCIDR` does not. Not by `matches`: kube-cel would compile its pattern for each block.
macro_rules! is_block {
    ($value:literal) => {
        concat!(
            "(isCIDR(",
            $value,
            ") && !",
            $value,
            ".replace('/', '.').split('.')\
             .exists(part, part.size() > 1 && part.startsWith('0') && !part.contains(':')))"
        )
    };
}

fn aux_addresses_map(schema: &mut Schema) {
    bounded_map(schema);
    schema.insert(
        "additionalProperties".to_owned(),
        serde_json::json!({"type": "string", "maxLength": 45}),
    );
}

fn config_rules(schema: &mut Schema) {
    plain_options(schema);
    subnet_rules(schema);
    ip_range_rules(schema);
    gateway_rules(schema);
    aux_addresses_rules(schema);
}

fn subnet_rules(schema: &mut Schema) {
    rules_at(
        schema,
        ".subnet",
        &[
            Rule {
                rule: is_block!("self.subnet"),
                message: "'subnet %s is not a CIDR block; write an address and a prefix length, such as 10.20.0.0/24'.format([self.subnet])",
            },
            Rule {
                rule: concat!(
                    "!",
                    is_block!("self.subnet"),
                    " || cidr(self.subnet).masked() == cidr(self.subnet)"
                ),
                message: "'subnet %s has host bits set; write %s'.format([self.subnet, string(cidr(self.subnet).masked())])",
            },
        ],
    );
}

fn ip_range_rules(schema: &mut Schema) {
    rules_at(
        schema,
        ".ipRange",
        &[
            Rule {
                rule: concat!("!has(self.ipRange) || ", is_block!("self.ipRange")),
                message: "'ipRange %s is not a CIDR block; write an address and a prefix length, such as 10.20.0.128/25'.format([self.ipRange])",
            },
            Rule {
                rule: concat!(
                    "!has(self.ipRange) || !",
                    is_block!("self.ipRange"),
                    " || cidr(self.ipRange).masked() == cidr(self.ipRange)"
                ),
                message: "'ipRange %s has host bits set; write %s'.format([self.ipRange, string(cidr(self.ipRange).masked())])",
            },
            Rule {
                rule: concat!(
                    "!has(self.ipRange) || !",
                    is_block!("self.ipRange"),
                    " || !",
                    is_block!("self.subnet"),
                    " || cidr(self.subnet).containsCIDR(self.ipRange)"
                ),
                message: "'ipRange %s is not inside subnet %s; choose a part of it'.format([self.ipRange, self.subnet])",
            },
        ],
    );
}

fn gateway_rules(schema: &mut Schema) {
    rules_at(
        schema,
        ".gateway",
        &[
            Rule {
                rule: "!has(self.gateway) || isIP(self.gateway)",
                message: "'gateway %s is not an IP address; write one inside %s'.format([self.gateway, self.subnet])",
            },
            Rule {
                rule: concat!(
                    "!has(self.gateway) || !isIP(self.gateway) || !",
                    is_block!("self.subnet"),
                    " || cidr(self.subnet).containsIP(self.gateway)"
                ),
                message: "'gateway %s is not inside subnet %s; choose an address of it'.format([self.gateway, self.subnet])",
            },
            Rule {
                rule: concat!(
                    "!has(self.gateway) || !isIP(self.gateway) || !",
                    is_block!("self.subnet"),
                    " || self.gateway.contains(':') || cidr(self.subnet).prefixLength() > 30",
                    " || !(cidr(self.subnet).ip() == ip(self.gateway))"
                ),
                message: "'gateway %s is the network address of subnet %s, which no interface can have; choose another address of it'.format([self.gateway, self.subnet])",
            },
            Rule {
                // The broadcast address is the one before the next subnet of that size. `> 0`, because an
                // API server cannot tell what `!=` of two numbers costs.
                rule: concat!(
                    "!has(self.gateway) || !isIP(self.gateway) || !",
                    is_block!("self.subnet"),
                    " || self.gateway.contains(':') || cidr(self.subnet).prefixLength() > 30",
                    " || !cidr(self.subnet).containsIP(self.gateway)",
                    " || [self.gateway.split('.')].all(g, (int(g[0]) * 16777216 + int(g[1]) * 65536 + int(g[2]) * 256 + int(g[3]) + 1)",
                    " % [4294967296, 2147483648, 1073741824, 536870912, 268435456, 134217728, 67108864, 33554432, 16777216,",
                    " 8388608, 4194304, 2097152, 1048576, 524288, 262144, 131072, 65536, 32768, 16384, 8192, 4096, 2048, 1024,",
                    " 512, 256, 128, 64, 32, 16, 8, 4][cidr(self.subnet).prefixLength()] > 0)"
                ),
                message: "'gateway %s is the broadcast address of subnet %s, which no interface can have; choose another address of it'.format([self.gateway, self.subnet])",
            },
        ],
    );
}

fn aux_addresses_rules(schema: &mut Schema) {
    rules_at(
        schema,
        ".auxAddresses",
        &[
            Rule {
                rule: "!has(self.auxAddresses) || self.auxAddresses.all(k, isIP(self.auxAddresses[k]))",
                message: "'auxAddresses has %s, which is not an IP address; write one inside %s'.format([self.auxAddresses.filter(k, !isIP(self.auxAddresses[k])).map(k, self.auxAddresses[k])[0], self.subnet])",
            },
            Rule {
                rule: concat!(
                    "!has(self.auxAddresses) || !",
                    is_block!("self.subnet"),
                    " || self.auxAddresses.all(k, !isIP(self.auxAddresses[k]) || cidr(self.subnet).containsIP(self.auxAddresses[k]))"
                ),
                message: "'auxAddresses has %s, which is not inside subnet %s; choose an address of it'.format([self.auxAddresses.filter(k, isIP(self.auxAddresses[k]) && !cidr(self.subnet).containsIP(self.auxAddresses[k])).map(k, self.auxAddresses[k])[0], self.subnet])",
            },
            Rule {
                rule: "!has(self.auxAddresses) || !has(self.gateway) || !isIP(self.gateway) || self.auxAddresses.all(k, !isIP(self.auxAddresses[k]) || !(ip(self.auxAddresses[k]) == ip(self.gateway)))",
                message: "'auxAddresses has %s, which is the gateway; remove it, since no container gets the gateway\\'s address'.format([self.gateway])",
            },
            Rule {
                rule: "!has(self.auxAddresses) || [self.auxAddresses.map(k, self.auxAddresses[k])].all(l, l.all(a, l.indexOf(a) == l.lastIndexOf(a)))",
                message: "'auxAddresses has %s more than once; give each name an address of its own'.format([[self.auxAddresses.map(k, self.auxAddresses[k])].map(l, l.filter(a, l.indexOf(a) < l.lastIndexOf(a))[0])[0]])",
            },
        ],
    );
}

/// Two blocks of one network may not overlap: of two CIDR blocks that do, one contains the other.
///
/// What is no block is refused by another rule. So `isCIDR` will do here, and more would not fit into an
/// API server's budget for a rule over all pairs.
pub(super) fn disjoint(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.all(a, !isCIDR(a.subnet) || self.filter(b, isCIDR(b.subnet) && cidr(a.subnet).containsCIDR(b.subnet)).size() <= 1)",
            message: "'subnets %s and %s overlap; keep one or choose others'.format([self.map(a, isCIDR(a.subnet) && self.filter(b, isCIDR(b.subnet) && cidr(a.subnet).containsCIDR(b.subnet)).size() > 1, self.filter(b, isCIDR(b.subnet) && cidr(a.subnet).containsCIDR(b.subnet))[0].subnet)[0], self.map(a, isCIDR(a.subnet) && self.filter(b, isCIDR(b.subnet) && cidr(a.subnet).containsCIDR(b.subnet)).size() > 1, self.filter(b, isCIDR(b.subnet) && cidr(a.subnet).containsCIDR(b.subnet))[1].subnet)[0]])",
        }],
    );
}
