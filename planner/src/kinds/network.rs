//! Networks: everything about a DockerNetwork in the planner.

pub mod capability;
mod desired;
mod diff;
mod observed;
pub mod options;
mod overlap;
mod overlay;
mod render;

use std::convert::Infallible;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::network::NetworkDriver;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, DockerNetwork, FieldDiff, Reason, ResourceStatus};
use serde_json::{Map, Value};

use super::{ObjectKind, Update};
use crate::action::{ActionInfo as _, ObjectAction};
use crate::assignment::Refusal;
use crate::capability::Capability;
use crate::credentials::Credentials;
use crate::kinds::swarm::SwarmMembership;
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, SpecWarning, StatusContext};

pub use desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork, SharedNetwork};
pub use observed::ObservedNetwork;
pub use overlap::Subnets;
pub use render::network as render;

impl ObjectKind for DockerNetwork {
    const KIND: Kind = Kind::DockerNetwork;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Delete;
    const IS_BASELINE: bool = true;
    const CAPABILITIES: &'static [Capability<DesiredNetwork>] = &capability::CAPABILITIES;

    type Desired = DesiredNetwork;
    type Observed = ObservedNetwork;
    type Change = Infallible;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: self.spec.host_selector.as_ref(),
            host_names: &self.spec.host_names,
            object_name: self.spec.network_name.as_deref(),
            ready_policy: self.spec.ready_policy,
            policies: self.spec.policies(),
            credentials_secret: None,
        }
    }

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref().map(|s| &s.resource)
    }

    fn own_status(&self) -> Map<String, Value> {
        overlay::fields(overlay::recorded(self).cloned())
    }

    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
        if overlay::is_overlay(self) {
            OwnStatus {
                fields: overlay::fields(overlay::next(self, &(context.hosts)())),
                ..OwnStatus::default()
            }
        } else {
            OwnStatus::default()
        }
    }

    fn needs_swarm(&self) -> bool {
        overlay::is_overlay(self)
    }

    fn refusal(&self, called: &str, swarm: Option<&SwarmMembership>) -> Option<Refusal> {
        overlay::refusal(self, called, swarm)
    }

    fn may_remove_on(&self, host: &DockerHost) -> bool {
        overlay::may_remove_on(self, host)
    }

    fn confirmed_id(&self, host: &DockerHost) -> Option<String> {
        overlay::shared(self, host)?.id
    }

    fn render(&self, host: &DockerHost, _: Option<&str>) -> Result<DesiredNetwork, RenderError> {
        Ok(render(self, host))
    }

    fn spec_warnings(&self) -> Vec<SpecWarning> {
        options::warnings(&self.spec)
    }

    /// An engine lists a new network of the swarm before the swarm has set it up.
    fn next_change(want: &DesiredNetwork, have: &ObservedNetwork) -> Update<Infallible> {
        if have.driver.is_empty() && !want.driver.is_empty() {
            let message = "created; waits until the swarm has set it up".to_owned();
            Update::Waits(Reason::Progressing, message)
        } else {
            Update::Impossible
        }
    }

    fn is_writer_work(action: &ObjectAction<DesiredNetwork, Infallible>) -> bool {
        action.driver() == NetworkDriver::Overlay.as_str()
    }

    fn never_replaced(_: &DesiredNetwork, _: &ObservedNetwork) -> Option<&'static str> {
        None
    }

    fn diff(
        want: &DesiredNetwork,
        have: &ObservedNetwork,
        _: Option<&Credentials>,
    ) -> Vec<FieldDiff> {
        diff::network(want, have)
    }
}
