//! HostAssignment: everything that one host must have, and the report of its agent.
//!
//! The controller writes the spec, and the host's agent writes the status. Both lists are atomic, and
//! the rendered spec of an entry is one opaque object, because the cost of an object for the API server
//! is its size and the number of fields that it has to track.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use strum::{IntoStaticStr, VariantArray};

pub use crate::kinds::Kind;
use crate::open::Open;
use crate::schema::opaque_object;

/// Maximum number of entry statuses in a HostAssignment: of entries, and of journal records without
/// an entry.
pub const MAX_STATUSES: usize = 512;
/// Maximum length of a message in an entry's status, in characters.
pub const MAX_MESSAGE: usize = 256;
/// Maximum number of field differences in an entry's status.
pub const MAX_DIFF: usize = 5;

/// Spec of a HostAssignment.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "HostAssignment",
    namespaced,
    status = "HostAssignmentStatus",
    shortname = "hassign",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "Everything that one host must have. Only the controller and the agent of the host write it.",
    printcolumn(
        name = "Generation",
        type_ = "integer",
        json_path = ".metadata.generation"
    ),
    printcolumn(
        name = "Observed",
        type_ = "integer",
        json_path = ".status.observedGeneration"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HostAssignmentSpec {
    /// ID of the cluster that wrote this assignment. An agent obeys one cluster only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hub: String,
    /// Generation of the DockerHost that this assignment was computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_generation: Option<i64>,
    /// If true, nothing is changed on the host, because the DockerHost is paused, or has the same
    /// engine as an older one. Default: false.
    // Always written: an apply without this field would not change the value of the create.
    #[serde(default)]
    pub paused: bool,
    /// What the host must have, and what it must remove or release, sorted by UID. At most 256.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub entries: Vec<Entry>,
}

/// One resource rendered for one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// UID of the resource.
    pub uid: String,
    /// Kind of the resource.
    pub kind: Open<Kind>,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
    /// Hash of what this entry requires.
    pub revision: String,
    /// `Present` (default) means that the host must have the object. `Absent` makes this entry a
    /// tombstone: the permission to remove or release the object.
    #[serde(default, skip_serializing_if = "is_present")]
    pub intent: Open<Intent>,
    /// Docker identity of the object that a tombstone is for, if the agent has reported one; without
    /// the intent `Absent`, of the object that somebody else has confirmed to be the resource's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Mark of the last request to check the object again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Whether the host may begin with what takes long, such as a backup: few hosts do it at the same
    /// time. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// What the host must have, in the form of the planner.
    #[schemars(transform = opaque_object)]
    pub spec: Map<String, Value>,
    /// Fields of a newer version, which are kept unchanged.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: Map<String, Value>,
}

impl Open<Kind> {
    /// Returns the engine's word for an object of this kind.
    pub fn object(&self) -> &'static str {
        self.known().map_or("object", Kind::object)
    }
}

/// Whether the host must have the object of an entry, or must remove or release it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum Intent {
    /// The host must have the object.
    #[default]
    Present,
    /// The host must remove or release the object, as the entry's spec says.
    Absent,
}

fn is_present(intent: &Open<Intent>) -> bool {
    *intent == Intent::Present
}

/// Status of a HostAssignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostAssignmentStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state of each entry, and of journal records without an entry, sorted by UID. At most
    /// 512.
    #[serde(default)]
    #[schemars(length(max = MAX_STATUSES), extend("x-kubernetes-list-type" = "atomic"))]
    pub entries: Vec<EntryStatus>,
}

/// The state of one entry on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// UID of the resource.
    pub uid: String,
    /// Revision of the entry that this status is about.
    pub revision: String,
    /// State of the entry, such as `Ready` or `Failed`.
    pub state: Open<EntryState>,
    /// Why the entry is not ready, in one word, such as `InUse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Open<Reason>>,
    /// Why the entry is not ready, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Docker identity of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Mark of the last handled request: the agent has checked the object after it received the
    /// request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<String>,
    /// Fields in which the object differs, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<FieldDiff>,
    /// What else the agent observed, in the form of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = opaque_object)]
    pub detail: Option<Map<String, Value>>,
}

impl EntryStatus {
    /// Whether this is the reason.
    pub fn is_because(&self, reason: Reason) -> bool {
        self.reason.as_ref().is_some_and(|r| *r == reason)
    }
}

/// The state of an entry on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum EntryState {
    /// The object matches the entry.
    Ready,
    /// In progress, or waiting for something that ends by itself.
    #[default]
    Pending,
    /// The object differs from the entry and is not changed, because of a policy.
    Drifted,
    /// The entry cannot be applied.
    Failed,
    /// A completed tombstone: the object is removed or released.
    Gone,
    /// This agent does not understand the entry, and changes nothing for it.
    Unsupported,
}

