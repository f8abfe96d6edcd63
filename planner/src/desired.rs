//! What an entry asks of a host: the payload of an assignment, written by the controller and read by
//! the agent.
//!
//! Defaults are left out, because an assignment's size is its price. A field that an agent does not
//! know is refused rather than ignored: half of what was asked for may be worse than none.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy,
};
use dockfleet_crds::{Entry, Intent, Open};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::resource::Resource;

/// The IPAM driver of a network when none is named.
pub const DEFAULT_IPAM: &str = "default";

/// What an entry asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Desired {
    /// A network as described.
    Network(DesiredNetwork),
    /// A volume as described.
    Volume(DesiredVolume),
    /// That the host lets go of an object.
    Tombstone(Tombstone),
}

/// A network as one host must have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredNetwork {
    /// Name on the host.
    pub name: String,
    /// Driver of the engine.
    pub driver: String,
    /// Driver options, every typed field rendered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Labels without those of Dockfleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// No way out of the network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Open to containers outside of services.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachable: bool,
    /// IPv4, where the user said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_ipv4: Option<bool>,
    /// IPv6, where the user said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    /// IPAM driver, where the user named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_driver: Option<String>,
    /// IPAM options, the typed ones rendered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ipam_options: BTreeMap<String, String>,
    /// Address blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipam: Vec<AddressBlock>,
    /// What may be done about it.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

/// One address block of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressBlock {
    /// Subnet in CIDR form.
    pub subnet: String,
    /// Part that containers get addresses from, in CIDR form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// Address of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Addresses that no container gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
}

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
    /// Version of the credentials that its mount takes; they are in the host's own Secret, under the
    /// UID of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Labels without those of Dockfleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What to do when its data is gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss_policy: LossPolicy,
    /// What may be done about it.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

/// The policies that an agent acts by; what happens on deletion comes with the tombstone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behaviour {
    /// Replaces a changed network that nothing uses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub update_when_unused: bool,
    /// What to do about drift.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drift: DriftPolicy,
    /// What to do about an object that is not ours.
    #[serde(default, skip_serializing_if = "is_default")]
    pub adoption: AdoptionPolicy,
    /// Whether to act at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub management: ManagementPolicy,
    /// No change until it is false again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// What its resource wants to become of the object when it goes, where that is not what its
    /// kind does by default. Read only where the resource itself is gone: by `--prune`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionPolicy>,
}

impl Behaviour {
    /// Returns the policies of a resource.
    pub fn of(resource: Resource<'_>) -> Self {
        let policies = resource.policies();
        let deletion = resource.deletion();
        Self {
            update_when_unused: policies.update_when_unused,
            drift: policies.drift,
            adoption: policies.adoption,
            management: policies.management,
            suspend: policies.suspend,
            deletion: (deletion != default_deletion(resource.kind())).then_some(deletion),
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Returns what becomes of an object of a kind when its resource goes and says nothing else.
pub fn default_deletion(kind: Kind) -> DeletionPolicy {
    match kind {
        Kind::DockerNetwork => DeletionPolicy::Delete,
        Kind::DockerVolume => DeletionPolicy::Retain,
    }
}

/// The permission to let go of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tombstone {
    /// Name of the object on the host.
    pub name: String,
    /// Remove it, or leave it.
    pub policy: DeletionPolicy,
}

/// An entry that this version does not understand.
#[derive(Debug, thiserror::Error)]
pub enum NotUnderstood {
    /// Its kind is of a newer version.
    #[error("this agent does not know the kind {0}; upgrade the agent")]
    Kind(String),
    /// Its intent is of a newer version.
    #[error("this agent does not know the intent {0}; upgrade the agent")]
    Intent(String),
    /// A part of its spec is of a newer version.
    #[error("this agent does not understand the entry ({0}); upgrade the agent")]
    Spec(#[from] serde_json::Error),
}

impl Desired {
    /// Reads what an entry asks for.
    pub fn of(entry: &Entry) -> Result<Self, NotUnderstood> {
        let kind = kind(entry)?;
        let intent = match &entry.intent {
            Open::Known(intent) => *intent,
            Open::Unknown(text) => return Err(NotUnderstood::Intent(text.clone())),
        };
        let spec = Value::Object(entry.spec.clone());
        Ok(match (intent, kind) {
            (Intent::Absent, _) => Self::Tombstone(serde_json::from_value(spec)?),
            (Intent::Present, Kind::DockerNetwork) => Self::Network(serde_json::from_value(spec)?),
            (Intent::Present, Kind::DockerVolume) => Self::Volume(serde_json::from_value(spec)?),
        })
    }

    /// Returns what becomes of the object when nothing but its entry is left to say so.
    pub fn deletion(&self) -> DeletionPolicy {
        let (told, kind) = match self {
            Self::Network(n) => (n.policy.deletion, Kind::DockerNetwork),
            Self::Volume(v) => (v.policy.deletion, Kind::DockerVolume),
            Self::Tombstone(t) => return t.policy,
        };
        told.unwrap_or_else(|| default_deletion(kind))
    }

    /// Returns the name of the object on the host.
    pub fn name(&self) -> &str {
        match self {
            Self::Network(n) => &n.name,
            Self::Volume(v) => &v.name,
            Self::Tombstone(t) => &t.name,
        }
    }
}

/// Returns the kind of an entry, if this version knows it.
pub fn kind(entry: &Entry) -> Result<Kind, NotUnderstood> {
    match &entry.kind {
        Open::Known(kind) => Ok(*kind),
        Open::Unknown(text) => Err(NotUnderstood::Kind(text.clone())),
    }
}

/// Returns the name of the object that an entry is about, without reading all of it.
pub(crate) fn object_name(entry: &Entry) -> Option<&str> {
    entry.spec.get("name").and_then(Value::as_str)
}

impl DesiredVolume {
    /// Whether the volume's data lives elsewhere than in the engine's data root, so that making the
    /// volume again loses nothing.
    pub fn data_is_elsewhere(&self) -> bool {
        // The local driver keeps data itself only when it mounts nothing.
        self.driver == dockfleet_crds::volume::LOCAL && self.options.contains_key("device")
    }
}

/// Returns the payload of an entry and its revision: a hash that changes when, and only when,
/// what is asked for does.
///
/// The hash is over the typed form, whose order of fields is fixed, so that it does not hang on
/// how a JSON library sorts.
pub fn payload<T: Serialize>(desired: &T, id: Option<&str>) -> (Map<String, Value>, String) {
    let spec = match serde_json::to_value(desired) {
        Ok(Value::Object(map)) => map,
        // Structs of strings, maps and enums always become objects.
        Ok(_) | Err(_) => Map::new(),
    };
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(desired).unwrap_or_default());
    hash.update(id.unwrap_or_default());
    (spec, hex(&hash.finalize(), 8))
}

/// Returns the first `bytes` bytes of a digest in hexadecimal.
pub fn hex(digest: &[u8], bytes: usize) -> String {
    use std::fmt::Write;
    digest
        .iter()
        .take(bytes)
        .fold(String::with_capacity(bytes * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
