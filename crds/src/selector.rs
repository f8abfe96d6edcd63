//! Label selectors, which choose the hosts of a resource.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Whether `selector` matches `labels`, by the rules of Kubernetes: an empty selector matches
/// everything, all terms must hold, and an unknown operator matches nothing.
///
/// `NotIn` and `DoesNotExist` also match if the key is absent.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>
pub fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let expressions = selector.match_expressions.iter().flatten().all(|term| {
        let value = labels.get(&term.key);
        let listed = |value: &String| term.values.iter().flatten().any(|v| v == value);
        match term.operator.as_str() {
            "In" => value.is_some_and(listed),
            "NotIn" => !value.is_some_and(listed),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    });
    equal && expressions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn selector(json: &str) -> LabelSelector {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_empty_selector_matches_everything() {
        assert!(matches(&LabelSelector::default(), &labels(&[])));
        assert!(matches(&LabelSelector::default(), &labels(&[("a", "b")])));
    }

    #[test]
    fn every_term_must_hold() {
        let s = selector(
            r#"{"matchLabels":{"site":"berlin"},
                "matchExpressions":[{"key":"tier","operator":"In","values":["edge","lab"]}]}"#,
        );
        assert!(matches(&s, &labels(&[("site", "berlin"), ("tier", "lab")])));
        assert!(!matches(
            &s,
            &labels(&[("site", "berlin"), ("tier", "core")])
        ));
        assert!(!matches(&s, &labels(&[("tier", "lab")])));
    }

    #[test]
    fn negative_terms_hold_where_the_key_is_absent() {
        let not_in = selector(
            r#"{"matchExpressions":[{"key":"tier","operator":"NotIn","values":["lab"]}]}"#,
        );
        assert!(matches(&not_in, &labels(&[])));
        assert!(!matches(&not_in, &labels(&[("tier", "lab")])));
        let absent = selector(r#"{"matchExpressions":[{"key":"tier","operator":"DoesNotExist"}]}"#);
        assert!(matches(&absent, &labels(&[])));
        assert!(!matches(&absent, &labels(&[("tier", "")])));
    }

    #[test]
    fn an_unknown_operator_matches_nothing() {
        let s = selector(r#"{"matchExpressions":[{"key":"tier","operator":"Near"}]}"#);
        assert!(!matches(&s, &labels(&[("tier", "lab")])));
    }
}
