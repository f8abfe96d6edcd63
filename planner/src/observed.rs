//! The observed state of an engine, in the form that the planner compares.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::labels;

use crate::kinds::Object;
use crate::plan::Records;
use crate::record::Stage;

/// The objects of an engine, by kind. A kind is missing if its list could not be read, which is not the same
/// as an empty list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedState {
    lists: BTreeMap<Kind, Vec<Object>>,
    warnings: BTreeMap<Kind, Vec<String>>,
}

impl ObservedState {
    /// Sets the list of a kind.
    pub fn insert(&mut self, kind: Kind, objects: Vec<Object>) {
        self.lists.insert(kind, objects);
    }

    /// Sets the engine's warnings about the list of a kind: what drivers did not answer.
    pub fn warn(&mut self, kind: Kind, warnings: Vec<String>) {
        self.warnings.insert(kind, warnings);
    }

    /// Adds to the objects of a kind what was found when they were last examined.
    pub fn recall(&mut self, kind: Kind, records: &Records) {
        let examined = records.values().filter(|r| r.stage != Stage::Retained);
        for record in examined {
            let (Some(id), Some(found)) = (&record.id, &record.examined) else {
                continue;
            };
            if let Some(object) = self.object_mut(kind, &record.object, id) {
                object.recall(found);
            }
        }
    }

    /// Returns an object of a kind by its name and identity.
    pub fn object_mut(&mut self, kind: Kind, name: &str, id: &str) -> Option<&mut Object> {
        let mut all = self.lists.get_mut(&kind)?.iter_mut();
        all.find(|o| o.name() == name && o.id() == id)
    }

    /// Adds the lists of another observation.
    pub fn extend(&mut self, other: Self) {
        self.lists.extend(other.lists);
        self.warnings.extend(other.warnings);
    }

    /// Whether no list could be read.
    pub fn is_unknown(&self) -> bool {
        self.lists.is_empty()
    }

    /// Returns the objects of a kind, or `None` if they are not known.
    pub fn all(&self, kind: Kind) -> Option<&[Object]> {
        self.lists.get(&kind).map(Vec::as_slice)
    }

    /// Returns the warning that the objects of a driver may be missing in the list of a kind, or may lack their
    /// labels. If the driver is not known, any warning is about it.
    ///
    /// The engine asks each volume plugin for its volumes, and warns `list DRIVER: CAUSE` if that fails (moby,
    /// `volume/service/store.go`). It then shows what it remembers, which is nothing after a restart.
    pub fn incomplete(&self, kind: Kind, driver: Option<&str>) -> Option<&str> {
        let about = |warning: &&String| match (driver, warning.strip_prefix("list ")) {
            (Some(driver), Some(rest)) => {
                let named = rest.strip_prefix(driver);
                named.is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(":latest: "))
            }
            (None, _) | (_, None) => true,
        };
        let mut warnings = self.warnings.get(&kind)?.iter();
        warnings.find(about).map(String::as_str)
    }

    /// Returns the objects of a kind and name in the order of their identities, or `None` if they are not
    /// known.
    pub fn named(&self, kind: Kind, name: &str) -> Option<Vec<&Object>> {
        let all = self.all(kind)?.iter();
        let mut named: Vec<&Object> = all.filter(|o| o.name() == name).collect();
        // An engine returns lists in random order.
        named.sort_by_cached_key(|o| o.id());
        Some(named)
    }
}

impl Object {
    /// Whether it has a label that names a resource.
    pub(crate) fn is_labelled(&self) -> bool {
        self.labels().contains_key(labels::UID)
    }

    /// Whether Dockfleet created it for the resource with this UID.
    pub fn created_for(&self, uid: &str) -> bool {
        self.labels().get(labels::UID).is_some_and(|u| u == uid)
    }

    /// Returns the owner according to its labels.
    pub fn owner(&self) -> String {
        let labels = self.labels();
        let get = |key: &str| labels.get(key);
        if let (Some(namespace), Some(name)) = (get(labels::NAMESPACE), get(labels::NAME)) {
            let uid = get(labels::UID).map_or("unknown", String::as_str);
            return format!("Dockfleet resource {namespace}/{name} (uid {uid})");
        }
        if let Some(project) = get("com.docker.compose.project") {
            return format!("compose project {project}");
        }
        if let Some(stack) = get("com.docker.stack.namespace") {
            return format!("swarm stack {stack}");
        }
        "no resource of Dockfleet".to_owned()
    }
}
