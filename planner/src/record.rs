//! The journal's record of one object.

use std::fmt;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, Open};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use strum::{IntoStaticStr, VariantArray};

/// The key of a record: the resource, and which of the things that it owns on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey {
    /// UID of the resource.
    pub uid: String,
    /// Name of the thing within the resource; empty for the object that the resource describes.
    pub thing: String,
}

impl RecordKey {
    /// Returns the key of the object that a resource describes.
    pub fn object(uid: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            thing: String::new(),
        }
    }
}

/// `UID`, or `UID/THING`: an agent that does not know things keeps such a record as the record of an unknown
/// resource.
impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.thing.as_str() {
            "" => f.write_str(&self.uid),
            thing => write!(f, "{}/{thing}", self.uid),
        }
    }
}

impl From<String> for RecordKey {
    fn from(text: String) -> Self {
        match text.split_once('/').filter(|(_, thing)| !thing.is_empty()) {
            None => Self::object(&text),
            Some((uid, thing)) => Self {
                uid: uid.to_owned(),
                thing: thing.to_owned(),
            },
        }
    }
}

impl From<RecordKey> for String {
    fn from(key: RecordKey) -> Self {
        key.to_string()
    }
}

impl Serialize for RecordKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// One object that the agent owns, owned, or was about to create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The resource and the thing.
    #[serde(rename = "uid")]
    pub key: RecordKey,
    /// Kind of the resource.
    pub kind: Open<Kind>,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// Name of the object on the host.
    pub object: String,
    /// Docker identity of the object; a network has none before it is created.
    pub id: Option<String>,
    /// The stage of the object.
    pub stage: Open<Stage>,
    /// The object existed before Dockfleet owned it.
    pub adopted: bool,
    /// The object has existed and was owned, so that its absence is a loss.
    pub was_ready: bool,
    /// Driver of the object; missing in the records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Version of the credentials that its mount had when it was last compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// What was found when the object was last examined, in the form of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examined: Option<Value>,
    /// Progress of an action of several steps, in the form of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The stage of an object, which is durable before each change of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum Stage {
    /// About to be created, or created and not yet observed.
    Creating,
    /// Owned.
    Owned,
    /// About to be removed and created again, which the updatePolicy permits.
    Replacing,
    /// About to be removed, which a tombstone permits.
    Removing,
    /// Released and left on the host.
    Retained,
}

/// The fields that every version of a record has.
#[derive(Deserialize)]
struct Outline {
    #[serde(rename = "uid")]
    key: RecordKey,
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
    /// Reads a record. A record with an unknown kind or stage may have any form beside the fields that all
    /// records have. It is kept and reported, and never written.
    pub fn read(body: &str) -> Result<Self, serde_json::Error> {
        let damaged = match serde_json::from_str::<Self>(body) {
            Ok(record) => return Ok(record),
            Err(err) => err,
        };
        match serde_json::from_str::<Outline>(body) {
            Ok(outline) if outline.kind.known().is_none() || outline.stage.known().is_none() => {
                Ok(Self {
                    key: outline.key,
                    kind: outline.kind,
                    namespace: outline.namespace,
                    name: outline.name,
                    object: outline.object,
                    id: outline.id,
                    stage: outline.stage,
                    adopted: false,
                    was_ready: false,
                    driver: None,
                    credentials: None,
                    examined: None,
                    progress: None,
                    other: Map::new(),
                })
            }
            Ok(_) | Err(_) => Err(damaged),
        }
    }

    /// Whether this version knows the kind, the stage and the thing. It creates no other thing than the
    /// object itself. A record that it does not understand is never acted on and never written.
    pub fn is_understood(&self) -> bool {
        self.kind.known().is_some() && self.stage.known().is_some() && self.key.thing.is_empty()
    }

    /// Creates the record of an entry's object.
    pub fn new(entry: &Entry, object: &str, stage: Stage, id: Option<String>) -> Self {
        Self {
            key: RecordKey::object(&entry.uid),
            kind: entry.kind.clone(),
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            object: object.to_owned(),
            id,
            stage: stage.into(),
            adopted: false,
            was_ready: false,
            driver: None,
            credentials: None,
            examined: None,
            progress: None,
            other: Map::new(),
        }
    }

