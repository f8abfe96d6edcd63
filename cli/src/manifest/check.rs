//! Checks documents and converts them to types.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dockfleet_crds::DockerHost;
use dockfleet_crds::validation::{FieldError, admit, api_version, without_value};
use dockfleet_planner::credentials::{Credentials, Unusable};
use dockfleet_planner::kinds::read;
use dockfleet_planner::resource::Resource;
use serde_json::Value;

use super::{Document, ManifestError, kinds, secret};

/// The part of a path that belongs to the labels of a selector.
const SELECTED: &str = ".matchLabels.";
/// The API version of RBAC.
const RIGHTS: &str = "rbac.authorization.k8s.io/v1";

/// The content of manifests. Each list is in the order of the documents.
#[derive(Debug, Default)]
pub struct Resources {
    /// Networks and volumes, each with its namespace.
    pub resources: Vec<Box<dyn Resource>>,
    /// Hosts, each with its namespace and with `certPath` relative to the working folder.
    pub hosts: Vec<DockerHost>,
    /// Labels of the namespaces that have a document, by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// The credentials in Secrets, by namespace and name, or why a Secret cannot be used.
    pub secrets: BTreeMap<(String, String), Result<Credentials, Unusable>>,
    /// Warnings, each with file, line and resource.
    pub warnings: Vec<String>,
}

/// Checks documents like an API server and returns the resources in them.
///
/// # Errors
/// All errors in all documents, not only the first one.
pub fn check(documents: &[Document]) -> Result<Resources, Vec<ManifestError>> {
    let mut resources = Resources::default();
    let mut errors = Vec::new();
    let mut seen: BTreeMap<[String; 3], &Document> = BTreeMap::new();
    for (document, found) in documents.iter().zip(by_schema(documents)) {
        let found = one(document, found, &mut resources);
        let sound = found.is_empty();
        errors.extend(found);
        if !sound {
            continue;
        }
        resources.warnings.extend(left_out(document));
        let key = [
            text(document, "/kind"),
            namespace(document),
            text(document, "/metadata/name"),
        ];
        if let Some(first) = seen.get(&key) {
            let message = format!(
                "this resource is also in {}:{}; keep one of them",
                first.source,
                first.line_of("metadata.name")
            );
            errors.push(mistake(document, "metadata.name", message));
        } else {
            seen.insert(key, document);
        }
    }
    if errors.is_empty() {
        errors = secret::unused(documents, &resources);
    }
    if errors.is_empty() {
        Ok(resources)
    } else {
        Err(errors)
    }
}

/// The result of the schema of a kind for a document.
type Admitted = Result<Value, Vec<FieldError>>;

/// Checks each document by the schema of its kind, on all cores. Documents of other kinds are not
/// checked.
fn by_schema(documents: &[Document]) -> Vec<Admitted> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(document) = documents.get(index) else {
                return found;
            };
            let kind = text(document, "/kind");
            let admitted = if kinds::is_known(&kind) {
                admit(&kind, &document.value, None)
            } else {
                Ok(Value::Null)
            };
            found.push((index, admitted));
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    // Starting a thread takes as long as checking some documents.
    let helpers = (cores - 1).min(documents.len() / 16);
    let mut all = thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, admitted)| admitted).collect()
}

/// Adds one document to the resources, or returns its errors.
fn one(document: &Document, admitted: Admitted, resources: &mut Resources) -> Vec<ManifestError> {
    let (kind, version) = (text(document, "/kind"), text(document, "/apiVersion"));
    let known = version == api_version();
    match kind.as_str() {
        _ if !document.value.is_object() => {
            let message = "expected a resource: apiVersion, kind, metadata and spec";
            vec![mistake(document, "", message.to_owned())]
        }
        _ if version.is_empty() => vec![mistake(
            document,
            "apiVersion",
            "apiVersion not set".to_owned(),
        )],
        "" => vec![mistake(document, "kind", "kind not set".to_owned())],
        "Namespace" if version == "v1" => add_namespace(document, resources),
        "Secret" if version == "v1" => secret::add(document, resources),
        "List" if version == "v1" => {
            let message = "items: expected a list of resources: items, a colon, and - before each";
            vec![mistake(document, "items", message.to_owned())]
        }
        // Only an API server needs the rights to the Secret of a volume. Files with these rights
        // also work without a cluster.
        "Role" | "RoleBinding" if version == RIGHTS => Vec::new(),
        "HostAssignment" if known => {
            let message = "only the controller writes a HostAssignment; remove it from the files";
            vec![mistake(document, "kind", message.to_owned())]
        }
        kinds::HOST if known => add(document, admitted, |value| {
            let mut host: DockerHost = serde_json::from_value(value)?;
            from_the_working_folder(&mut host, &document.source);
            resources.hosts.push(host);
            Ok(())
        }),
        name if known && let Some(kind) = kinds::of(name) => add(document, admitted, |value| {
            resources.resources.push(read(kind, value)?);
            Ok(())
        }),
        _ => {
            let field = if kinds::is_known(&kind) {
                "apiVersion"
            } else {
                "kind"
            };
            let message = format!(
                "no matches for kind \"{kind}\" in version \"{version}\"; known are {} in version \"{}\", and \
                 Namespace and Secret in version \"v1\"",
                kinds::names().collect::<Vec<_>>().join(", "),
                api_version(),
            );
            vec![mistake(document, field, message)]
        }
    }
}

