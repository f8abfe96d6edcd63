//! A volume as an engine shows it.

use std::collections::BTreeMap;

use dockfleet_crds::labels;

use crate::credentials::Credentials;
use crate::kinds::ObservedObject;

/// A volume as the engine shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Name, which is unique on an engine.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Driver options, without the credentials of a mount.
    pub options: BTreeMap<String, String>,
    /// The credentials of a mount, where its options have some.
    pub credentials: Option<Credentials>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl ObservedObject for ObservedVolume {
    /// Returns the identity that its maker gave the volume. The engine gives none, and its creation
    /// time is the change time of a folder, which moves (Engine 20.10).
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
}
