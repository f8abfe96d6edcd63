//! The differences between an observed and a desired network.

use std::collections::BTreeSet;

use dockfleet_crds::FieldDiff;

use super::desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork};
use super::observed::ObservedNetwork;
use crate::address;
use crate::diff::{difference, subset, value};

/// Returns the fields in which a network differs, in a fixed order.
pub(super) fn network(want: &DesiredNetwork, have: &ObservedNetwork) -> Vec<FieldDiff> {
    let mut diff = Vec::new();
    value(&mut diff, "driver", &want.driver, &have.driver);
    value(&mut diff, "internal", &want.internal, &have.internal);
    value(&mut diff, "attachable", &want.attachable, &have.attachable);
    value(&mut diff, "overlay.ingress", &want.ingress, &have.ingress);
    if let Some(want) = want.enable_ipv4 {
        // An engine that does not report it (before 28.0) cannot disable IPv4.
        value(
            &mut diff,
            "enableIPv4",
            &want,
            &have.enable_ipv4.unwrap_or(true),
        );
    }
    if let Some(want) = want.enable_ipv6 {
        value(&mut diff, "enableIPv6", &want, &have.enable_ipv6);
    }
    subset(&mut diff, "options", &want.options, &have.options);
    subset(&mut diff, "labels", &want.labels, &have.labels);
    if let Some(driver) = &want.ipam_driver {
        // An engine may leave out the name of the default driver.
        let have = if have.ipam_driver.is_empty() {
            DEFAULT_IPAM
        } else {
            &have.ipam_driver
        };
        value(&mut diff, "ipam.driver", driver.as_str(), have);
    }
    subset(
        &mut diff,
        "ipam.options",
        &want.ipam_options,
        &have.ipam_options,
    );
    blocks(&mut diff, &want.ipam, &have.ipam);
    diff
}

/// Compares address blocks by subnet, in any order. Blocks of a family that the user did not set are the
/// engine's choice.
fn blocks(diff: &mut Vec<FieldDiff>, want: &[AddressBlock], have: &[AddressBlock]) {
    let find = |subnet: &str| have.iter().find(|b| address::block(&b.subnet) == subnet);
    for (i, block) in want.iter().enumerate() {
        let field = |name: &str| format!("ipam.config[{i}].{name}");
        let subnet = address::block(&block.subnet);
        let Some(found) = find(&subnet) else {
            let family =
                |b: &&AddressBlock| address::is_ipv6(&b.subnet) == address::is_ipv6(&block.subnet);
            let others: Vec<_> = have
                .iter()
                .filter(family)
                .map(|b| b.subnet.clone())
                .collect();
            diff.push(difference(field("subnet"), &subnet, others.join(", ")));
            continue;
        };
        let pairs = [
            (
                "ipRange",
                &block.ip_range,
                &found.ip_range,
                address::block as fn(&str) -> String,
            ),
            ("gateway", &block.gateway, &found.gateway, address::address),
        ];
        for (name, want, have, normal) in pairs {
            let Some(want) = want.as_deref().map(normal) else {
                continue;
            };
            let have = have.as_deref().map(normal).unwrap_or_default();
            value(diff, &field(name), &want, &have);
        }
        for (name, want) in &block.aux_addresses {
            let want = address::address(want);
            let have = found
                .aux_addresses
                .get(name)
                .map(|a| address::address(a))
                .unwrap_or_default();
            value(diff, &field(&format!("auxAddresses[{name}]")), &want, &have);
        }
    }
    for ipv6 in [false, true] {
        let of = |blocks: &[AddressBlock]| -> BTreeSet<String> {
            let family = blocks.iter().map(|b| address::block(&b.subnet));
            family.filter(|b| address::is_ipv6(b) == ipv6).collect()
        };
        let (want, have) = (of(want), of(have));
        // If the numbers are equal, the loop above has reported each of these as the change of a wanted
        // block.
        if !want.is_empty() && want.len() < have.len() {
            for subnet in have.difference(&want) {
                diff.push(difference(
                    "ipam.config".to_owned(),
                    "no such block",
                    subnet,
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