impl EntryState {
    /// Returns the state as in a status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why an entry is not ready. The set of values is closed, so they can be used as metric labels and
/// with `kubectl wait`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
pub enum Reason {
    /// In progress.
    Progressing,
    /// An object of that name exists and does not belong to Dockfleet, or two resources use one
    /// name.
    Conflict,
    /// The object differs from the entry.
    Drifted,
    /// The object does not exist, and the policy does not allow its creation.
    Missing,
    /// A volume that was ready is gone with its data.
    Lost,
    /// The engine is too old for a field.
    Unsupported,
    /// The agent is too old for the resource: it does not know its kind, or a part of it.
    AgentTooOld,
    /// The object must be removed or replaced, but containers use it.
    InUse,
    /// The entry cannot be read or rendered.
    Invalid,
    /// The engine refused.
    EngineRefused,
    /// The engine refused for now: something that it needs is in use or does not answer, such as an
    /// address pool or a plugin.
    EngineBusy,
    /// The engine could not be reached, did not answer, or has a problem of its own.
    EngineUnreachable,
    /// Another DockerHost has the same engine.
    EngineShared,
    /// The journal could not be written, so nothing was changed.
    JournalFailed,
    /// The credentials of a mount are not available: their Secret is missing, incomplete or not
    /// allowed, or is not on the host yet.
    CredentialsMissing,
    /// Changes are suspended.
    Suspended,
    /// Changes on the whole host are paused.
    Paused,
    /// The host is offline: its agent sends no heartbeat.
    Offline,
    /// The host does not allow resources from this namespace.
    NotAllowed,
    /// The host is in no swarm, or in another one than the network.
    NotInSwarm,
    /// The managers of the swarm do not reach more than half of them, so the swarm cannot be changed.
    NoQuorum,
    /// The host does not have the address any more by which the other hosts of its swarm reach it.
    AddressChanged,
    /// The host already has the maximum number of entries.
    TooManyEntries,
    /// The tombstone is completed and the object is removed.
    Removed,
    /// The tombstone is completed and the object stays.
    Retained,
    /// The object is in the journal but in no entry. It is kept.
    Unassigned,
    /// Too many objects would be removed at once. Somebody has to allow it.
    RemovalBraked,
    /// A backup in which files are missing.
    PartiallyFailed,
    /// The host did not begin before the deadline of the backup.
    Missed,
    /// There is no such volume on the host.
    NoVolume,
    /// The data of the volume cannot be read.
    SourceUnreadable,
    /// The volume is empty, and its last backup was not.
    SourceEmpty,
    /// The store of backups does not answer, or not in time.
    StoreUnreachable,
    /// The store of backups has no space left.
    StoreFull,
    /// The store of backups does not accept the credentials, or does not allow the operation.
    StoreRefused,
    /// There is no repository in the store.
    NoRepository,
    /// There is something in the store that is not a repository, so none is created.
    NotEmpty,
    /// The repository cannot be opened with the password.
    WrongPassword,
    /// The volume of a restore has data.
    TargetNotEmpty,
    /// The volume of a restore cannot be written.
    TargetUnwritable,
    /// No space is left for a restore.
    TargetFull,
    /// No snapshot matches.
    NoSnapshot,
    /// Another program works in the repository, and did not end in time.
    Locked,
    /// Something in the repository is missing or was changed.
    Damaged,
    /// The process of a backup ended without a result.
    Interrupted,
    /// A bug.
    Internal,
}

impl Reason {
    /// Whether the state may end without an action by a person.
    pub fn ends_by_itself(self) -> bool {
        match self {
            Self::Progressing
            | Self::InUse
            | Self::EngineBusy
            | Self::EngineUnreachable
            | Self::JournalFailed
            | Self::Offline
            | Self::NotInSwarm
            | Self::NoQuorum
            // Their Secret is watched.
            | Self::CredentialsMissing => true,
            // The agent retries it anyway, because a person may have changed the host.
            Self::EngineRefused
            | Self::AddressChanged
            | Self::EngineShared
            | Self::Conflict
            | Self::Drifted
            | Self::Missing
            | Self::Lost
            | Self::Unsupported
            | Self::AgentTooOld
            | Self::Invalid
            | Self::Suspended
            | Self::Paused
            | Self::NotAllowed
            | Self::TooManyEntries
            | Self::Removed
            | Self::Retained
            | Self::Unassigned
            | Self::RemovalBraked
            // A backup is made once.
            | Self::PartiallyFailed
            | Self::Missed
            | Self::NoVolume
            | Self::SourceUnreadable
            | Self::SourceEmpty
            | Self::StoreUnreachable
            | Self::StoreFull
            | Self::StoreRefused
            | Self::NoRepository
            | Self::NotEmpty
            | Self::WrongPassword
            | Self::TargetNotEmpty
            | Self::TargetUnwritable
            | Self::TargetFull
            | Self::NoSnapshot
            | Self::Locked
            | Self::Damaged
            | Self::Interrupted
            | Self::Internal => false,
        }
    }

    /// Returns the reason as in a status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One field in which an object differs from its resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDiff {
    /// Path of the field in the resource, such as `ipam.config[0].subnet`.
    pub field: String,
    /// Value in the resource.
    pub want: String,
    /// Value on the engine; empty if it has none.
    pub have: String,
}

impl std::fmt::Display for FieldDiff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let have = if self.have.is_empty() {
            "nothing"
        } else {
            &self.have
        };
        write!(f, "{}: want {}, have {have}", self.field, self.want)
    }
}
