use dockfleet_crds::network::{
    BridgeOptions, DockerNetworkSpec, GatewayMode, HostOverride, Ipam, IpamConfig, IpvlanFlag,
    IpvlanMode, IpvlanOptions, MacvlanMode, MacvlanOptions, NetworkDriver,
};
use dockfleet_crds::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy, NetworkUpdatePolicy,
};
use dockfleet_crds::volume::{
    BindSource, CifsSource, DockerVolumeSpec, NfsSource, SecretName, TmpfsSource,
};
use serde_json::json;

use super::*;
use crate::desired::{AddressBlock, Behaviour, DesiredNetwork, DesiredVolume};
use crate::fixtures::{self, host, map, selector, volume_spec};

fn rendered(spec: DockerNetworkSpec) -> DesiredNetwork {
    network(
        &fixtures::network("lab", spec),
        &host("h1", &[("site", "berlin")]),
    )
}

fn rendered_volume(spec: DockerVolumeSpec) -> Result<DesiredVolume, RenderError> {
    volume(&fixtures::volume("data", spec))
}

fn plain(driver: &str, options: &[(&str, &str)]) -> DesiredNetwork {
    DesiredNetwork {
        name: "lab".to_owned(),
        driver: driver.to_owned(),
        options: map(options),
        ..DesiredNetwork::default()
    }
}

#[test]
fn a_bare_network_asks_for_name_and_driver_only() {
    let bare = fixtures::network("lab", DockerNetworkSpec::default());
    let rendered = entry(Resource::Network(&bare), &host("h1", &[]), None).unwrap();
    assert_eq!(
        rendered,
        Entry {
            request: None,
            uid: "uid-lab".to_owned(),
            kind: dockfleet_crds::assignment::Kind::DockerNetwork.into(),
            namespace: "team".to_owned(),
            name: "lab".to_owned(),
            revision: rendered.revision.clone(),
            intent: Intent::Present.into(),
            id: None,
            spec: json!({"name": "lab", "driver": "bridge"})
                .as_object()
                .unwrap()
                .clone(),
            other: serde_json::Map::new(),
        }
    );
}

#[test]
fn every_option_of_bridge_has_its_key() {
    let spec = DockerNetworkSpec {
        bridge: Some(BridgeOptions {
            mtu: Some(1400),
            container_interface_prefix: Some("net".to_owned()),
            host_ipv4: Some("192.0.2.10".to_owned()),
            host_ipv6: Some("2001:db8::10".to_owned()),
            bridge_name: Some("br-lab".to_owned()),
            enable_ip_masquerade: Some(false),
            enable_icc: Some(true),
            host_binding_ipv4: Some("127.0.0.1".to_owned()),
            inhibit_ipv4: Some(true),
            gateway_mode_ipv4: Some(GatewayMode::NatUnprotected),
            gateway_mode_ipv6: Some(GatewayMode::Routed),
            trusted_host_interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
        }),
        advertise_addr_messages: Some(2),
        advertise_addr_interval_milliseconds: Some(300),
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(spec),
        plain(
            "bridge",
            &[
                ("com.docker.network.driver.mtu", "1400"),
                ("com.docker.network.container_iface_prefix", "net"),
                ("com.docker.network.host_ipv4", "192.0.2.10"),
                ("com.docker.network.host_ipv6", "2001:db8::10"),
                ("com.docker.network.bridge.name", "br-lab"),
                ("com.docker.network.bridge.enable_ip_masquerade", "false"),
                ("com.docker.network.bridge.enable_icc", "true"),
                ("com.docker.network.bridge.host_binding_ipv4", "127.0.0.1"),
                ("com.docker.network.bridge.inhibit_ipv4", "true"),
                (
                    "com.docker.network.bridge.gateway_mode_ipv4",
                    "nat-unprotected"
                ),
                ("com.docker.network.bridge.gateway_mode_ipv6", "routed"),
                (
                    "com.docker.network.bridge.trusted_host_interfaces",
                    "eth0:eth1"
                ),
                ("com.docker.network.advertise_addr_nmsgs", "2"),
                ("com.docker.network.advertise_addr_ms", "300"),
            ]
        )
    );
}

