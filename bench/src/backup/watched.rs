//! Runs a program to its end and watches it and the processes that it starts: their memory, and what they read.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use dockfleet_bench::usage::{memory, processor_time};

use crate::lab::LIMIT;
use crate::run::timed_with;

/// Time between two looks. What a process reads in its last one is not seen.
const LOOK: Duration = Duration::from_millis(4);

/// A program that ran to its end.
#[derive(Debug)]
pub(super) struct Watched {
    /// Time from its start to its end.
    pub(super) wall: Duration,
    /// The processes in the order of their IDs, the program itself first.
    pub(super) processes: Vec<WatchedProcess>,
}

/// One process, as it was seen last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WatchedProcess {
    /// Its arguments, with a space after each.
    pub(super) arguments: String,
    /// The most memory it had, in bytes.
    pub(super) peak: f64,
    /// Bytes that it has read, from a cache or not.
    pub(super) read: f64,
    /// Processor time, with a resolution of 10 ms.
    pub(super) processor: Duration,
    /// Time from the first look at it to the last one.
    pub(super) lived: Duration,
}

impl Watched {
    /// Runs `command`.
    pub(super) fn run(command: &mut Command) -> Result<Self> {
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let for_watch = Arc::clone(&seen);
        let mut watch = None;
        let finished = timed_with(command, LIMIT, |pid| {
            watch = Some(thread::spawn(move || follow(pid, &for_watch)));
        })?;
        // It ends with the program.
        let _ = watch.map(thread::JoinHandle::join);
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self {
            wall: finished.wall,
            processes: seen.values().cloned().collect(),
        })
    }

    /// Returns the memory of all processes together, each at its most.
    pub(super) fn peak(&self) -> f64 {
        self.processes.iter().map(|process| process.peak).sum()
    }

    /// Returns the processor time of all processes together: on a busy machine it says more than the time on the wall.
    pub(super) fn processor(&self) -> Duration {
        self.processes.iter().map(|process| process.processor).sum()
    }
}

/// Looks at a process and its children until it has ended.
fn follow(pid: u32, seen: &Mutex<BTreeMap<u32, WatchedProcess>>) {
    let mut first_seen: BTreeMap<u32, Instant> = BTreeMap::new();
    loop {
        let mut pids = vec![pid];
        pids.extend(children(pid));
        for pid in pids {
            let Some(mut now) = look(pid) else {
                continue;
            };
            now.lived = first_seen.entry(pid).or_insert_with(Instant::now).elapsed();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(pid, now);
        }
        // A process that has ended and was not waited for has no memory.
        if memory(pid, "VmHWM").is_err() {
            return;
        }
        thread::sleep(LOOK);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn look(pid: u32) -> Option<WatchedProcess> {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let peak = memory(pid, "VmHWM").ok()?;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: "))?;
    Some(WatchedProcess {
        arguments: String::from_utf8_lossy(&arguments).replace('\0', " "),
        peak,
        read: read.parse().ok()?,
        processor: processor_time(pid).ok()?,
        lived: Duration::ZERO,
    })
}
