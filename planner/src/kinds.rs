//! The kinds of object that entries ask for. Each kind has a folder with everything about it: its desired and
//! its observed form, rendering, comparison, the engine version that it needs, identity, order.
//!
//! This file joins them by the list in [`dockfleet_crds::kinds!`]; no other place in this crate names every
//! kind.

pub mod backup;
pub mod network;
mod nothing;
pub mod prune;
pub mod repository;
pub mod restore;
pub mod schedule;
pub mod swarm;
pub mod volume;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{
    BackupRepository, DockerHost, DockerNetwork, DockerVolume, FieldDiff, PrunePolicy, Reason,
    ResourceStatus, SwarmCluster, VolumeBackup, VolumeBackupSchedule, VolumeRestore,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::swarm::{DesiredPreflight, SwarmCounts, SwarmMembership, SwarmSecrets};
use crate::action::{ActionInfo, ObjectAction};
use crate::assignment::Refusal;
use crate::capability::{self, ApiVersion, Capability};
use crate::credentials::{Credentials, SecretForm};
use crate::desired::{Behaviour, Payload, payload};
use crate::examination::Occasion;
use crate::plan::DesiredJob;
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, RenderedAnew, Resource, SpecWarning, StatusContext};
use crate::support::Feature;

/// A resource that asks for an object on each of its hosts.
pub trait ObjectKind: Sized {
    /// The kind.
    const KIND: Kind;
    /// The deletion policy if the resource sets none.
    const DEFAULT_DELETION: DeletionPolicy;
    /// Whether every agent supports it, including one that does not report its features.
    const IS_BASELINE: bool = false;
    /// Whether the resource selects only hosts of its own namespace.
    const IS_FOR_OWN_NAMESPACE: bool = false;
    /// Whether an agent observes the objects of the kind even if it has no entry and no record of it.
    const IS_OBSERVED_ALWAYS: bool = true;
    /// What an agent does for its entries.
    const WORK: Work = Work::Objects;
    /// What is in the Secret that it names.
    const SECRET_FORM: SecretForm = SecretForm::Mount;
    /// What to do without Kubernetes, if nothing is done for it then.
    const NEEDS_CLUSTER: Option<&'static str> = None;
    /// Whether a status without the identity of an object says that the host has none. Then only a pass that has looked
    /// may report it.
    const IS_MISSED_WITHOUT_ID: bool = false;
    /// What the event about a deletion says.
    const DELETION_NOTE: &'static str = "hosts remove or release it, as its deletionPolicy says";
    /// The features of the kind that not every supported engine has, oldest first.
    const CAPABILITIES: &'static [Capability<Self::Desired>] = &[];

    /// The object as an entry asks for it.
    type Desired: DesiredObject + Clone + PartialEq + Serialize + DeserializeOwned + 'static;
    /// The object as an engine shows it.
    type Observed: ObservedObject + Clone + PartialEq;
    /// A change of an object in place.
    type Change: Debug + Clone + PartialEq + Send + Sync;

    /// Returns the fields of the spec that all resources have.
    fn common_spec(&self) -> CommonSpec<'_>;

    /// Returns the part of the status that all resources have.
    fn common_status(&self) -> Option<&ResourceStatus>;

