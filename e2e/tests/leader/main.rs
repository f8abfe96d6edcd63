//! Two controllers, of which one leads: in the midst of a change the leader is killed, or halted for
//! longer than its Lease, at each of its writes in turn. The other one takes over and ends where one
//! ends that nobody disturbed, and by the API server's audit log nobody writes who does not hold the
//! Lease.
//!
//! There are no engines here: the test does what agents would do.
#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value answers for a field it lacks with null"
)]

mod audit;
mod controllers;
mod facts;
mod hub;
mod site;
mod sweep;

use anyhow::Result;
use dockfleet_e2e::Dockfleet;

use crate::sweep::sweep;

#[test]
fn a_leader_that_is_lost_at_any_write_changes_nothing_about_the_end() -> Result<()> {
    let findings = sweep(&Dockfleet::find()?)?;
    assert!(findings.is_empty(), "{findings:#?}");
    Ok(())
}
