//! The controllers of a run, what they wrote by their own account, and how they are lost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::faults::{ORDER, Order, RENEWAL, TracedEffect, now, start};
use dockfleet_e2e::{Folder, Process};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_mins(1);
/// How long each thing takes in the election, in milliseconds: nearly all of a run is waiting for the
/// Lease to end, and yet a busy machine has to renew it in time.
const TIMES: [&str; 3] = ["2000", "1500", "300"];
/// What says why a controller ended.
const LOSS: &str = "the claim to lead is lost";
/// The claim of a controller that did not lead before.
pub(crate) const ACQUIRED: &str = "acquired leases";
const VACATED: &str = "vacated leases";

/// A controller that can be lost as ordered.
pub(crate) struct Controller {
    // It ends before its folder goes.
    pub(crate) process: Process,
    folder: Folder,
}

impl Controller {
    pub(crate) fn start(kubeconfig: &Path) -> Result<Self> {
        let folder = Folder::new()?;
        let args = [&["controller"], &TIMES[..]].concat();
        let env = [("KUBECONFIG", kubeconfig.as_os_str())];
        let program = env!("CARGO_BIN_EXE_dockfleet-that-stops");
        Ok(Self {
            process: start(program, folder.path(), &args, &env)?,
            folder,
        })
    }

    /// Orders it to be lost.
    pub(crate) fn order(&self, loss: &Order) -> Result<()> {
        loss.give(self.folder.path())
    }

    /// Takes the order back.
    pub(crate) fn spare(&self) -> Result<()> {
        Ok(fs::remove_file(self.folder.file(ORDER))?)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.process.log_path()).unwrap_or_default()
    }

    /// Whether it follows everything, and knows who leads.
    pub(crate) fn is_ready(&self) -> bool {
        let log = self.log();
        let knows = log.contains("waits as a standby") || self.acquired().is_some();
        knows && log.contains("caches are filled")
    }

    /// Gives its account of its writes.
    pub(crate) fn account(&self) -> Vec<TracedEffect> {
        TracedEffect::all(self.folder.path()).unwrap_or_default()
    }

    /// Gives its writes since then, those left out that renew the Lease.
    pub(crate) fn writes(&self, since: u64) -> Vec<String> {
        let all = self.account().into_iter();
        let all = all.filter(|l| l.ended && l.time >= since && l.what != RENEWAL);
        all.map(|line| line.what).collect()
    }

    fn time_of(&self, of: impl Fn(&TracedEffect) -> bool) -> Option<u64> {
        let account = self.account();
        account.into_iter().find(|l| of(l)).map(|l| l.time)
    }

    /// Gives when it began to lead.
    pub(crate) fn acquired(&self) -> Option<u64> {
        self.time_of(|line| line.what == ACQUIRED)
    }

    /// Whether it leads, as far as it has said.
    pub(crate) fn leads(&self) -> bool {
        self.acquired().is_some() && self.stopped().is_none()
    }

    /// Gives when it gave the Lease up.
    pub(crate) fn vacated(&self) -> Option<u64> {
        self.time_of(|line| line.what == VACATED)
    }

    /// Gives when it was lost as ordered.
    pub(crate) fn stopped(&self) -> Option<u64> {
        self.time_of(|line| line.stopped)
    }

    /// Whether it has ended because it lost the Lease, and not otherwise.
    pub(crate) fn was_demoted(&self) -> bool {
        let status = self.process.exit_status();
        status.is_some_and(|s| s.code() == Some(1)) && self.log().contains(LOSS)
    }

    /// Lets it go on, and waits until it has ended by itself: with an error, as it has to. Gives what
    /// is wrong about that.
    pub(crate) fn goes_on_and_ends(&self) -> Result<Vec<String>> {
        let resumed = now();
        self.process.resume()?;
        self.process.wait(SOON)?;
        let mut findings = Vec::new();
        if !self.was_demoted() {
            findings.push(format!("it did not end as one that lost:\n{}", self.log()));
        }
        // Both times are of one clock, and nothing ran between the halt and this.
        let late = self.account();
        let late = late.iter().filter(|l| !l.ended && l.time >= resumed);
        let late: Vec<&str> = late.map(|line| line.what.as_str()).collect();
        if !late.is_empty() {
            findings.push(format!("let through after it was halted: {late:?}"));
        }
        Ok(findings)
    }

    /// Asks it to stop.
    pub(crate) fn stop(&self) -> Result<()> {
        let status = self.process.terminate(SOON)?;
        ensure!(status.success(), "it ended ({status}):\n{}", self.log());
        Ok(())
    }
}

/// Gives how long nobody led between two times.
pub(crate) fn gap(from: Option<u64>, to: Option<u64>) -> Result<Duration> {
    let (from, to) = (from.context("no end")?, to.context("no begin")?);
    Ok(Duration::from_micros(to.saturating_sub(from)))
}
