//! Measures the creation of some objects, and a pass without changes, against Ansible and docker
//! compose.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation;

use crate::lab::{LIMIT, PeerLab, new_engine, say, version};
use crate::object_set::ObjectSet;
use crate::peer::Peer;
use crate::report::{Comparison, Expected, ResultTable, Unit};
use crate::run::timed;
use crate::sample::{Sample, median};

const WANTED: ObjectSet = ObjectSet(20);

/// The times of one program, one for each repetition.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) create: Vec<Duration>,
    pub(crate) unchanged: Vec<Duration>,
}

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    let dockfleet = Peer::dockfleet(lab, WANTED)?;
    let ansible = Peer::ansible(lab, WANTED)?;
    let compose = Peer::compose(lab, WANTED)?;
    for generation in Generation::ALL {
        let (mut ours, mut theirs, mut composed) = Default::default();
        let repetitions = lab.repetitions.div_ceil(2);
        let mut name = String::new();
        for number in 1..=repetitions {
            for (peer, times) in [
                (&dockfleet, &mut ours),
                (&ansible, &mut theirs),
                (&compose, &mut composed),
            ] {
                say(&format!(
                    "{generation:?}: 20 networks and 20 volumes by {}, {number} of {repetitions}",
                    peer.name
                ));
                name = both(lab, generation, peer, times).with_context(|| peer.name.clone())?;
            }
        }
        let objects = "20 networks + 20 volumes";
        for (other, times, goals) in [
            (&ansible, &theirs, [8.0, 100.0].map(Expected::AtLeast)),
            (&compose, &composed, [Expected::None; 2]),
        ] {
            add(report, objects, &name, &ours, &other.name, times, goals)?;
        }
    }
    Ok(())
}

/// Measures one program on a new engine, and returns the engine's version.
fn both(lab: &PeerLab, generation: Generation, peer: &Peer, times: &mut Times) -> Result<String> {
    let engine = new_engine(generation)?;
    let state = lab.scratch.folder()?;
    let pass = || -> Result<Duration> {
        let mut command = peer.command(lab, &engine.docker_host(), &state)?;
        Ok(timed(&mut command, LIMIT)?.wall)
    };
    times.create.push(pass()?);
    let before = WANTED.check(&engine)?;
    let passes = (0..peer.passes)
        .map(|_| pass())
        .collect::<Result<Vec<_>>>()?;
    times.unchanged.push(median(&passes)?);
    ensure!(
        WANTED.check(&engine)? == before,
        "a pass without changes changed something"
    );
    version(&engine)
}

/// Adds both comparisons of two programs to the table.
pub(crate) fn add(
    report: &mut ResultTable,
    objects: &str,
    engine: &str,
    ours: &Times,
    name: &str,
    theirs: &Times,
    goals: [Expected; 2],
) -> Result<()> {
    let [create, unchanged] = goals;
    for (what, ours, theirs, goal) in [
        ("create", &ours.create, &theirs.create, create),
        ("no change,", &ours.unchanged, &theirs.unchanged, unchanged),
    ] {
        let ratio = Sample::of_ratios(theirs, ours)?;
        let (ours, theirs) = (Sample::of_durations(ours)?, Sample::of_durations(theirs)?);
        report.compare(&Comparison {
            what: &format!("{what} {objects}"),
            engine,
            ours: &ours,
            other_name: name,
            other: &theirs,
            unit: Unit::Seconds,
            ratio: &ratio,
            best: theirs.min() / ours.min(),
            goal,
        });
    }
    Ok(())
}
