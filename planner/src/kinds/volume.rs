//! Volumes: everything about a DockerVolume in the planner.

mod desired;
mod diff;
mod observed;
mod render;
mod warnings;

use std::convert::Infallible;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, DockerVolume, FieldDiff, ResourceStatus};

use super::ObjectKind;
use crate::credentials::Credentials;
use crate::render::RenderError;
use crate::resource::{CommonSpec, SpecWarning};

pub use desired::DesiredVolume;
pub use observed::ObservedVolume;
pub use render::volume as render;

impl ObjectKind for DockerVolume {
    const KIND: Kind = Kind::DockerVolume;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    const IS_REPLACEABLE: bool = false;
    const IS_BASELINE: bool = true;
    // No `CAPABILITIES`: every option of a volume works on the oldest supported engine.

    type Desired = DesiredVolume;
    type Observed = ObservedVolume;
    type Change = Infallible;

    fn common_spec(&self) -> CommonSpec<'_> {
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

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref()
    }

    fn render(
        &self,
        _: &DockerHost,
        credentials: Option<&str>,
    ) -> Result<DesiredVolume, RenderError> {
        Ok(DesiredVolume {
            credentials: credentials.map(str::to_owned),
            ..render(self)?
        })
    }

    fn spec_warnings(&self) -> Vec<SpecWarning> {
        warnings::warnings(&self.spec)
    }

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
