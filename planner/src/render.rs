//! Renders a resource for one host.

use dockfleet_crds::{DockerHost, Entry, Intent};
use serde_json::Map;

use crate::desired::{self, Tombstone};
use crate::request;
use crate::resource::Resource;

/// A resource that cannot be rendered: the schema should have refused it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{field}: {value} is not {wanted}")]
pub struct RenderError {
    /// The field, below `spec`.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What a valid value is.
    pub wanted: &'static str,
}

/// Renders a resource for a host, with the version of the credentials that its mount needs.
pub fn entry(
    resource: &dyn Resource,
    host: &DockerHost,
    credentials: Option<&str>,
) -> Result<Entry, RenderError> {
    let (spec, revision) = resource.payload(host, credentials)?;
    Ok(Entry {
        uid: resource.uid().to_owned(),
        kind: resource.kind().into(),
        namespace: resource.namespace().to_owned(),
        name: resource.name().to_owned(),
        revision,
        intent: Intent::Present.into(),
        id: resource.confirmed_id(host),
        request: request::mark(resource.metadata()),
        released: resource.is_released_on(host),
        spec,
        other: Map::new(),
    })
}

/// Turns an entry into a tombstone.
pub fn tombstone(entry: &Entry, tombstone: &Tombstone, id: Option<String>) -> Entry {
    let (spec, revision) = desired::payload(tombstone, id.as_deref());
    Entry {
        intent: Intent::Absent.into(),
        revision,
        spec,
        id,
        request: None,
        released: false,
        ..entry.clone()
    }
}

#[cfg(test)]
mod tests;
