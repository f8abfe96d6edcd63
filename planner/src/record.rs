//! What the journal of an agent says of one object.

use dockfleet_crds::Entry;
use dockfleet_crds::assignment::Kind;
use serde::{Deserialize, Serialize};

/// One object that the agent owns, owned, or was about to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// UID of the resource.
    pub uid: String,
    /// Kind of the resource.
    pub kind: Kind,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// Name of the object on the host.
    pub object: String,
    /// Docker identity of the object; a network has none before it is made.
    pub id: Option<String>,
    /// How far it got.
    pub stage: Stage,
    /// The object was there before us.
    pub adopted: bool,
    /// The object has been on the host as ours, so that its absence is a loss.
    pub was_ready: bool,
    /// Version of the credentials that its mount was last seen to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

/// How far an object got: the durable word before each change of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// About to be made, or made and not yet seen.
    Creating,
    /// Ours.
    Owned,
    /// About to be removed in order to be made anew: permitted by its updatePolicy.
    Replacing,
    /// About to be removed: permitted by a tombstone.
    Removing,
    /// Let go of, and left on the host.
    Retained,
}

impl Record {
    /// Makes the record of an object that an entry asks for.
    pub fn new(entry: &Entry, object: &str, stage: Stage, id: Option<String>) -> Self {
        Self {
            uid: entry.uid.clone(),
            kind: entry.kind,
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            object: object.to_owned(),
            id,
            stage,
            adopted: false,
            was_ready: false,
            credentials: None,
        }
    }

    /// Returns the record with another stage.
    #[must_use]
    pub fn at(&self, stage: Stage) -> Self {
        Self {
            stage,
            ..self.clone()
        }
    }
}
