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
use dockfleet_crds::{DockerHost, DockerNetwork, FieldDiff, ResourceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::ObjectKind;
use crate::capability::Capability;
use crate::credentials::Credentials;
use crate::desired::{Payload, payload};
use crate::render::RenderError;
use crate::resource::{CommonSpec, Resource, SpecWarning};

pub use desired::{AddressBlock, DEFAULT_IPAM, DesiredNetwork};
pub use observed::ObservedNetwork;
pub use overlap::overlap;
pub use render::network as render;

const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Delete;

impl Resource for DockerNetwork {
    fn kind(&self) -> Kind {
        Self::KIND
    }

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref()
    }

    fn common(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: self.spec.host_selector.as_ref(),
            host_names: &self.spec.host_names,
            object_name: self.spec.network_name.as_deref(),
            ready_policy: self.spec.ready_policy,
            policies: self.spec.policies(),
            credentials_secret: None,
        }
    }

    fn payload(&self, host: &DockerHost, _: Option<&str>) -> Result<Payload, RenderError> {
        Ok(payload(&render(self, host), None))
    }

    fn warnings(&self) -> Vec<SpecWarning> {
        options::warnings(&self.spec)
    }
}

impl ObjectKind for DockerNetwork {
    const KIND: Kind = Kind::DockerNetwork;
    const DEFAULT_DELETION: DeletionPolicy = DEFAULT_DELETION;
    const IS_REPLACEABLE: bool = true;
    const IS_BASELINE: bool = true;
    const CAPABILITIES: &'static [Capability<DesiredNetwork>] = &capability::CAPABILITIES;

    type Desired = DesiredNetwork;
    type Observed = ObservedNetwork;

    fn diff(
        want: &DesiredNetwork,
        have: &ObservedNetwork,
        _: Option<&Credentials>,
    ) -> Vec<FieldDiff> {
        diff::network(want, have)
    }
}
