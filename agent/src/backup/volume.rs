//! The volume of a job: where its data is, and the right to work on it.

use std::time::Duration;

use dockfleet_crds::Reason;
use dockfleet_vitals::chain;

use super::place::Refused;
use super::{BackupTools, LOCKS};
use crate::engine::Engine;
use crate::jobs::JobControl;
use crate::retry::Backoff;
use crate::volume_data::{self, VolumeData, VolumeDataError};
use crate::volume_lock::{VolumeLock, VolumeLockError};

/// Waits for the lock of the volume: a person may be working on it.
pub(super) async fn lock(
    volume: &str,
    doing: &str,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<VolumeLock, Refused> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        match VolumeLock::take(&tools.state_dir.join(LOCKS), volume, doing) {
            Ok(lock) => return Ok(lock),
            Err(err @ VolumeLockError::Held { .. }) => control.detail(&err.to_string()),
            Err(err @ VolumeLockError::File(..)) => {
                return Err((Reason::JournalFailed.into(), chain(&err)));
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Finds the data of the volume. It waits for an engine that does not answer.
pub(super) async fn find(
    volume: &str,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<(Engine, VolumeData), Refused> {
    let mut backoff = Backoff::default();
    loop {
        let found = match Engine::connect(&tools.endpoint).await {
            Ok(engine) => {
                let data = volume_data::find(&engine, volume).await;
                data.map(|data| (engine, data))
            }
            Err(err) => Err(VolumeDataError::Engine(err)),
        };
        match found {
            Ok(data) => return Ok(data),
            Err(err @ VolumeDataError::NoVolume(_)) => {
                return Err((Reason::NoVolume.into(), err.to_string()));
            }
            Err(err @ (VolumeDataError::Elsewhere(_) | VolumeDataError::NotVisible(_))) => {
                return Err((Reason::SourceUnreadable.into(), err.to_string()));
            }
            Err(VolumeDataError::Engine(err)) => control.detail(&err.sentence()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}