#[test]
fn macvlan_and_ipvlan_have_their_keys() {
    let macvlan = DockerNetworkSpec {
        driver: NetworkDriver::Macvlan,
        macvlan: Some(MacvlanOptions {
            parent: Some("eth0.50".to_owned()),
            mode: Some(MacvlanMode::Vepa),
        }),
        ..DockerNetworkSpec::default()
    };
    let ipvlan = DockerNetworkSpec {
        driver: NetworkDriver::Ipvlan,
        ipvlan: Some(IpvlanOptions {
            parent: Some("eth1".to_owned()),
            mode: Some(IpvlanMode::L3s),
            flag: Some(IpvlanFlag::Private),
        }),
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(macvlan),
        plain(
            "macvlan",
            &[("parent", "eth0.50"), ("macvlan_mode", "vepa")]
        )
    );
    assert_eq!(
        rendered(ipvlan),
        plain(
            "ipvlan",
            &[
                ("parent", "eth1"),
                ("ipvlan_mode", "l3s"),
                ("ipvlan_flag", "private")
            ]
        )
    );
}

#[test]
fn what_is_no_option_is_rendered_too() {
    let spec = DockerNetworkSpec {
        network_name: Some("lab-net".to_owned()),
        labels: map(&[("team", "lab")]),
        internal: true,
        attachable: true,
        enable_ipv4: Some(true),
        enable_ipv6: Some(false),
        ipam: Some(Ipam {
            driver: Some("default".to_owned()),
            serial: Some(true),
            options: map(&[("x", "y")]),
            config: vec![IpamConfig {
                subnet: "10.20.0.0/24".to_owned(),
                ip_range: Some("10.20.0.128/25".to_owned()),
                gateway: Some("10.20.0.1".to_owned()),
                aux_addresses: map(&[("router", "10.20.0.2")]),
            }],
        }),
        update_policy: NetworkUpdatePolicy::WhenUnused,
        drift_policy: DriftPolicy::Observe,
        adoption_policy: AdoptionPolicy::Force,
        deletion_policy: DeletionPolicy::Retain,
        management_policy: ManagementPolicy::Observe,
        suspend: true,
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(spec),
        DesiredNetwork {
            name: "lab-net".to_owned(),
            driver: "bridge".to_owned(),
            options: map(&[]),
            labels: map(&[("team", "lab")]),
            internal: true,
            attachable: true,
            enable_ipv4: Some(true),
            enable_ipv6: Some(false),
            ipam_driver: Some("default".to_owned()),
            ipam_options: map(&[("x", "y"), ("com.docker.network.ipam.serial", "true")]),
            ipam: vec![AddressBlock {
                subnet: "10.20.0.0/24".to_owned(),
                ip_range: Some("10.20.0.128/25".to_owned()),
                gateway: Some("10.20.0.1".to_owned()),
                aux_addresses: map(&[("router", "10.20.0.2")]),
            }],
            policy: Behaviour {
                update_when_unused: true,
                drift: DriftPolicy::Observe,
                adoption: AdoptionPolicy::Force,
                management: ManagementPolicy::Observe,
                suspend: true,
                deletion: Some(DeletionPolicy::Retain),
            },
        }
    );
}

fn block(subnet: &str) -> IpamConfig {
    IpamConfig {
        subnet: subnet.to_owned(),
        ..IpamConfig::default()
    }
}

fn special(names: &[&str], labels: Option<&[(&str, &str)]>, parent: &str) -> HostOverride {
    HostOverride {
        host_names: names.iter().map(|n| (*n).to_owned()).collect(),
        host_selector: labels.map(selector),
        parent: Some(parent.to_owned()),
        ..HostOverride::default()
    }
}

#[test]
fn the_first_override_that_fits_the_host_applies() {
    let spec = |overrides| DockerNetworkSpec {
        driver: NetworkDriver::Macvlan,
        macvlan: Some(MacvlanOptions {
            parent: Some("eth0".to_owned()),
            mode: None,
        }),
        host_overrides: overrides,
        ..DockerNetworkSpec::default()
    };
    let parent = |overrides| rendered(spec(overrides)).options.remove("parent").unwrap();
    let berlin: &[(&str, &str)] = &[("site", "berlin")];
    assert_eq!(parent(vec![]), "eth0");
    assert_eq!(parent(vec![special(&["h2"], None, "a")]), "eth0");
    assert_eq!(
        parent(vec![
            special(&["h2"], None, "a"),
            special(&["h1"], None, "b")
        ]),
        "b"
    );
    assert_eq!(
        parent(vec![
            special(&[], Some(berlin), "c"),
            special(&["h1"], None, "b")
        ]),
        "c"
    );
}

