//! The watch of a host's HostAssignment, and the object with only the fields that an agent uses.
//!
//! Every event contains the whole object: also the status, which the agent wrote itself, and `managedFields`.
//! An agent does not need them and should use little memory, so they are skipped.

use std::borrow::Cow;
use std::pin::Pin;

use dockfleet_crds::assignment::HostAssignmentSpec;
use dockfleet_crds::{Entry, HostAssignment};
use futures::{Stream, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource};
use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

/// What the watch says: the assignment, or that there is none.
pub(super) type AssignmentEvent = Result<Option<WatchedAssignment>, watcher::Error>;

/// The watch of one assignment.
pub(super) struct AssignmentWatch {
    api: Api<WatchedAssignment>,
    host: String,
    events: Pin<Box<dyn Stream<Item = AssignmentEvent> + Send>>,
}

impl AssignmentWatch {
    pub(super) fn new(client: Client, namespace: &str, host: &str) -> Self {
        let api: Api<WatchedAssignment> = Api::namespaced(client, namespace);
        Self {
            events: Box::pin(watcher::watch_object(api.clone(), host).default_backoff()),
            api,
            host: host.to_owned(),
        }
    }

    /// Starts again: the next event is about the assignment as it is after that.
    pub(super) fn start_again(&mut self) {
        let events = watcher::watch_object(self.api.clone(), &self.host);
        self.events = Box::pin(events.default_backoff());
    }

    pub(super) async fn next(&mut self) -> Option<AssignmentEvent> {
        self.events.next().await
    }
}

/// An assignment, or why it cannot be read.
#[derive(Clone, Debug)]
pub(super) struct WatchedAssignment {
    /// Only the name, the UID and the version of the object.
    pub(super) metadata: ObjectMeta,
    pub(super) spec: Result<HostAssignmentSpec, String>,
}

#[derive(serde::Deserialize)]
struct AssignmentObject {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    hub: String,
    host_generation: Option<i64>,
    paused: bool,
    entries: Vec<WatchedEntry>,
}

/// An entry, or why it cannot be read: a newer controller may write entries that this agent does not know.
struct WatchedEntry(Result<Entry, String>);

impl<'de> Deserialize<'de> for WatchedEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A `Value` needs much memory, so there is only one at a time.
        let value = Value::deserialize(deserializer)?;
        Ok(Self(
            Entry::deserialize(value).map_err(|err| err.to_string()),
        ))
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
}

impl<'de> Deserialize<'de> for WatchedAssignment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let AssignmentObject { metadata, spec } = AssignmentObject::deserialize(deserializer)?;
        let entries = spec.entries.into_iter().map(|entry| entry.0);
        let entries: Result<Vec<Entry>, String> = entries.collect();
        Ok(Self {
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                uid: metadata.uid,
                resource_version: metadata.resource_version,
                generation: metadata.generation,
                ..ObjectMeta::default()
            },
            spec: entries.map(|entries| HostAssignmentSpec {
                hub: spec.hub,
                host_generation: spec.host_generation,
                paused: spec.paused,
                entries,
            }),
        })
    }
}

impl Resource for WatchedAssignment {
    type DynamicType = <HostAssignment as Resource>::DynamicType;
    type Scope = <HostAssignment as Resource>::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        HostAssignment::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        HostAssignment::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        HostAssignment::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        HostAssignment::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use kube::api::{ObjectList, WatchEvent};
    use kube::{Resource as _, ResourceExt as _};

    use super::WatchedAssignment;

    const SOUND: &str = r#"{"apiVersion": "dockfleet.io/v1alpha1", "kind": "HostAssignment",
        "metadata": {"name": "h1", "uid": "u", "resourceVersion": "7", "generation": 3,
            "managedFields": [{"fieldsV1": {"f:spec": {}}}]},
        "spec": {"hub": "a", "entries": []}, "status": {"entries": "of no interest"}}"#;
    const BROKEN: &str = r#"{"apiVersion": "dockfleet.io/v1alpha1", "kind": "HostAssignment",
        "metadata": {"name": "h1", "uid": "u", "resourceVersion": "8"},
        "spec": {"hub": "a", "entries": [{"kind": "DockerGalaxy"}]}}"#;
    const NEWER: &str = r#"{"apiVersion": "dockfleet.io/v1alpha1", "kind": "HostAssignment",
        "metadata": {"name": "h1", "uid": "u", "resourceVersion": "9"},
        "spec": {"hub": "a", "entries": [{"uid": "g", "kind": "DockerGalaxy", "namespace": "n",
            "name": "milkyway", "revision": "r", "intent": "Frozen", "orbit": 7, "spec": {}}]}}"#;

    #[test]
    fn an_event_is_read_as_far_as_it_matters() {
        let event = format!(r#"{{"type": "MODIFIED", "object": {SOUND}}}"#);
        let Ok(WatchEvent::Modified(assignment)) =
            serde_json::from_str::<WatchEvent<WatchedAssignment>>(&event)
        else {
            panic!("not as it was sent");
        };
        assert_eq!(assignment.resource_version().as_deref(), Some("7"));
        assert_eq!(assignment.meta().generation, Some(3));
        assert_eq!(assignment.spec.unwrap().hub, "a");
    }

    #[test]
    fn i15_an_entry_of_a_newer_version_is_read_as_far_as_it_is_known() {
        let assignment: WatchedAssignment = serde_json::from_str(NEWER).unwrap();
        let entries = assignment.spec.unwrap().entries;
        let read: Vec<_> = entries
            .iter()
            .map(|e| (e.uid.as_str(), e.kind.as_str(), e.intent.as_str()))
            .collect();
        assert_eq!(read, [("g", "DockerGalaxy", "Frozen")]);
        assert_eq!(entries[0].other["orbit"], 7);
    }

    #[test]
    fn an_unreadable_assignment_is_a_value_with_its_version() {
        let list = format!(
            r#"{{"apiVersion": "v1", "kind": "List", "metadata": {{}}, "items": [{BROKEN}]}}"#
        );
        let list: ObjectList<WatchedAssignment> = serde_json::from_str(&list).unwrap();
        let assignment = list.items.into_iter().next().unwrap();
        assert_eq!(assignment.resource_version().as_deref(), Some("8"));
        assert!(assignment.spec.unwrap_err().contains("uid"));
    }
}
