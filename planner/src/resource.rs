//! The parts of a resource of any kind that selection, rendering and aggregation need.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Debug;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::condition::ConditionStatus;
use dockfleet_crds::policy::{DeletionPolicy, ManagementPolicy, ReadyPolicy};
use dockfleet_crds::{
    BackupRepository, DockerHost, Intent, Policies, ResourceStatus, VolumeBackup,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::aggregate::HostView;
use crate::assignment::Refusal;
use crate::credentials::Credentials;
use crate::desired::Payload;
use crate::kinds;
use crate::kinds::swarm::{SwarmCounts, SwarmMembership};
use crate::render::RenderError;
use crate::support::Feature;

/// A resource that selects hosts. Each [kind](crate::kinds) is one, by the list of kinds.
pub trait Resource: Any + Debug + Send + Sync {
    /// Returns its kind.
    fn kind(&self) -> Kind;

    /// Returns its metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// Returns its metadata, mutable.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;

    /// Returns it as a document, with its status.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    fn document(&self) -> Result<Value, serde_json::Error>;

    /// Returns the part of its status that all resources have.
    fn status(&self) -> Option<&ResourceStatus>;

    /// Returns the rest of its status.
    fn own_status(&self) -> Map<String, Value>;

    /// Works out the rest of its status.
    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus;

    /// Returns the name of the BackupRepository that it needs, in its namespace.
    fn repository(&self) -> Option<&str>;

    /// Whether it was made once and has ended. Then it selects no host.
    fn is_over(&self) -> bool;

    /// Whether a host may begin with what takes long.
    fn is_released_on(&self, host: &DockerHost) -> bool;

    /// Whether it has no entries before its status has more.
    fn waits_for_record(&self) -> bool;

    /// Returns where its entries must be rendered again because the rest of its status has changed.
    fn rendered_anew(&self, before: &dyn Resource) -> RenderedAnew;

    /// Returns the credentials that a host gets of those in its Secret.
    fn credentials_on(&self, host: &DockerHost, all: &Credentials) -> Credentials;

    /// Whether it needs a swarm.
    fn needs_swarm(&self) -> bool;

    /// Whether it has one object for several hosts.
    fn is_shared(&self) -> bool;

    /// Returns the hosts that it makes members of a swarm, by name.
    fn memberships(&self) -> Vec<(String, SwarmMembership)>;

    /// Returns the numbers of its swarm, if it forms one.
    fn swarm_counts(&self) -> Option<SwarmCounts>;

    /// Returns why a host, in messages `called` so, cannot have its object now, if so.
    fn refusal(&self, called: &str, swarm: Option<&SwarmMembership>) -> Option<Refusal>;

    /// Whether a host keeps its entry for now although the resource is being deleted, because other hosts need
    /// it.
    fn is_needed_on(&self, host: &DockerHost) -> bool;

    /// Whether a completed tombstone on a host may be dropped: what the host has left is recorded.
    fn may_forget_on(&self, host: &DockerHost) -> bool;

    /// Whether a tombstone on a host may permit the removal of its object.
    fn may_remove_on(&self, host: &DockerHost) -> bool;

    /// Whether it selects only hosts of its own namespace.
    fn is_for_own_namespace(&self) -> bool;

    /// Whether a host needs the credentials now.
    fn needs_credentials(&self, host: &DockerHost) -> bool;

    /// Returns the identity of its object on a host, if somebody else than the host has confirmed it.
    fn confirmed_id(&self, host: &DockerHost) -> Option<String>;

    /// Returns the fields of its spec that all resources have.
    fn common(&self) -> CommonSpec<'_>;

    /// Renders the payload for a host, with the version of the credentials that its mount needs.
    ///
    /// # Errors
    /// If the spec cannot be rendered; the schema should have refused it.
    fn payload(&self, host: &DockerHost, credentials: Option<&str>)
    -> Result<Payload, RenderError>;

    /// Returns the features that an agent needs for it, beside its kind.
    fn needed_features(&self) -> Vec<Feature>;

    /// Returns warnings about parts of the spec that the user probably does not intend.
    fn warnings(&self) -> Vec<SpecWarning>;
}

/// A warning about a part of a spec that the user probably does not intend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecWarning {
    /// The reason of the event, in one word.
    pub reason: &'static str,
    /// The message, a sentence.
    pub message: String,
}

/// What the rest of a status is worked out from.
#[derive(Clone)]
pub struct StatusContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// Returns the hosts, sorted by name. Most kinds do not ask for them.
    pub hosts: &'a dyn Fn() -> Vec<HostReport<'a>>,
    /// The BackupRepository that the resource needs, if it exists.
    pub repository: Option<&'a BackupRepository>,
    /// How others use that repository, or all use this one.
    pub usage: RepositoryUsage,
    /// Why the Secret that the resource names cannot be used, if so.
    pub unusable_secret: Option<String>,
    /// Returns the VolumeBackups that the resource has made.
    pub made: &'a dyn Fn() -> Vec<&'a VolumeBackup>,
    /// Returns a time zone by its name.
    pub zone: &'a dyn Fn(&str) -> Option<TimeZone>,
}

impl<'a> StatusContext<'a> {
    /// Creates the context of a resource without a repository.
    pub fn new(now: Timestamp, hosts: &'a dyn Fn() -> Vec<HostReport<'a>>) -> Self {
        Self {
            now,
            hosts,
            repository: None,
            usage: RepositoryUsage::default(),
            unusable_secret: None,
            made: &Vec::new,
            zone: &|_| None,
        }
    }
}

