//! What was measured of one fleet, and what follows from it.

use anyhow::Result;
use dockfleet_bench::sample::Sample;

use crate::bare::Sizes;
use crate::meter::{Span, Work};

/// One edit and the bare loop after it.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) edit: Span,
    pub(crate) bare: Span,
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) server: f64,
    pub(crate) etcd: f64,
    pub(crate) controller: f64,
    /// The most it ever was.
    pub(crate) controller_most: f64,
    /// Of all agents and their engines.
    pub(crate) agents: f64,
}

/// What was measured of one fleet.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) hosts: u32,
    /// The first start: until every resource was ready on every host.
    pub(crate) start: Span,
    /// A while in which nothing was edited.
    pub(crate) idle: Span,
    pub(crate) rounds: Vec<Round>,
    pub(crate) sizes: Sizes,
    pub(crate) memory: Memory,
    /// Watches that are open.
    pub(crate) watches: u32,
    /// Bytes that the store of the API server takes.
    pub(crate) stored: f64,
}

impl Fleet {
    /// Gives something of each edit.
    pub(crate) fn edits(&self, of: impl Fn(&Span) -> f64) -> Result<Sample> {
        Sample::new(self.rounds.iter().map(|round| of(&round.edit)))
    }

    /// Gives something of each bare loop.
    pub(crate) fn bare(&self, of: impl Fn(&Span) -> f64) -> Result<Sample> {
        Sample::new(self.rounds.iter().map(|round| of(&round.bare)))
    }

    /// Gives how often as long as its bare loop each edit took.
    pub(crate) fn ratio(&self) -> Result<Sample> {
        let of = |round: &Round| round.edit.wall.as_secs_f64() / round.bare.wall.as_secs_f64();
        Sample::new(self.rounds.iter().map(of))
    }

    /// Gives the work of a span for each host, what the fleet costs without it left out.
    pub(crate) fn net(&self, span: &Span, of: impl Fn(Work) -> f64) -> f64 {
        of(span.work.without(&self.idle, span.wall)) / f64::from(self.hosts)
    }

    /// Gives the work of the first start for each host.
    pub(crate) fn start(&self, of: impl Fn(Work) -> f64) -> f64 {
        of(self.start.work) / f64::from(self.hosts)
    }

    /// Gives bytes for each assignment.
    pub(crate) fn mean(&self, bytes: usize) -> f64 {
        // Far below where a floating point number begins to count in steps.
        f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) * 1024.0 / f64::from(self.hosts)
    }

    /// Gives the cores that something takes on a fleet on which nothing is edited.
    pub(crate) fn idle_cores(&self, of: impl Fn(Work) -> f64) -> f64 {
        of(self.idle.work) / self.idle.wall.as_secs_f64()
    }

    /// Gives heartbeats a second.
    pub(crate) fn heartbeats(&self) -> f64 {
        f64::from(self.idle.heartbeats) / self.idle.wall.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn span(seconds: u64, controller: f64) -> Span {
        Span {
            wall: Duration::from_secs(seconds),
            work: Work {
                controller,
                ..Work::default()
            },
            heartbeats: 30,
            ..Span::default()
        }
    }

    fn fleet() -> Fleet {
        Fleet {
            hosts: 10,
            start: Span::default(),
            idle: span(60, 6.0),
            rounds: vec![
                Round {
                    edit: span(12, 3.2),
                    bare: span(10, 0.0),
                },
                Round {
                    edit: span(10, 3.0),
                    bare: span(10, 0.0),
                },
            ],
            sizes: Sizes::default(),
            memory: Memory::default(),
            watches: 0,
            stored: 0.0,
        }
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratio = fleet().ratio().unwrap();
        assert!(close(ratio.min(), 1.0) && close(ratio.max(), 1.2));
    }

    #[test]
    fn the_work_of_an_edit_is_what_it_adds_for_each_host() {
        let fleet = fleet();
        let work = fleet.edits(|edit| fleet.net(edit, |w| w.controller));
        let work = work.unwrap();
        assert!(close(work.min(), 0.2) && close(work.max(), 0.2));
        assert!(close(fleet.idle_cores(|w| w.controller), 0.1));
        assert!(close(fleet.heartbeats(), 0.5));
    }

    #[test]
    fn a_mean_is_for_each_host() {
        assert!(close(fleet().mean(102_400), 10_240.0));
    }
}
