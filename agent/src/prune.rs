//! Looks at the unused objects of an engine, and removes one by its identity after another look.

mod emptiness;

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::{Entry, PrunePolicy};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::kinds::Action;
use dockfleet_planner::kinds::prune::{
    DesiredPrune, Observation, Protected, PrunableObject, PruneView, Selected, to_look_into,
};
use dockfleet_planner::plan::removal;
use jiff::Timestamp;

use crate::actions::{self, EngineObject as _};
use crate::effect::Effects;
use crate::engine::{Engine, EngineError};

/// The volumes and networks of an engine, and which of them are in use or empty.
#[derive(Debug, Default)]
pub(crate) struct PruneLook {
    objects: Vec<PrunableObject>,
    used: BTreeSet<String>,
    empty: BTreeSet<String>,
    now: i64,
}

impl PruneLook {
    /// Looks at the engine, and into the volumes that could be candidates of policies if they are empty.
    pub(crate) async fn at(
        engine: &Engine,
        wants: &[DesiredPrune],
        protected: &Protected,
    ) -> Result<Self, EngineError> {
        let (objects, _) = PrunePolicy::list(engine).await?;
        // Containers come last: one that is created meanwhile comes with new volumes.
        let containers = engine.containers().await?;
        let is_used = |object: &&PrunableObject| {
            let id = object.identity.to_string();
            let mut all = containers.iter();
            all.any(|c| PrunePolicy::is_used_by(c, &id, &object.name))
        };
        let used = objects.iter().filter(is_used);
        let mut look = Self {
            used: used.map(|o| o.identity.to_string()).collect(),
            objects,
            empty: BTreeSet::new(),
            now: Timestamp::now().as_second(),
        };
        let view = look.view(protected);
        let volumes = wants.iter().flat_map(|want| to_look_into(want, &view));
        let volumes: BTreeMap<String, PrunableObject> = volumes
            .map(|o| (o.identity.to_string(), o.clone()))
            .collect();
        look.empty = emptiness::empty(engine, volumes).await;
        Ok(look)
    }

    /// Returns it in the form of the planner.
    pub(crate) fn view<'a>(&'a self, protected: &'a Protected) -> PruneView<'a> {
        PruneView {
            objects: &self.objects,
            used: &self.used,
            empty: &self.empty,
            protected,
            now: self.now,
        }
    }
}

/// Returns the candidates of a policy that no resource describes, with what agents have observed until now.
///
/// # Errors
/// If the engine cannot be looked at.
pub async fn candidates(
    engine: &Engine,
    want: &DesiredPrune,
    protected: &Protected,
    observed: &[Observation],
) -> Result<Selected, EngineError> {
    let look = PruneLook::at(engine, std::slice::from_ref(want), protected).await?;
    let before = Observation::joined(observed, look.now);
    Ok(Selected::of(want, Some(&before), &look.view(protected)))
}

/// Removes a candidate after another look at it.
///
/// # Errors
/// If a container uses it, it is no longer the same object, it has data now, or the engine does not remove it.
pub async fn remove_candidate(
    engine: &Engine,
    want: &DesiredPrune,
    candidate: &dockfleet_planner::kinds::prune::Candidate,
) -> Result<(), EngineError> {
    let action = removal(candidate);
    remove(engine, &Effects::default(), &action, want.include_non_empty).await
}

/// Does a planned removal, after another look.
pub(crate) async fn remove(
    engine: &Engine,
    effects: &Effects,
    action: &Action,
    may_have_data: bool,
) -> Result<(), EngineError> {
    if !may_have_data
        && let Some((id, name)) = action.removes()
        && let Some(volume) = actions::volume_to_prune(engine, id, name).await?
    {
        let id = volume.identity.to_string();
        let empty = emptiness::empty(engine, BTreeMap::from([(id, volume)])).await;
        if empty.is_empty() {
            return Err(EngineError::NotFound(format!("an empty volume {name}")));
        }
    }
    let mut context = actions::ActionContext {
        engine,
        effects,
        entry: &Entry::default(),
        store: &CredentialStore::new(),
        touched: false,
    };
    actions::act(&mut context, action).await
}
