//! Terms are the keys of an index of hosts and resources: a change of one finds the others without a search
//! of all of them.
//!
//! A host has a term for its name and for each of its labels. A resource has a few, and every host that it
//! selects has at least one of them. So a pair without a common term need not be checked; for the others
//! [`selection`](crate::select::selection) decides.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::DockerHost;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::resource::Resource;

/// A property of hosts that resources select by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// Every host.
    Any,
    /// Hosts of this name, in any namespace.
    Name(String),
    /// Hosts with a label of this key.
    Key(String),
    /// Hosts with this label.
    Label(String, String),
}

/// Returns every term of a host.
pub fn of_host(host: &DockerHost) -> BTreeSet<Term> {
    let labels = host.metadata.labels.iter().flatten();
    let labels = labels.flat_map(|(key, value)| {
        [
            Term::Key(key.clone()),
            Term::Label(key.clone(), value.clone()),
        ]
    });
    let name = host.metadata.name.clone().map(Term::Name);
    labels.chain(name).chain([Term::Any]).collect()
}

/// Returns terms such that every host that the resource selects has at least one of them. All requirements of
/// a selector must match, so it uses the one with the fewest hosts; `hosts` returns the number of hosts of a
/// term.
pub fn of_resource(resource: &dyn Resource, hosts: impl Fn(&Term) -> usize) -> BTreeSet<Term> {
    let names = resource.host_names().iter().map(|name| {
        let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
        Term::Name(name.to_owned())
    });
    let by_label = resource.host_selector().map(|selector| {
        let size = |terms: &Vec<Term>| terms.iter().map(&hosts).sum::<usize>();
        let fewest = requirements(selector).min_by_key(size);
        fewest.unwrap_or_else(|| vec![Term::Any])
    });
    names.chain(by_label.into_iter().flatten()).collect()
}

/// Returns the terms of each requirement of a selector. Hosts cannot be found by negative requirements, so
/// these have none.
fn requirements(selector: &LabelSelector) -> impl Iterator<Item = Vec<Term>> {
    let equal = selector.match_labels.iter().flatten();
    let equal = equal.map(|(key, value)| vec![Term::Label(key.clone(), value.clone())]);
    let expressions = selector.match_expressions.iter().flatten();
    let expressions = expressions.filter_map(|e| match e.operator.as_str() {
        "In" => {
            let values = e.values.iter().flatten();
            Some(
                values
                    .map(|v| Term::Label(e.key.clone(), v.clone()))
                    .collect(),
            )
        }
        "Exists" => Some(vec![Term::Key(e.key.clone())]),
        "NotIn" | "DoesNotExist" => None,
        // It matches nothing.
        _ => Some(Vec::new()),
    });
    equal.chain(expressions)
}

/// Keys, each filed under terms.
#[derive(Clone, Debug)]
pub struct Filed<K> {
    keys: BTreeMap<Term, BTreeSet<K>>,
    terms: BTreeMap<K, BTreeSet<Term>>,
}