    /// Returns the rest of the status.
    fn own_status(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Works out the rest of the status.
    fn next_own_status(&self, _context: &StatusContext<'_>) -> OwnStatus {
        OwnStatus::default()
    }

    /// Returns the name of the BackupRepository that it needs.
    fn repository(&self) -> Option<&str> {
        None
    }

    /// Whether it was made once and has ended. Then it selects no host.
    fn is_over(&self) -> bool {
        false
    }

    /// Whether a host may begin with what takes long.
    fn is_released_on(&self, _host: &DockerHost) -> bool {
        false
    }

    /// Whether it has no entries before its status has more.
    fn waits_for_record(&self) -> bool {
        false
    }

    /// Returns where its entries must be rendered again because the rest of its status has changed.
    fn rendered_anew(&self, before: &Self) -> RenderedAnew {
        if self.is_shared() && self.own_status() != before.own_status() {
            RenderedAnew::Everywhere
        } else {
            RenderedAnew::Nowhere
        }
    }

    /// Returns the credentials that a host gets of those in the Secret.
    fn credentials_on(&self, _host: &DockerHost, all: &Credentials) -> Credentials {
        all.clone()
    }

    /// Whether it needs a swarm.
    fn needs_swarm(&self) -> bool {
        false
    }

    /// Whether it has one object for several hosts.
    fn is_shared(&self) -> bool {
        self.needs_swarm()
    }

    /// Returns the hosts that it makes members of a swarm, by name.
    fn memberships(&self) -> Vec<(String, SwarmMembership)> {
        Vec::new()
    }

    /// Returns the numbers of its swarm, if it forms one.
    fn swarm_counts(&self) -> Option<SwarmCounts> {
        None
    }

    /// Returns why a host, in messages `called` so, cannot have the object now, if so.
    fn refusal(&self, _called: &str, _swarm: Option<&SwarmMembership>) -> Option<Refusal> {
        None
    }

    /// Whether a completed tombstone on a host may be dropped: what the host has left is recorded.
    fn may_forget_on(&self, _host: &DockerHost) -> bool {
        true
    }

    /// Whether a host keeps its entry for now although the resource is being deleted, because other hosts need
    /// it.
    fn is_needed_on(&self, _host: &DockerHost) -> bool {
        false
    }

    /// Whether a tombstone on a host may permit the removal of the object.
    fn may_remove_on(&self, _host: &DockerHost) -> bool {
        true
    }

    /// Whether a host needs the credentials now.
    fn needs_credentials(&self, _host: &DockerHost) -> bool {
        self.common_spec().credentials_secret.is_some()
    }

    /// Returns the identity of the object on a host, if somebody else than the host has confirmed it.
    fn confirmed_id(&self, _host: &DockerHost) -> Option<String> {
        None
    }

    /// Renders the object for a host, with the version of the credentials that its mount needs.
    ///
    /// # Errors
    /// If the spec cannot be rendered; the schema should have refused it.
    fn render(
        &self,
        host: &DockerHost,
        credentials: Option<&str>,
    ) -> Result<Self::Desired, RenderError>;

    /// Returns what a host does once for it.
    fn job(_want: &Self::Desired) -> Option<DesiredJob> {
        None
    }

    /// Returns the features that an agent needs for it, beside its kind.
    fn needed_features(&self) -> Vec<Feature> {
        Vec::new()
    }

    /// Returns warnings about parts of the spec that the user probably does not intend.
    fn spec_warnings(&self) -> Vec<SpecWarning> {
        Vec::new()
    }

    /// Returns the fields in which an object differs, in a fixed order. Credentials from a Secret are not
    /// compared if they are not `given`.
    fn diff(
        want: &Self::Desired,
        have: &Self::Observed,
        given: Option<&Credentials>,
    ) -> Vec<FieldDiff>;

    /// Returns why an object is never replaced to change it, even if nothing uses it, if so.
    fn never_replaced(_want: &Self::Desired, _have: &Self::Observed) -> Option<&'static str>;

    /// Returns the next change in place of an object that differs.
    fn next_change(_want: &Self::Desired, _have: &Self::Observed) -> Update<Self::Change> {
        Update::Impossible
    }

    /// Returns the least occasion on which an object is to be examined, if it ever is.
    fn examine_on(_want: &Self::Desired, _have: &Self::Observed) -> Option<Occasion> {
        None
    }

    /// Returns what people should know about an object that is ready, as a message.
    fn note(_want: &Self::Desired, _have: &Self::Observed) -> Option<String> {
        None
    }

    /// Whether an action changes more than its own host, so that only the writer of a swarm may do it.
    fn is_writer_work(_action: &ObjectAction<Self::Desired, Self::Change>) -> bool {
        false
    }

    /// Whether an object can be the result of the entry's own attempt.
    fn has_created(_want: &Self::Desired, _have: &Self::Observed) -> bool {
        false
    }

    /// Whether the user has given an object to the resource by its identity.
    fn is_given(_want: &Self::Desired, _have: &Self::Observed) -> bool {
        false
    }

    /// Returns what a status contains beside the identity of an object.
    fn detail(_want: &Self::Desired, _have: &Self::Observed) -> Option<Map<String, Value>> {
        None
    }
}

/// What an agent does for the entries of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It creates, changes and removes their objects.
    Objects,
    /// They have no objects: it lists and removes unused objects that nobody manages.
    Pruning,
    /// They have no objects: it makes backups, each once.
    Backups,
    /// They have no objects: it restores volumes, each once.
    Restores,
    /// There are no entries.
    Nothing,
}

