//! Everything that an API server serves, as it says itself.

use anyhow::{Context as _, Result};
use dockfleet_e2e::ControlPlane;
use serde_json::Value;

/// Something that can be done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
    /// Verbs of the authorizer that no request stands for.
    Special(&'static str),
}

impl Verb {
    /// Every verb that a request stands for.
    pub(crate) const REQUESTS: [Self; 8] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
    ];
    /// The others.
    pub(crate) const SPECIAL: [Self; 8] = [
        Self::Special("impersonate"),
        Self::Special("bind"),
        Self::Special("escalate"),
        Self::Special("approve"),
        Self::Special("sign"),
        Self::Special("attest"),
        Self::Special("use"),
        Self::Special("*"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Special(verb) => verb,
        }
    }

    pub(crate) fn of(text: &str) -> Option<Self> {
        Self::REQUESTS.into_iter().find(|v| v.as_str() == text)
    }
}

/// A resource or subresource.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) group: String,
    pub(crate) version: String,
    /// With its subresource, if it is one: `pods/log`.
    pub(crate) name: String,
    pub(crate) is_namespaced: bool,
}

/// Gives every resource and subresource of every group and version.
pub(crate) fn everything(plane: &ControlPlane) -> Result<Vec<Served>> {
    let read = |path: &str| -> Result<Value> {
        let text = plane.kubectl(["get", "--raw", path])?.ok()?;
        serde_json::from_str(&text).with_context(|| format!("{path} is no JSON"))
    };
    let mut versions = vec!["api/v1".to_owned()];
    let groups = read("/apis")?;
    for group in groups["groups"].as_array().context("no groups")? {
        for version in group["versions"].as_array().context("no versions")? {
            let version = version["groupVersion"].as_str().context("no version")?;
            versions.push(format!("apis/{version}"));
        }
    }
    let mut all = Vec::new();
    for path in versions {
        let (group, version) = match path.split('/').collect::<Vec<_>>()[..] {
            ["apis", group, version] => (group, version),
            _ => ("", "v1"),
        };
        let resources = read(&format!("/{path}"))?;
        for resource in resources["resources"].as_array().into_iter().flatten() {
            all.push(Served {
                group: group.to_owned(),
                version: version.to_owned(),
                name: resource["name"].as_str().context("no name")?.to_owned(),
                is_namespaced: resource["namespaced"] == true,
            });
        }
    }
    Ok(all)
}

/// Whether Kubernetes lets everybody do this who is known at all: ask about themselves.
pub(crate) fn is_everybodys(resource: &str, verb: Verb) -> bool {
    verb == Verb::Create
        && [
            "authentication.k8s.io/selfsubjectreviews",
            "authorization.k8s.io/selfsubjectaccessreviews",
            "authorization.k8s.io/selfsubjectrulesreviews",
        ]
        .contains(&resource)
}
