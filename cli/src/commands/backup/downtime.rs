//! The time in which containers do not run, because their volume is being read.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
use dockfleet_agent::engine::Engine;
use dockfleet_agent::interruption::{self, Consistency, InterruptedContainers};
use dockfleet_agent::volume_data;
use dockfleet_vault::{Outcome, Task};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use crate::commands::shutdown;
use crate::commands::vault::{OpenRepository, RunningTask, Step};

/// What happens to the containers of a volume, and for how long at most.
pub(super) struct Downtime<'a> {
    pub(super) engine: &'a Engine,
    pub(super) volume: &'a str,
    pub(super) consistency: Consistency,
    pub(super) limit: Duration,
    /// Folder of the file about it.
    pub(super) folder: &'a Path,
}

/// Containers that do not run.
struct Interrupted {
    containers: InterruptedContainers,
    since: Instant,
    _guard: Guard,
}

impl Downtime<'_> {
    /// Does a backup while the containers do not run: from when it can begin to read, until all files are read, and not
    /// beyond whatever ends the backup.
    pub(super) async fn during(
        &self,
        repository: &OpenRepository,
        task: Task,
    ) -> anyhow::Result<Outcome> {
        if self.consistency == Consistency::None {
            return repository.ask(task).await;
        }
        let signal = shutdown()?;
        let task = repository.start(task, true).await?;
        let (mut interrupted, mut left) = (None, Vec::new());
        let done = self.steps(task, &signal, &mut interrupted, &mut left).await;
        // The job has ended: it is dropped with its process.
        left.extend(self.put_back(interrupted).await);
        if left.is_empty() {
            return done;
        }
        let left = left.join("; ");
        match done {
            Ok(_) => bail!("the snapshot was made, but not everything runs as before: {left}"),
            Err(err) => Err(err.context(format!("not everything runs as before: {left}"))),
        }
    }

    async fn steps(
        &self,
        mut task: RunningTask,
        signal: &CancellationToken,
        interrupted: &mut Option<Interrupted>,
        left: &mut Vec<String>,
    ) -> anyhow::Result<Outcome> {
        loop {
            let end = interrupted.as_ref().map(|i| i.since + self.limit);
            let step = tokio::select! {
                step = task.next() => step?,
                () = signal.cancelled() => return Err(anyhow!("interrupted; there may be no snapshot")),
                () = at(end) => return Err(anyhow!(
                    "not read within {} s (--max-downtime); no snapshot was made, and the containers run again",
                    self.limit.as_secs()
                )),
            };
            match step {
                Step::Ready => {
                    // Never cut off in the middle.
                    *interrupted = self.interrupt().await?;
                    task.go().await?;
                }
                Step::SourceRead => left.extend(self.put_back(interrupted.take()).await),
                Step::Done(outcome) => return Ok(*outcome),
            }
        }
    }

    /// Interrupts the containers that run now.
    async fn interrupt(&self) -> anyhow::Result<Option<Interrupted>> {
        // As late as possible: what a person stops meanwhile must not be started.
        let running = volume_data::running(self.engine, self.volume).await?;
        if running.is_empty() {
            return Ok(None);
        }
        let guard = Guard::start(self.folder, self.volume)?;
        let since = Instant::now();
        let done = interruption::interrupt(
            self.engine,
            self.volume,
            &running,
            self.consistency,
            self.folder,
        );
        Ok(done.await?.map(|containers| Interrupted {
            containers,
            since,
            _guard: guard,
        }))
    }

    async fn put_back(&self, interrupted: Option<Interrupted>) -> Vec<String> {
        match interrupted {
            Some(interrupted) => interrupted.containers.put_back(self.engine).await,
            None => Vec::new(),
        }
    }
}

/// Returns at a time, or never.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
