//! What the journal of an agent says of one object.

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, Open};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{IntoStaticStr, VariantArray};

/// One object that the agent owns, owned, or was about to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// UID of the resource.
    pub uid: String,
    /// Kind of the resource.
    pub kind: Open<Kind>,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// Name of the object on the host.
    pub object: String,
    /// Docker identity of the object; a network has none before it is made.
    pub id: Option<String>,
    /// How far it got.
    pub stage: Open<Stage>,
    /// The object was there before us.
    pub adopted: bool,
    /// The object has been on the host as ours, so that its absence is a loss.
    pub was_ready: bool,
    /// Version of the credentials that its mount was last seen to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How far an object got: the durable word before each change of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
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

/// The fields that a record of every version has.
#[derive(Deserialize)]
struct Outline {
    uid: String,
    kind: Open<Kind>,
    stage: Open<Stage>,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    object: String,
    #[serde(default)]
    id: Option<String>,
}

impl Record {
    /// Reads a record. One of a kind or stage that this version does not know may have any form beside
    /// the fields that all records have; it is read to be kept and reported, and never written.
    pub fn read(body: &str) -> Result<Self, serde_json::Error> {
        let damaged = match serde_json::from_str::<Self>(body) {
            Ok(record) => return Ok(record),
            Err(err) => err,
        };
        match serde_json::from_str::<Outline>(body) {
            Ok(outline) if outline.kind.known().is_none() || outline.stage.known().is_none() => {
                Ok(Self {
                    uid: outline.uid,
                    kind: outline.kind,
                    namespace: outline.namespace,
                    name: outline.name,
                    object: outline.object,
                    id: outline.id,
                    stage: outline.stage,
                    adopted: false,
                    was_ready: false,
                    credentials: None,
                    other: Map::new(),
                })
            }
            Ok(_) | Err(_) => Err(damaged),
        }
    }

    /// Whether this version knows the kind and the stage. A record that it does not understand is never
    /// acted on and never written.
    pub fn is_understood(&self) -> bool {
        self.kind.known().is_some() && self.stage.known().is_some()
    }

    /// Makes the record of an object that an entry asks for.
    pub fn new(entry: &Entry, object: &str, stage: Stage, id: Option<String>) -> Self {
        Self {
            uid: entry.uid.clone(),
            kind: entry.kind.clone(),
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            object: object.to_owned(),
            id,
            stage: stage.into(),
            adopted: false,
            was_ready: false,
            credentials: None,
            other: Map::new(),
        }
    }

    /// Returns the record with another stage.
    #[must_use]
    pub fn at(&self, stage: Stage) -> Self {
        Self {
            stage: stage.into(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(kind: &str, stage: &str) -> Value {
        json!({
            "uid": "u", "kind": kind, "namespace": "team", "name": "lab", "object": "lab",
            "id": "id1", "stage": stage, "adopted": false, "wasReady": true,
        })
    }

    #[test]
    fn what_a_newer_version_wrote_into_a_record_is_written_back() {
        let mut newer = body("DockerNetwork", "Owned");
        newer["attachments"] = json!(["c1", "c2"]);
        let record = Record::read(&newer.to_string()).unwrap();
        assert!(record.is_understood());
        let changed = record.at(Stage::Removing);
        newer["stage"] = json!("Removing");
        assert_eq!(serde_json::to_value(&changed).unwrap(), newer);
    }

    #[test]
    fn a_record_of_an_unknown_kind_or_stage_is_read_and_not_understood() {
        for (kind, stage) in [("DockerGalaxy", "Owned"), ("DockerNetwork", "Draining")] {
            let whole = body(kind, stage);
            let short = json!({"uid": "u", "kind": kind, "stage": stage, "orbit": 7});
            for body in [whole, short] {
                let record = Record::read(&body.to_string()).unwrap();
                assert!(!record.is_understood());
                assert_eq!((record.kind.as_str(), record.stage.as_str()), (kind, stage));
            }
        }
    }

    #[test]
    fn a_record_that_is_not_whole_is_damaged() {
        let mut cut = body("DockerNetwork", "Owned");
        cut.as_object_mut().unwrap().remove("object");
        for damaged in ["{}", "", "[]", &cut.to_string()] {
            assert!(Record::read(damaged).is_err(), "{damaged}");
        }
    }
}