#[test]
fn an_override_replaces_blocks_and_merges_options() {
    let spec = DockerNetworkSpec {
        options: map(&[("a", "1"), ("b", "1")]),
        ipam: Some(Ipam {
            config: vec![block("10.20.0.0/24")],
            ..Ipam::default()
        }),
        host_overrides: vec![HostOverride {
            host_names: vec!["h1".to_owned()],
            options: map(&[("b", "2"), ("c", "2")]),
            ipam_config: vec![block("10.21.0.0/24"), block("fd00:21::/64")],
            ..HostOverride::default()
        }],
        ..DockerNetworkSpec::default()
    };
    let rendered = rendered(spec);
    assert_eq!(rendered.options, map(&[("a", "1"), ("b", "2"), ("c", "2")]));
    let subnets: Vec<_> = rendered.ipam.iter().map(|b| b.subnet.as_str()).collect();
    assert_eq!(subnets, ["10.21.0.0/24", "fd00:21::/64"]);
}

#[test]
fn a_typed_option_wins_over_a_raw_one() {
    let spec = DockerNetworkSpec {
        options: map(&[("com.docker.network.driver.mtu", "1"), ("x", "y")]),
        bridge: Some(BridgeOptions {
            mtu: Some(1400),
            ..BridgeOptions::default()
        }),
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(spec).options,
        map(&[("com.docker.network.driver.mtu", "1400"), ("x", "y")])
    );
}

fn volume_options(spec: DockerVolumeSpec) -> std::collections::BTreeMap<String, String> {
    rendered_volume(spec).unwrap().options
}

#[test]
fn each_source_of_a_volume_becomes_options_of_the_local_driver() {
    let nfs = |read_only, version: Option<&str>, more: &[&str]| DockerVolumeSpec {
        nfs: Some(NfsSource {
            server: "nas.example".to_owned(),
            path: "/export/a".to_owned(),
            version: version.map(str::to_owned),
            read_only,
            mount_options: more.iter().map(|m| (*m).to_owned()).collect(),
        }),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(nfs(false, None, &[])),
        map(&[
            ("type", "nfs"),
            ("device", ":/export/a"),
            ("o", "addr=nas.example,rw")
        ])
    );
    assert_eq!(
        volume_options(nfs(true, Some("4.2"), &["hard", "timeo=600"]))
            .get("o")
            .unwrap(),
        "addr=nas.example,vers=4.2,ro,hard,timeo=600"
    );
    let cifs = |source: CifsSource| DockerVolumeSpec {
        cifs: Some(CifsSource {
            server: "nas.example".to_owned(),
            share: "team/a b".to_owned(),
            ..source
        }),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(cifs(CifsSource::default())),
        map(&[
            ("type", "cifs"),
            ("device", "//nas.example/team/a b"),
            ("o", "addr=nas.example,rw,username=guest,password=")
        ])
    );
    let full = CifsSource {
        credentials_secret: Some(SecretName {
            name: "login".to_owned(),
        }),
        version: Some("3.1.1".to_owned()),
        uid: Some(1000),
        gid: Some(1001),
        file_mode: Some("640".to_owned()),
        dir_mode: Some("0750".to_owned()),
        read_only: true,
        mount_options: vec!["nobrl".to_owned()],
        ..CifsSource::default()
    };
    assert_eq!(
        volume_options(cifs(full)).get("o").unwrap(),
        "addr=nas.example,vers=3.1.1,ro,uid=1000,gid=1001,file_mode=0640,dir_mode=0750,nobrl"
    );
    let bind = |read_only| DockerVolumeSpec {
        bind: Some(BindSource {
            path: "/srv/data".to_owned(),
            read_only,
        }),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(bind(false)),
        map(&[("type", "none"), ("device", "/srv/data"), ("o", "bind")])
    );
    assert_eq!(volume_options(bind(true)).get("o").unwrap(), "bind,ro");
    let tmpfs = |source| DockerVolumeSpec {
        tmpfs: Some(source),
        ..volume_spec()
    };
    assert_eq!(
        volume_options(tmpfs(TmpfsSource::default())),
        map(&[("type", "tmpfs"), ("device", "tmpfs")])
    );
    let full = TmpfsSource {
        size: Some("64Mi".to_owned()),
        mode: Some("1777".to_owned()),
        uid: Some(1000),
        gid: Some(0),
    };
    assert_eq!(
        volume_options(tmpfs(full)).get("o").unwrap(),
        "size=67108864,mode=1777,uid=1000,gid=0"
    );
}

