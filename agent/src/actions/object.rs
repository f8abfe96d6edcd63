//! Creates and changes objects of any kind, and removes those that nothing uses.

use dockfleet_crds::Entry;
use dockfleet_planner::action::ObjectAction;
use dockfleet_planner::credentials::{CredentialStore, Credentials};
use dockfleet_planner::kinds::DesiredObject as _;

use super::EngineObject;
use super::volume::helper;
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
            let (engine, effects) = (context.engine, context.effects);
            // Without a box, every pass would be as large as the largest change.
            let result = Box::pin(K::update(engine, effects, name, change)).await;
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
    let before = using::<K>(engine, id, name).await?;
    before.check_unused()?;
    // What an earlier process has left behind would keep the engine from removing the object.
    for left in before.helpers {
        helper::remove(engine, context.effects, &left).await?;
    }
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
        Err(EngineError::InUse(_)) => {
            using::<K>(engine, id, name).await?.check_unused()?;
            Err(EngineError::InUseElsewhere(
                K::users_elsewhere(engine, id).await,
            ))
        }
        other => other,
    }
}

/// Checks that no container uses an object, running or stopped.
pub(super) async fn check_unused<K: EngineObject>(
    engine: &Engine,
    id: &str,
    name: &str,
) -> Result<(), EngineError> {
    using::<K>(engine, id, name).await?.check_unused()
}

/// The containers that use an object, running or stopped.
struct Using {
    /// Their names, in order.
    users: Vec<String>,
    /// The IDs of helper containers, which are no users.
    helpers: Vec<String>,
}

impl Using {
    fn check_unused(&self) -> Result<(), EngineError> {
        if self.users.is_empty() {
            Ok(())
        } else {
            Err(EngineError::InUse(self.users.clone()))
        }
    }
}

/// Returns the containers that use an object.
///
/// The engine's own filters are not enough: that for networks does not find containers that were created and
/// never started, because those refer to the network by name only.
async fn using<K: EngineObject>(
    engine: &Engine,
    id: &str,
    name: &str,
) -> Result<Using, EngineError> {
    let containers = engine.containers().await?;
    let using = containers.iter().filter(|c| K::is_used_by(c, id, name));
    let (helpers, users): (Vec<_>, Vec<_>) = using.partition(|c| usage::is_helper(c));
    let mut users: Vec<String> = users.into_iter().map(usage::container_name).collect();
    users.sort();
    Ok(Using {
        users,
        helpers: helpers.into_iter().filter_map(|c| c.id.clone()).collect(),
    })
}
