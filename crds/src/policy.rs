//! What a user allows Dockfleet to do with an object, in one set of words for every kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// May an existing network be replaced when its resource changes? An engine cannot edit one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkUpdatePolicy {
    /// Never: the difference is reported.
    #[default]
    Never,
    /// Removed and created again as soon as no container, running or stopped, uses it.
    WhenUnused,
}

/// May an existing volume be replaced when its resource changes?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumeUpdatePolicy {
    /// Never: the difference is reported.
    #[default]
    Never,
}

/// What happens when an object differs from its resource or was removed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// Repaired as far as the other policies allow.
    #[default]
    Enforce,
    /// Reported with the difference, never touched.
    Observe,
}

/// What happens when an object of that name exists and is not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// Left alone and reported as a conflict.
    #[default]
    Never,
    /// Taken over when every field the resource sets is already so.
    IfMatching,
    /// Taken over as it is; what differs is reported as drift.
    Force,
}

/// What happens on a host to the object when its resource is deleted or no longer selects the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Removed once nothing uses it.
    #[default]
    Delete,
    /// Left on the host; Dockfleet lets go of it.
    Retain,
}

/// What happens to what is on a host when its DockerHost is deleted?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HostRemovalPolicy {
    /// It stays.
    #[default]
    Keep,
    /// It is let go of first, each by its `deletionPolicy`, and the DockerHost waits for that.
    Clean,
}

/// Does Dockfleet manage the object or only look at it?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// Created, kept and removed as the other policies say.
    #[default]
    Manage,
    /// Only compared and reported; nothing on the host is ever changed.
    Observe,
}

/// Which hosts a resource waits for before it is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReadyPolicy {
    /// Those that are heard of.
    #[default]
    Reachable,
    /// All of them.
    All,
}

/// What happens when a volume that was ready is gone with its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LossPolicy {
    /// Reported as lost: an empty new volume would hide the loss.
    #[default]
    Report,
    /// Created again, empty.
    Recreate,
}

/// The policies of one resource, in the form that planner and agent read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// Replaces a changed network that nothing uses.
    pub update_when_unused: bool,
    /// What to do about drift.
    pub drift: DriftPolicy,
    /// What to do about an object that is not ours.
    pub adoption: AdoptionPolicy,
    /// What to do when the resource goes.
    pub deletion: DeletionPolicy,
    /// Whether to act at all.
    pub management: ManagementPolicy,
    /// No change on any host until it is false again.
    pub suspend: bool,
}
