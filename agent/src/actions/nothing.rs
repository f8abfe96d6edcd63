//! Kinds without an object on an engine: there is nothing to list, and no action.

use bollard::models::ContainerSummary;
use dockfleet_crds::{BackupRepository, VolumeBackup, VolumeBackupSchedule, VolumeRestore};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::{DesiredObject as _, ObjectKind};

use super::EngineObject;
use crate::effect::Effects;
use crate::engine::{Engine, EngineError};

macro_rules! no_object {
    ($($kind:ident,)*) => {
        $(
            impl EngineObject for $kind {
                async fn list(_: &Engine) -> Result<(Vec<Self::Observed>, Vec<String>), EngineError> {
                    Ok((Vec::new(), Vec::new()))
                }

                async fn create(
                    _: &Engine,
                    desired: &Self::Desired,
                    _: Option<&Credentials>,
                ) -> Result<(), EngineError> {
                    let (kind, name) = (Self::KIND.as_str(), desired.name());
                    Err(EngineError::Refused(format!("{kind} {name} has no object on an engine")))
                }

                async fn remove(_: &Engine, _: &str, _: &str) -> Result<(), EngineError> {
                    Ok(())
                }

                async fn is_still(_: &Engine, _: &str, _: &str) -> Result<bool, EngineError> {
                    Ok(false)
                }

                fn is_used_by(_: &ContainerSummary, _: &str, _: &str) -> bool {
                    false
                }

                async fn update(
                    _: &Engine,
                    _: &Effects,
                    _: &str,
                    change: &<Self as ObjectKind>::Change,
                ) -> Result<(), EngineError> {
                    match *change {}
                }
            }
        )*
    };
}

no_object! {
    BackupRepository,
    VolumeBackup,
    VolumeBackupSchedule,
    VolumeRestore,
}
