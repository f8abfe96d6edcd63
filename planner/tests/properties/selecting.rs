//! Terms find the same as a search of everything.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::host::{DockerHostSpec, NamespacesFrom};
use dockfleet_crds::network::DockerNetworkSpec;
use dockfleet_crds::{DockerHost, DockerNetwork};
use dockfleet_planner::select::{NamespaceLabels, Selection, selection};
use dockfleet_planner::term::{self, Filed};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn key() -> impl Strategy<Value = String> {
    select(vec!["site", "tier", "rack"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    select(vec!["a", "b", ""]).prop_map(str::to_owned)
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(key(), value(), 0..3)
}

fn host() -> impl Strategy<Value = DockerHost> {
    let name = select(vec!["h1", "h2", "h3"]);
    let namespace = select(vec!["here", "there"]);
    (name, namespace, option::of(labels())).prop_map(|(name, namespace, labels)| {
        let mut host = DockerHost::new(name, DockerHostSpec::default());
        host.spec.allowed_namespaces.from = NamespacesFrom::All;
        host.metadata.namespace = Some(namespace.to_owned());
        host.metadata.labels = labels;
        host
    })
}

fn expression() -> impl Strategy<Value = LabelSelectorRequirement> {
    let operator = select(vec!["In", "NotIn", "Exists", "DoesNotExist", "Near"]);
    (key(), operator, option::of(vec(value(), 0..3))).prop_map(|(key, operator, values)| {
        LabelSelectorRequirement {
            key,
            operator: operator.to_owned(),
            values,
        }
    })
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    (option::of(labels()), option::of(vec(expression(), 0..3))).prop_map(
        |(match_labels, match_expressions)| LabelSelector {
            match_labels,
            match_expressions,
        },
    )
}

fn network() -> impl Strategy<Value = DockerNetwork> {
    let name = select(vec!["h1", "h2", "here/h1", "there/h2", "here/h9"]);
    let names = vec(name.prop_map(str::to_owned), 0..2);
    (option::of(selector()), names).prop_map(|(host_selector, host_names)| {
        let spec = DockerNetworkSpec {
            host_selector,
            host_names,
            ..DockerNetworkSpec::default()
        };
        DockerNetwork::new("net", spec)
    })
}

fn selects(network: &DockerNetwork, host: &DockerHost) -> bool {
    let known = NamespaceLabels::new();
    selection(network, host, &known) != Selection::No
}

proptest! {
    #![proptest_config(crate::config(1000))]

    /// Hosts and resources change in any order, and are filed again after each change.
    #[test]
    fn terms_find_the_same_as_a_search_of_everything(
        history in vec((any::<bool>(), 0..4_usize, host(), network()), 1..20),
    ) {
        let mut hosts: BTreeMap<usize, DockerHost> = BTreeMap::new();
        let mut networks: BTreeMap<usize, DockerNetwork> = BTreeMap::new();
        let (mut by_host, mut by_network) = (Filed::default(), Filed::default());
        for (is_host, key, host, network) in history {
            if is_host {
                let terms = term::of_host(&host);
                let found: BTreeSet<usize> = by_network.find(&terms);
                by_host.file(&key, terms);
                let scanned = networks.iter().filter(|(_, n)| selects(n, &host));
                let scanned: BTreeSet<usize> = scanned.map(|(key, _)| *key).collect();
                let mut exact = found;
                exact.retain(|key| selects(&networks[key], &host));
                prop_assert_eq!(exact, scanned);
                hosts.insert(key, host);
            } else {
                let terms = term::of_resource(&network, |t| by_host.count(t));
                let mut exact: BTreeSet<usize> = by_host.find(&terms);
                by_network.file(&key, terms);
                exact.retain(|key| selects(&network, &hosts[key]));
                let scanned = hosts.iter().filter(|(_, h)| selects(&network, h));
                let scanned: BTreeSet<usize> = scanned.map(|(key, _)| *key).collect();
                prop_assert_eq!(exact, scanned);
                networks.insert(key, network);
            }
        }
    }
}
