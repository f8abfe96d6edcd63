//! Volumes: everything about a DockerVolume in the planner.

mod desired;
mod diff;
mod observed;
mod ownership;
mod render;
mod warnings;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, DockerVolume, FieldDiff, ResourceStatus};

use super::{ObjectKind, Update};
use crate::credentials::Credentials;
use crate::examination::Occasion;
use crate::render::RenderError;
use crate::resource::{CommonSpec, SpecWarning};
use crate::support::Feature;

pub use desired::DesiredVolume;
pub use observed::ObservedVolume;
pub use ownership::{DesiredOwnership, OwnershipChange, TopFolder};
pub use render::volume as render;

impl ObjectKind for DockerVolume {
    const KIND: Kind = Kind::DockerVolume;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    const IS_BASELINE: bool = true;
    // No `CAPABILITIES`: every option of a volume works on the oldest supported engine.

    type Desired = DesiredVolume;
    type Observed = ObservedVolume;
    type Change = OwnershipChange;

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

    fn needed_features(&self) -> Vec<Feature> {
        let credentials = self.common_spec().credentials_secret;
        let ownership = self.spec.ownership.as_ref();
        let credentials = credentials.map(|_| Feature::VolumeCredentials);
        let ownership = ownership.map(|_| Feature::VolumeOwnership);
        let replaced = self.spec.policies().update_when_unused;
        let replaced = replaced.then_some(Feature::VolumeReplacement);
        let all = credentials.into_iter().chain(ownership);
        all.chain(replaced).collect()
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

    /// Invariant 2.
    fn never_replaced(want: &DesiredVolume, have: &ObservedVolume) -> Option<&'static str> {
        if !have.data_is_elsewhere() {
            return Some("it stores data on this host");
        }
        let is_elsewhere = want.data_is_elsewhere();
        (!is_elsewhere).then_some("the new volume would store its data on this host")
    }

    fn next_change(want: &DesiredVolume, have: &ObservedVolume) -> Update<OwnershipChange> {
        ownership::change(want, have).map_or(Update::Impossible, Update::Change)
    }

    fn examine_on(want: &DesiredVolume, have: &ObservedVolume) -> Option<Occasion> {
        ownership::examine_on(want, have)
    }

    fn note(want: &DesiredVolume, have: &ObservedVolume) -> Option<String> {
        ownership::note(want, have)
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
