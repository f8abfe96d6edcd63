use super::*;
use crate::fixtures::map;

fn block(subnet: &str, gateway: Option<&str>) -> AddressBlock {
    AddressBlock {
        subnet: subnet.to_owned(),
        gateway: gateway.map(str::to_owned),
        ..AddressBlock::default()
    }
}

fn want(ipam: Vec<AddressBlock>) -> DesiredNetwork {
    DesiredNetwork {
        name: "lab".to_owned(),
        driver: "bridge".to_owned(),
        ipam,
        ..DesiredNetwork::default()
    }
}

fn have(ipam: Vec<AddressBlock>) -> ObservedNetwork {
    ObservedNetwork {
        id: "abc".to_owned(),
        name: "lab".to_owned(),
        driver: "bridge".to_owned(),
        ipam_driver: "default".to_owned(),
        ipam,
        ..ObservedNetwork::default()
    }
}

fn d(field: &str, want: &str, have: &str) -> FieldDiff {
    FieldDiff {
        field: field.to_owned(),
        want: want.to_owned(),
        have: have.to_owned(),
    }
}

#[test]
fn unset_fields_are_not_compared() {
    let filled = ObservedNetwork {
        options: map(&[("com.docker.network.driver.mtu", "1400")]),
        labels: map(&[("com.docker.compose.network", "x")]),
        enable_ipv4: Some(true),
        enable_ipv6: true,
        ipam_driver: "other".to_owned(),
        ipam_options: map(&[("a", "b")]),
        ..have(vec![
            block("172.18.0.0/16", Some("172.18.0.1")),
            block("fd00::/64", None),
        ])
    };
    assert_eq!(network(&want(vec![]), &filled), vec![]);
}

#[test]
fn the_order_of_blocks_does_not_matter() {
    let v6_first = want(vec![
        block("fd00:20::/64", None),
        block("10.20.0.0/24", None),
    ]);
    let v4_first = have(vec![
        block("10.20.0.0/24", None),
        block("fd00:20::/64", None),
    ]);
    assert_eq!(network(&v6_first, &v4_first), vec![]);
}

#[test]
fn a_gateway_that_the_engine_filled_in_is_no_drift() {
    let asked = want(vec![block("10.20.0.0/24", None)]);
    assert_eq!(
        network(
            &asked,
            &have(vec![block("10.20.0.0/24", Some("10.20.0.1"))])
        ),
        vec![]
    );
    assert_eq!(
        network(&asked, &have(vec![block("10.20.0.0/24", None)])),
        vec![]
    );
}

#[test]
fn the_prefix_length_of_an_ipv6_gateway_is_no_drift() {
    // Engines 27.0 to 28.0.1 show it until they restart.
    let asked = want(vec![block("fd00:20::/64", Some("fd00:20::1"))]);
    assert_eq!(
        network(
            &asked,
            &have(vec![block("fd00:20::/64", Some("fd00:20::1/64"))])
        ),
        vec![]
    );
    assert_eq!(
        network(
            &asked,
            &have(vec![block("fd00:20::/64", Some("fd00:20::2/64"))])
        ),
        vec![d("ipam.config[0].gateway", "fd00:20::1", "fd00:20::2")]
    );
}

#[test]
fn host_bits_case_and_long_forms_are_no_drift() {
    // Engines 20.10 and 24 echo the text of the request.
    let asked = AddressBlock {
        ip_range: Some("10.20.0.128/25".to_owned()),
        aux_addresses: map(&[("r", "10.20.0.2")]),
        ..block("10.20.0.0/24", None)
    };
    let echoed = AddressBlock {
        ip_range: Some("10.20.0.200/25".to_owned()),
        aux_addresses: map(&[("r", "10.20.0.2")]),
        ..block("10.20.0.7/24", None)
    };
    let v6 = block("fd00:20::/64", Some("fd00:20::a"));
    let long = block("FD00:0020:0:0::/64", Some("FD00:20:0::000A"));
    assert_eq!(
        network(&want(vec![asked, v6]), &have(vec![echoed, long])),
        vec![]
    );
}

#[test]
fn options_of_the_daemon_are_no_drift_and_other_values_are() {
    let asked = DesiredNetwork {
        options: map(&[("a", "1"), ("b", "1")]),
        ..want(vec![])
    };
    let shown = ObservedNetwork {
        options: map(&[("a", "1"), ("daemon", "1")]),
        ..have(vec![])
    };
    assert_eq!(network(&asked, &shown), vec![d("options[b]", "1", "")]);
}

