//! Volumes: everything about a DockerVolume in the planner.

mod desired;
mod diff;
mod observed;
mod render;
mod warnings;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, DockerVolume, FieldDiff, ResourceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::ObjectKind;
use crate::credentials::Credentials;
use crate::desired::{Payload, payload};
use crate::render::RenderError;
use crate::resource::{CommonSpec, Resource, SpecWarning};

pub use desired::DesiredVolume;
pub use observed::ObservedVolume;
pub use render::volume as render;

const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;

impl Resource for DockerVolume {
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
        let secret = || Some(&self.spec.cifs.as_ref()?.credentials_secret.as_ref()?.name);
        CommonSpec {
            host_selector: self.spec.host_selector.as_ref(),
            host_names: &self.spec.host_names,
            object_name: self.spec.volume_name.as_deref(),
            ready_policy: self.spec.ready_policy,
            policies: self.spec.policies(),
            credentials_secret: secret().map(String::as_str),
        }
    }

    fn payload(&self, _: &DockerHost, credentials: Option<&str>) -> Result<Payload, RenderError> {
        let volume = DesiredVolume {
            credentials: credentials.map(str::to_owned),
            ..render(self)?
        };
        Ok(payload(&volume, None))
    }

    fn warnings(&self) -> Vec<SpecWarning> {
        warnings::warnings(&self.spec)
    }
}

impl ObjectKind for DockerVolume {
    const KIND: Kind = Kind::DockerVolume;
    const DEFAULT_DELETION: DeletionPolicy = DEFAULT_DELETION;
    const IS_REPLACEABLE: bool = false;
    const IS_BASELINE: bool = true;
    // No `CAPABILITIES`: every option of a volume works on the oldest supported engine.

    type Desired = DesiredVolume;
    type Observed = ObservedVolume;

    fn diff(
        want: &DesiredVolume,
        have: &ObservedVolume,
        given: Option<&Credentials>,
    ) -> Vec<FieldDiff> {
        diff::volume(want, have, given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::ApiVersion;
    use crate::kinds::Desired;

    #[test]
    fn a_feature_of_every_engine_is_never_missing() {
        let volume = Desired::from(DesiredVolume::default());
        assert_eq!(volume.missing(ApiVersion(1, 41)), None);
    }
}