/// The host that creates an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creator<'a> {
    /// The host of the entry.
    ThisHost,
    /// Another host. The engine of this one shows the object while something uses it.
    AnotherHost {
        /// Identity of the object, if it was created.
        id: Option<&'a str>,
    },
}

/// How an object that differs can be changed in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<C> {
    /// Not at all: it must be replaced.
    Impossible,
    /// Not now, and why.
    Waits(Reason, String),
    /// By this change; others may follow it.
    Change(C),
}

/// An object as an entry asks for it.
pub trait DesiredObject: Debug + Send + Sync {
    /// Returns the name on the host.
    fn name(&self) -> &str;

    /// Returns its driver.
    fn driver(&self) -> &str;

    /// Returns its policies.
    fn policy(&self) -> Behaviour;

    /// Returns its policies, to change them.
    fn policy_mut(&mut self) -> &mut Behaviour;

    /// Returns the labels, without those of Dockfleet.
    fn labels_mut(&mut self) -> &mut BTreeMap<String, String>;

    /// Returns the label with the identity of the object, if the engine gives it none.
    fn identity_label(&self) -> Option<&'static str> {
        None
    }

    /// Whether the object stores data that is lost with it, so that its absence is reported and not repaired.
    fn stores_data(&self) -> bool {
        false
    }

    /// Whether it is created after the others of its kind.
    fn is_created_last(&self) -> bool {
        false
    }

    /// Returns which host creates it.
    fn creator(&self) -> Creator<'_> {
        Creator::ThisHost
    }

    /// Returns what it waits for before it can be created, as a message.
    fn waits_for(&self) -> Option<&str> {
        None
    }

    /// Returns the message for an object of another owner, if it is not the usual one.
    fn conflict(&self) -> Option<&str> {
        None
    }

    /// Returns the identity of the attempt to create it, which the journal has to have first.
    fn attempt(&self) -> Option<&str> {
        None
    }

    /// Whether only somebody else than the host can tell that an object without labels is the one that was
    /// created.
    fn is_confirmed_by_others(&self) -> bool {
        false
    }

    /// Returns the secrets of its swarm that the agent keeps in a Secret; `None` for what is not a swarm.
    fn swarm_secrets(&self) -> Option<SwarmSecrets> {
        None
    }

    /// Returns what the agent tries before hosts join a swarm.
    fn preflight(&self) -> Option<&DesiredPreflight> {
        None
    }

    /// Returns the version of the credentials that it needs.
    fn credentials(&self) -> Option<&str> {
        None
    }

    /// Whether the differences include its credentials.
    fn has_other_credentials(&self, _diff: &[FieldDiff]) -> bool {
        false
    }

    /// Whether a field of an object is set after the object exists, so that it does not say whose object it is.
    fn is_set_in_place(&self, _field: &str) -> bool {
        false
    }

    /// Returns a message for differences that need a step of the user.
    fn explain(&self, _diff: &[FieldDiff]) -> Option<String> {
        None
    }
}

/// An object as an engine shows it.
pub trait ObservedObject: Debug + Send + Sync {
    /// Returns its identity.
    fn id(&self) -> String;

    /// Returns its name.
    fn name(&self) -> &str;

    /// Returns its driver.
    fn driver(&self) -> &str;

