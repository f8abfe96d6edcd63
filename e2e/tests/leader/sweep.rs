//! All runs, and the table of what came of them.

use std::collections::VecDeque;
use std::io::{Write as _, stdout};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use dockfleet_e2e::{Dockfleet, is_proof};

use crate::audit::Tally;
use crate::controllers::{At, How, Loss};
use crate::site::{Outcome, Site};

/// API servers at the same time: most of a run is waiting.
const SITES: usize = 4;
const HOWS: [How; 3] = [How::Killed, How::Halted, How::Held];

/// What came of everything.
#[derive(Default)]
pub(crate) struct Sweep {
    /// The writes of a change that nobody disturbs.
    writes: Vec<String>,
    runs: Vec<(Loss, Outcome)>,
    demoted: usize,
    audited: usize,
    late: Tally,
    refused: Tally,
    leftovers: usize,
    took: Duration,
    pub(crate) findings: Vec<String>,
}

/// Makes a change for each write that it takes and each way in which a leader may be lost then.
pub(crate) fn sweep(dockfleet: &Dockfleet) -> Result<Sweep> {
    let begin = Instant::now();
    let mut sites = at_once(vec![(); SITES], |()| Site::start(dockfleet))?;
    // Timing decides how writes are put together: all sites can do the shortest one.
    sites.sort_by_key(|site| site.writes.len());
    let writes = sites.first().map(|s| s.writes.clone()).unwrap_or_default();
    ensure!(writes.len() > 20, "too few writes: {writes:?}");
    let losses = losses(writes.len());
    let all = losses.len();
    let losses = Mutex::new(losses);
    let next = || {
        let mut losses = losses.lock().unwrap_or_else(PoisonError::into_inner);
        losses.pop_front()
    };
    let ended = at_once(sites, |mut site| {
        let mut runs = Vec::new();
        while let Some(loss) = next() {
            let outcome = site.run(loss);
            let failed = outcome.is_err();
            let outcome = outcome.unwrap_or_else(|error| Outcome {
                findings: vec![format!("{error:#}")],
                ..Outcome::default()
            });
            runs.push((loss, outcome));
            if failed {
                // Nobody knows how things stand there.
                break;
            }
        }
        Ok((site.judge()?, site.leftovers()?, site.demoted, runs))
    })?;
    let mut sweep = Sweep {
        writes,
        ..Sweep::default()
    };
    for (verdict, leftovers, demoted, runs) in ended {
        sweep.audited += verdict.writes;
        add(&mut sweep.late, verdict.late);
        add(&mut sweep.refused, verdict.refused);
        sweep.findings.extend(verdict.findings);
        sweep.leftovers += leftovers;
        sweep.demoted += demoted;
        sweep.runs.extend(runs);
    }
    for (loss, outcome) in &sweep.runs {
        let findings = outcome.findings.iter();
        let findings = findings.map(|finding| format!("{loss:?}: {finding}"));
        sweep.findings.extend(findings);
    }
    // A change now and then takes a write less, and a busy machine costs a leader the Lease: but not so
    // often that nothing would have been tried.
    let lost = sweep.of(None).filter(|o| o.gap.is_some()).count();
    if lost * 10 < all * 9 {
        let finding = format!("only {lost} of {all} were lost");
        sweep.findings.push(finding);
    }
    sweep.took = begin.elapsed();
    Ok(sweep)
}

/// Lists every loss there is to try: at each write in every way, or in a sample in one of them.
fn losses(writes: usize) -> VecDeque<Loss> {
    let once = |how| [At::Claim, At::Renewal].map(|at| Loss { how, at });
    let once = [How::Killed, How::Halted].into_iter().flat_map(once);
    let each = (1..=writes).flat_map(|n| {
        let ways = HOWS.into_iter().enumerate();
        let tried = ways.filter(move |(way, _)| is_proof() || n % HOWS.len() == *way);
        tried.map(move |(_, how)| Loss {
            how,
            at: At::Write(n),
        })
    });
    once.chain(each).collect()
}

/// Does something with each of these at the same time.
fn at_once<I: Send, O: Send>(all: Vec<I>, each: impl Fn(I) -> Result<O> + Sync) -> Result<Vec<O>> {
    let each = &each;
    thread::scope(|scope| {
        let threads: Vec<_> = all
            .into_iter()
            .map(|one| scope.spawn(move || each(one)))
            .collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.map_err(|_| anyhow!("a thread panicked"))?)
            .collect()
    })
}

impl Sweep {
    fn of(&self, how: Option<How>) -> impl Iterator<Item = &Outcome> {
        let runs = self.runs.iter();
        runs.filter(move |(loss, _)| how.is_none_or(|how| how == loss.how))
            .map(|(_, outcome)| outcome)
    }

    /// Prints the table, past the capture of the test's output.
    pub(crate) fn print(&self) -> Result<()> {
        let mut out = stdout().lock();
        writeln!(
            out,
            "\n{:<7} {:>3} {:>5} {:>5} {:>9} {:>26}",
            "leader", "N", "runs", "lost", "findings", "nobody led (s)"
        )?;
        for how in HOWS {
            let (runs, lost) = (self.of(Some(how)), self.of(Some(how)));
            writeln!(
                out,
                "{:<7} {:>3} {:>5} {:>5} {:>9} {:>26}",
                format!("{how:?}"),
                self.writes.len(),
                runs.count(),
                lost.filter(|o| o.gap.is_some()).count(),
                self.of(Some(how)).map(|o| o.findings.len()).sum::<usize>(),
                span(self.of(Some(how)).filter_map(|o| o.gap))
            )?;
        }
        writeln!(
            out,
            "{:<7} {:>53}",
            "stopped",
            span(self.of(None).filter_map(|o| o.given_up))
        )?;
        writeln!(
            out,
            "{SITES} API servers, {:.0} s; {} writes by their audit logs, by others than the holder of the \
             Lease: {} findings, {} late ({}), {} refused ({})",
            self.took.as_secs_f64(),
            self.audited,
            self.findings.len(),
            self.late.values().sum::<usize>(),
            listed(&self.late),
            self.refused.values().sum::<usize>(),
            listed(&self.refused)
        )?;
        writeln!(
            out,
            "leaders demoted by a busy machine: {}; deleted hosts whose identity waits for its clean-up: {}",
            self.demoted, self.leftovers
        )?;
        writeln!(out, "writes: {}", self.writes.join(", "))?;
        Ok(())
    }
}

/// Says the shortest, the middle and the longest of some times.
fn span(all: impl Iterator<Item = Duration>) -> String {
    let mut all: Vec<f64> = all.map(|d| d.as_secs_f64()).collect();
    all.sort_by(f64::total_cmp);
    let at = |n: usize| all.get(n).copied().unwrap_or_default();
    let last = all.len().saturating_sub(1);
    format!("{:.2} / {:.2} / {:.2}", at(0), at(all.len() / 2), at(last))
}

fn add(sum: &mut Tally, more: Tally) {
    for (what, count) in more {
        *sum.entry(what).or_default() += count;
    }
}

fn listed(tally: &Tally) -> String {
    let all = tally.iter().map(|(what, count)| format!("{count} {what}"));
    all.collect::<Vec<_>>().join(", ")
}
