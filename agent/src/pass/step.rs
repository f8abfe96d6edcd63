//! One step of a plan.

use dockfleet_crds::Entry;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::desired::Desired;
use dockfleet_planner::plan::{Planned, Step};

use super::{Operation, PassRun, Progress};
use crate::effect::Effect;
use crate::engine::{Engine, EngineError};

/// Makes sure that no container uses what a step would remove.
pub(super) async fn is_free(engine: &Engine, kind: Kind, step: &Step) -> Result<(), EngineError> {
    let (id, name) = match step {
        Step::None | Step::Create { .. } => return Ok(()),
        Step::Replace { id, desired } => (id, desired.name()),
        Step::Remove { id, name } => (id, name.as_str()),
    };
    match engine.users(kind, id, name).await? {
        users if users.is_empty() => Ok(()),
        users => Err(EngineError::InUse(users)),
    }
}

impl PassRun<'_> {
    /// Does a step. Returns whether the engine may have changed, and how it went.
    pub(super) async fn step<P: FnMut(&Progress) + ?Sized>(
        &self,
        entry: &Entry,
        planned: &Planned,
        progress: &mut P,
    ) -> (bool, Result<(), EngineError>) {
        // Nothing is planned for an entry of a kind that is not known.
        let (Some((doing, object)), Some(kind)) =
            (Operation::of(&planned.step), entry.kind.known())
        else {
            return (false, Ok(()));
        };
        let mut moment = Progress::begin(entry, kind, doing, object);
        progress(&moment);
        let mut touched = false;
        let result = self.act(entry, kind, &planned.step, &mut touched).await;
        log(entry, planned, doing, object, &result);
        moment.result = Some(result.as_ref().map(|&()| ()).map_err(EngineError::sentence));
        progress(&moment);
        (touched, result)
    }

    async fn act(
        &self,
        entry: &Entry,
        kind: Kind,
        step: &Step,
        touched: &mut bool,
    ) -> Result<(), EngineError> {
        match step {
            Step::None => Ok(()),
            Step::Create { desired, .. } => {
                let credentials = self.credentials(entry, desired)?;
                *touched = true;
                let result = self.engine.create(desired, credentials).await;
                self.effects.happened(Effect::EngineCreate);
                result
            }
            Step::Replace { id, desired } => {
                self.remove(kind, id, desired.name(), touched).await?;
                let result = self.engine.create(desired, None).await;
                self.effects.happened(Effect::EngineCreate);
                result
            }
            Step::Remove { id, name } => self.remove(kind, id, name, touched).await,
        }
    }

    /// Returns the credentials that an object is made with. Without those that it names nothing is
    /// made: the planner waits for them.
    fn credentials(
        &self,
        entry: &Entry,
        desired: &Desired,
    ) -> Result<Option<&Credentials>, EngineError> {
        let Desired::Volume(volume) = desired else {
            return Ok(None);
        };
        let Some(version) = &volume.credentials else {
            return Ok(None);
        };
        let found = self.store.get(&entry.uid, version);
        let lacking = || EngineError::Refused(format!("{} lacks its credentials", volume.name));
        found.map(Some).ok_or_else(lacking)
    }

    /// Removes an object that no container uses, running or stopped. One that is gone already is as
    /// good as removed.
    async fn remove(
        &self,
        kind: Kind,
        id: &str,
        name: &str,
        touched: &mut bool,
    ) -> Result<(), EngineError> {
        let users = self.engine.users(kind, id, name).await?;
        if !users.is_empty() {
            return Err(EngineError::InUse(users));
        }
        if kind == Kind::DockerVolume && !self.is_still(id, name).await? {
            // The next look at the engine says whose it is now.
            *touched = true;
            return Err(EngineError::NotFound(format!("volume {name} ({id})")));
        }
        *touched = true;
        let result = match kind {
            Kind::DockerNetwork => self.engine.remove_network(id).await,
            Kind::DockerVolume => self.engine.remove_volume(name).await,
        };
        self.effects.happened(Effect::EngineRemove);
        match result {
            Err(EngineError::NotFound(_)) => Ok(()),
            // A container came between the question and the removal.
            Err(EngineError::InUse(_)) => {
                Err(EngineError::InUse(self.engine.users(kind, id, name).await?))
            }
            other => other,
        }
    }

    /// Whether the volume of this name is the one that was planned for: volumes go by name, and a name
    /// may have passed to another volume since.
    async fn is_still(&self, id: &str, name: &str) -> Result<bool, EngineError> {
        Ok(self
            .engine
            .volume(name)
            .await?
            .is_some_and(|v| v.id() == id))
    }
}

fn log(
    entry: &Entry,
    planned: &Planned,
    doing: Operation,
    object: &str,
    result: &Result<(), EngineError>,
) {
    let kind = entry.kind.as_str();
    let (namespace, name) = (&entry.namespace, &entry.name);
    let (action, why) = (doing.as_str(), &planned.status.message);
    match result {
        Ok(()) => {
            tracing::info!(kind, object, namespace, name, action, why, result = "done");
        }
        Err(err @ EngineError::InUse(_)) => {
            tracing::debug!(kind, object, namespace, name, action, why, result = %err);
        }
        Err(err) => {
            let result = err.sentence();
            tracing::warn!(kind, object, namespace, name, action, why, result);
        }
    }
}
