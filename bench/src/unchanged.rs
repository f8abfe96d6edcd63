//! A pass over 200 objects that finds nothing to do.

use std::process::Command;

use anyhow::{Result, ensure};
use dockfleet_e2e::Generation;

use crate::create::summary;
use crate::lab::{Lab, new_engine, say, version};
use crate::recorder::Recorder;
use crate::report::{Goal, Report, Unit};
use crate::sample::Sample;
use crate::wanted::Wanted;

const WANTED: Wanted = Wanted(100);
/// Passes that are timed; each takes milliseconds.
const PASSES: u32 = 31;

/// Waits until the disk has what was written before, by the making of the objects and by other
/// measurements: a pass of milliseconds would measure that.
fn written_back() -> Result<()> {
    let ended = Command::new("sync").status()?;
    ensure!(ended.success(), "sync: {ended}");
    Ok(())
}

pub(crate) fn measure(lab: &Lab, report: &mut Report) -> Result<()> {
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
            Goal::AtMost(3.0),
        );
        report.figure(
            "no change, 200 objects: `dockfleet apply` from start to end",
            &name,
            &Sample::of_durations(&times)?,
            Unit::Seconds,
            Goal::AtMost(0.050),
        );
    }
    Ok(())
}
