//! The observed state of a volume.

use std::collections::BTreeMap;

use dockfleet_crds::labels;
use serde_json::Value;

use super::desired::data_is_elsewhere;
use super::ownership::TopFolder;
use crate::credentials::Credentials;
use crate::kinds::ObservedObject;

/// A volume as the engine reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Name, which is unique on an engine.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Driver options, without the credentials of a mount.
    pub options: BTreeMap<String, String>,
    /// The credentials of a mount, if its options have any.
    pub credentials: Option<Credentials>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The top folder, if it was examined.
    pub top_folder: Option<TopFolder>,
}

impl ObservedVolume {
    /// Whether the volume's data is outside the engine's data root, so that removing the volume loses nothing.
    pub(super) fn data_is_elsewhere(&self) -> bool {
        data_is_elsewhere(&self.driver, &self.options)
    }
}

impl ObservedObject for ObservedVolume {
    /// Returns the identity from the volume's label. The engine gives none, and its creation time is the
    /// modification time of a folder, which changes (Engine 20.10).
    fn id(&self) -> String {
        self.labels
            .get(labels::VOLUME_ID)
            .cloned()
            .unwrap_or_else(|| format!("name:{}", self.name))
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &str {
        &self.driver
    }

    fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    fn examined(&self) -> Option<Value> {
        serde_json::to_value(self.top_folder.as_ref()?).ok()
    }

    fn recall(&mut self, examined: &Value) {
        self.top_folder = serde_json::from_value(examined.clone()).ok();
    }
}
