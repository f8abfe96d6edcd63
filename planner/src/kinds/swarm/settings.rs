//! The availability and the labels of a node.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::swarm::Availability;
use dockfleet_crds::{FieldDiff, Open};

use super::{DesiredNode, Node};

/// The label of a node with the keys of the labels that Dockfleet has set, separated by commas. Without it, nobody
/// would know which labels to remove.
pub(super) const LABEL_KEYS: &str = "io.dockfleet.node-labels";
/// The label of a node that Dockfleet has drained because its host is to leave.
pub(super) const LEAVING: &str = "io.dockfleet.leaving";
/// The settings of one node that change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    /// ID of the node.
    pub node: String,
    /// The new availability, if it changes.
    pub availability: Option<Availability>,
    /// The labels that change; those without a value are removed.
    pub labels: BTreeMap<String, Option<String>>,
}

impl NodeSettings {
    pub(super) fn is_empty(&self) -> bool {
        self.availability.is_none() && self.labels.is_empty()
    }

    /// Returns the changes as differences.
    pub(super) fn differences(self, node: &Node) -> impl Iterator<Item = FieldDiff> {
        let had = <&str>::from(node.availability).to_owned();
        let availability = self.availability.map(|want| FieldDiff {
            field: format!("nodes[{}].availability", node.id),
            want: <&str>::from(want).to_owned(),
            have: had,
        });
        let labels = self.labels.into_iter().map(|(key, want)| FieldDiff {
            field: format!("nodes[{}].labels[{key}]", node.id),
            want: want.unwrap_or_default(),
            have: node.labels.get(&key).cloned().unwrap_or_default(),
        });
        availability.into_iter().chain(labels)
    }

    /// Returns what changes on a node.
    pub(super) fn of(want: &DesiredNode, node: &Node) -> Self {
        let mut labels: BTreeMap<String, Option<String>> = BTreeMap::new();
        let had = node.labels.get(LABEL_KEYS).map_or("", String::as_str);
        let had: BTreeSet<&str> = had.split(',').filter(|key| !key.is_empty()).collect();
        let drained = node.labels.contains_key(LEAVING);
        let mut must: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in &want.labels {
            must.insert(key, value);
        }
        let keys = must.keys().copied().collect::<Vec<_>>().join(",");
        if !keys.is_empty() {
            must.insert(LABEL_KEYS, &keys);
        }
        if want.leaves && (drained || node.availability != Availability::Drain) {
            must.insert(LEAVING, "true");
        }
        for (key, value) in &must {
            if node.labels.get(*key).map(String::as_str) != Some(*value) {
                labels.insert((*key).to_owned(), Some((*value).to_owned()));
            }
        }
        for key in had.into_iter().chain([LABEL_KEYS, LEAVING]) {
            if node.labels.contains_key(key) && !must.contains_key(key) {
                labels.insert(key.to_owned(), None);
            }
        }
        let availability = if want.leaves {
            Some(Availability::Drain)
        } else {
            let given = want.availability.as_ref().and_then(Open::known);
            // What was drained to leave, and stays after all, is used again.
            given.or_else(|| drained.then_some(Availability::Active))
        };
        Self {
            node: node.id.clone(),
            availability: availability.filter(|a| *a != node.availability),
            labels,
        }
    }
}

#[cfg(test)]
mod tests;
