//! The crash sweep: one change of an assignment has a number of effects on the world outside, and
//! the agent is killed after each of them in turn. Whatever it was killed after, the next one ends
//! where one ends that nobody killed, and nothing is ever removed without a durable permission.
//!
//! "Invariant N" is the numbered list of `ARCHITECTURE.md`.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod engine_events;
mod facts;
mod hub;
mod permission;
mod run;
mod scenario;
mod sweep;

use std::thread;

use anyhow::{Result, anyhow};
use dockfleet_e2e::{ControlPlane, Dockfleet, Fleet, Generation};

use crate::sweep::{Sweep, print, sweep};

/// Invariants 1, 2, 3, 5 and 12.
#[test]
fn an_agent_that_is_killed_after_any_effect_changes_nothing_about_the_end() -> Result<()> {
    let dockfleet = Dockfleet::find()?;
    let plane = ControlPlane::start_on_loopback()?;
    hub::prepare(&plane, &dockfleet)?;
    let kubeconfig = plane.kubeconfig();
    let fleet = Fleet::new()?;
    let sweeps = thread::scope(|scope| {
        let begin = |generation| {
            let (dockfleet, kubeconfig, fleet) = (&dockfleet, &kubeconfig, &fleet);
            scope.spawn(move || sweep(generation, fleet, dockfleet, kubeconfig))
        };
        let threads: Vec<_> = Generation::ALL.into_iter().map(begin).collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.map_err(|_| anyhow!("a thread panicked"))?)
            .collect::<Result<Vec<Sweep>>>()
    })?;
    print(&sweeps)?;
    let findings: Vec<&String> = sweeps.iter().flat_map(|s| &s.findings).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    Ok(())
}
