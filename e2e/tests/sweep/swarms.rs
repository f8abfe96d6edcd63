//! The life of a swarm: three hosts form it, all of them become managers, and leave it. The agent of one host is
//! killed after each of its effects in turn, on the way in and on the way out: of the host that creates the
//! swarm and changes its nodes, and of one that joins it and becomes a manager. In one more life, the controller is killed
//! after each of its writes.
//!
//! Whenever it was killed, there is one swarm, and in the end none; the journals say so, and no token is left.

mod controller;
mod run;
mod site;

use std::time::Instant;

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::faults::{Queue, Series};
use dockfleet_e2e::{ControlPlane, Dockfleet, Fleet, Generation, at_once, is_proof};

use self::controller::Controller;
use self::run::{Kill, Moment, Outcome};
use self::site::Site;

/// The engines of each site. All that a sample has runs at the same time: a swarm takes its time, and no CPU.
const SITES: [[Generation; 3]; 4] = [
    [Debian20, Newest, Newest],
    [Newest, Debian20, Debian20],
    [Debian20, Newest, Newest],
    [Newest, Debian20, Debian20],
];
/// The hosts whose agents are killed: the first one by name creates the swarm.
const VICTIMS: [usize; 2] = [0, 1];

/// One run: which agents are killed in it.
type Kills = Vec<Kill>;

/// Takes each of these points to a site, and gives what came of it.
fn try_all(
    sites: Vec<Site<'_>>,
    points: Vec<(String, Kills)>,
) -> Result<(Vec<Site<'_>>, Vec<Tried>)> {
    let queue = Queue::new(points);
    let all = at_once(sites, |mut site| {
        let mut tried = Vec::new();
        while let Some((name, kills)) = queue.next() {
            let outcome = site.run(&name, &kills);
            let failed = outcome.is_err();
            tried.push(Tried { kills, outcome });
            if failed {
                // Nobody knows how things stand there.
                break;
            }
        }
        Ok((site, tried))
    })?;
    let (sites, tried): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    Ok((sites, tried.into_iter().flatten().collect()))
}

/// A run, and what came of it.
struct Tried {
    kills: Kills,
    outcome: Result<Outcome>,
}

/// Runs the life of a swarm without a crash, with one after each call of the engine, and with one after every effect;
/// in a proof also with one after each effect in turn. Gives what came of it by the killed host, and the effects of its
/// clean run.
pub(crate) fn sweep(dockfleet: &Dockfleet, plane: &ControlPlane) -> Result<Vec<(Series, String)>> {
    plane
        .kubectl(["create", "namespace", "dockfleet-system"])?
        .ok()?;
    let fleet = Fleet::new()?;
    let mut controller = Controller::start(plane)?;
    let numbered: Vec<_> = SITES.into_iter().enumerate().collect();
    let sites = at_once(numbered, |(number, generations)| {
        let name = format!("site{number}");
        Site::start(&name, &generations, &fleet, dockfleet, plane)
    })?;
    let begin = Instant::now();
    let kill = |moment: Moment| move |victim| Kill { victim, moment };
    let always = VICTIMS.map(kill(Moment::Always)).map(|k| vec![k]);
    let engine: Kills = VICTIMS.map(kill(Moment::EngineCall)).into();
    let first: Vec<Kills> = always.into_iter().chain([engine, Vec::new()]).collect();
    let named = |(number, kills)| (format!("{number}"), kills);
    let first = first.into_iter().enumerate().map(named).collect();
    let (mut sites, mut tried) = try_all(sites, first)?;
    let is_clean = |t: &Tried| t.kills.is_empty();
    let clean = tried.iter().position(is_clean).context("no clean run")?;
    let clean = tried.swap_remove(clean).outcome;
    let clean = clean.with_context(|| controller.log())?;
    if is_proof() {
        let each = VICTIMS.into_iter().flat_map(|victim| {
            let most = clean.longest(victim);
            (1..=most).map(move |n| vec![kill(Moment::After(n))(victim)])
        });
        let each = each.enumerate();
        let each = each.map(|(number, kills)| (format!("after{number}"), kills));
        let each = try_all(sites, each.collect())?;
        sites = each.0;
        tried.extend(each.1);
    }
    let rows = VICTIMS.map(|victim| (vec![victim], format!("host {}", victim + 1)));
    let rows = rows
        .into_iter()
        .chain([(VICTIMS.into(), "both".to_owned())]);
    let mut all = Vec::new();
    for (victims, name) in rows {
        let mut series = Series {
            name,
            effects: victims.iter().map(|v| clean.count(*v)).sum(),
            ..Series::default()
        };
        let is_of_row =
            |t: &mut Tried| t.kills.iter().map(|k| k.victim).eq(victims.iter().copied());
        for Tried { kills, outcome } in tried.extract_if(.., is_of_row) {
            let moments: Vec<Moment> = kills.iter().map(|k| k.moment).collect();
            let came = outcome.map(|o| (o.kills, o.findings(&clean, &kills)));
            series.add(moments, came);
        }
        series.remark = format!("{:.1}s", begin.elapsed().as_secs_f64());
        let effects = match victims.as_slice() {
            [victim] => clean.listed(*victim),
            _ => String::new(),
        };
        all.push((series, effects));
    }
    all.push(of_controller(&mut controller, &mut sites)?);
    if !clean.breaches.is_empty() {
        anyhow::bail!("the clean run: {:?}", clean.breaches);
    }
    Ok(all)
}

/// Runs the life of a swarm with the controller killed after each of its writes, and gives what came of it, with the
/// writes.
fn of_controller(controller: &mut Controller, sites: &mut [Site<'_>]) -> Result<(Series, String)> {
    let begin = Instant::now();
    let site = sites.first_mut().context("no site")?;
    let (outcome, killed) = controller.killed_during(|| site.run("controller", &[]))?;
    let mut series = Series {
        name: "controller".to_owned(),
        effects: killed.len(),
        ..Series::default()
    };
    series.add(vec![Moment::Always], Ok((killed.len(), outcome.breaches)));
    series.remark = format!("{:.1}s", begin.elapsed().as_secs_f64());
    Ok((series, killed.join(", ")))
}
