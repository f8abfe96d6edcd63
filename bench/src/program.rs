//! Measures size and start time of the program.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::lab::PeerLab;
use crate::report::{Expected, ResultTable, Unit};
use crate::run::timed;
use crate::sample::Sample;

/// Number of timed starts. Each takes milliseconds.
const STARTS: usize = 21;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    let binary = lab.dockfleet.binary();
    let size = fs::metadata(binary)?.len();
    let megabytes = Sample::new([f64::from(u32::try_from(size)?)])?;
    report.figure(
        "release program",
        "–",
        &megabytes,
        Unit::Bytes,
        Expected::None,
    );

    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        // Drops this file from the page cache, as after a boot of the machine.
        let mut forget = Command::new("dd");
        forget.args(["iflag=nocache", "count=0", "of=/dev/null"]);
        forget.arg(format!("if={}", binary.display()));
        timed(&mut forget, LIMIT)?;
        cold.push(timed(&mut lab.dockfleet.command(["--version"]), LIMIT)?.wall);
        warm.push(timed(&mut lab.dockfleet.command(["--version"]), LIMIT)?.wall);
    }
    for (what, times) in [
        (
            "start of `dockfleet --version`, not in the page cache",
            &cold,
        ),
        ("start of `dockfleet --version`, again", &warm),
    ] {
        let sample = Sample::of_durations(times)?;
        report.figure(what, "–", &sample, Unit::Seconds, Expected::None);
    }
    Ok(())
}
