//! The calls to an engine for each kind of object. Each kind has a file; this file joins them by the list in
//! [`dockfleet_crds::kinds!`].

mod network;
mod nothing;
mod object;
mod prune;
pub(crate) mod swarm;
mod volume;

use bollard::models::ContainerSummary;
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{
    BackupRepository, DockerNetwork, DockerVolume, PrunePolicy, SwarmCluster, VolumeBackup,
    VolumeBackupSchedule, VolumeRestore,
};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::{Action, Object, ObjectKind};

pub(crate) use self::object::ActionContext;
pub(crate) use self::prune::volume_to_prune;
use crate::effect::Effects;
use crate::engine::{Engine, EngineError};

/// The calls to an engine for one kind of object.
pub(crate) trait EngineObject: ObjectKind {
    /// Lists every object, with the engine's warnings about what the list may lack.
    fn list(
        engine: &Engine,
    ) -> impl Future<Output = Result<(Vec<Self::Observed>, Vec<String>), EngineError>> + Send;

    /// Creates an object, with the credentials. Success does not mean that the object is as desired: an
    /// engine gives the same answer if a different volume of the name exists. So the object must be observed
    /// afterwards.
    fn create(
        engine: &Engine,
        desired: &Self::Desired,
        credentials: Option<&Credentials>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Removes an object, never by force. If a container uses it, the error is [`EngineError::InUse`].
    fn remove(
        engine: &Engine,
        id: &str,
        name: &str,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Whether the object to be removed is still the planned one, for kinds whose [`EngineObject::remove`]
    /// does not check that.
    fn is_still(
        engine: &Engine,
        id: &str,
        name: &str,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// Whether a container, running or stopped, uses an object.
    fn is_used_by(container: &ContainerSummary, id: &str, name: &str) -> bool;

    /// Returns what uses an object on other hosts, in order, as far as the engine knows.
    fn users_elsewhere(_engine: &Engine, _id: &str) -> impl Future<Output = Vec<String>> + Send {
        std::future::ready(Vec::new())
    }

    /// Changes an object in place.
    fn update(
        engine: &Engine,
        effects: &Effects,
        name: &str,
        change: &Self::Change,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Adds to an object what a list does not show.
    fn examine(
        _engine: &Engine,
        _effects: &Effects,
        _object: &mut Self::Observed,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Removes what an examination or a change of an earlier process has left behind.
    fn remove_helpers(
        _engine: &Engine,
        _effects: &Effects,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether an engine can create a second object of a name while it still creates the first.
    fn may_create_duplicates(_engine: &Engine) -> bool {
        false
    }
}

macro_rules! join {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// Lists the objects of a kind, with the engine's warnings about what the list may lack.
        pub(crate) async fn list(
            engine: &Engine,
            kind: Kind,
        ) -> Result<(Vec<Object>, Vec<String>), EngineError> {
            match kind {
                $(Kind::$kind => {
                    let (list, warnings) = $kind::list(engine).await?;
                    Ok((list.into_iter().map(Object::from).collect(), warnings))
                })*
            }
        }

        /// Checks that no container uses an object, running or stopped. If one does, the error is
        /// [`EngineError::InUse`].
        pub(crate) async fn check_unused(
            engine: &Engine,
            kind: Kind,
            id: &str,
            name: &str,
        ) -> Result<(), EngineError> {
            match kind {
                $(Kind::$kind => object::check_unused::<$kind>(engine, id, name).await,)*
            }
        }

        /// Adds to an object what a list does not show.
        pub(crate) async fn examine(
            engine: &Engine,
            effects: &Effects,
            object: &mut Object,
        ) -> Result<(), EngineError> {
            match object {
                $(Object::$kind(object) => $kind::examine(engine, effects, object).await,)*
            }
        }

        /// Removes what an examination or a change of an earlier process has left behind.
        pub(crate) async fn remove_helpers(
            engine: &Engine,
            effects: &Effects,
            kind: Kind,
        ) -> Result<(), EngineError> {
            match kind {
                $(Kind::$kind => $kind::remove_helpers(engine, effects).await,)*
            }
        }

        /// Does one action.
        pub(crate) async fn act(context: &mut ActionContext<'_>, action: &Action) -> Result<(), EngineError> {
            match action {
                $(Action::$kind(action) => object::act::<$kind>(context, action).await,)*
            }
        }

        /// Whether an engine can create a second object of a name while it still creates the first.
        pub(crate) fn may_create_duplicates(engine: &Engine, kind: Kind) -> bool {
            match kind {
                $(Kind::$kind => $kind::may_create_duplicates(engine),)*
            }
        }
    };
}

dockfleet_crds::kinds!(join);
