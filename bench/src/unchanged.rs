//! Measures a pass over 200 objects without changes.

use anyhow::{Result, ensure};
use dockfleet_e2e::Generation;

use crate::create::summary;
use crate::lab::{PeerLab, new_engine, say, version};
use crate::object_set::ObjectSet;
use crate::recorder::Recorder;
use crate::report::{Expected, ResultTable, Unit};
use crate::run::written_back;
use crate::sample::Sample;

const WANTED: ObjectSet = ObjectSet(100);
/// Number of timed passes. Each takes milliseconds.
const PASSES: u32 = 31;

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    let manifests = lab.scratch.write(".yaml", &WANTED.resources())?;
    for generation in Generation::ALL {
        say(&format!("{generation:?}: nothing to do for 200 objects"));
        let engine = new_engine(generation)?;
        let name = version(&engine)?;
        let recorder = Recorder::start(lab.scratch.path(".sock"), engine.socket())?;
        let (host, state) = (recorder.docker_host(), lab.scratch.folder()?);
        lab.apply(&host, &manifests, &state)?;
        let before = WANTED.check(&engine)?;
        recorder.take()?;

        lab.apply(&host, &manifests, &state)?;
        let calls = recorder.take()?;
        report.note(format!(
            "Engine {name}, no change: calls of `dockfleet apply`: {}",
            summary(&calls)
        ));

        recorder.step_aside()?;
        written_back()?;
        let mut times = Vec::new();
        for _ in 0..PASSES {
            times.push(lab.apply(&host, &manifests, &state)?.wall);
        }
        ensure!(
            WANTED.check(&engine)? == before,
            "a pass without changes changed something"
        );
        let count = u32::try_from(calls.len())?;
        report.figure(
            "no change, 200 objects: engine calls of `dockfleet apply`",
            &name,
            &Sample::new([f64::from(count)])?,
            Unit::Count,
            Expected::AtMost(3.0),
        );
        report.figure(
            "no change, 200 objects: `dockfleet apply` from start to end",
            &name,
            &Sample::of_durations(&times)?,
            Unit::Seconds,
            Expected::AtMost(0.050),
        );
    }
    Ok(())
}
