//! Work that goes on until containers let go of what is to be removed.

use std::time::Duration;

use dockfleet_agent::pass::Progress;
use dockfleet_crds::Reason;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Files, Goal, HostReport, Work};
use crate::result::Row;

/// Time between two looks: an engine has to list its objects and containers for each.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl Work {
    /// Makes the host as the files say, and again as long as something waits for containers, but no
    /// longer than `wait`.
    pub(crate) async fn apply_and_wait(
        &mut self,
        files: &Files,
        goal: &Goal,
        wait: Duration,
        progress: &mut (dyn FnMut(&Progress) + Send),
        stop: &CancellationToken,
    ) -> anyhow::Result<HostReport> {
        let begin = Instant::now();
        let mut told = None;
        let mut all = self.apply(files, goal, progress, stop).await?;
        loop {
            let waiting: Vec<&Row> = all.rows.iter().filter(|r| waits(r)).collect();
            if waiting.is_empty() || begin.elapsed() >= wait || stop.is_cancelled() {
                return Ok(all);
            }
            let now: Vec<String> = waiting.iter().map(|r| r.message.clone()).collect();
            if told.as_ref() != Some(&now) {
                for row in waiting {
                    let (kind, message) = (row.kind.object(), &row.message);
                    anstream::eprintln!("{}: waits for {kind} {}: {message}", row.host, row.object);
                }
                told = Some(now);
            }
            let pause = tokio::time::sleep(BETWEEN_LOOKS);
            stop.run_until_cancelled(pause).await;
            let next = self.apply(files, goal, progress, stop).await?;
            all.changed += next.changed;
            all.take_over(next.rows);
        }
    }
}

fn waits(row: &Row) -> bool {
    row.is_because(Reason::InUse) || row.is_because(Reason::EngineUnreachable)
}

impl HostReport {
    /// Takes in what a later pass says; of what was done before it says nothing.
    fn take_over(&mut self, later: Vec<Row>) {
        for row in later {
            match self.rows.iter_mut().find(|r| r.uid == row.uid) {
                Some(earlier) => *earlier = row,
                None => self.rows.push(row),
            }
        }
    }
}
