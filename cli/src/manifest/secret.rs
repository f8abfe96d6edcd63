//! Secrets in files: only the credentials of volumes and repositories. Their values are never in a message.

use std::collections::BTreeSet;

use dockfleet_planner::credentials::Credentials;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::check::{Resources, mistake, namespace, text};
use super::{Document, ManifestError};

/// Adds the credentials of a Secret to the resources, or returns its errors.
pub(super) fn add(document: &Document, resources: &mut Resources) -> Vec<ManifestError> {
    let name = text(document, "/metadata/name");
    if name.is_empty() {
        let message = "metadata.name: Required value: name or generateName is required".to_owned();
        return vec![mistake(document, "metadata.name", message)];
    }
    let mut errors = Vec::new();
    for field in ["data", "stringData"] {
        match document.value.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(values)) => {
                for (key, _) in values.iter().filter(|(_, value)| !value.is_string()) {
                    let path = format!("{field}.{key}");
                    let message = format!("{path}: expected a string; put the value into quotes");
                    errors.push(mistake(document, &path, message));
                }
            }
            Some(_) => {
                let message = format!("{field}: expected keys with strings");
                errors.push(mistake(document, field, message));
            }
        }
    }
    if !errors.is_empty() {
        return errors;
    }
    // The error of serde would quote the value.
    let Ok(secret) = serde_json::from_value::<Secret>(document.value.clone()) else {
        let message = "it cannot be read: values below data are texts in base64, those below \
                       stringData plain texts, labels texts in quotes";
        return vec![mistake(document, "data", message.to_owned())];
    };
    let key = (namespace(document), name);
    resources.secrets.insert(key, Credentials::of(&secret));
    Vec::new()
}

/// Returns an error for each Secret that no volume and no repository uses.
pub(super) fn unused(documents: &[Document], resources: &Resources) -> Vec<ManifestError> {
    let all = resources.resources.iter();
    let named: BTreeSet<(&str, &str)> = all
        .filter_map(|r| Some((r.namespace(), r.credentials_secret()?)))
        .collect();
    let is_used = |secret: &Document| {
        let (namespace, name) = (namespace(secret), text(secret, "/metadata/name"));
        named.contains(&(namespace.as_str(), name.as_str()))
    };
    let secrets = documents.iter().filter(|d| text(d, "/kind") == "Secret");
    secrets
        .filter(|secret| !is_used(secret))
        .map(|secret| {
            let message = "no DockerVolume in these files names it in cifs.credentialsSecret, and no \
                           BackupRepository in secret, which is all that a Secret is read for; remove it";
            mistake(secret, "metadata.name", message.to_owned())
        })
        .collect()
}
