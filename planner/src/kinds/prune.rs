//! Pruning: everything about a PrunePolicy in the planner.
//!
//! A PrunePolicy has no object of its own on a host. It is about volumes or networks that nobody manages: `keep` says
//! which are never candidates, `observation` how long they are unused, `selection` which of them the policy means, and
//! [`plan`](crate::plan) what is done about them.

mod desired;
mod detail;
mod keep;
mod object;
mod observation;
mod selection;
mod state;

use std::collections::BTreeMap;
use std::convert::Infallible;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::duration;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::prune::PrunedKind;
use dockfleet_crds::{DockerHost, FieldDiff, PrunePolicy, ResourceStatus};
use serde_json::{Map, Value};

use super::{ObjectKind, Work};
use crate::brake;
use crate::credentials::Credentials;
use crate::desired::{Behaviour, fields};
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, Resource, StatusContext};

pub use desired::DesiredPrune;
pub use detail::{ListedObject, PruneDetail};
pub use keep::{KEEP_LABEL, Keep, Protected};
pub use object::{Identity, NoIdentity, PrunableObject};
pub use observation::{Observation, Unused};
pub use selection::{Candidate, PruneView, Selected, to_look_into};

impl ObjectKind for PrunePolicy {
    const KIND: Kind = Kind::PrunePolicy;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    // Who may prune a host may remove what others have on it.
    const IS_FOR_OWN_NAMESPACE: bool = true;
    const IS_OBSERVED_ALWAYS: bool = false;
    const WORK: Work = Work::Pruning;
    const DELETION_NOTE: &'static str =
        "its hosts no longer list or remove unused objects for it; nothing else is changed on them";

    type Desired = DesiredPrune;
    type Observed = PrunableObject;
    type Change = Infallible;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: self.spec.host_selector.as_ref(),
            host_names: &self.spec.host_names,
            object_name: None,
            ready_policy: self.spec.ready_policy,
            policies: self.spec.policies(),
            credentials_secret: None,
        }
    }

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref().map(|s| &s.resource)
    }

    fn own_status(&self) -> Map<String, Value> {
        let status = self.status.as_ref();
        fields(&status.map(|s| s.pruning.clone()).unwrap_or_default())
    }

    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
        state::status(self, &(context.hosts)())
    }

    fn render(&self, _: &DockerHost, _: Option<&str>) -> Result<DesiredPrune, RenderError> {
        let spec = &self.spec;
        let min_unused_for =
            duration::seconds(&spec.min_unused_for).ok_or_else(|| RenderError {
                field: "minUnusedFor",
                value: spec.min_unused_for.clone(),
                wanted: "a duration such as 72h",
            })?;
        let resource: &dyn Resource = self;
        let annotations = self.metadata.annotations.as_ref();
        let allowed = annotations.and_then(|all| all.get(brake::ALLOW_REMOVAL));
        let generation = self.metadata.generation;
        Ok(DesiredPrune {
            name: resource.name().to_owned(),
            kind: spec.kind,
            mode: spec.mode,
            selector: spec.selector.clone(),
            min_unused_for,
            max_per_run: usize::try_from(spec.max_per_run).unwrap_or_default(),
            only_anonymous: spec.kind == PrunedKind::Volume && spec.only_anonymous.unwrap_or(true),
            include_non_empty: spec.include_non_empty,
            generation: generation.unwrap_or_default(),
            allowed: allowed.and_then(|value| brake::permitted(value, generation)),
            labels: BTreeMap::default(),
            policy: Behaviour::of(spec.policies(), Self::DEFAULT_DELETION),
        })
    }

    /// It has no object that could differ.
    fn never_replaced(_: &DesiredPrune, _: &PrunableObject) -> Option<&'static str> {
        Some("what is pruned is not changed")
    }

    fn diff(_: &DesiredPrune, _: &PrunableObject, _: Option<&Credentials>) -> Vec<FieldDiff> {
        Vec::new()
    }
}