#[test]
fn a_volume_keeps_driver_size_options_labels_and_policies() {
    let spec = DockerVolumeSpec {
        volume_name: Some("app-data".to_owned()),
        driver: "rexray".to_owned(),
        size: Some("10Gi".to_owned()),
        options: map(&[("fs", "xfs")]),
        labels: map(&[("team", "lab")]),
        loss_policy: LossPolicy::Recreate,
        deletion_policy: DeletionPolicy::Delete,
        ..volume_spec()
    };
    assert_eq!(
        rendered_volume(spec),
        Ok(DesiredVolume {
            name: "app-data".to_owned(),
            driver: "rexray".to_owned(),
            options: map(&[("fs", "xfs"), ("size", "10737418240")]),
            credentials: None,
            labels: map(&[("team", "lab")]),
            loss_policy: LossPolicy::Recreate,
            policy: Behaviour {
                deletion: Some(DeletionPolicy::Delete),
                ..Behaviour::default()
            },
        })
    );
}

#[test]
fn a_size_that_is_none_names_its_field() {
    let spec = DockerVolumeSpec {
        size: Some("64MB".to_owned()),
        ..volume_spec()
    };
    assert_eq!(
        rendered_volume(spec).unwrap_err().to_string(),
        "spec.size: 64MB is not a size such as 64Mi"
    );
}

/// A revision that changes by accident makes every agent of a fleet report anew, and replaces
/// networks where policy allows it. A change here needs a word in the release notes.
#[test]
fn revisions_are_stable() {
    let net = DockerNetworkSpec {
        labels: map(&[("team", "lab")]),
        options: map(&[("com.docker.network.driver.mtu", "1400")]),
        enable_ipv6: Some(true),
        ipam: Some(Ipam {
            config: vec![block("10.20.0.0/24"), block("fd00:20::/64")],
            ..Ipam::default()
        }),
        update_policy: NetworkUpdatePolicy::WhenUnused,
        ..DockerNetworkSpec::default()
    };
    let vol = DockerVolumeSpec {
        labels: map(&[("team", "lab")]),
        bind: Some(BindSource {
            path: "/srv/data".to_owned(),
            read_only: true,
        }),
        ..volume_spec()
    };
    let host = host("h1", &[]);
    let (net, vol) = (fixtures::network("lab", net), fixtures::volume("data", vol));
    let net = entry(Resource::Network(&net), &host, None).unwrap();
    let vol = entry(Resource::Volume(&vol), &host, None).unwrap();
    let stone = Tombstone {
        name: "lab".to_owned(),
        policy: DeletionPolicy::Delete,
    };
    let named = tombstone(&net, &stone, Some("abc".to_owned()));
    let stone = tombstone(&net, &stone, None);
    let revisions = [net, vol, stone, named].map(|e| e.revision);
    assert_eq!(
        revisions,
        [
            "388ca66a0344cebb",
            "e0113ae7f45cc35f",
            "b270bc0d38e209e4",
            "4b37ce52f48e9677"
        ]
    );
}

#[test]
fn a_revision_hangs_on_what_is_asked_and_on_nothing_else() {
    let base = fixtures::network("lab", DockerNetworkSpec::default());
    let revision = |n: &dockfleet_crds::DockerNetwork, host: &DockerHost| {
        entry(Resource::Network(n), host, None).unwrap().revision
    };
    let h1 = host("h1", &[]);
    let mut other = base.clone();
    other.metadata.uid = Some("another".to_owned());
    other.metadata.generation = Some(7);
    other.metadata.labels = Some(map(&[("a", "b")]));
    other.spec.host_names = vec!["h9".to_owned()];
    other.spec.host_overrides = vec![special(&["h9"], None, "eth9")];
    assert_eq!(
        revision(&other, &h1),
        revision(&base, &host("h2", &[("c", "d")]))
    );
    other.spec.internal = true;
    assert_ne!(revision(&other, &h1), revision(&base, &h1));
}

#[test]
fn what_was_rendered_is_read_again() {
    let v = fixtures::volume("data", volume_spec());
    let e = entry(Resource::Volume(&v), &host("h1", &[]), None).unwrap();
    assert_eq!(
        desired::Desired::of(&e).unwrap(),
        desired::Desired::Volume(rendered_volume(volume_spec()).unwrap())
    );
    let mut newer = e.clone();
    newer.spec.insert("quota".to_owned(), json!(1));
    let err = desired::Desired::of(&newer).unwrap_err().to_string();
    assert!(err.contains("unknown field `quota`"), "{err}");
}
