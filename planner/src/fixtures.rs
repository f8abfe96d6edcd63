//! Small builders for tests.

use std::collections::BTreeMap;

use dockfleet_crds::host::{
    DockerHostSpec, DockerHostStatus, HostNetwork, Interface, NamespacesFrom,
};
use dockfleet_crds::network::DockerNetworkSpec;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::volume::DockerVolumeSpec;
use dockfleet_crds::{DockerHost, DockerNetwork, DockerVolume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use crate::support;

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

pub(crate) fn selector(pairs: &[(&str, &str)]) -> LabelSelector {
    LabelSelector {
        match_labels: Some(map(pairs)),
        match_expressions: None,
    }
}

/// A host in `dockfleet-hosts` that allows every namespace.
pub(crate) fn host(name: &str, labels: &[(&str, &str)]) -> DockerHost {
    let mut spec = DockerHostSpec::default();
    spec.allowed_namespaces.from = NamespacesFrom::All;
    DockerHost {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("dockfleet-hosts".to_owned()),
            labels: Some(map(labels)),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

/// Such a host whose agent shares its network, with one interface.
pub(crate) fn networked_host(name: &str, interface: &str, address: &str, mtu: i32) -> DockerHost {
    let interface = Interface {
        name: interface.to_owned(),
        addresses: vec![address.to_owned()],
        mtu: Some(mtu),
    };
    let network = HostNetwork {
        interfaces: vec![interface],
        ..HostNetwork::default()
    };
    DockerHost {
        status: Some(DockerHostStatus {
            agent: Some(support::this_agent("1.0.0")),
            network: Some(network),
            ..DockerHostStatus::default()
        }),
        ..host(name, &[])
    }
}

/// Metadata of a resource in namespace `team`, with `uid-NAME` and a time of creation.
pub(crate) fn metadata(name: &str, created: i64) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some("team".to_owned()),
        uid: Some(format!("uid-{name}")),
        creation_timestamp: Timestamp::from_second(created).ok().map(Time),
        ..ObjectMeta::default()
    }
}

/// A network for every host.
pub(crate) fn network(name: &str, spec: DockerNetworkSpec) -> DockerNetwork {
    DockerNetwork {
        metadata: metadata(name, 0),
        spec: DockerNetworkSpec {
            host_selector: spec
                .host_selector
                .or_else(|| Some(LabelSelector::default())),
            ..spec
        },
        status: None,
    }
}

/// A spec of a volume with the defaults of the schema, which those of Rust are not.
pub(crate) fn volume_spec() -> DockerVolumeSpec {
    DockerVolumeSpec {
        driver: "local".to_owned(),
        deletion_policy: DeletionPolicy::Retain,
        ..DockerVolumeSpec::default()
    }
}

/// A volume for every host.
pub(crate) fn volume(name: &str, spec: DockerVolumeSpec) -> DockerVolume {
    DockerVolume {
        metadata: metadata(name, 0),
        spec: DockerVolumeSpec {
            host_selector: spec
                .host_selector
                .or_else(|| Some(LabelSelector::default())),
            ..spec
        },
        status: None,
    }
}