impl Debug for StatusContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusContext")
            .field("now", &self.now)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// How a repository is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryUsage {
    /// Number of hosts that use it now.
    pub running: usize,
    /// When a backup in it last ended in which nothing is missing.
    pub last_success: Option<String>,
}

/// Where entries must be rendered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderedAnew {
    /// Nowhere.
    Nowhere,
    /// On hosts with these names.
    On(BTreeSet<String>),
    /// On all hosts.
    Everywhere,
}

/// What the conditions of a resource say, whatever its hosts report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Whether it is ready.
    pub ready: ConditionStatus,
    /// The reason, in one word.
    pub reason: String,
    /// The message, a sentence.
    pub message: String,
}

/// The part of a status that only one kind has, and what it says about the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnStatus {
    /// The fields.
    pub fields: Map<String, Value>,
    /// What all hosts wait for, in a sentence.
    pub waits_for: Option<String>,
    /// Warnings for the author of the resource.
    pub warnings: Vec<String>,
    /// What has changed since the status was written, for people.
    pub events: Vec<StatusEvent>,
    /// What the conditions say, if it does not depend on the hosts.
    pub conclusion: Option<Conclusion>,
    /// When it must be worked out again, if nothing changes before.
    pub again_at: Option<Timestamp>,
    /// How many hosts use its repository then.
    pub slots: usize,
    /// What it makes or deletes. What it made is there before it is recorded.
    pub makes: Vec<Makes>,
}

/// A resource that another one makes or deletes.
#[derive(Clone, Debug, PartialEq)]
pub enum Makes {
    /// It is created. That it exists already is as good.
    Create(Box<VolumeBackup>),
    /// The VolumeBackup of this name is deleted.
    Delete(String),
}

/// A change of a status that people hear of by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusEvent {
    /// Whether it is a warning.
    pub is_warning: bool,
    /// The reason, in one word.
    pub reason: &'static str,
    /// The message, a sentence.
    pub message: String,
}

impl StatusEvent {
    /// Creates a normal event.
    pub(crate) fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_warning: false,
            reason,
            message: message.into(),
        }
    }

    /// Creates a warning.
    pub(crate) fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            reason,
            message: message.into(),
        }
    }
}

/// A host that a resource selects or is on, with the state of the resource there.
#[derive(Clone, Debug)]
pub struct HostReport<'a> {
    /// The host.
    pub host: &'a DockerHost,
    /// The state of the resource on it.
    pub view: HostView<'a>,
    /// Its membership in a swarm, if it has one.
    pub swarm: Option<&'a SwarmMembership>,
}

impl HostReport<'_> {
    /// Whether the host has a tombstone of the resource.
    pub(crate) fn is_retiring(&self) -> bool {
        let entry = self.view.entry;
        entry.is_some_and(|e| e.intent == Intent::Absent)
    }
}

/// The fields of a spec that all resources have.
#[derive(Clone, Copy, Debug)]
pub struct CommonSpec<'a> {
    /// The hosts it selects by label.
    pub host_selector: Option<&'a LabelSelector>,
    /// The hosts it selects by name.
    pub host_names: &'a [String],
    /// Name of the object on hosts, if it is not the name of the resource.
    pub object_name: Option<&'a str>,
    /// The hosts that must be ready before the resource is ready.
    pub ready_policy: ReadyPolicy,
    /// The policies.
    pub policies: Policies,
    /// Name of the Secret with the credentials of its mount.
    pub credentials_secret: Option<&'a str>,
}

impl dyn Resource {
    /// Returns it as a resource of one kind, if it is one.
    pub fn downcast<K: Resource>(&self) -> Option<&K> {
        let any: &dyn Any = self;
        any.downcast_ref()
    }

    /// Returns it with another rest of its status.
    ///
    /// # Errors
    /// If these are not the fields of such a status.
    pub fn with_own_status(&self, own: Map<String, Value>) -> Result<Box<Self>, serde_json::Error> {
        let mut document = self.document()?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("status".to_owned(), Value::Object(own));
        }
        kinds::read(self.kind(), document)
    }

    /// Returns its UID; empty if an API server has not set it.
    pub fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// Returns its namespace.
    pub fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Whether it is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// Returns the name of the object on hosts.
    pub fn object_name(&self) -> &str {
        let given = self.common().object_name;
        given.unwrap_or_else(|| self.name())
    }

    /// Returns the hosts it selects by label.
    pub fn host_selector(&self) -> Option<&LabelSelector> {
        self.common().host_selector
    }

    /// Returns the hosts it selects by name.
    pub fn host_names(&self) -> &[String] {
        self.common().host_names
    }

    /// Returns the name of the Secret with the credentials of its mount.
    pub fn credentials_secret(&self) -> Option<&str> {
        self.common().credentials_secret
    }

    /// Returns its policies.
    pub fn policies(&self) -> Policies {
        self.common().policies
    }

    /// Returns which hosts it waits for before it is ready.
    pub fn ready_policy(&self) -> ReadyPolicy {
        self.common().ready_policy
    }

    /// Returns the effective deletion policy. Nothing is removed for a resource that is suspended or only
    /// observed.
    pub fn deletion(&self) -> DeletionPolicy {
        deletion(self.policies())
    }

    /// Returns the order in which resources claim a name: the oldest first, then by name.
    pub fn seniority(&self) -> (Option<Timestamp>, &str, &str) {
        let created = self.metadata().creation_timestamp.as_ref().map(|t| t.0);
        (created, self.namespace(), self.name())
    }
}

/// Returns the effective deletion policy of a resource with these policies.
pub(crate) fn deletion(policies: Policies) -> DeletionPolicy {
    if policies.suspend || policies.management == ManagementPolicy::Observe {
        DeletionPolicy::Retain
    } else {
        policies.deletion
    }
}
