//! All runs on one engine, and the table of what came of them.

use std::io::{Write as _, stdout};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use dockfleet_e2e::{Dockfleet, Engine, Fleet, Generation, is_proof};

use crate::facts::{Facts, differences};
use crate::hub::Hub;
use crate::run::{Crash, Outcome, Site};
use crate::scenario::{MADE, REMOVABLE, SAID};

/// More effects than the scenario ever has.
const MOST: usize = 60;
/// Rules for every network take an engine longer than everything else, and no container is there.
const NO_FIREWALL: [&str; 2] = ["--iptables=false", "--ip6tables=false"];

/// What came of all runs on one engine.
pub(crate) struct Sweep {
    generation: Generation,
    /// The effects of the clean run.
    effects: Vec<String>,
    runs: usize,
    kills: usize,
    took: Duration,
    /// Breaches, and differences from the clean run.
    pub(crate) findings: Vec<String>,
}

/// In a sample of the crash points, one of this many is tried.
const SAMPLE: usize = 3;

/// Runs the scenario without a crash, with one after each effect or a sample of them, and with one after
/// every effect.
pub(crate) fn sweep(
    generation: Generation,
    fleet: &Fleet,
    dockfleet: &Dockfleet,
    kubeconfig: &Path,
) -> Result<Sweep> {
    let host = format!("{generation:?}").to_lowercase();
    let site = Site {
        dockfleet,
        kubeconfig,
        engine: Engine::start_with(&fleet.host(&host)?, generation, &NO_FIREWALL)?,
        hub: Hub::connect(kubeconfig)?,
    };
    let begin = Instant::now();
    let clean = site.run(&format!("{host}-clean"), Crash::Never)?;
    ensure!(clean.kills == 0, "the clean run was none");
    let mut sweep = Sweep {
        generation,
        runs: 1,
        kills: 0,
        took: Duration::ZERO,
        findings: check_clean(&clean),
        effects: clean.effects.clone(),
    };
    let step = if is_proof() { 1 } else { SAMPLE };
    // Passes over networks and volumes run side by side, so that one run has an effect more than another:
    // there is a point to try until an agent ends unharmed.
    for n in (0..MOST).step_by(step) {
        let kills = sweep.add(&site, &clean, Crash::After(n));
        if kills == 0 {
            break;
        }
    }
    let tried = (sweep.runs - 1) * step;
    if tried * 10 < clean.effects.len() * 8 {
        let finding = format!("only {tried} of {} crash points", clean.effects.len());
        sweep.findings.push(finding);
    }
    sweep.add(&site, &clean, Crash::Always);
    sweep.took = begin.elapsed();
    Ok(sweep)
}

impl Sweep {
    /// Makes a run, takes in what came of it, and gives the number of its kills.
    fn add(&mut self, site: &Site<'_>, clean: &Outcome, crash: Crash) -> usize {
        let host = format!("{:?}", self.generation).to_lowercase();
        let outcome = site.run(&format!("{host}-{}", self.runs), crash);
        let found = match &outcome {
            Ok(outcome) => check(clean, outcome, crash),
            Err(error) => vec![format!("{error:#}")],
        };
        let kills = outcome.map_or(0, |o| o.kills);
        self.runs += 1;
        self.kills += kills;
        let findings = found.into_iter().map(|f| format!("{host}, {crash:?}: {f}"));
        self.findings.extend(findings);
        kills
    }
}

/// Gives what is wrong with the run that the others are compared with.
fn check_clean(clean: &Outcome) -> Vec<String> {
    let mut findings = clean.breaches.clone();
    let made = MADE.map(|object| format!("events: create {object}"));
    let removed = REMOVABLE.map(|(object, _)| format!("events: destroy {object}"));
    let events: Facts = made
        .into_iter()
        .chain(removed)
        .map(|event| (event, 1.into()))
        .collect();
    let said = clean.facts.iter().filter_map(|(key, fact)| {
        let name = key.strip_prefix("status: uid-")?;
        Some((name, fact["state"].as_str()?, fact["reason"].as_str()))
    });
    let said: Vec<_> = said.collect();
    if said != SAID {
        findings.push(format!("the agent says other things: {said:?}"));
    }
    let mut happened = clean.facts.clone();
    happened.retain(|key, _| key.starts_with("events: "));
    if happened != events {
        findings.push(format!("other things happened: {happened:?}"));
    }
    findings
}

/// Gives what is wrong with a run.
fn check(clean: &Outcome, outcome: &Outcome, crash: Crash) -> Vec<String> {
    let mut findings = outcome.breaches.clone();
    let (effects, kills) = (outcome.effects.len(), outcome.kills);
    let as_asked = match crash {
        Crash::Never => kills == 0,
        Crash::After(n) => (kills == 1 && effects == n) || (kills == 0 && effects < n),
        // Reports are put together as timing has it.
        Crash::Always => kills == effects && kills * 10 >= clean.effects.len() * 8,
    };
    if !as_asked {
        findings.push(format!("{kills} kills with {effects} effects"));
    }
    findings.extend(differences(&clean.facts, &outcome.facts));
    findings
}

/// Prints the table, past the capture of the test's output.
pub(crate) fn print(sweeps: &[Sweep]) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(
        out,
        "\n{:<10} {:>3} {:>5} {:>6} {:>9} {:>6}",
        "engine", "N", "runs", "kills", "findings", "time"
    )?;
    for s in sweeps {
        let (n, findings) = (s.effects.len(), s.findings.len());
        let (engine, took) = (format!("{:?}", s.generation), s.took.as_secs_f64());
        writeln!(
            out,
            "{engine:<10} {n:>3} {:>5} {:>6} {findings:>9} {took:>5.1}s",
            s.runs, s.kills
        )?;
    }
    for s in sweeps {
        writeln!(
            out,
            "effects on {:?}: {}",
            s.generation,
            s.effects.join(", ")
        )?;
    }
    Ok(())
}
