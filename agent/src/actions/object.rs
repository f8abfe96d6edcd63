//! Creates and changes objects of any kind, and removes those that nothing uses.

use dockfleet_crds::Entry;
use dockfleet_planner::action::ObjectAction;
use dockfleet_planner::credentials::{CredentialStore, Credentials};
use dockfleet_planner::kinds::DesiredObject as _;

use super::EngineObject;
use crate::effect::{Effect, Effects};
use crate::engine::{Engine, EngineError, usage};

/// The context of an action.
#[derive(Debug)]
pub(crate) struct ActionContext<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) effects: &'a Effects,
    /// The entry that the action is for.
    pub(crate) entry: &'a Entry,
    /// The credentials that the agent has.
    pub(crate) store: &'a CredentialStore,
    /// The engine may have changed, even if the action failed.
    pub(crate) touched: bool,
}

/// Does one action.
pub(super) async fn act<K: EngineObject>(
    context: &mut ActionContext<'_>,
    action: &ObjectAction<K::Desired, K::Change>,
) -> Result<(), EngineError> {
    match action {
        ObjectAction::Create(desired) => create::<K>(context, desired).await,
        ObjectAction::Remove { id, name, .. } => remove::<K>(context, id, name).await,
        ObjectAction::Update { name, change, .. } => {
            context.touched = true;
            let result = K::update(context.engine, name, change).await;
            context.effects.happened(Effect::EngineUpdate);
            result
        }
    }
}

async fn create<K: EngineObject>(
    context: &mut ActionContext<'_>,
    desired: &K::Desired,
) -> Result<(), EngineError> {
    let credentials = credentials::<K>(context, desired)?;
    context.touched = true;
    let result = K::create(context.engine, desired, credentials).await;
    context.effects.happened(Effect::EngineCreate);
    result
}

/// Returns the credentials that an object needs. If they are missing, the object is not created: the planner
/// waits for them.
fn credentials<'a, K: EngineObject>(
    context: &ActionContext<'a>,
    desired: &K::Desired,
) -> Result<Option<&'a Credentials>, EngineError> {
    let Some(version) = desired.credentials() else {
        return Ok(None);
    };
    let found = context.store.get(&context.entry.uid, version);
    let lacking =
        || EngineError::Refused(format!("the credentials of {} are missing", desired.name()));
    found.map(Some).ok_or_else(lacking)
}

/// Removes an object that no container uses, running or stopped. An object that no longer exists counts as
/// removed.
async fn remove<K: EngineObject>(
    context: &mut ActionContext<'_>,
    id: &str,
    name: &str,
) -> Result<(), EngineError> {
    let engine = context.engine;
    check_unused::<K>(engine, id, name).await?;
    if !K::is_still(engine, id, name).await? {
        // The next observation shows who owns it now.
        context.touched = true;
        let object = K::KIND.object();
        return Err(EngineError::NotFound(format!("{object} {name} ({id})")));
    }
    context.touched = true;
    let result = K::remove(engine, id, name).await;
    context.effects.happened(Effect::EngineRemove);
    match result {
        Err(EngineError::NotFound(_)) => Ok(()),
        // A container was created between the check and the removal, or another host uses the object.
        // The kind has found them itself.
        Err(EngineError::InUse(named)) if !named.is_empty() => Err(EngineError::InUse(named)),
        Err(EngineError::InUse(_)) => match users::<K>(engine, id, name).await? {
            here if !here.is_empty() => Err(EngineError::InUse(here)),
            _ => Err(EngineError::InUseElsewhere(
                K::users_elsewhere(engine, id).await,
            )),
        },
        other => other,
    }
}

/// Checks that no container uses an object, running or stopped.
pub(super) async fn check_unused<K: EngineObject>(
    engine: &Engine,
    id: &str,
    name: &str,
) -> Result<(), EngineError> {
    match users::<K>(engine, id, name).await? {
        users if users.is_empty() => Ok(()),
        users => Err(EngineError::InUse(users)),
    }
}

/// Returns the names of the containers that use an object, running or stopped, in order.
///
/// The engine's own filters are not enough: that for networks does not find containers that were created and
/// never started, because those refer to the network by name only.
async fn users<K: EngineObject>(
    engine: &Engine,
    id: &str,
    name: &str,
) -> Result<Vec<String>, EngineError> {
    let containers = engine.containers().await?;
    let users = containers.iter().filter(|c| K::is_used_by(c, id, name));
    let mut names: Vec<String> = users.map(usage::container_name).collect();
    names.sort();
    Ok(names)
}
