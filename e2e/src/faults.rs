//! Faults at every moment: a process of Dockfleet is stopped at each of its effects on the world
//! outside, one run after the other, and each run is compared with one that nobody disturbed.
//!
//! `dockfleet-that-stops` is the agent or the controller that stops where the [`Order`] in its folder
//! says, and writes each [`TracedEffect`] down there. What the effects are and what must hold after each run
//! is the tests' business; [`Facts`] are how they say it, and a [`Series`] counts their runs.

mod facts;
mod order;
mod queue;
mod series;

pub use facts::{Facts, differences, renamed};
pub use order::{FLEETING, How, ORDER, Order, RENEWAL, TRACE, TracedEffect, now, start};
pub use queue::Queue;
pub use series::{Series, print};
