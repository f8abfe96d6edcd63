//! What is sent to an engine to make an object.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, VolumeCreateRequest};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork, DesiredVolume};

/// Returns the request for a network. What the user left open is left out, so that the engine's
/// defaults hold.
pub(super) fn network(want: &DesiredNetwork) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: want.name.clone(),
        driver: Some(want.driver.clone()),
        internal: Some(want.internal),
        attachable: Some(want.attachable),
        enable_ipv4: want.enable_ipv4,
        enable_ipv6: want.enable_ipv6,
        ipam: ipam(want),
        options: map(&want.options),
        labels: map(&want.labels),
        ..NetworkCreateRequest::default()
    }
}

fn ipam(want: &DesiredNetwork) -> Option<Ipam> {
    if want.ipam.is_empty() && want.ipam_driver.is_none() && want.ipam_options.is_empty() {
        return None;
    }
    Some(Ipam {
        driver: Some(
            want.ipam_driver
                .clone()
                .unwrap_or_else(|| DEFAULT_IPAM.to_owned()),
        ),
        config: (!want.ipam.is_empty()).then(|| want.ipam.iter().map(block).collect()),
        options: map(&want.ipam_options),
    })
}

fn block(want: &AddressBlock) -> IpamConfig {
    IpamConfig {
        subnet: Some(want.subnet.clone()),
        ip_range: want.ip_range.clone(),
        gateway: want.gateway.clone(),
        auxiliary_addresses: map(&want.aux_addresses),
    }
}

/// Returns the request for a volume: the only place where credentials and options come together.
pub(super) fn volume(
    want: &DesiredVolume,
    credentials: Option<&Credentials>,
) -> VolumeCreateRequest {
    let mut options = want.options.clone();
    if let Some(credentials) = credentials {
        credentials.put_into(&mut options);
    }
    VolumeCreateRequest {
        name: Some(want.name.clone()),
        driver: Some(want.driver.clone()),
        driver_opts: map(&options),
        labels: map(&want.labels),
        ..VolumeCreateRequest::default()
    }
}

/// Returns the request in JSON with the flag that lets an engine before 25.0 refuse a name that is
/// taken.
pub(super) fn with_check_duplicate(request: NetworkCreateRequest) -> Option<Vec<u8>> {
    let mut body = serde_json::to_value(request).ok()?;
    body.as_object_mut()?
        .insert("CheckDuplicate".to_owned(), true.into());
    serde_json::to_vec(&body).ok()
}

fn map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use dockfleet_planner::desired::{AddressBlock, DesiredNetwork, DesiredVolume};
    use serde_json::{Value, json, to_value};

    use super::{network, volume, with_check_duplicate};

    #[test]
    fn what_is_left_open_is_not_sent() {
        let want = DesiredNetwork {
            name: "n".into(),
            driver: "bridge".into(),
            ..DesiredNetwork::default()
        };
        assert_eq!(
            to_value(network(&want)).unwrap(),
            json!({"Name": "n", "Driver": "bridge", "Internal": false, "Attachable": false})
        );
    }

    #[test]
    fn every_field_is_sent_in_the_engines_words() {
        let want = DesiredNetwork {
            name: "n".into(),
            driver: "macvlan".into(),
            options: [("parent".to_owned(), "eth0".to_owned())].into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            internal: true,
            attachable: true,
            enable_ipv4: Some(true),
            enable_ipv6: Some(false),
            ipam: vec![AddressBlock {
                subnet: "10.0.0.0/24".into(),
                ip_range: Some("10.0.0.128/25".into()),
                gateway: Some("10.0.0.1".into()),
                aux_addresses: [("nas".to_owned(), "10.0.0.9".to_owned())].into(),
            }],
            ..DesiredNetwork::default()
        };
        assert_eq!(
            to_value(network(&want)).unwrap(),
            json!({
                "Name": "n", "Driver": "macvlan", "Internal": true, "Attachable": true,
                "EnableIPv4": true, "EnableIPv6": false,
                "Options": {"parent": "eth0"}, "Labels": {"a": "b"},
                "IPAM": {"Driver": "default", "Config": [{
                    "Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25", "Gateway": "10.0.0.1",
                    "AuxiliaryAddresses": {"nas": "10.0.0.9"}
                }]}
            })
        );
    }

    #[test]
    fn a_volume_has_its_options_under_the_engines_name() {
        let want = DesiredVolume {
            name: "v".into(),
            driver: "local".into(),
            options: [("type".to_owned(), "tmpfs".to_owned())].into(),
            ..DesiredVolume::default()
        };
        assert_eq!(
            to_value(volume(&want, None)).unwrap(),
            json!({"Name": "v", "Driver": "local", "DriverOpts": {"type": "tmpfs"}})
        );
    }

    #[test]
    fn the_flag_against_duplicates_is_added_to_the_whole() {
        let want = DesiredNetwork {
            name: "n".into(),
            ..DesiredNetwork::default()
        };
        let body = with_check_duplicate(network(&want)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["CheckDuplicate"], json!(true));
        assert_eq!(body["Name"], json!("n"));
    }
}