    /// Returns the progress of an action of several steps; `None` if it did not begin, or has a form that
    /// this version does not understand.
    pub fn progress<P: DeserializeOwned>(&self) -> Option<P> {
        let progress = self.progress.clone()?;
        serde_json::from_value(progress).ok()
    }

    /// Returns the record with what the previous one of the same thing has beside it: the fields of a newer
    /// version, and the progress if it has the same stage.
    #[must_use]
    pub(crate) fn after(self, before: Option<&Self>) -> Self {
        let Some(before) = before.filter(|b| b.key == self.key) else {
            return self;
        };
        let same_stage = before.stage == self.stage;
        Self {
            progress: before.progress.clone().filter(|_| same_stage),
            other: before.other.clone(),
            ..self
        }
    }

    /// Returns the record with another stage and without progress.
    #[must_use]
    pub fn at(&self, stage: Stage) -> Self {
        Self {
            stage: stage.into(),
            progress: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Records;

    fn body(kind: &str, stage: &str) -> Value {
        json!({
            "uid": "u", "kind": kind, "namespace": "team", "name": "lab", "object": "lab",
            "id": "id1", "stage": stage, "adopted": false, "wasReady": true,
        })
    }

    #[test]
    fn fields_of_a_newer_version_in_a_record_are_kept() {
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

    /// The record of a thing that a resource owns beside its object.
    fn of_thing(thing: &str) -> Record {
        let object = Record::read(&body("DockerNetwork", "Owned").to_string()).unwrap();
        assert!(object.is_understood());
        let uid = object.key.uid.clone();
        Record {
            key: RecordKey {
                uid,
                thing: thing.to_owned(),
            },
            progress: Some(json!({"step": 2})),
            ..object
        }
    }

    #[test]
    fn a_record_of_another_thing_has_its_own_key_and_is_read_back_as_it_was() {
        let record = of_thing("peer");
        assert!(!record.is_understood());
        assert_ne!(record.key, RecordKey::object("u"));
        let written = serde_json::to_value(&record).unwrap();
        assert_eq!(written["uid"], json!("u/peer"));
        assert_eq!(Record::read(&written.to_string()).unwrap(), record);
        // The thing is all that comes after the first slash.
        let deep = of_thing("peer/1");
        let written = serde_json::to_value(&deep).unwrap();
        assert_eq!(written["uid"], json!("u/peer/1"));
        assert_eq!(Record::read(&written.to_string()).unwrap(), deep);
        // The key of the object is the UID alone, as in every version.
        let object = of_thing("");
        assert_eq!(object.key, RecordKey::object("u"));
        let written = serde_json::to_value(&object).unwrap();
        assert_eq!(written["uid"], json!("u"));
        assert_eq!(Record::read(&written.to_string()).unwrap(), object);
    }

    #[test]
    fn a_record_of_another_thing_that_is_not_understood_keeps_its_key() {
        let newer = json!({"uid": "u/peer", "kind": "DockerGalaxy", "stage": "Owned", "orbit": 7});
        let record = Record::read(&newer.to_string()).unwrap();
        assert!(!record.is_understood());
        assert_eq!(record.key, of_thing("peer").key);
    }

    #[test]
    fn records_of_two_things_of_one_resource_are_beside_each_other() {
        let all = [of_thing("peer"), of_thing(""), of_thing("route")];
        let filed = all.clone().map(|record| (record.key.clone(), record));
        let mut records = Records::from(filed);
        assert_eq!(records.len(), 3);
        for record in &all {
            assert_eq!(records.get(&record.key), Some(record));
        }
        // One is removed, and the others stay.
        let [peer, object, route] = &all;
        assert_eq!(records.remove(&peer.key).as_ref(), Some(peer));
        assert_eq!(records.values().collect::<Vec<_>>(), [object, route]);
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
