//! Decides which hosts a resource selects.

use std::collections::BTreeMap;

use dockfleet_crds::{DockerHost, selector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::resource::Resource;

/// Labels of every known namespace, by name.
pub type NamespaceLabels = BTreeMap<String, BTreeMap<String, String>>;

/// Whether a resource may have an entry on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The resource does not select the host.
    No,
    /// The resource selects the host, and the host allows its namespace.
    Yes,
    /// The resource selects the host, but the host does not allow its namespace.
    NotAllowed,
    /// The resource selects the host, but the labels of its namespace are not known yet.
    Unknown,
}

/// Whether `resource` may have an entry on `host`.
pub fn selection(
    resource: &dyn Resource,
    host: &DockerHost,
    namespaces: &NamespaceLabels,
) -> Selection {
    use dockfleet_crds::host::NamespacesFrom;
    // No resource selects a host that is being deleted.
    if host.metadata.deletion_timestamp.is_some() || !names(resource, host) {
        return Selection::No;
    }
    let own = host.metadata.namespace.as_deref().unwrap_or_default();
    let labels = namespaces.get(resource.namespace());
    let by_label = host.spec.allowed_namespaces.from == NamespacesFrom::Selector;
    match labels {
        None if by_label => Selection::Unknown,
        labels => {
            let none = BTreeMap::new();
            if host
                .spec
                .allows(own, resource.namespace(), labels.unwrap_or(&none))
            {
                Selection::Yes
            } else {
                Selection::NotAllowed
            }
        }
    }
}

/// Whether `resource` names or selects `host`, allowed or not. One that has ended has no hosts.
fn names(resource: &dyn Resource, host: &DockerHost) -> bool {
    let is_own = || host.metadata.namespace.as_deref() == Some(resource.namespace());
    !resource.is_over()
        && (!resource.is_for_own_namespace() || is_own())
        && is_meant(resource.host_names(), resource.host_selector(), host)
}

/// Whether a list of names, each `NAME` or `NAMESPACE/NAME`, or a selector matches a host.
pub(crate) fn is_meant(
    names: &[String],
    by_label: Option<&LabelSelector>,
    host: &DockerHost,
) -> bool {
    let name = host.metadata.name.as_deref().unwrap_or_default();
    let namespace = host.metadata.namespace.as_deref().unwrap_or_default();
    let none = BTreeMap::new();
    let labels = host.metadata.labels.as_ref().unwrap_or(&none);
    names.iter().any(|n| match n.split_once('/') {
        None => n == name,
        Some(full) => full == (namespace, name),
    }) || by_label.is_some_and(|s| selector::matches(s, labels))
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::host::NamespacesFrom;
    use dockfleet_crds::network::DockerNetworkSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::fixtures::{host, map, network};

    fn ask(spec: DockerNetworkSpec, host: &DockerHost, namespaces: &NamespaceLabels) -> Selection {
        let mut network = network("lab", spec.clone());
        network.spec.host_selector = spec.host_selector;
        selection(&network, host, namespaces)
    }

    fn by_label(labels: &[(&str, &str)]) -> DockerNetworkSpec {
        DockerNetworkSpec {
            host_selector: Some(crate::fixtures::selector(labels)),
            ..DockerNetworkSpec::default()
        }
    }

    fn by_name(names: &[&str]) -> DockerNetworkSpec {
        DockerNetworkSpec {
            host_names: names.iter().map(|n| (*n).to_owned()).collect(),
            ..DockerNetworkSpec::default()
        }
    }

    #[test]
    fn labels_and_names_are_joined() {
        let berlin = host("h1", &[("site", "berlin")]);
        let none = NamespaceLabels::new();
        let mut both = by_label(&[("site", "paris")]);
        both.host_names = vec!["h1".to_owned()];
        assert_eq!(
            ask(by_label(&[("site", "berlin")]), &berlin, &none),
            Selection::Yes
        );
        assert_eq!(
            ask(by_label(&[("site", "paris")]), &berlin, &none),
            Selection::No
        );
        assert_eq!(ask(by_label(&[]), &berlin, &none), Selection::Yes);
        assert_eq!(ask(by_name(&["h0", "h1"]), &berlin, &none), Selection::Yes);
        assert_eq!(ask(by_name(&["h10", "h"]), &berlin, &none), Selection::No);
        assert_eq!(ask(both, &berlin, &none), Selection::Yes);
    }

    #[test]
    fn a_host_name_may_have_a_namespace() {
        let none = NamespaceLabels::new();
        let here = host("h1", &[]);
        let mut there = host("h1", &[]);
        there.metadata.namespace = Some("site-b".to_owned());
        for (name, is_here, is_there) in [
            ("h1", Selection::Yes, Selection::Yes),
            ("dockfleet-hosts/h1", Selection::Yes, Selection::No),
            ("site-b/h1", Selection::No, Selection::Yes),
            ("site-b/h", Selection::No, Selection::No),
        ] {
            assert_eq!(ask(by_name(&[name]), &here, &none), is_here, "{name}");
            assert_eq!(ask(by_name(&[name]), &there, &none), is_there, "{name}");
        }
    }

    #[test]
    fn a_resource_without_hosts_selects_none() {
        let none = NamespaceLabels::new();
        assert_eq!(ask(by_name(&[]), &host("h1", &[]), &none), Selection::No);
    }

    #[test]
    fn a_host_that_is_being_deleted_is_not_selected() {
        let none = NamespaceLabels::new();
        let mut leaving = host("h1", &[]);
        leaving.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(ask(by_label(&[]), &leaving, &none), Selection::No);
        assert_eq!(ask(by_name(&["h1"]), &leaving, &none), Selection::No);
    }

    #[test]
    fn a_host_of_its_own_namespace_only_refuses_others() {
        let mut own = host("h1", &[]);
        own.spec.allowed_namespaces.from = NamespacesFrom::Same;
        let none = NamespaceLabels::new();
        assert_eq!(ask(by_label(&[]), &own, &none), Selection::NotAllowed);
        own.metadata.namespace = Some("team".to_owned());
        assert_eq!(ask(by_label(&[]), &own, &none), Selection::Yes);
        // A resource that does not select the host is not refused.
        assert_eq!(ask(by_label(&[("a", "b")]), &own, &none), Selection::No);
    }

    #[test]
    fn labels_of_a_namespace_that_are_not_known_refuse_nothing() {
        let mut picky = host("h1", &[]);
        picky.spec.allowed_namespaces.from = NamespacesFrom::Selector;
        picky.spec.allowed_namespaces.selector =
            Some(crate::fixtures::selector(&[("tier", "lab")]));
        let known =
            |labels: &[(&str, &str)]| NamespaceLabels::from([("team".to_owned(), map(labels))]);
        assert_eq!(
            ask(by_label(&[]), &picky, &known(&[("tier", "lab")])),
            Selection::Yes
        );
        assert_eq!(
            ask(by_label(&[]), &picky, &known(&[])),
            Selection::NotAllowed
        );
        assert_eq!(
            ask(by_label(&[]), &picky, &NamespaceLabels::new()),
            Selection::Unknown
        );
        picky.spec.allowed_namespaces.selector = None;
        assert_eq!(
            ask(by_label(&[]), &picky, &known(&[])),
            Selection::NotAllowed
        );
    }
}
