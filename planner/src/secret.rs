//! Hides credentials in texts for people (invariant 9).
//!
//! The options of a mount contain its password, an engine shows them to every client, and differences are
//! shown in statuses and messages.

use std::collections::BTreeMap;

use dockfleet_crds::FieldDiff;

/// The text in place of a credential.
const HIDDEN: &str = "***";
/// Parts of the names of options with credentials (mount.cifs, s3fs, sshfs and such).
const CREDENTIAL_WORDS: [&str; 6] = [
    "pass",
    "secret",
    "token",
    "credential",
    "private",
    "accesskey",
];

/// Hides credentials in differences.
pub(crate) fn hide(diff: &mut [FieldDiff]) {
    for d in diff {
        let whole = is_credential(&d.field);
        for text in [&mut d.want, &mut d.have] {
            *text = if whole {
                hidden(text)
            } else {
                in_options(text)
            };
        }
    }
}

/// Returns the places of credentials in options, such as `password in o`.
pub(crate) fn credential_places(options: &BTreeMap<String, String>) -> Vec<String> {
    let mut places = Vec::new();
    for (key, value) in options {
        if is_credential(key) {
            places.push(key.clone());
            continue;
        }
        let items = value.split(',').filter_map(|item| item.split_once('='));
        let inner = items.map(|(inner, _)| inner.trim());
        places.extend(
            inner
                .filter(|inner| is_credential(inner))
                .map(|inner| format!("{inner} in {key}")),
        );
    }
    places
}

/// Hides credentials in a list such as `addr=192.0.2.1,username=a,password=b`.
fn in_options(text: &str) -> String {
    let item = |item: &str| match item.split_once('=') {
        Some((key, _)) if is_credential(key) => format!("{key}={HIDDEN}"),
        _ => item.to_owned(),
    };
    text.split(',').map(item).collect::<Vec<_>>().join(",")
}

fn hidden(text: &str) -> String {
    if text.is_empty() || text == "nothing" {
        text.to_owned()
    } else {
        HIDDEN.to_owned()
    }
}

fn is_credential(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', '_'], "");
    CREDENTIAL_WORDS.iter().any(|t| key.contains(t))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide_in(field: &str, want: &str, have: &str) -> (String, String) {
        let mut diff = [FieldDiff {
            field: field.to_owned(),
            want: want.to_owned(),
            have: have.to_owned(),
        }];
        hide(&mut diff);
        let [d] = diff;
        (d.want, d.have)
    }

    #[test]
    fn the_password_of_a_mount_is_hidden_and_the_rest_is_not() {
        assert_eq!(
            hide_in(
                "options[o]",
                "addr=192.0.2.1,rw",
                "username=a,Password=b=c,vers=3.0"
            ),
            (
                "addr=192.0.2.1,rw".to_owned(),
                "username=a,Password=***,vers=3.0".to_owned()
            )
        );
    }

    #[test]
    fn an_option_that_is_a_password_is_hidden_whole() {
        assert_eq!(
            hide_in("options[secret-key]", "nothing", "a,b"),
            ("nothing".to_owned(), "***".to_owned())
        );
        assert_eq!(
            hide_in("options[password]", "x", ""),
            ("***".to_owned(), String::new())
        );
    }
}
