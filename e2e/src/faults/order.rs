//! What a process is told about where to stop, and what it says of its effects: in two files of its
//! folder, in JSON.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::process::Process;

/// The file with the order.
pub const ORDER: &str = "order";
/// The file with a line for each effect.
pub const TRACE: &str = "trace";
/// The effect that keeps a claim to lead: it comes by itself, and counts only where it is asked for.
pub const RENEWAL: &str = "renewed leases";

/// The effects after which nothing is as the process wanted it, and the next one begins anew: one that is killed after
/// each of them gets nowhere.
pub const FLEETING: [&str; 2] = ["HelperCreate", "HelperRemove"];

/// How a process is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// By SIGKILL, right after an effect.
    Killed,
    /// By SIGSTOP, right after an effect.
    Halted,
    /// By SIGSTOP, right before an effect that was decided on.
    Held,
}

impl How {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Killed, Self::Halted, Self::Held];
}

/// Where a process stops, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// How it stops.
    pub how: How,
    /// At which of its effects; with 0 before it has done anything.
    pub number: usize,
    /// What is counted; without it all but [`RENEWAL`].
    pub of: Option<String>,
    /// Whether [`FLEETING`] effects are counted.
    pub fleeting: bool,
}

impl Order {
    /// Gives the order to the process in a folder.
    pub fn give(&self, folder: &Path) -> Result<()> {
        // In one step: it may be reading.
        let new = folder.join("order.new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        Ok(fs::rename(new, folder.join(ORDER))?)
    }

    /// Says whether an effect is one of those that are counted.
    pub fn counts(&self, effect: &TracedEffect) -> bool {
        let is_named = match &self.of {
            Some(name) => effect.what == *name,
            None => effect.what != RENEWAL && (self.fleeting || !FLEETING.contains(&&*effect.what)),
        };
        is_named && effect.ended == (self.how != How::Held)
    }
}

/// An effect on the world outside that begins or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedEffect {
    /// Microseconds since 1970.
    pub time: u64,
    /// Whether it has ended.
    pub ended: bool,
    /// What it is.
    pub what: String,
    /// Whether the process stopped there.
    pub stopped: bool,
}

impl TracedEffect {
    /// Gives the effects that processes in a folder had, in their order.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let trace = fs::read_to_string(folder.join(TRACE)).unwrap_or_default();
        // What follows the last line break is still being written.
        let whole = trace.rsplit_once('\n').unwrap_or_default().0;
        let effects = whole.lines().map(serde_json::from_str);
        Ok(effects.collect::<Result<_, _>>()?)
    }
}

/// Starts `program FOLDER args` with these variables; its log is in the folder, too.
pub fn start(
    program: &str,
    folder: &Path,
    args: &[&str],
    variables: &[(&str, &OsStr)],
) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg(folder).args(args);
    command.envs(variables.iter().copied());
    Process::start(&command, &folder.join("log"))
}

/// Gives the time in microseconds since 1970.
pub fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX))
}
