//! The actions of a plan for one entry.

use dockfleet_crds::Entry;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::action::Operation;
use dockfleet_planner::kinds::Action;
use dockfleet_planner::plan::Planned;

use super::{PassRun, Progress};
use crate::actions;
use crate::engine::{Engine, EngineError};

/// Checks that no container uses the objects that actions would remove.
pub(super) async fn is_free(
    engine: &Engine,
    kind: Kind,
    planned: &[Action],
) -> Result<(), EngineError> {
    for (id, name) in planned.iter().filter_map(|a| a.removes()) {
        actions::check_unused(engine, kind, id, name).await?;
    }
    Ok(())
}

impl PassRun<'_> {
    /// Does the actions of an entry until one fails. Returns whether the engine may have changed, and the
    /// result.
    pub(super) async fn work_on<P: FnMut(&Progress) + ?Sized>(
        &self,
        entry: &Entry,
        planned: &Planned,
        progress: &mut P,
    ) -> (bool, Result<(), EngineError>) {
        // There are no actions for an entry of an unknown kind.
        let (Some(operation), Some(action), Some(kind)) = (
            planned.operation(),
            planned.actions.first(),
            entry.kind.known(),
        ) else {
            return (false, Ok(()));
        };
        let object = action.object();
        let mut current = Progress::begin(entry, kind, operation, object);
        progress(&current);
        let mut context = actions::ActionContext {
            engine: self.engine,
            effects: self.effects,
            entry,
            store: self.store,
            touched: false,
        };
        let result = act_all(&mut context, &planned.actions).await;
        log(entry, planned, operation, object, &result);
        current.result = Some(result.as_ref().map(|&()| ()).map_err(EngineError::sentence));
        progress(&current);
        (context.touched, result)
    }
}

async fn act_all(
    context: &mut actions::ActionContext<'_>,
    planned: &[Action],
) -> Result<(), EngineError> {
    for action in planned {
        actions::act(context, action).await?;
    }
    Ok(())
}

fn log(
    entry: &Entry,
    planned: &Planned,
    operation: Operation,
    object: &str,
    result: &Result<(), EngineError>,
) {
    let kind = entry.kind.as_str();
    let (namespace, name) = (&entry.namespace, &entry.name);
    let (action, why) = (operation.as_str(), &planned.status.message);
    match result {
        Ok(()) => {
            tracing::info!(kind, object, namespace, name, action, why, result = "done");
        }
        Err(err @ (EngineError::InUse(_) | EngineError::InUseElsewhere(_))) => {
            tracing::debug!(kind, object, namespace, name, action, why, result = %err);
        }
        Err(err) => {
            let result = err.sentence();
            tracing::warn!(kind, object, namespace, name, action, why, result);
        }
    }
}
