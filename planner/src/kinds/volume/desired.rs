//! The desired state of a volume.

use std::collections::BTreeMap;

use dockfleet_crds::policy::LossPolicy;
use dockfleet_crds::{FieldDiff, labels};
use serde::{Deserialize, Serialize};

use super::diff::CREDENTIALS;
use super::ownership::{self, DesiredOwnership};
use crate::desired::{Behaviour, is_default};
use crate::kinds::DesiredObject;

/// A volume as one host must have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredVolume {
    /// Name on the host.
    pub name: String,
    /// Driver of the engine.
    pub driver: String,
    /// Driver options, every typed source rendered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Version of the credentials that its mount needs. The host's own Secret has them, under the UID of the
    /// resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Owner and permissions of its top folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<DesiredOwnership>,
    /// Labels without those of Dockfleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What to do when its data is lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss_policy: LossPolicy,
    /// The policies.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

impl DesiredVolume {
    /// Whether the volume's data is outside the engine's data root, so that recreating the volume loses
    /// nothing.
    pub(super) fn data_is_elsewhere(&self) -> bool {
        data_is_elsewhere(&self.driver, &self.options)
    }
}

/// Whether a volume with this driver and these options has its data outside of the engine's data root.
pub(super) fn data_is_elsewhere(driver: &str, options: &BTreeMap<String, String>) -> bool {
    // The local driver stores data itself only if it mounts no device.
    driver == dockfleet_crds::volume::LOCAL && options.contains_key("device")
}

impl DesiredObject for DesiredVolume {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &str {
        &self.driver
    }

    fn policy(&self) -> Behaviour {
        self.policy
    }

    fn policy_mut(&mut self) -> &mut Behaviour {
        &mut self.policy
    }

    fn labels_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.labels
    }

    /// The engine gives a volume no identity.
    fn identity_label(&self) -> Option<&'static str> {
        Some(labels::VOLUME_ID)
    }

    /// Invariant 2: a volume that stored data is not silently replaced by an empty one.
    fn stores_data(&self) -> bool {
        self.loss_policy == LossPolicy::Report && !self.data_is_elsewhere()
    }

    fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    fn has_other_credentials(&self, diff: &[FieldDiff]) -> bool {
        diff.iter().any(|d| d.field == CREDENTIALS)
    }

    fn is_set_in_place(&self, field: &str) -> bool {
        field.starts_with(ownership::FIELD)
    }

    fn explain(&self, diff: &[FieldDiff]) -> Option<String> {
        let name = &self.name;
        let is_left = !self.policy.update_when_unused;
        (is_left && self.has_other_credentials(diff) && diff.len() == 1).then(|| {
            format!(
                "volume {name} has other credentials than its Secret: set updatePolicy: WhenUnused, \
                 or, when no container uses it, remove it (docker volume rm {name}); it is created \
                 again with the new ones, and its data stays on the server"
            )
        })
    }
}
