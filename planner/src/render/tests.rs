use dockfleet_crds::network::{DockerNetworkSpec, HostOverride, Ipam, IpamConfig};
use dockfleet_crds::policy::{DeletionPolicy, NetworkUpdatePolicy};
use dockfleet_crds::volume::{BindSource, DockerVolumeSpec};
use serde_json::json;

use super::*;
use crate::desired::EntrySpec;
use crate::fixtures::{self, host, map, volume_spec};
use crate::kinds::volume;

fn block(subnet: &str) -> IpamConfig {
    IpamConfig {
        subnet: subnet.to_owned(),
        ..IpamConfig::default()
    }
}

#[test]
fn a_bare_network_asks_for_name_and_driver_only() {
    let bare = fixtures::network("lab", DockerNetworkSpec::default());
    let rendered = entry(&bare, &host("h1", &[]), None).unwrap();
    assert_eq!(
        rendered,
        Entry {
            request: None,
            released: false,
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

/// A revision that changes by accident makes every agent of a fleet report again, and replaces networks if
/// their policy allows it. A change here must be in the release notes.
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
    let net = entry(&net, &host, None).unwrap();
    let vol = entry(&vol, &host, None).unwrap();
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
        entry(n, host, None).unwrap().revision
    };
    let h1 = host("h1", &[]);
    let mut other = base.clone();
    other.metadata.uid = Some("another".to_owned());
    other.metadata.generation = Some(7);
    other.metadata.labels = Some(map(&[("a", "b")]));
    other.spec.host_names = vec!["h9".to_owned()];
    other.spec.host_overrides = vec![HostOverride {
        host_names: vec!["h9".to_owned()],
        parent: Some("eth9".to_owned()),
        ..HostOverride::default()
    }];
    assert_eq!(
        revision(&other, &h1),
        revision(&base, &host("h2", &[("c", "d")]))
    );
    other.spec.internal = true;
    assert_ne!(revision(&other, &h1), revision(&base, &h1));
}

#[test]
fn a_rendered_entry_can_be_read() {
    let v = fixtures::volume("data", volume_spec());
    let e = entry(&v, &host("h1", &[]), None).unwrap();
    assert_eq!(
        EntrySpec::of(&e).unwrap(),
        EntrySpec::Present(volume::render(&v).unwrap().into())
    );
    let mut newer = e.clone();
    newer.spec.insert("quota".to_owned(), json!(1));
    let err = EntrySpec::of(&newer).unwrap_err().to_string();
    assert!(err.contains("unknown field `quota`"), "{err}");
}
