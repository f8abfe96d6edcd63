//! What came of runs, and the table of it.

use std::fmt::Debug;
use std::io::{Write as _, stdout};

use anyhow::Result;

/// What came of runs of one kind.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What they have in common.
    pub name: String,
    /// The effects of a run that nobody disturbs: N.
    pub effects: usize,
    /// How many runs there were.
    pub runs: usize,
    /// How often a process was stopped.
    pub stops: usize,
    /// What must not be.
    pub findings: Vec<String>,
    /// What else there is to say of them.
    pub remark: String,
}

impl Series {
    /// Takes in what came of the run in which a process was to be stopped at `point`: how often it
    /// was, and what must not be. That a run could not be finished is a finding.
    pub fn add(&mut self, point: impl Debug, came: Result<(usize, Vec<String>)>) {
        let (stops, found) = came.unwrap_or_else(|error| (0, vec![format!("{error:#}")]));
        self.runs += 1;
        self.stops += stops;
        let found = found.into_iter();
        let found = found.map(|finding| format!("{}, {point:?}: {finding}", self.name));
        self.findings.extend(found);
    }
}

/// Prints the table and what follows it, past the capture of the test's output; the first column, that
/// of stops and the last are called so.
pub fn print([name, stops, remark]: [&str; 3], all: &[Series], follows: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(
        out,
        "\n{name:<10} {:>3} {:>5} {stops:>6} {:>9}  {remark}",
        "N", "runs", "findings"
    )?;
    for s in all {
        let (findings, remark) = (s.findings.len(), &s.remark);
        writeln!(
            out,
            "{:<10} {:>3} {:>5} {:>6} {findings:>9}  {remark}",
            s.name, s.effects, s.runs, s.stops
        )?;
    }
    Ok(writeln!(out, "{follows}")?)
}
