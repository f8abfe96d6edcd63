//! All runs, and the table of what came of them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dockfleet_e2e::faults::{How, Order, Queue, RENEWAL, Series, print};
use dockfleet_e2e::{Dockfleet, at_once, is_proof};

use crate::audit::WriteAudit;
use crate::controllers::ACQUIRED;
use crate::site::Site;

/// API servers at the same time: most of a run is waiting.
const SITES: usize = 4;

/// Makes a change for each write that it takes and each way in which a leader may be lost then; prints what
/// came of it, and gives what must not be.
pub(crate) fn sweep(dockfleet: &Dockfleet) -> Result<Vec<String>> {
    let begin = Instant::now();
    let mut sites = at_once([(); SITES], |()| Site::start(dockfleet))?;
    // Timing decides how writes are put together: all sites can do the shortest one.
    sites.sort_by_key(|site| site.writes.len());
    let writes = sites.first().map(|s| s.writes.clone()).unwrap_or_default();
    ensure!(writes.len() > 20, "too few writes: {writes:?}");
    let losses = losses(writes.len());
    let all = losses.len();
    let queue = Queue::new(losses);
    let ended = at_once(sites, |mut site| {
        let mut runs = Vec::new();
        while let Some(loss) = queue.next() {
            let outcome = site.run(&loss);
            let failed = outcome.is_err();
            runs.push((loss, outcome));
            if failed {
                // Nobody knows how things stand there.
                break;
            }
        }
        Ok((site.judge()?, site.leftovers()?, site.demoted, runs))
    })?;
    let (mut audit, mut leftovers, mut demoted) = (WriteAudit::default(), 0, 0);
    let mut runs = Vec::new();
    for (more, left, by_chance, of_site) in ended {
        audit.add(more);
        leftovers += left;
        demoted += by_chance;
        runs.extend(of_site);
    }
    let (mut series, mut given_up) = (Vec::new(), Vec::new());
    for how in How::ALL {
        let mut one = Series {
            name: format!("{how:?}"),
            effects: writes.len(),
            ..Series::default()
        };
        let mut gaps = Vec::new();
        for (loss, outcome) in runs.extract_if(.., |(loss, _)| loss.how == how) {
            let outcome = outcome.map(|o| {
                gaps.extend(o.gap);
                given_up.extend(o.given_up);
                (usize::from(o.gap.is_some()), o.findings)
            });
            one.add((loss.number, loss.of), outcome);
        }
        one.remark = span(gaps);
        series.push(one);
    }
    let follows = format!(
        "stopped{:>37}\n{SITES} API servers, {:.0} s; writes by their audit logs: {:?}; \
         {} findings\n\
         leaders demoted by a busy machine: {demoted}; deleted hosts whose identity waits for its \
         clean-up: {leftovers}\nwrites: {}",
        span(given_up),
        begin.elapsed().as_secs_f64(),
        audit.counts,
        audit.findings.len(),
        writes.join(", ")
    );
    print(["leader", "lost", "nobody led (s)"], &series, &follows)?;
    let mut findings = audit.findings;
    // A change now and then takes a write less, and a busy machine costs a leader the Lease: but not so
    // often that nothing would have been tried.
    let lost: usize = series.iter().map(|s| s.stops).sum();
    if lost * 10 < all * 9 {
        findings.push(format!("only {lost} of {all} were lost"));
    }
    findings.extend(series.into_iter().flat_map(|s| s.findings));
    Ok(findings)
}

/// Lists every loss there is to try: at each write in every way, or in a sample in one of them.
fn losses(writes: usize) -> Vec<Order> {
    let once = |how| {
        [ACQUIRED, RENEWAL].map(|of| Order {
            how,
            number: 1,
            of: Some(of.to_owned()),
            fleeting: true,
        })
    };
    let once = [How::Killed, How::Halted].into_iter().flat_map(once);
    let each = (1..=writes).flat_map(|number| {
        let ways = How::ALL.into_iter().enumerate();
        let tried = ways.filter(move |(way, _)| is_proof() || number % How::ALL.len() == *way);
        tried.map(move |(_, how)| Order {
            how,
            number,
            of: None,
            fleeting: true,
        })
    });
    once.chain(each).collect()
}

/// Says the shortest, the middle and the longest of some times.
fn span(mut all: Vec<Duration>) -> String {
    all.sort();
    let at = |n: usize| all.get(n).map_or(0.0, Duration::as_secs_f64);
    let last = all.len().saturating_sub(1);
    format!("{:.2} / {:.2} / {:.2}", at(0), at(all.len() / 2), at(last))
}
