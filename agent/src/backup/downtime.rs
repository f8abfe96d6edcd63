//! The time in which the containers of a volume do not run, because it is being read.

use std::path::PathBuf;
use std::time::Duration;

use dockfleet_crds::Reason;
use dockfleet_crds::backup::Consistency as Wanted;
use tokio::time::Instant;

use super::place::Refused;
use crate::engine::Engine;
use crate::interruption::{self, Consistency, InterruptedContainers};
use crate::volume_data;

/// What is done to the containers of a volume, and for how long at most.
///
/// It outlives the backup: whatever ends that, [`Downtime::end`] lets the containers run again.
#[derive(Debug)]
pub(super) struct Downtime {
    volume: String,
    consistency: Consistency,
    limit: Duration,
    /// Folder of the file about it.
    folder: PathBuf,
    engine: Option<Engine>,
    interrupted: Option<(InterruptedContainers, Instant)>,
    /// What could not be put back, in sentences.
    left: Vec<String>,
}

impl Downtime {
    pub(super) fn new(volume: &str, wanted: Wanted, limit: Duration, folder: PathBuf) -> Self {
        Self {
            volume: volume.to_owned(),
            consistency: match wanted {
                Wanted::None => Consistency::None,
                Wanted::Pause => Consistency::Pause,
                Wanted::Stop => Consistency::Stop,
            },
            limit,
            folder,
            engine: None,
            interrupted: None,
            left: Vec::new(),
        }
    }

    /// Whether containers are paused or stopped at all.
    pub(super) fn is_any(&self) -> bool {
        self.consistency != Consistency::None
    }

    /// Sets the engine with the containers.
    pub(super) fn of(&mut self, engine: Engine) {
        self.engine = Some(engine);
    }

    /// Pauses or stops the containers that run now.
    ///
    /// # Errors
    /// If one of them cannot be paused or stopped; then the others run again.
    pub(super) async fn begin(&mut self) -> Result<(), Refused> {
        let Some(engine) = &self.engine else {
            return Ok(());
        };
        let refused = |text: String| (Reason::SourceUnreadable.into(), text);
        let running = volume_data::running(engine, &self.volume).await;
        let running = running.map_err(|err| refused(err.sentence()))?;
        let since = Instant::now();
        let (volume, folder) = (&self.volume, &self.folder);
        let done = interruption::interrupt(engine, volume, &running, self.consistency, folder);
        let interrupted = done.await.map_err(|err| refused(err.to_string()))?;
        self.interrupted = interrupted.map(|containers| (containers, since));
        Ok(())
    }

    /// Lets the containers run again, if they do not.
    pub(super) async fn end(&mut self) {
        let Some(engine) = &self.engine else {
            return;
        };
        if let Some((containers, _)) = self.interrupted.take() {
            self.left.extend(containers.put_back(engine).await);
        } else if self.is_any() {
            // It may have been ended while it began.
            let (volume, folder) = (&self.volume, &self.folder);
            let said = interruption::put_back_when_left(engine, folder, volume).await;
            self.left.extend(said);
        }
    }

    /// Returns when the containers have not run for too long; never if they do.
    pub(super) async fn is_over(&self) {
        match &self.interrupted {
            Some((_, since)) => tokio::time::sleep_until(*since + self.limit).await,
            None => std::future::pending().await,
        }
    }

    /// Returns what a status says of a backup that took too long to read.
    pub(super) fn too_long(&self) -> Refused {
        let text = format!(
            "it was not read within {} s (maxDowntime); the containers run again",
            self.limit.as_secs()
        );
        (Reason::Interrupted.into(), text)
    }

    /// Returns what could not be put back, in a sentence.
    pub(super) fn left(&self) -> Option<String> {
        let left = self.left.join("; ");
        (!left.is_empty()).then(|| format!("not everything runs as before: {left}"))
    }
}
