//! HostAssignment: everything one host must have, and what its agent says of it.
//!
//! One writer each: the controller writes the spec, the host's agent the status. Both lists are
//! atomic and what an entry renders to is one opaque object, because the API server's price of an
//! object is its size and the number of fields it has to track.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use strum::{IntoStaticStr, VariantArray};

pub use crate::kinds::Kind;
use crate::open::Open;
use crate::schema::opaque_object;

/// Most statuses of entries in a HostAssignment: those of the entries, and of journal records that no
/// entry asks for.
pub const MAX_STATUSES: usize = 512;
/// Most characters of a message in an entry's status.
pub const MAX_MESSAGE: usize = 256;
/// Most field differences in an entry's status.
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
    doc = "Everything one host must have. Written by the controller and the host's agent only.",
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
    /// Identity of the cluster that wrote this; an agent obeys one cluster only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hub: String,
    /// Generation of the DockerHost that this was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_generation: Option<i64>,
    /// The DockerHost is paused, or shares its engine with an older one: nothing is changed on the
    /// host.
    // Always written: an apply without it would leave it as the create had it.
    #[serde(default)]
    pub paused: bool,
    /// What the host must have or must let go of, by UID.
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
    /// Hash of what this entry asks for.
    pub revision: String,
    /// `Absent` makes this a tombstone: the permission to let go of what the entry was.
    #[serde(default, skip_serializing_if = "is_present")]
    pub intent: Open<Intent>,
    /// Docker identity that a tombstone is for, where the agent had reported one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Mark of the last request to look at the object again, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What the host must have, in the planner's form.
    #[schemars(transform = opaque_object)]
    pub spec: Map<String, Value>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: Map<String, Value>,
}

impl Open<Kind> {
    /// Returns what the engine calls such an object.
    pub fn object(&self) -> &'static str {
        self.known().map_or("object", Kind::object)
    }
}

/// Whether the host must have the entry or let go of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum Intent {
    /// The host must have it.
    #[default]
    Present,
    /// The host must let go of it: remove or retain it, as the entry's spec says.
    Absent,
}

fn is_present(intent: &Open<Intent>) -> bool {
    *intent == Intent::Present
}

/// Status of a HostAssignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostAssignmentStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What became of each entry, by UID; and of journal records that no entry asks for, as far as
    /// there is room.
    #[serde(default)]
    #[schemars(length(max = MAX_STATUSES), extend("x-kubernetes-list-type" = "atomic"))]
    pub entries: Vec<EntryStatus>,
}

/// What became of one entry on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryStatus {
    /// UID of the resource.
    pub uid: String,
    /// Revision of the entry that this speaks of.
    pub revision: String,
    /// How it stands.
    pub state: Open<EntryState>,
    /// Why it is not ready, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Open<Reason>>,
    /// Why it is not ready, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Docker identity of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Mark of the last request that was handled: the agent has looked since it heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<String>,
    /// Fields in which the object differs, at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diff: Vec<FieldDiff>,
}

impl EntryStatus {
    /// Whether this is the reason.
    pub fn is_because(&self, reason: Reason) -> bool {
        self.reason.as_ref().is_some_and(|r| *r == reason)
    }
}

/// How an entry stands on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum EntryState {
    /// As the entry says.
    Ready,
    /// Being worked on, or waiting for something that ends by itself.
    #[default]
    Pending,
    /// Different from the entry, and left so by policy.
    Drifted,
    /// Cannot be made so.
    Failed,
    /// A tombstone that is done: the object is removed, or retained and let go of.
    Gone,
    /// This agent does not understand the entry, and changes nothing for it.
    Unsupported,
}

impl EntryState {
    /// Returns the state as it stands in a status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why an entry is not ready: a closed set, fit for labels of metrics and for `kubectl wait`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
pub enum Reason {
    /// The engine or the API server is being asked.
    Progressing,
    /// An object of that name exists and is not ours, or two resources claim one name.
    Conflict,
    /// The object differs from the entry.
    Drifted,
    /// The object is not there, and policy says to leave it so.
    Missing,
    /// A volume that was ready is gone with its data.
    Lost,
    /// The engine is too old for a field.
    Unsupported,
    /// The agent is too old for the resource: it does not know its kind, or a part of it.
    AgentTooOld,
    /// The object has to go or to be replaced, and containers use it.
    InUse,
    /// The entry itself cannot be read or rendered.
    Invalid,
    /// The engine refused.
    EngineRefused,
    /// The engine refused for now: what it needs for it is taken or does not answer, such as an
    /// address pool or a plugin.
    EngineBusy,
    /// The engine could not be asked, did not answer, or says that it does not work itself.
    EngineUnreachable,
    /// Another DockerHost has the same engine.
    EngineShared,
    /// The journal could not be written; nothing was done.
    JournalFailed,
    /// The credentials of a mount cannot be had: their Secret is not there, not whole, or not
    /// allowed, or has not come to the host yet.
    CredentialsMissing,
    /// Changes are suspended.
    Suspended,
    /// Changes on the whole host are paused.
    Paused,
    /// The host's agent has not been heard of for long.
    Offline,
    /// The host does not allow resources from this namespace.
    NotAllowed,
    /// The host has more entries than one assignment holds.
    TooManyEntries,
    /// A tombstone is done and the object is removed.
    Removed,
    /// A tombstone is done and the object stays.
    Retained,
    /// The object is in the journal but in no entry: kept, and nobody asks for it.
    Unassigned,
}

impl Reason {
    /// Whether the state may end without anybody acting.
    pub fn ends_by_itself(self) -> bool {
        match self {
            Self::Progressing
            | Self::InUse
            | Self::EngineBusy
            | Self::EngineUnreachable
            | Self::JournalFailed
            | Self::Offline
            // Their Secret is watched.
            | Self::CredentialsMissing => true,
            // It is tried again all the same: a person may have acted on the host.
            Self::EngineRefused
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
            | Self::Unassigned => false,
        }
    }

    /// Returns the reason as it stands in a status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One field in which an object differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldDiff {
    /// The field, in the words of the resource, such as `ipam.config[0].subnet`.
    pub field: String,
    /// What the resource says.
    pub want: String,
    /// What the engine has; empty where it has nothing.
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
