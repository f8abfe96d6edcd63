//! Swarms: everything about a SwarmCluster in the planner.
//!
//! The object of a SwarmCluster on a host is the host's membership in the swarm. `state` works out the state of
//! the swarm from what all hosts report. That state is written into the status of the SwarmCluster, and the
//! entry of each host is rendered from the written status alone: nothing is done that is not recorded.

mod address;
mod cluster;
mod counts;
mod desired;
mod events;
mod host;
mod managers;
mod nodes;
mod observed;
mod preflight;
mod quorum;
mod render;
mod settings;
mod state;
mod warnings;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, FieldDiff, ResourceStatus, SwarmCluster};
use serde_json::{Map, Value};

use super::{ObjectKind, Update};
use crate::action::ObjectAction;
use crate::credentials::{Credentials, SecretForm};
use crate::desired::fields;
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, StatusContext};

pub use cluster::{SwarmSettings, TOKEN_EPOCH};
pub use counts::{SwarmCounts, quorum_labels};
pub use desired::{DesiredMembership, DesiredNode, DesiredPreflight, Init, Start, Writer};
pub use nodes::SwarmChange;
pub use observed::{LostAddress, MembershipDetail, Node, NodeStatus, ObservedMembership};
pub use settings::NodeSettings;

/// The membership of a host in a swarm, as other resources need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmMembership {
    /// The SwarmCluster, as `NAMESPACE/NAME`.
    pub resource: String,
    /// ID of the swarm.
    pub cluster: String,
    /// Whether the host is a manager that the swarm reaches.
    pub is_manager: bool,
}

/// The secrets of a swarm that an agent writes into its host's own Secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmSecrets {
    /// The token with which workers join.
    pub join_token: bool,
    /// The key that unlocks a manager.
    pub unlock_key: bool,
}

/// The name of the object on every host: a host is a member of one swarm at most.
pub const MEMBERSHIP: &str = "membership";

/// The engine's driver of a membership.
pub const DRIVER: &str = "swarm";

impl ObjectKind for SwarmCluster {
    const KIND: Kind = Kind::SwarmCluster;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    const IS_FOR_OWN_NAMESPACE: bool = true;
    const SECRET_FORM: SecretForm = SecretForm::JoinToken;
    const IS_OBSERVED_ALWAYS: bool = false;
    const IS_MISSED_WITHOUT_ID: bool = true;
    const DELETION_NOTE: &'static str =
        "hosts leave the swarm or stay in it, as its removedHosts says";

    type Desired = DesiredMembership;
    type Observed = ObservedMembership;
    type Change = SwarmChange;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: self.spec.host_selector.as_ref(),
            host_names: &self.spec.host_names,
            object_name: Some(MEMBERSHIP),
            ready_policy: self.spec.ready_policy,
            policies: self.spec.policies(),
            credentials_secret: render::token_secret(self),
        }
    }

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref().map(|s| &s.resource)
    }

    fn own_status(&self) -> Map<String, Value> {
        fields(render::recorded(self))
    }

    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
        state::status(self, &(context.hosts)())
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn memberships(&self) -> Vec<(String, SwarmMembership)> {
        render::memberships(self)
    }

    fn swarm_counts(&self) -> Option<SwarmCounts> {
        Some(counts::counts(self))
    }

    fn may_forget_on(&self, host: &DockerHost) -> bool {
        render::may_forget_on(self, host)
    }

    fn is_needed_on(&self, host: &DockerHost) -> bool {
        render::is_needed_on(self, host)
    }

    fn needs_credentials(&self, host: &DockerHost) -> bool {
        render::needs_token(self, host)
    }

    fn confirmed_id(&self, host: &DockerHost) -> Option<String> {
        render::confirmed_node(self, host)
    }

    fn render(
        &self,
        host: &DockerHost,
        credentials: Option<&str>,
    ) -> Result<DesiredMembership, RenderError> {
        Ok(render::membership(self, host, credentials))
    }

    fn never_replaced(_: &DesiredMembership, _: &ObservedMembership) -> Option<&'static str> {
        Some("a host does not leave its swarm for a change")
    }

    fn diff(
        want: &DesiredMembership,
        have: &ObservedMembership,
        _: Option<&Credentials>,
    ) -> Vec<FieldDiff> {
        nodes::diff(want, have)
    }

    fn next_change(want: &DesiredMembership, have: &ObservedMembership) -> Update<SwarmChange> {
        nodes::next_change(want, have)
    }

    /// A host leaves its swarm and joins it again by itself. That it creates the swarm, or goes on alone, is a
    /// permission that somebody may have taken back.
    fn is_writer_work(action: &ObjectAction<DesiredMembership, SwarmChange>) -> bool {
        match action {
            ObjectAction::Create(desired) => matches!(desired.start, Some(Start::Init(_))),
            ObjectAction::Remove { .. } => false,
            ObjectAction::Update { change, .. } => change.is_writer_work(),
        }
    }

    fn has_created(want: &DesiredMembership, have: &ObservedMembership) -> bool {
        want.has_created(have)
    }

    fn is_given(want: &DesiredMembership, have: &ObservedMembership) -> bool {
        want.is_given(have)
    }

    fn detail(want: &DesiredMembership, have: &ObservedMembership) -> Option<Map<String, Value>> {
        MembershipDetail::of(want, have).fields()
    }
}
