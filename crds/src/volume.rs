//! DockerVolume: a volume that exists on every selected host.

mod cifs;
mod ownership;
mod rules;
mod source;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cifs::{CREDENTIALS_LABEL, CifsSource, SecretName};
pub use ownership::{Ownership, OwnershipApply};
pub use source::{BindSource, NfsSource, TmpfsSource};

use crate::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy, Policies,
    ReadyPolicy, VolumeUpdatePolicy,
};
use crate::schema::{bounded_map, selector, volume_name};
use crate::status::ResourceStatus;

/// The driver of a volume when none is named.
pub const LOCAL: &str = "local";

/// Spec of a DockerVolume.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "DockerVolume",
    namespaced,
    status = "ResourceStatus",
    shortname = "dvol",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "A Docker volume that exists on every selected host.",
    validation = kube::core::Rule::new("has(self.spec.volumeName) || self.metadata.name.size() >= 2")
        .message(kube::core::Message::Expression(
            "'the name %s is too short, a volume name has at least two characters; choose a longer name or set volumeName'.format([self.metadata.name])".to_owned()
        ))
        .field_path(".spec.volumeName"),
    printcolumn(name = "Driver", type_ = "string", json_path = ".spec.driver", priority = 1),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.hosts.desired"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.hosts.ready"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.hosts.failed"),
    printcolumn(name = "Offline", type_ = "integer", json_path = ".status.hosts.offline"),
    printcolumn(name = "Drifted", type_ = "integer", json_path = ".status.hosts.drifted", priority = 1),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::spec)]
pub struct DockerVolumeSpec {
    /// Selects hosts by their labels. `{}` selects every host. The hosts in `hostNames` are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts by name, in addition to `hostSelector`. Each item is `NAME`, for every host of
    /// that name in all namespaces of hosts, or `NAMESPACE/NAME`. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 317)))]
    pub host_names: Vec<String>,
    /// Name of the volume on the host. Default: the name of the resource. The name cannot be
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 128), transform = volume_name)]
    pub volume_name: Option<String>,
    /// Volume driver of the engine, or the name of a plugin. Default: `local`.
    #[serde(default = "local")]
    #[schemars(length(min = 1, max = 128))]
    pub driver: String,
    /// A file system in the host's memory (driver `local`). Its content is lost when the last
    /// container that uses it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<TmpfsSource>,
    /// A folder of the host (driver `local`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<BindSource>,
    /// A folder of an NFS server (driver `local`). It is mounted when a container first uses the
    /// volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfs: Option<NfsSource>,
    /// A share of an SMB server, such as Samba or Windows (driver `local`). It is mounted when a
    /// container first uses the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cifs: Option<CifsSource>,
    /// Maximum size of the volume, such as `10Gi` (driver `local`, without a source). Needs a data
    /// root with project quotas, such as XFS mounted with `pquota`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), transform = source::quantity)]
    pub size: Option<String>,
    /// Owner and permissions of the volume's top folder (driver `local`, without a source).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
    /// Driver options in the engine's own form, for drivers and options without a field. At most
    /// 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub options: BTreeMap<String, String>,
    /// Labels of the volume on the host. Keys that start with `io.dockfleet.` are reserved. At most
    /// 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub labels: BTreeMap<String, String>,
    /// What to do if a volume that was ready is gone with its data. `Report` (default) only reports
    /// the loss. `Recreate` creates an empty volume. A volume whose data is stored elsewhere
    /// (`tmpfs`, `bind`, `nfs`, `cifs`) is not lost and is always created again.
    #[serde(default)]
    pub loss_policy: LossPolicy,
    /// Whether a volume whose data is stored elsewhere (`tmpfs`, `bind`, `nfs`, `cifs`, or an option
    /// `device`) is replaced if it differs. `Never` (default) only reports the difference.
    /// `WhenUnused` replaces it as soon as no running or stopped container uses it. A volume that
    /// stores data on the host is never replaced.
    #[serde(default)]
    pub update_policy: VolumeUpdatePolicy,
    /// Whether a difference is repaired. `Enforce` (default) creates a volume again that was removed
    /// by hand, if `lossPolicy` allows it, and sets its owner again. `Observe` only reports it.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What to do if a volume of that name exists and Dockfleet did not create it. `Never`
    /// (default) reports a conflict. `IfMatching` takes the volume over if it matches this
    /// resource. `Force` takes it over as it is.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens to the volume when this resource is deleted or no longer selects the host.
    /// `Retain` (default) keeps it on the host. `Delete` removes it with its data as soon as no
    /// container uses it.
    #[serde(default = "retain")]
    pub deletion_policy: DeletionPolicy,
    /// Whether Dockfleet changes objects on hosts. `Manage` (default) changes them. `Observe` only
    /// compares them and reports.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// Which hosts must have the object before this resource is ready. `Reachable` (default) means
    /// all hosts that are not offline, at least one. `All` means all hosts.
    #[serde(default)]
    pub ready_policy: ReadyPolicy,
    /// If true, nothing is changed on any host. Checks and reports continue. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// The defaults of the schema.
impl Default for DockerVolumeSpec {
    fn default() -> Self {
        Self {
            host_selector: None,
            host_names: Vec::default(),
            volume_name: None,
            driver: local(),
            tmpfs: None,
            bind: None,
            nfs: None,
            cifs: None,
            size: None,
            ownership: None,
            options: BTreeMap::default(),
            labels: BTreeMap::default(),
            loss_policy: LossPolicy::default(),
            update_policy: VolumeUpdatePolicy::default(),
            drift_policy: DriftPolicy::default(),
            adoption_policy: AdoptionPolicy::default(),
            deletion_policy: retain(),
            management_policy: ManagementPolicy::default(),
            ready_policy: ReadyPolicy::default(),
            suspend: false,
        }
    }
}

impl DockerVolumeSpec {
    /// Returns the policies in the form that planner and agent read.
    pub fn policies(&self) -> Policies {
        Policies {
            update_when_unused: self.update_policy == VolumeUpdatePolicy::WhenUnused,
            drift: self.drift_policy,
            adoption: self.adoption_policy,
            deletion: self.deletion_policy,
            management: self.management_policy,
            suspend: self.suspend,
        }
    }
}

fn local() -> String {
    LOCAL.to_owned()
}

fn retain() -> DeletionPolicy {
    DeletionPolicy::Retain
}

#[cfg(test)]
mod tests {
    use super::DockerVolumeSpec;

    /// With the default `Delete`, volumes would be removed with their resource.
    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let empty: DockerVolumeSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(DockerVolumeSpec::default(), empty);
    }
}
