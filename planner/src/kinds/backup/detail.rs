//! What an agent reports about a backup, beside the state of its entry.

use dockfleet_crds::backup::HostBackup;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::desired::fields;

/// What an agent reports about a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupDetail {
    /// It has begun and has not ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// What the host has in the end. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<HostBackup>,
}

impl BackupDetail {
    /// Returns it in the form of an entry's status.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        fields(self)
    }

    /// Reads it from the status of an entry.
    pub fn read(detail: Option<&Map<String, Value>>) -> Self {
        let value = detail.cloned().map(Value::Object);
        let read = value.and_then(|v| serde_json::from_value(v).ok());
        read.unwrap_or_default()
    }
}
