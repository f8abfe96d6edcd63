//! Measures Dockfleet side by side with what it is compared to, on real engines, in one run.
//!
//! What counts are ratios of measurements that were taken one right after the other, so a slow or
//! busy machine moves both sides. The program reports, it does not judge: it fails only when
//! something could not be measured.

mod agent;
mod create;
mod http;
mod lab;
mod peer;
mod peers;
mod program;
mod recorder;
mod replay;
mod report;
mod run;
mod scratch;
mod unchanged;
mod wanted;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use dockfleet_bench::{sample, usage, writes};

use crate::lab::Lab;
use crate::report::Report;

/// Measures Dockfleet against the bare engine API, Ansible and docker compose.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything when left out.
    #[arg(value_enum)]
    measurements: Vec<Measurement>,
    /// Pairs taken of each comparison; with Ansible, which takes long, half of them (rounded up).
    #[arg(short, long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// 100 networks and 100 volumes, against a bare loop of the same calls.
    Create,
    /// 20 networks and 20 volumes, against Ansible and docker compose.
    Peers,
    /// A pass over 200 objects that finds nothing to do.
    Unchanged,
    /// Memory of an idle agent with 200 entries, and what a pass costs it.
    Agent,
    /// Size and start of the program.
    Program,
}

impl Measurement {
    fn take(self, lab: &Lab, report: &mut Report) -> Result<()> {
        match self {
            Self::Create => create::measure(lab, report),
            Self::Peers => peers::measure(lab, report),
            Self::Unchanged => unchanged::measure(lab, report),
            Self::Agent => agent::measure(lab, report),
            Self::Program => program::measure(lab, report),
        }
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        !cfg!(debug_assertions),
        "a debug build says nothing about speed: run `make bench`"
    );
    let lab = Lab::open(arguments.repetitions)?;
    let mut report = Report::new(&lab)?;
    for &measurement in Measurement::value_variants() {
        if arguments.measurements.is_empty() || arguments.measurements.contains(&measurement) {
            measurement.take(&lab, &mut report)?;
        }
    }
    report.finish()
}
