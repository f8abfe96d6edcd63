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
mod removals;
mod run;
mod scenario;
mod swarms;
mod sweep;

use anyhow::Result;
use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;
use dockfleet_e2e::faults::{Series, print};
use dockfleet_e2e::{ControlPlane, Dockfleet, Fleet, Generation, at_once};

use crate::sweep::sweep;

/// Invariants 1, 2, 3, 5 and 12.
#[test]
fn an_agent_that_is_killed_after_any_effect_changes_nothing_about_the_end() -> Result<()> {
    let dockfleet = Dockfleet::find()?;
    let plane = ControlPlane::start_on_loopback()?;
    plane.install_crds(&dockfleet)?;
    plane
        .kubectl(["create", "namespace", DEFAULT_FLEET_NAMESPACE])?
        .ok()?;
    let fleet = Fleet::new()?;
    let all = at_once(Generation::ALL, |g| sweep(g, &fleet, &dockfleet, &plane))?;
    let (all, effects): (Vec<Series>, Vec<_>) = all.into_iter().unzip();
    let lists = all.iter().zip(effects);
    let lists = lists.map(|(s, effects)| format!("effects on {}: {}", s.name, effects.join(", ")));
    let lists: Vec<String> = lists.collect();
    print(["engine", "kills", "time"], &all, &lists.join("\n"))?;
    let findings: Vec<&String> = all.iter().flat_map(|s| &s.findings).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    Ok(())
}

/// Invariants 5, 9 and 14.
#[test]
fn a_swarm_is_formed_once_and_left_by_all_whatever_an_agent_is_killed_after() -> Result<()> {
    let dockfleet = Dockfleet::find()?;
    let plane = ControlPlane::start_on_loopback()?;
    plane.install_crds(&dockfleet)?;
    plane
        .kubectl(["create", "namespace", DEFAULT_FLEET_NAMESPACE])?
        .ok()?;
    let (all, effects): (Vec<Series>, Vec<_>) =
        swarms::sweep(&dockfleet, &plane)?.into_iter().unzip();
    let lists = all.iter().zip(effects).filter(|(_, e)| !e.is_empty());
    let lists = lists.map(|(s, effects)| format!("effects on {}: {effects}", s.name));
    let lists: Vec<String> = lists.collect();
    print(["swarm", "kills", "time"], &all, &lists.join("\n"))?;
    let findings: Vec<&String> = all.iter().flat_map(|s| &s.findings).collect();
    assert!(findings.is_empty(), "{findings:#?}");
    Ok(())
}
