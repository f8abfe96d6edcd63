//! The time in which containers do not run, because their volume is being read.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
use dockfleet_agent::engine::Engine;
use dockfleet_agent::interruption::{self, Consistency, InterruptedContainers};
use dockfleet_agent::volume_data;
use dockfleet_vault::{Outcome, Task};
use tokio::sync::oneshot;

use super::guard::Guard;
use crate::commands::shutdown;
use crate::commands::vault::OpenRepository;

/// What happens to the containers of a volume, and for how long at most.
pub(super) struct Downtime<'a> {
    pub(super) engine: &'a Engine,
    pub(super) volume: &'a str,
    pub(super) consistency: Consistency,
    pub(super) limit: Duration,
    /// Folder of the file about it.
    pub(super) folder: &'a Path,
}

impl Downtime<'_> {
    /// Does a backup while the containers do not run. They run again as soon as all files are read, and whatever ends
    /// the backup.
    pub(super) async fn during(
        &self,
        repository: &OpenRepository,
        task: Task,
    ) -> anyhow::Result<Outcome> {
        if self.consistency == Consistency::None {
            return repository.ask(task).await;
        }
        // As late as possible: what a person stops meanwhile must not be started.
        let running = volume_data::running(self.engine, self.volume).await?;
        if running.is_empty() {
            return repository.ask(task).await;
        }
        let stop = shutdown()?;
        let _guard = Guard::start(self.folder, self.volume)?;
        let interrupted = interruption::interrupt(
            self.engine,
            self.volume,
            &running,
            self.consistency,
            self.folder,
        );
        let mut interrupted = interrupted.await?;
        let mut left = Vec::new();
        let (read, is_read) = oneshot::channel();
        let mut read = Some(read);
        let done = {
            let backup = repository.ask_and(task, async || {
                // From here on there is no limit. Nobody waits for it after the end.
                let _ = read.take().map(|read| read.send(()));
                left.extend(self.put_back(interrupted.take()).await);
            });
            tokio::select! {
                done = backup => done,
                () = stop.cancelled() => Err(anyhow!("interrupted; there may be no snapshot")),
                () = self.expired(is_read) => Err(anyhow!(
                    "not read within {} s (--max-downtime); no snapshot was made, and the containers run again",
                    self.limit.as_secs()
                )),
            }
        };
        // The job has ended: it is dropped with its process.
        left.extend(self.put_back(interrupted.take()).await);
        if left.is_empty() {
            return done;
        }
        let left = left.join("; ");
        match done {
            Ok(_) => bail!("the snapshot was made, but not everything runs as before: {left}"),
            Err(err) => Err(err.context(format!("not everything runs as before: {left}"))),
        }
    }

    /// Returns when containers were interrupted for too long; never after all files are read.
    async fn expired(&self, is_read: oneshot::Receiver<()>) {
        if tokio::time::timeout(self.limit, is_read).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }

    async fn put_back(&self, interrupted: Option<InterruptedContainers>) -> Vec<String> {
        match interrupted {
            Some(interrupted) => interrupted.put_back(self.engine).await,
            None => Vec::new(),
        }
    }
}
