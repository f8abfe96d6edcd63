//! DockerVolume: a volume that every selected host has.

mod cifs;
mod rules;
mod source;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use cifs::{CREDENTIALS_LABEL, CifsSource, SecretName};
pub use source::{BindSource, NfsSource, TmpfsSource};

use crate::network::bounded_map;
use crate::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy, Policies,
    ReadyPolicy, VolumeUpdatePolicy,
};
use crate::schema::{Rule, rules, selector};
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
    doc = "A Docker volume that every selected host has.",
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
    /// Hosts by their labels; `{}` selects every host. Joined with `hostNames`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Hosts by name, in addition to those that `hostSelector` selects: `NAME` in any namespace of
    /// hosts, or `NAMESPACE/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 317)))]
    pub host_names: Vec<String>,
    /// Name of the volume on the host; the resource's own name when left out. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 128), transform = volume_name)]
    pub volume_name: Option<String>,
    /// Volume driver of the engine, or a plugin's name.
    #[serde(default = "local")]
    #[schemars(length(min = 1, max = 128))]
    pub driver: String,
    /// A file system in the host's memory (driver local). Its content is gone when the last
    /// container stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<TmpfsSource>,
    /// A folder of the host (driver local).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<BindSource>,
    /// A folder of an NFS server (driver local). Mounted when a container first uses the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nfs: Option<NfsSource>,
    /// A share of an SMB server, such as Samba or Windows (driver local). Mounted when a container
    /// first uses the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cifs: Option<CifsSource>,
    /// Most bytes the volume may hold, such as `10Gi` (driver local, without a source). Needs a
    /// data root with project quotas, such as XFS mounted with `pquota`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), transform = source::quantity)]
    pub size: Option<String>,
    /// Driver options as the engine takes them, for drivers and options without a field here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub options: BTreeMap<String, String>,
    /// Labels of the volume on the host. Those that start with `io.dockfleet.` are set by Dockfleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub labels: BTreeMap<String, String>,
    /// What happens when a volume that was ready is gone with its data: `Report` says so and
    /// leaves it at that, `Recreate` makes an empty one. A volume whose data lives elsewhere
    /// (tmpfs, bind, nfs, cifs) is always made again.
    #[serde(default)]
    pub loss_policy: LossPolicy,
    /// A volume that exists is never replaced; what differs is reported.
    #[serde(default)]
    pub update_policy: VolumeUpdatePolicy,
    /// `Enforce` makes what was removed by hand again as far as `lossPolicy` allows, `Observe`
    /// only reports it.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What to do when a volume of that name exists and is not ours: `Never` reports a conflict,
    /// `IfMatching` takes it over when it is as this resource says, `Force` as it is.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens on the host when this resource is deleted or no longer selects it: `Retain`
    /// leaves the volume, `Delete` removes it with its data once no container uses it.
    #[serde(default = "retain")]
    pub deletion_policy: DeletionPolicy,
    /// `Observe` compares and reports, and never changes anything on a host.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// Which hosts this resource waits for before it is ready: `Reachable` those that are heard of,
    /// as long as there is one, `All` those that are offline too.
    #[serde(default)]
    pub ready_policy: ReadyPolicy,
    /// No change on any host while true; looking and reporting go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What the schema fills in for fields that are left out.
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
            update_when_unused: false,
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

fn volume_name(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[a-zA-Z0-9][a-zA-Z0-9_.-]*$')",
            message: "'a volume name has letters, digits, _, . and -, and starts with a letter or digit, such as app-data'",
        }],
    );
}

#[cfg(test)]
mod tests {
    use super::DockerVolumeSpec;

    /// A default that said Delete would make volumes that go with their resource.
    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let empty: DockerVolumeSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(DockerVolumeSpec::default(), empty);
    }
}
