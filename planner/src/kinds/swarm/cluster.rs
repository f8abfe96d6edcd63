//! The settings of a swarm itself.

use dockfleet_crds::FieldDiff;
use serde::{Deserialize, Serialize};

/// The label of a swarm that says how often its join tokens were rotated.
pub const TOKEN_EPOCH: &str = "io.dockfleet.token-epoch";

/// The settings of a swarm, as its writer must make them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SwarmSettings {
    /// Whether managers that restart must be unlocked; it is not changed if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_lock: Option<bool>,
    /// How long the certificate of a node is valid, in hours; it is not changed if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expiry_hours: Option<i64>,
    /// The number of rotations of the join tokens; they are not rotated if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_epoch: Option<i64>,
}

impl SwarmSettings {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns those that differ from the settings of a swarm.
    pub(super) fn other_than(&self, have: &Self) -> Self {
        Self {
            auto_lock: self.auto_lock.filter(|_| self.auto_lock != have.auto_lock),
            certificate_expiry_hours: self
                .certificate_expiry_hours
                .filter(|_| self.certificate_expiry_hours != have.certificate_expiry_hours),
            // It only grows: another manager may already know of a later rotation.
            token_epoch: self
                .token_epoch
                .filter(|epoch| *epoch > have.token_epoch.unwrap_or_default()),
        }
    }

    /// Returns these, which differ, as differences.
    pub(super) fn differences(&self, have: &Self) -> impl Iterator<Item = FieldDiff> {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map_or_else(String::new, |v| v.to_string())
        }
        let differs = |field: &str, want: String, have: String| FieldDiff {
            field: field.to_owned(),
            want,
            have,
        };
        let all = [
            self.auto_lock
                .map(|want| differs("autoLock", want.to_string(), text(have.auto_lock))),
            self.certificate_expiry_hours.map(|want| {
                let have = text(have.certificate_expiry_hours);
                differs("certificateExpiry", format!("{want}h"), format!("{have}h"))
            }),
            self.token_epoch
                .map(|want| differs("tokenEpoch", want.to_string(), text(have.token_epoch))),
        ];
        all.into_iter().flatten()
    }
}
