//! Size and start of the program.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::lab::Lab;
use crate::report::{Goal, Report, Unit};
use crate::run::timed;
use crate::sample::Sample;

/// Starts that are timed; each takes milliseconds.
const STARTS: usize = 21;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn measure(lab: &Lab, report: &mut Report) -> Result<()> {
    let binary = lab.dockfleet.binary();
    let size = fs::metadata(binary)?.len();
    let megabytes = Sample::new([f64::from(u32::try_from(size)?)])?;
    report.figure("release program", "–", &megabytes, Unit::Bytes, Goal::None);

    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        // Lets the kernel forget this one file, as after a boot of the machine.
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
        report.figure(what, "–", &sample, Unit::Seconds, Goal::None);
    }
    Ok(())
}
