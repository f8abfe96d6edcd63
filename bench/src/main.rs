//! Measures Dockfleet and other programs on real engines, in one run.
//!
//! The results are ratios of measurements that were taken one right after the other, so a slow or busy
//! machine affects both sides. The program fails only if something could not be measured, not if a goal
//! is missed.

mod agent;
mod backup;
mod create;
mod http;
mod lab;
mod object_set;
mod peer;
mod peers;
mod program;
mod recorder;
mod replay;
mod report;
mod run;
mod scratch;
mod swarm;
mod unchanged;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use dockfleet_bench::{sample, usage, writes};

use crate::lab::PeerLab;
use crate::report::ResultTable;

/// Measures Dockfleet against the bare engine API, Ansible, docker compose, restic and tar.
#[derive(Debug, Parser)]
struct PeerArguments {
    /// What to measure. Default: everything.
    #[arg(value_enum)]
    measurements: Vec<Measurement>,
    /// Number of pairs for each comparison. For Ansible and backups, which are slow, half of them (rounded up).
    #[arg(short, long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// 100 networks and 100 volumes, against a bare loop of the same calls.
    Create,
    /// 20 networks and 20 volumes, against Ansible and docker compose.
    Peers,
    /// A swarm of five hosts with an overlay network, against Ansible.
    Swarm,
    /// A pass over 200 objects without changes.
    Unchanged,
    /// Memory of an idle agent with 200 entries, and the cost of a pass.
    Agent,
    /// Size and start time of the program.
    Program,
    /// Backup and restore of a gigabyte, against tar with zstd, restic, and tar in a container.
    // The last: it lowers the priority of everything after it.
    Backup,
}

impl Measurement {
    fn take(self, lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
        match self {
            Self::Create => create::measure(lab, report),
            Self::Peers => peers::measure(lab, report),
            Self::Swarm => swarm::measure(lab, report),
            Self::Unchanged => unchanged::measure(lab, report),
            Self::Agent => agent::measure(lab, report),
            Self::Backup => backup::measure(lab, report),
            Self::Program => program::measure(lab, report),
        }
    }
}

fn main() -> Result<()> {
    let arguments = PeerArguments::parse();
    ensure!(
        !cfg!(debug_assertions),
        "a debug build says nothing about speed: run `make bench`"
    );
    let lab = PeerLab::open(arguments.repetitions)?;
    let mut report = ResultTable::new(&lab)?;
    for &measurement in Measurement::value_variants() {
        if arguments.measurements.is_empty() || arguments.measurements.contains(&measurement) {
            measurement.take(&lab, &mut report)?;
        }
    }
    report.finish()
}