    /// Returns its labels.
    fn labels(&self) -> &BTreeMap<String, String>;

    /// Returns what was found when it was examined, in a form to keep.
    fn examined(&self) -> Option<Value> {
        None
    }

    /// Adds what was found when it was examined earlier.
    fn recall(&mut self, _examined: &Value) {}

    /// Returns why it is only an attempt to become an object, which has failed, if so.
    fn failed_attempt(&self) -> Option<&str> {
        None
    }
}

macro_rules! join {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// An object of any kind, as an entry asks for it.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Desired {
            $(#[doc = concat!("A ", $object, ".")] $kind(<$kind as ObjectKind>::Desired),)*
        }

        /// An object of any kind, as an engine shows it.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Object {
            $(#[doc = concat!("A ", $object, ".")] $kind(<$kind as ObjectKind>::Observed),)*
        }

        /// One change of an engine.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Action {
            $(#[doc = concat!("A change of a ", $object, ".")]
            $kind(ObjectAction<<$kind as ObjectKind>::Desired, <$kind as ObjectKind>::Change>),)*
        }

        impl Desired {
            /// Reads the spec of an entry.
            pub(crate) fn read(kind: Kind, spec: Value) -> Result<Self, serde_json::Error> {
                match kind {
                    $(Kind::$kind => serde_json::from_value(spec).map(Self::$kind),)*
                }
            }

            /// Returns the payload of its entry.
            pub(crate) fn payload(&self) -> Payload {
                match self {
                    $(Self::$kind(desired) => payload(desired, None),)*
                }
            }

            /// Returns what a host does once for it.
            pub(crate) fn job(&self) -> Option<DesiredJob> {
                match self {
                    $(Self::$kind(want) => $kind::job(want),)*
                }
            }

            /// Returns the deletion policy if the resource sets none.
            pub(crate) fn default_deletion(&self) -> DeletionPolicy {
                match self {
                    $(Self::$kind(_) => $kind::DEFAULT_DELETION,)*
                }
            }

            /// Returns why an object is never replaced to change it, even if nothing uses it, if so.
            pub(crate) fn never_replaced(&self, have: &Object) -> Option<&'static str> {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::never_replaced(want, have),)*
                    _ => Some("it is of another kind"),
                }
            }

            /// Returns why an engine does not support it, if so.
            pub(crate) fn missing(&self, api: ApiVersion) -> Option<String> {
                match self {
                    $(Self::$kind(want) => capability::missing($kind::CAPABILITIES, want, api),)*
                }
            }

            /// Returns the differences of an object; none for an object of another kind, which is never
            /// compared.
            pub(crate) fn diff(&self, have: &Object, given: Option<&Credentials>) -> Vec<FieldDiff> {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::diff(want, have, given),)*
                    _ => Vec::new(),
                }
            }

            /// Returns the next change in place of an object that differs.
            pub(crate) fn update(&self, have: &Object) -> Update<Action> {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(object)) => match $kind::next_change(want, object) {
                        Update::Impossible => Update::Impossible,
                        Update::Waits(reason, why) => Update::Waits(reason, why),
                        Update::Change(change) => {
                            Update::Change(Action::$kind(ObjectAction::Update {
                                name: object.name().to_owned(),
                                driver: object.driver().to_owned(),
                                change,
                            }))
                        }
                    },)*
                    _ => Update::Impossible,
                }
            }

            /// Returns the least occasion on which an object is to be examined, if it ever is.
            pub(crate) fn examine_on(&self, have: &Object) -> Option<Occasion> {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::examine_on(want, have),)*
                    _ => None,
                }
            }

            /// Returns what people should know about an object that is ready, as a message.
            pub(crate) fn note(&self, have: &Object) -> Option<String> {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::note(want, have),)*
                    _ => None,
                }
            }

            /// Whether an object can be the result of the entry's own attempt.
            pub(crate) fn has_created(&self, have: &Object) -> bool {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::has_created(want, have),)*
                    _ => false,
                }
            }

            /// Whether the user has given an object to the resource by its identity.
            pub(crate) fn is_given(&self, have: &Object) -> bool {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::is_given(want, have),)*
                    _ => false,
                }
            }

            /// Returns what a status contains beside the identity of an object.
            pub(crate) fn detail(&self, have: &Object) -> Option<Map<String, Value>> {
                match (self, have) {
                    $((Self::$kind(want), Object::$kind(have)) => $kind::detail(want, have),)*
                    _ => None,
                }
            }

            /// Returns the action that creates it.
            pub(crate) fn create(self) -> Action {
                match self {
                    $(Self::$kind(desired) => {
                        Action::$kind(ObjectAction::Create(Box::new(desired)))
                    })*
                }
            }
        }

        impl Action {
            /// Whether only the writer of a swarm may do it.
            pub(crate) fn is_writer_work(&self) -> bool {
                match self {
                    $(Self::$kind(action) => $kind::is_writer_work(action),)*
                }
            }
        }

        impl Object {
            /// Returns the action that removes it.
            pub(crate) fn remove(&self) -> Action {
                match self {
                    $(Self::$kind(object) => Action::$kind(ObjectAction::remove(object)),)*
                }
            }
        }

        $(
            impl Resource for $kind {
                fn kind(&self) -> Kind {
                    Kind::$kind
                }

                fn metadata(&self) -> &ObjectMeta {
                    &self.metadata
                }

                fn metadata_mut(&mut self) -> &mut ObjectMeta {
                    &mut self.metadata
                }

                fn document(&self) -> Result<Value, serde_json::Error> {
                    serde_json::to_value(self)
                }

                fn status(&self) -> Option<&ResourceStatus> {
                    self.common_status()
                }

                fn own_status(&self) -> Map<String, Value> {
                    ObjectKind::own_status(self)
                }

                fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
                    ObjectKind::next_own_status(self, context)
                }

                fn repository(&self) -> Option<&str> {
                    ObjectKind::repository(self)
                }

                fn is_over(&self) -> bool {
                    ObjectKind::is_over(self)
                }

                fn is_released_on(&self, host: &DockerHost) -> bool {
                    ObjectKind::is_released_on(self, host)
                }

                fn waits_for_record(&self) -> bool {
                    ObjectKind::waits_for_record(self)
                }

                fn rendered_anew(&self, before: &dyn Resource) -> RenderedAnew {
                    let before = before.downcast::<Self>();
                    before.map_or(RenderedAnew::Everywhere, |before| {
                        ObjectKind::rendered_anew(self, before)
                    })
                }

                fn credentials_on(&self, host: &DockerHost, all: &Credentials) -> Credentials {
                    ObjectKind::credentials_on(self, host, all)
                }

                fn needs_swarm(&self) -> bool {
                    ObjectKind::needs_swarm(self)
                }

                fn is_shared(&self) -> bool {
                    ObjectKind::is_shared(self)
                }

                fn memberships(&self) -> Vec<(String, SwarmMembership)> {
                    ObjectKind::memberships(self)
                }

                fn swarm_counts(&self) -> Option<SwarmCounts> {
                    ObjectKind::swarm_counts(self)
                }

                fn refusal(&self, called: &str, swarm: Option<&SwarmMembership>) -> Option<Refusal> {
                    ObjectKind::refusal(self, called, swarm)
                }

                fn is_needed_on(&self, host: &DockerHost) -> bool {
                    ObjectKind::is_needed_on(self, host)
                }

                fn may_forget_on(&self, host: &DockerHost) -> bool {
                    ObjectKind::may_forget_on(self, host)
                }

                fn may_remove_on(&self, host: &DockerHost) -> bool {
                    ObjectKind::may_remove_on(self, host)
                }

                fn is_for_own_namespace(&self) -> bool {
                    <$kind as ObjectKind>::IS_FOR_OWN_NAMESPACE
                }

                fn needs_credentials(&self, host: &DockerHost) -> bool {
                    ObjectKind::needs_credentials(self, host)
                }

                fn confirmed_id(&self, host: &DockerHost) -> Option<String> {
                    ObjectKind::confirmed_id(self, host)
                }

                fn common(&self) -> CommonSpec<'_> {
                    self.common_spec()
                }

                fn payload(
                    &self,
                    host: &DockerHost,
                    credentials: Option<&str>,
                ) -> Result<Payload, RenderError> {
                    let desired = ObjectKind::render(self, host, credentials)?;
                    Ok(payload(&desired, None))
                }

                fn needed_features(&self) -> Vec<Feature> {
                    ObjectKind::needed_features(self)
                }

                fn warnings(&self) -> Vec<SpecWarning> {
                    self.spec_warnings()
                }
            }

            impl From<<$kind as ObjectKind>::Desired> for Desired {
                fn from(desired: <$kind as ObjectKind>::Desired) -> Self {
                    Self::$kind(desired)
                }
            }

            impl From<<$kind as ObjectKind>::Observed> for Object {
                fn from(object: <$kind as ObjectKind>::Observed) -> Self {
                    Self::$kind(object)
                }
            }
        )*

        impl Deref for Desired {
            type Target = dyn DesiredObject;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$kind(desired) => desired,)*
                }
            }
        }

        impl DerefMut for Desired {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$kind(desired) => desired,)*
                }
            }
        }

        impl Deref for Object {
            type Target = dyn ObservedObject;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$kind(object) => object,)*
                }
            }
        }

        impl DerefMut for Object {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Self::$kind(object) => object,)*
                }
            }
        }

        impl Deref for Action {
            type Target = dyn ActionInfo;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$kind(action) => action,)*
                }
            }
        }

        /// Reads a resource of a kind.
        ///
        /// # Errors
        /// If the value is not such a resource.
        pub fn read(kind: Kind, value: Value) -> Result<Box<dyn Resource>, serde_json::Error> {
            Ok(match kind {
                $(Kind::$kind => Box::new(serde_json::from_value::<$kind>(value)?),)*
            })
        }

        /// Whether every agent supports a kind, including one that does not report its features.
        pub(crate) fn is_baseline(kind: Kind) -> bool {
            match kind {
                $(Kind::$kind => $kind::IS_BASELINE,)*
            }
        }

        /// Whether an agent observes the objects of a kind even if it has no entry and no record of it.
        pub fn is_observed_always(kind: Kind) -> bool {
            match kind {
                $(Kind::$kind => $kind::IS_OBSERVED_ALWAYS,)*
            }
        }

        /// Returns what an agent does for the entries of a kind.
        pub fn work(kind: Kind) -> Work {
            match kind {
                $(Kind::$kind => $kind::WORK,)*
            }
        }

        /// Returns what is in the Secrets that the resources of a kind name.
        pub fn secret_form(kind: Kind) -> SecretForm {
            match kind {
                $(Kind::$kind => $kind::SECRET_FORM,)*
            }
        }

        /// Returns what to do without Kubernetes, if nothing is done for a kind then.
        pub fn needs_cluster(kind: Kind) -> Option<&'static str> {
            match kind {
                $(Kind::$kind => $kind::NEEDS_CLUSTER,)*
            }
        }

        /// Whether a status without the identity of an object says that the host has none.
        pub fn is_missed_without_id(kind: Kind) -> bool {
            match kind {
                $(Kind::$kind => $kind::IS_MISSED_WITHOUT_ID,)*
            }
        }

        /// Returns what the event about the deletion of a resource says.
        pub fn deletion_note(kind: Kind) -> &'static str {
            match kind {
                $(Kind::$kind => $kind::DELETION_NOTE,)*
            }
        }

        /// Returns the name of each capability with the oldest API version that has it.
        pub(crate) fn capabilities() -> impl Iterator<Item = (&'static str, ApiVersion)> {
            let all = std::iter::empty();
            $(let all = all.chain($kind::CAPABILITIES.iter().map(|c| (c.name, c.since)));)*
            all
        }
    };
}

dockfleet_crds::kinds!(join);
