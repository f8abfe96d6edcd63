//! Networks: everything about a DockerNetwork in the planner.

pub mod capability;
mod desired;
mod diff;
mod observed;
pub mod options;
mod overlap;
mod render;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, DockerNetwork, FieldDiff};

use super::ObjectKind;
use crate::capability::Capability;
use crate::credentials::Credentials;
use crate::render::RenderError;
use crate::resource::{CommonSpec, SpecWarning};

pub use desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork};
pub use observed::ObservedNetwork;
pub use overlap::Subnets;
pub use render::network as render;

impl ObjectKind for DockerNetwork {
    const KIND: Kind = Kind::DockerNetwork;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Delete;
    const IS_REPLACEABLE: bool = true;
    const IS_BASELINE: bool = true;
    const CAPABILITIES: &'static [Capability<DesiredNetwork>] = &capability::CAPABILITIES;

    type Desired = DesiredNetwork;
    type Observed = ObservedNetwork;

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

    fn render(&self, host: &DockerHost, _: Option<&str>) -> Result<DesiredNetwork, RenderError> {
        Ok(render(self, host))
    }

    fn spec_warnings(&self) -> Vec<SpecWarning> {
        options::warnings(&self.spec)
    }

    fn diff(
        want: &DesiredNetwork,
        have: &ObservedNetwork,
        _: Option<&Credentials>,
    ) -> Vec<FieldDiff> {
        diff::network(want, have)
    }
}
