//! Measures a fleet of thousands of hosts: the real API server, the real controller, the real agent
//! once for every host, and a simulated engine below each.
//!
//! Besides one edit that reaches every host stands a bare loop which writes the same objects as fast
//! as the API server takes them, in turn with it. The program reports, it does not judge: it fails
//! only when something could not be measured.

mod agents;
mod bare;
mod engine;
mod figures;
mod lab;
mod limits;
mod measure;
mod meter;
mod table;
mod wish;

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use dockfleet_bench::usage;

use crate::lab::{Cores, say};

/// Measures fleets of thousands of hosts, each with a simulated engine.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    wanted: Wanted,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
struct Wanted {
    /// Sizes of fleets, one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 3000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    hosts: Vec<u32>,
    /// Entries of each host.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    entries: u32,
    /// Edits that are measured, each followed by its bare loop.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds for which the fleet is watched while nothing is edited.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
    /// Connections of the bare loop.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    writers: u32,
    /// Let all processes run on all cores. Else API server and etcd have half of the cores, and all
    /// others the rest: in a fleet, agents run on their hosts.
    #[arg(long)]
    shared_cores: bool,
    /// Go on with a debug build, to try the measurements themselves.
    #[arg(long, hide = true)]
    debug_build: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs agents; used by the program itself.
    #[command(hide = true)]
    Agents(agents::Agents),
}

impl Wanted {
    fn idle(&self) -> Duration {
        Duration::from_secs(self.idle)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Agents(agents)) = &arguments.part {
        return agents.run();
    }
    let wanted = arguments.wanted;
    ensure!(
        wanted.debug_build || !cfg!(debug_assertions),
        "a debug build says nothing about speed: run `make scale`"
    );
    let cores = Cores::divide(usage::cores()?, wanted.shared_cores);
    usage::pin(std::process::id(), &cores.others)?;
    let mut fleets = Vec::new();
    for &hosts in &wanted.hosts {
        say(&format!("a fleet of {hosts} hosts"));
        fleets.push(measure::fleet(&wanted, &cores, hosts)?);
    }
    table::finish(&wanted, &cores, &fleets)
}
