//! All runs on engines of one generation, and what is wrong with each of them.

use std::iter;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::faults::{FLEETING, Facts, Queue, Series, differences};
use dockfleet_e2e::{ControlPlane, Dockfleet, Engine, Fleet, Generation, at_once, is_proof};

use crate::hub::Hub;
use crate::run::{Crash, Outcome, Site};
use crate::scenario::{MADE, REMOVABLE, SAID, WITH_OWNER};

/// More effects than the scenario ever has.
const MOST: usize = 60;
/// Rules for every network take an engine longer than everything else, and no container is there.
const NO_FIREWALL: [&str; 2] = ["--iptables=false", "--ip6tables=false"];

/// In a sample of the crash points, one of this many is tried.
const SAMPLE: usize = 3;

/// Engines of each generation at the same time: most of a run is waiting.
const ENGINES: usize = 2;

/// Runs the scenario without a crash, with one after each effect or a sample of them, and with one after
/// every effect. Gives what came of it, and the effects of the clean run.
pub(crate) fn sweep(
    generation: Generation,
    fleet: &Fleet,
    dockfleet: &Dockfleet,
    plane: &ControlPlane,
) -> Result<(Series, Vec<String>)> {
    let name = format!("{generation:?}").to_lowercase();
    let kubeconfig = plane.kubeconfig();
    let sites = at_once(1..=ENGINES, |number| {
        let host = fleet.host(&format!("{name}-{number}"))?;
        let engine = Engine::start_with(&host, generation, &NO_FIREWALL)?;
        Ok(Site {
            dockfleet,
            kubeconfig: &kubeconfig,
            docker_host: engine.docker_host(),
            engine,
            hub: Hub(plane.client()?),
        })
    })?;
    let begin = Instant::now();
    let first = sites.first().context("no engine")?;
    let clean = first.run(&format!("{name}-clean"), Crash::Never)?;
    ensure!(clean.kills == 0, "the clean run was none");
    let mut series = Series {
        name: format!("{generation:?}"),
        effects: clean.effects.len(),
        ..Series::default()
    };
    series.add(Crash::Never, Ok((0, check_clean(&clean))));
    let step = if is_proof() { 1 } else { SAMPLE };
    let after = (0..MOST).step_by(step).map(Crash::After);
    // The longest run comes first.
    let queue = Queue::new(iter::once(Crash::Always).chain(after).enumerate());
    let runs = at_once(sites, |site| {
        let mut runs = Vec::new();
        while let Some((number, crash)) = queue.next() {
            let outcome = site.run(&format!("{name}-{number}"), crash);
            let unharmed = outcome.as_ref().map_or(true, |o| o.kills == 0);
            runs.push((crash, unharmed, outcome));
            // Passes over networks and volumes run side by side, so that one run has an effect more than
            // another: there is a point to try until an agent ends unharmed.
            if unharmed {
                queue.close();
            }
        }
        Ok(runs)
    })?;
    let mut tried = MOST;
    for (crash, unharmed, outcome) in runs.into_iter().flatten() {
        if let (Crash::After(n), true) = (crash, unharmed) {
            tried = tried.min(n + step);
        }
        series.add(crash, outcome.map(|o| (o.kills, check(&clean, &o, crash))));
    }
    if tried * 10 < clean.effects.len() * 8 {
        let finding = format!("only {tried} of {} crash points", series.effects);
        series.findings.push(finding);
    }
    series.remark = format!("{:.1}s", begin.elapsed().as_secs_f64());
    Ok((series, clean.effects))
}

/// Gives what is wrong with the run that the others are compared with.
fn check_clean(clean: &Outcome) -> Vec<String> {
    let mut findings = clean.breaches.clone();
    let made = MADE.map(|object| format!("happened: create {object}"));
    let removed = REMOVABLE.map(|(object, _)| format!("happened: remove {object}"));
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
    let owner = clean.facts.get(&format!("engine: owner of {WITH_OWNER}"));
    if owner != Some(&"1000 0750".into()) {
        findings.push(format!("the owner of {WITH_OWNER} is {owner:?}"));
    }
    if said != SAID {
        findings.push(format!("the agent says other things: {said:?}"));
    }
    let mut happened = clean.facts.clone();
    happened.retain(|key, _| key.starts_with("happened: "));
    if happened != events {
        findings.push(format!("other things happened: {happened:?}"));
    }
    findings
}

/// Gives the number of effects that are no fleeting ones.
fn lasting(outcome: &Outcome) -> usize {
    let effects = outcome.effects.iter();
    effects.filter(|e| !FLEETING.contains(&e.as_str())).count()
}

/// Gives what is wrong with a run.
fn check(clean: &Outcome, outcome: &Outcome, crash: Crash) -> Vec<String> {
    let mut findings = outcome.breaches.clone();
    let (effects, kills) = (outcome.effects.len(), outcome.kills);
    let as_asked = match crash {
        Crash::Never => kills == 0,
        Crash::After(n) => (kills == 1 && effects == n) || (kills == 0 && effects < n),
        // Reports are put together as timing has it.
        Crash::Always => kills == lasting(outcome) && kills * 10 >= lasting(clean) * 8,
    };
    if !as_asked {
        findings.push(format!("{kills} kills with {effects} effects"));
    }
    findings.extend(differences(&clean.facts, &outcome.facts));
    findings
}
