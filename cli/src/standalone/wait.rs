//! Waits until containers no longer use the objects that must be removed.

use std::time::Duration;

use dockfleet_agent::pass::Progress;
use dockfleet_crds::Reason;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CommandGoal, Files, HostReport, HostSession};
use crate::result::ResultRow;

/// Time between two checks: for each, an engine has to list its objects and containers.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl HostSession {
    /// Applies the files to the host, and repeats it while an object waits for containers, up to
    /// `wait`.
    pub(crate) async fn apply_and_wait(
        &mut self,
        files: &Files,
        goal: &CommandGoal,
        wait: Duration,
        progress: &mut (dyn FnMut(&Progress) + Send),
        stop: &CancellationToken,
    ) -> anyhow::Result<HostReport> {
        let begin = Instant::now();
        let mut printed = None;
        let mut all = self.apply(files, goal, progress, stop).await?;
        loop {
            let waiting: Vec<&ResultRow> = all.rows.iter().filter(|r| waits(r)).collect();
            if waiting.is_empty() || begin.elapsed() >= wait || stop.is_cancelled() {
                return Ok(all);
            }
            let now: Vec<String> = waiting.iter().map(|r| r.message.clone()).collect();
            if printed.as_ref() != Some(&now) {
                for row in waiting {
                    let (kind, message) = (row.kind.object(), &row.message);
                    anstream::eprintln!("{}: waits for {kind} {}: {message}", row.host, row.object);
                }
                printed = Some(now);
            }
            let pause = tokio::time::sleep(BETWEEN_LOOKS);
            stop.run_until_cancelled(pause).await;
            let next = self.apply(files, goal, progress, stop).await?;
            all.changed += next.changed;
            all.take_over(next.rows);
        }
    }
}

/// Whether a row waits for containers, or for an engine.
pub(super) fn waits(row: &ResultRow) -> bool {
    row.is_because(Reason::InUse) || row.is_because(Reason::EngineUnreachable)
}

impl HostReport {
    /// Adds the report of a later pass.
    pub(super) fn follow(&mut self, later: Self) {
        self.changed += later.changed;
        self.take_over(later.rows);
        self.hints = later.hints;
        self.statuses = later.statuses;
        self.refused = later.refused;
    }

    /// Merges the rows of a later pass, which has no rows for earlier changes.
    fn take_over(&mut self, later: Vec<ResultRow>) {
        for row in later {
            match self.rows.iter_mut().find(|r| r.uid == row.uid) {
                Some(earlier) => *earlier = row,
                None => self.rows.push(row),
            }
        }
    }
}
