//! Label selectors on the command line, in the form of kubectl.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// Reads a selector such as `team=web,!keep`.
pub(crate) fn parse(text: &str) -> Result<LabelSelector, String> {
    let terms = text.split(',').map(|term| {
        let term = term.trim();
        let (key, operator, value) = if let Some((key, value)) = term.split_once("!=") {
            (key, "NotIn", Some(value))
        } else if let Some((key, value)) = term.split_once('=') {
            (key, "In", Some(value.trim_start_matches('=')))
        } else if let Some(key) = term.strip_prefix('!') {
            (key, "DoesNotExist", None)
        } else {
            (term, "Exists", None)
        };
        let key = key.trim();
        if key.is_empty() || key.contains([' ', '!', '=']) {
            return Err(format!(
                "{term:?} is not KEY=VALUE, KEY!=VALUE, KEY or !KEY"
            ));
        }
        Ok(LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: value.map(|value| vec![value.trim().to_owned()]),
        })
    });
    Ok(LabelSelector {
        match_expressions: Some(terms.collect::<Result<_, _>>()?),
        match_labels: None,
    })
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::selector::matches;

    use super::parse;

    #[test]
    fn every_form_of_a_term_selects_as_in_kubectl() {
        let labels = [("team", "web"), ("tier", "lab")];
        let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (text, expected) in [
            ("team=web", true),
            ("team==web", true),
            ("team=db", false),
            ("team!=db", true),
            ("team!=web", false),
            ("team", true),
            ("other", false),
            ("!other", true),
            ("!team", false),
            ("team=web, tier=lab", true),
            ("team=web,tier=edge", false),
        ] {
            assert_eq!(matches(&parse(text).unwrap(), &labels), expected, "{text}");
        }
        for bad in ["", "=web", "team=web,", "!", "a b"] {
            assert!(parse(bad).unwrap_err().contains("KEY=VALUE"), "{bad}");
        }
    }
}