#[test]
fn a_dropped_optional_field_is_no_drift() {
    let before = AddressBlock {
        ip_range: Some("10.20.0.128/25".to_owned()),
        aux_addresses: map(&[("r", "10.20.0.2")]),
        ..block("10.20.0.0/24", Some("10.20.0.1"))
    };
    let shown = ObservedNetwork {
        labels: map(&[("team", "lab")]),
        ..have(vec![before])
    };
    assert_eq!(
        network(&want(vec![block("10.20.0.0/24", None)]), &shown),
        vec![]
    );
}

#[test]
fn a_changed_subnet_is_one_difference() {
    assert_eq!(
        network(
            &want(vec![block("10.21.0.0/24", None)]),
            &have(vec![block("10.20.0.0/24", None)])
        ),
        vec![d("ipam.config[0].subnet", "10.21.0.0/24", "10.20.0.0/24")]
    );
    // A block of the other family, which the engine chose, does not count as a second one.
    let shown = have(vec![block("10.20.0.0/24", None), block("fd00::/64", None)]);
    assert_eq!(
        network(&want(vec![block("10.21.0.0/24", None)]), &shown),
        vec![d("ipam.config[0].subnet", "10.21.0.0/24", "10.20.0.0/24")]
    );
}

#[test]
fn a_missing_and_an_extra_block_are_differences() {
    let both = || vec![block("10.20.0.0/24", None), block("10.21.0.0/24", None)];
    assert_eq!(
        network(&want(both()), &have(vec![block("10.20.0.0/24", None)])),
        vec![d("ipam.config[1].subnet", "10.21.0.0/24", "10.20.0.0/24")]
    );
    assert_eq!(
        network(&want(vec![block("10.20.0.0/24", None)]), &have(both())),
        vec![d("ipam.config", "no such block", "10.21.0.0/24")]
    );
    assert_eq!(
        network(&want(vec![block("fd00::/64", None)]), &have(vec![])),
        vec![d("ipam.config[0].subnet", "fd00::/64", "")]
    );
}

#[test]
fn every_field_that_is_set_is_compared() {
    let asked = DesiredNetwork {
        driver: "macvlan".to_owned(),
        labels: map(&[("team", "lab")]),
        internal: true,
        attachable: true,
        enable_ipv4: Some(false),
        enable_ipv6: Some(true),
        ipam_driver: Some("dhcp".to_owned()),
        ipam_options: map(&[("x", "y")]),
        ..want(vec![AddressBlock {
            ip_range: Some("10.20.0.0/25".to_owned()),
            gateway: Some("10.20.0.1".to_owned()),
            aux_addresses: map(&[("r", "10.20.0.2")]),
            ..block("10.20.0.0/24", None)
        }])
    };
    assert_eq!(
        network(&asked, &have(vec![block("10.20.0.0/24", None)])),
        vec![
            d("driver", "macvlan", "bridge"),
            d("internal", "true", "false"),
            d("attachable", "true", "false"),
            d("enableIPv4", "false", "true"),
            d("enableIPv6", "true", "false"),
            d("labels[team]", "lab", ""),
            d("ipam.driver", "dhcp", "default"),
            d("ipam.options[x]", "y", ""),
            d("ipam.config[0].ipRange", "10.20.0.0/25", ""),
            d("ipam.config[0].gateway", "10.20.0.1", ""),
            d("ipam.config[0].auxAddresses[r]", "10.20.0.2", ""),
        ]
    );
}

#[test]
fn an_engine_that_does_not_report_ipv4_has_it() {
    let with = |v4| DesiredNetwork {
        enable_ipv4: Some(v4),
        ..want(vec![])
    };
    assert_eq!(network(&with(true), &have(vec![])), vec![]);
    assert_eq!(
        network(&with(false), &have(vec![])),
        vec![d("enableIPv4", "false", "true")]
    );
}

#[test]
fn the_default_ipam_driver_may_have_no_name() {
    let asked = DesiredNetwork {
        ipam_driver: Some("default".to_owned()),
        ..want(vec![])
    };
    let shown = ObservedNetwork {
        ipam_driver: String::new(),
        ..have(vec![])
    };
    assert_eq!(network(&asked, &shown), vec![]);
}
