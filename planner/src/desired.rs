//! The desired state in an entry: the payload of an assignment, written by the controller and read by the
//! agent.
//!
//! Defaults are left out, because the cost of an assignment is its size. An agent refuses a field that it
//! does not know and does not ignore it: a part of the desired state may be worse than none.

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::{AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy};
use dockfleet_crds::{Entry, Intent, Open, Policies};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::kinds::Desired;
use crate::resource;

/// The desired state of one entry.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is read, used and dropped for one entry at a time"
)]
pub enum EntrySpec {
    /// The object must exist as described.
    Present(Desired),
    /// The host must remove or release an object of this kind.
    Absent(Kind, Tombstone),
}

/// The policies that an agent follows. The policy for the deletion comes with the tombstone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Behaviour {
    /// Replace a changed object that nothing uses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub update_when_unused: bool,
    /// What to do about drift.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drift: DriftPolicy,
    /// What to do about an object that Dockfleet does not own.
    #[serde(default, skip_serializing_if = "is_default")]
    pub adoption: AdoptionPolicy,
    /// Whether to change anything at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub management: ManagementPolicy,
    /// Change nothing while this is true.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// The resource's deletion policy, if it is not the default of its kind. Read only when the resource no
    /// longer exists: by `--prune`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<DeletionPolicy>,
}

impl Behaviour {
    /// Returns the policies of a resource; `default` is the deletion policy of its kind.
    pub(crate) fn of(policies: Policies, default: DeletionPolicy) -> Self {
        let deletion = resource::deletion(policies);
        Self {
            update_when_unused: policies.update_when_unused,
            drift: policies.drift,
            adoption: policies.adoption,
            management: policies.management,
            suspend: policies.suspend,
            deletion: (deletion != default).then_some(deletion),
        }
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The permission to remove or release an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tombstone {
    /// Name of the object on the host.
    pub name: String,
    /// Whether to remove or to release it.
    pub policy: DeletionPolicy,
}

/// An entry that this version does not understand.
#[derive(Debug, thiserror::Error)]
pub enum NotUnderstood {
    /// A newer version wrote its kind.
    #[error("this agent does not know the kind {0}; upgrade the agent")]
    Kind(String),
    /// A newer version wrote its intent.
    #[error("this agent does not know the intent {0}; upgrade the agent")]
    Intent(String),
    /// A newer version wrote a field beside its spec.
    #[error("this agent does not know the field {0} of the entry; upgrade the agent")]
    Field(String),
    /// A newer version wrote a part of its spec.
    #[error("this agent does not understand the entry ({0}); upgrade the agent")]
    Spec(#[from] serde_json::Error),
}

impl EntrySpec {
    /// Reads the desired state of an entry.
    ///
    /// # Errors
    /// If this version does not understand the entry.
    pub fn of(entry: &Entry) -> Result<Self, NotUnderstood> {
        let kind = kind(entry)?;
        let intent = match &entry.intent {
            Open::Known(intent) => *intent,
            Open::Unknown(text) => return Err(NotUnderstood::Intent(text.clone())),
        };
        let spec = Value::Object(entry.spec.clone());
        Ok(match intent {
            Intent::Absent => Self::Absent(kind, serde_json::from_value(spec)?),
            Intent::Present => Self::Present(Desired::read(kind, spec)?),
        })
    }

    /// Returns the deletion policy of the object when its resource no longer exists.
    pub fn deletion(&self) -> DeletionPolicy {
        match self {
            Self::Present(desired) => {
                let deletion = desired.policy().deletion;
                deletion.unwrap_or_else(|| desired.default_deletion())
            }
            Self::Absent(_, tombstone) => tombstone.policy,
        }
    }

    /// Returns the name of the object on the host.
    pub fn name(&self) -> &str {
        match self {
            Self::Present(desired) => desired.name(),
            Self::Absent(_, tombstone) => &tombstone.name,
        }
    }
}

/// Returns the desired state of an entry that an agent may act on: one with an unknown field is not.
///
/// # Errors
/// If this version does not understand the entry, or a part of it.
pub(crate) fn whole(entry: &Entry) -> Result<(Kind, EntrySpec), NotUnderstood> {
    let kind = kind(entry)?;
    match entry.other.keys().next() {
        Some(field) => Err(NotUnderstood::Field(field.clone())),
        None => Ok((kind, EntrySpec::of(entry)?)),
    }
}

/// Returns the kind of an entry, if this version knows it.
pub fn kind(entry: &Entry) -> Result<Kind, NotUnderstood> {
    match &entry.kind {
        Open::Known(kind) => Ok(*kind),
        Open::Unknown(text) => Err(NotUnderstood::Kind(text.clone())),
    }
}

/// Returns the name of the object of an entry, without reading the whole spec.
pub(crate) fn object_name(entry: &Entry) -> Option<&str> {
    entry.spec.get("name").and_then(Value::as_str)
}

/// The spec of an entry, and its revision.
pub type Payload = (Map<String, Value>, String);

/// Returns the payload of an entry and its revision: a hash that changes if, and only if, the desired state
/// changes.
///
/// The hash is over the typed form, whose order of fields is fixed, so that it does not depend on how a JSON
/// library sorts.
pub fn payload<T: Serialize>(desired: &T, id: Option<&str>) -> Payload {
    let spec = fields(desired);
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(desired).unwrap_or_default());
    hash.update(id.unwrap_or_default());
    (spec, hex(&hash.finalize(), 8))
}

/// Returns a struct as a JSON object.
pub(crate) fn fields<T: Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        // Structs of strings, maps and enums always become objects.
        Ok(_) | Err(_) => Map::new(),
    }
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

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
