//! The controllers of a run, what they wrote by their own account, and how they are lost.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Folder, Process};

/// How long anything may take on a machine that is busy with other things.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// How long each thing takes in the election, in milliseconds: nearly all of a run is waiting for the
/// Lease to end, and yet a busy machine has to renew it in time.
const TIMES: [u64; 3] = [2000, 1500, 300];
/// What says why a controller ended.
const LOSS: &str = "the claim to lead is lost";
/// The claim of a controller that did not lead before.
pub(crate) const ACQUIRED: &str = "acquired leases";
const RENEWED: &str = "renewed leases";
const VACATED: &str = "vacated leases";

/// How a leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// By SIGKILL, right after a write.
    Killed,
    /// By SIGSTOP, right after a write; it goes on when another one leads and all is done.
    Halted,
    /// By SIGSTOP, right before a write that was let through; it goes on in the same way.
    Held,
}

/// Where a leader is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// At the n-th write of the change.
    Write(usize),
    /// At its first claim of the Lease.
    Claim,
    /// At a renewal of the Lease, in the midst of the change.
    Renewal,
}

/// One loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) how: How,
    pub(crate) at: At,
}

impl Loss {
    fn order(self) -> String {
        let how = match self.how {
            How::Killed => "kill",
            How::Halted => "halt",
            How::Held => "hold",
        };
        match self.at {
            At::Write(n) => format!("{how} {n}"),
            At::Claim => format!("{how} 1 {ACQUIRED}"),
            At::Renewal => format!("{how} 1 {RENEWED}"),
        }
    }
}

/// A line of a controller's account: a write that began or has ended.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Microseconds since 1970.
    pub(crate) time: u64,
    pub(crate) ended: bool,
    pub(crate) what: String,
    /// Whether the controller was stopped then.
    stop: bool,
}

impl Line {
    pub(crate) fn is_renewal(&self) -> bool {
        self.what == RENEWED
    }
}

/// A controller that can be lost as ordered.
pub(crate) struct Controller {
    // It ends before its folder goes.
    process: Process,
    folder: Folder,
}

impl Controller {
    pub(crate) fn start(kubeconfig: &Path) -> Result<Self> {
        let folder = Folder::new()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_controller-that-stops"));
        command
            .arg(folder.path())
            .args(TIMES.map(|ms| ms.to_string()))
            .env("KUBECONFIG", kubeconfig);
        let process = Process::start(&command, &folder.file("log"))?;
        Ok(Self { process, folder })
    }

    /// Orders it to be lost.
    pub(crate) fn order(&self, loss: Loss) -> Result<()> {
        // In one step: it may be reading.
        let new = self.folder.file("order.new");
        fs::write(&new, loss.order())?;
        fs::rename(new, self.folder.file("order"))?;
        Ok(())
    }

    /// Takes the order back.
    pub(crate) fn spare(&self) -> Result<()> {
        Ok(fs::remove_file(self.folder.file("order"))?)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.process.log_path()).unwrap_or_default()
    }

    /// Whether it follows everything, and knows who leads.
    pub(crate) fn is_ready(&self) -> bool {
        let log = self.log();
        let knows = log.contains("stands by") || self.acquired().is_some();
        knows && log.contains("caches are filled")
    }

    /// Gives its account.
    pub(crate) fn account(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.folder.file("trace")).unwrap_or_default();
        text.lines().filter_map(line).collect()
    }

    fn time_of(&self, of: impl Fn(&Line) -> bool) -> Option<u64> {
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
        self.time_of(|line| line.stop)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Whether it has ended because it lost the Lease, and not otherwise.
    pub(crate) fn was_demoted(&self) -> bool {
        let status = self.process.exit_status();
        status.is_some_and(|s| s.code() == Some(1)) && self.log().contains(LOSS)
    }

    /// Waits until it has been killed.
    pub(crate) fn is_killed(&self) -> Result<()> {
        self.process.wait(SOON).map(drop)
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

fn line(text: &str) -> Option<Line> {
    let (text, stop) = match text.strip_suffix(" !") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (time, rest) = text.split_once(' ')?;
    let (stage, what) = rest.split_once(' ')?;
    Some(Line {
        time: time.parse().ok()?,
        ended: stage == "Ended",
        what: what.to_owned(),
        stop,
    })
}

/// Gives the time in microseconds since 1970.
pub(crate) fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX))
}

/// Gives the writes of an account that have ended since then, those left out that renew the Lease.
pub(crate) fn writes(account: &[Line], since: u64) -> Vec<String> {
    let all = account.iter().filter(|l| l.ended && l.time >= since);
    all.filter(|line| !line.is_renewal())
        .map(|line| line.what.clone())
        .collect()
}

/// Gives how long nobody led between two times.
pub(crate) fn gap(from: Option<u64>, to: Option<u64>) -> Result<Duration> {
    let (from, to) = (from.context("no end")?, to.context("no begin")?);
    Ok(Duration::from_micros(to.saturating_sub(from)))
}