impl<K> Default for Filed<K> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            terms: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Clone> Filed<K> {
    /// Files a key under these terms and no others; without terms the key is removed.
    pub fn file(&mut self, key: &K, terms: BTreeSet<Term>) {
        let before = self.terms.remove(key).unwrap_or_default();
        for term in before.difference(&terms) {
            if let Some(keys) = self.keys.get_mut(term) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(term);
                }
            }
        }
        for term in terms.difference(&before) {
            let keys = self.keys.entry(term.clone()).or_default();
            keys.insert(key.clone());
        }
        if !terms.is_empty() {
            self.terms.insert(key.clone(), terms);
        }
    }

    /// Returns how many keys are filed under a term.
    pub fn count(&self, term: &Term) -> usize {
        self.keys.get(term).map_or(0, BTreeSet::len)
    }

    /// Returns the keys that are filed under at least one of these terms.
    pub fn find(&self, terms: &BTreeSet<Term>) -> BTreeSet<K> {
        let found = terms.iter().filter_map(|term| self.keys.get(term));
        found.flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::network::DockerNetworkSpec;

    use super::*;
    use crate::fixtures::{host, network, selector};

    fn label(key: &str, value: &str) -> Term {
        Term::Label(key.to_owned(), value.to_owned())
    }

    fn terms(spec: DockerNetworkSpec, hosts: impl Fn(&Term) -> usize) -> BTreeSet<Term> {
        let mut net = network("net", DockerNetworkSpec::default());
        net.spec = spec;
        of_resource(&net, hosts)
    }

    fn by_json(json: &str) -> DockerNetworkSpec {
        DockerNetworkSpec {
            host_selector: serde_json::from_str(json).unwrap(),
            ..DockerNetworkSpec::default()
        }
    }

    #[test]
    fn a_host_has_its_name_and_its_labels() {
        let expected = [
            Term::Any,
            Term::Name("h1".to_owned()),
            Term::Key("site".to_owned()),
            label("site", "a"),
        ];
        assert_eq!(of_host(&host("h1", &[("site", "a")])), expected.into());
    }

    #[test]
    fn the_requirement_with_the_fewest_hosts_is_the_one() {
        let spec = DockerNetworkSpec {
            host_selector: Some(selector(&[("fleet", "all"), ("site", "a")])),
            host_names: vec!["h1".to_owned(), "far/h2".to_owned()],
            ..DockerNetworkSpec::default()
        };
        let hosts = |term: &Term| if *term == label("fleet", "all") { 9 } else { 3 };
        let expected = [
            label("site", "a"),
            Term::Name("h1".to_owned()),
            Term::Name("h2".to_owned()),
        ];
        assert_eq!(terms(spec, hosts), expected.into());
    }

    #[test]
    fn expressions_are_requirements_too() {
        let one = |_: &Term| 1;
        let found = terms(
            by_json(r#"{"matchExpressions":[{"key":"k","operator":"In","values":["a","b"]}]}"#),
            one,
        );
        assert_eq!(found, [label("k", "a"), label("k", "b")].into());
        let found = terms(
            by_json(r#"{"matchExpressions":[{"key":"k","operator":"Exists"}]}"#),
            one,
        );
        assert_eq!(found, [Term::Key("k".to_owned())].into());
        let found = terms(
            by_json(r#"{"matchExpressions":[{"key":"k","operator":"Near"}]}"#),
            one,
        );
        assert_eq!(found, [].into());
    }

    #[test]
    fn a_selector_that_is_empty_or_negative_may_match_any_host() {
        for json in [
            "{}",
            r#"{"matchExpressions":[{"key":"k","operator":"DoesNotExist"}]}"#,
            r#"{"matchExpressions":[{"key":"k","operator":"NotIn","values":["a"]}]}"#,
        ] {
            assert_eq!(terms(by_json(json), |_| 1), [Term::Any].into(), "{json}");
        }
        assert_eq!(terms(DockerNetworkSpec::default(), |_| 1), [].into());
    }

    #[test]
    fn a_key_that_is_filed_again_is_found_only_under_its_new_terms() {
        let mut filed = Filed::default();
        filed.file(&1, [label("a", "b"), Term::Any].into());
        filed.file(&2, [Term::Any].into());
        assert_eq!(filed.find(&[label("a", "b")].into()), [1].into());
        assert_eq!(
            filed.find(&[label("a", "b"), Term::Any].into()),
            [1, 2].into()
        );
        filed.file(&1, [Term::Any].into());
        assert_eq!(
            (filed.count(&label("a", "b")), filed.count(&Term::Any)),
            (0, 2)
        );
        filed.file(&1, BTreeSet::new());
        filed.file(&2, BTreeSet::new());
        assert!(filed.keys.is_empty() && filed.terms.is_empty());
    }
}