/// Converts a valid document to its type, with its namespace.
fn add(
    document: &Document,
    admitted: Admitted,
    keep: impl FnOnce(Value) -> Result<(), serde_json::Error>,
) -> Vec<ManifestError> {
    let mut value = match admitted {
        Ok(value) => value,
        Err(mut errors) => {
            errors.sort_by_key(|error| document.line_of(&error.path));
            return errors.iter().map(|e| manifest_error(document, e)).collect();
        }
    };
    let errors = nothing_selected(document);
    if !errors.is_empty() {
        return errors;
    }
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("namespace".to_owned(), namespace(document).into());
    }
    match keep(value) {
        Ok(()) => Vec::new(),
        Err(error) => vec![mistake(document, "", error.to_string())],
    }
}

/// Returns an error with the message of an API server and a suggestion.
fn manifest_error(document: &Document, error: &FieldError) -> ManifestError {
    let hint = error.hint().map(|hint| format!("; {hint}"));
    let message = format!("{error}{}", hint.unwrap_or_default());
    mistake(document, &error.path, message)
}

/// An API server drops keys without a value. In a selector this would remove a term, and select
/// more hosts than intended.
fn nothing_selected(document: &Document) -> Vec<ManifestError> {
    let paths = without_value(&text(document, "/kind"), &document.value);
    let terms = paths.iter().filter(|path| path.contains(SELECTED));
    terms
        .map(|path| {
            let message = format!(
                "{path}: it has no value, so that an API server would leave it out and select more; \
                 write '' for an empty text"
            );
            mistake(document, path, message)
        })
        .collect()
}

/// Returns the keys of a document that are dropped because they have no value.
fn left_out(document: &Document) -> impl Iterator<Item = String> {
    let paths = without_value(&text(document, "/kind"), &document.value);
    paths.into_iter().map(move |path| {
        let message = format!(
            "{path}: it has no value and is ignored, as in an API server; write '' for an empty string"
        );
        mistake(document, &path, message).to_string()
    })
}

/// Only the labels of a namespace matter: `allowedNamespaces` of a host may select by them.
fn add_namespace(document: &Document, resources: &mut Resources) -> Vec<ManifestError> {
    let name = text(document, "/metadata/name");
    if name.is_empty() {
        let message = "metadata.name: Required value: name or generateName is required".to_owned();
        return vec![mistake(document, "metadata.name", message)];
    }
    let labels = document
        .value
        .pointer("/metadata/labels")
        .unwrap_or(&Value::Null);
    match serde_json::from_value::<Option<BTreeMap<String, String>>>(labels.clone()) {
        Ok(labels) => {
            resources
                .namespaces
                .insert(name, labels.unwrap_or_default());
            Vec::new()
        }
        Err(error) => vec![mistake(
            document,
            "metadata.labels",
            format!("metadata.labels: {error}"),
        )],
    }
}

/// `certPath` is relative to its file, which is not known later.
fn from_the_working_folder(host: &mut DockerHost, file: &str) {
    let direct = host
        .spec
        .connection
        .as_mut()
        .and_then(|c| c.direct.as_mut());
    if let (Some(path), Some(folder)) = (
        direct.and_then(|d| d.cert_path.as_mut()),
        Path::new(file).parent(),
    ) {
        *path = folder.join(&*path).display().to_string();
    }
}

/// Namespaces have no namespace. Everything else is in `default`, unless it has another one.
pub(super) fn namespace(document: &Document) -> String {
    let named = text(document, "/metadata/namespace");
    match text(document, "/kind").as_str() {
        "Namespace" => String::new(),
        _ if named.is_empty() => "default".to_owned(),
        _ => named,
    }
}

pub(super) fn text(document: &Document, pointer: &str) -> String {
    document
        .value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn mistake(document: &Document, path: &str, message: String) -> ManifestError {
    let shown = |pointer, otherwise: &str| {
        Some(text(document, pointer))
            .filter(|t| !t.is_empty())
            .unwrap_or_else(|| otherwise.to_owned())
    };
    let name = shown("/metadata/name", "(no name)");
    ManifestError::Invalid {
        file: document.source.clone(),
        line: document.line_of(path),
        resource: format!("{}/{name}", shown("/kind", "(no kind)")),
        message,
    }
}
