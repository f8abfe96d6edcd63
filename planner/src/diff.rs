//! In what an object differs from what is desired, by meaning and not by text.
//!
//! What the user did not set is not compared; what the engine fills in is not drift: an automatic
//! subnet, a gateway, a daemon's default options, `null` for an empty map.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::FieldDiff;

use crate::address;
use crate::credentials::Credentials;
use crate::desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork, DesiredVolume};
use crate::observed::{ObservedNetwork, ObservedVolume};
use crate::secret;

/// The field of credentials that come from a Secret.
pub const CREDENTIALS: &str = "cifs.credentialsSecret";

/// Returns the fields in which a network differs, in a fixed order.
pub fn network(want: &DesiredNetwork, have: &ObservedNetwork) -> Vec<FieldDiff> {
    let mut diff = Vec::new();
    value(&mut diff, "driver", &want.driver, &have.driver);
    value(&mut diff, "internal", &want.internal, &have.internal);
    value(&mut diff, "attachable", &want.attachable, &have.attachable);
    if let Some(want) = want.enable_ipv4 {
        // An engine that says nothing of it (before 28.0) cannot do without IPv4.
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
        // An engine may leave the default's name out.
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

/// Returns the fields in which a volume differs, in a fixed order. Where its credentials are in a
/// Secret and not `given`, they are not compared.
pub fn volume(
    want: &DesiredVolume,
    have: &ObservedVolume,
    given: Option<&Credentials>,
) -> Vec<FieldDiff> {
    let mut diff = Vec::new();
    let mut options = want.options.clone();
    let written = Credentials::take_out(&mut options);
    value(&mut diff, "driver", &want.driver, &have.driver);
    subset(&mut diff, "options", &options, &have.options);
    // No engine adds an option to a volume, and one more means other data: a tmpfs is not a disk.
    for (key, have) in &have.options {
        if !options.contains_key(key) {
            diff.push(difference(
                format!("options[{key}]"),
                "nothing",
                have.as_str(),
            ));
        }
    }
    subset(&mut diff, "labels", &want.labels, &have.labels);
    secret::hide(&mut diff);
    if want.credentials.is_none() {
        credentials(
            &mut diff,
            "options[o]",
            written.as_ref(),
            have.credentials.as_ref(),
        );
    } else if given.is_some() {
        credentials(&mut diff, CREDENTIALS, given, have.credentials.as_ref());
    }
    diff
}

/// Tells that credentials differ, and not in what.
fn credentials(
    diff: &mut Vec<FieldDiff>,
    field: &str,
    want: Option<&Credentials>,
    have: Option<&Credentials>,
) {
    if want != have {
        let want = want.map_or("no credentials", |_| "its credentials");
        let have = have.map_or("", |_| "others");
        diff.push(difference(field.to_owned(), want, have));
    }
}

fn difference(field: String, want: impl Into<String>, have: impl Into<String>) -> FieldDiff {
    FieldDiff {
        field,
        want: want.into(),
        have: have.into(),
    }
}

fn value<T: PartialEq + ToString + ?Sized>(
    diff: &mut Vec<FieldDiff>,
    field: &str,
    want: &T,
    have: &T,
) {
    if want != have {
        diff.push(difference(
            field.to_owned(),
            want.to_string(),
            have.to_string(),
        ));
    }
}

fn subset(
    diff: &mut Vec<FieldDiff>,
    field: &str,
    want: &BTreeMap<String, String>,
    have: &BTreeMap<String, String>,
) {
    for (key, want) in want {
        let have = have.get(key);
        if have != Some(want) {
            let have = have.map(String::as_str).unwrap_or_default();
            diff.push(difference(format!("{field}[{key}]"), want, have));
        }
    }
}

/// Compares address blocks by subnet, in no order. Blocks of a family that the user did not speak of
/// are the engine's choice.
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
        // Where there are as many as wanted, each is told of as the change of a wanted one.
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
