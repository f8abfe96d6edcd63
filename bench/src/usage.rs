//! Resource usage of processes: memory, CPU time, and the cores they may run on.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Returns a value of `/proc/PID/status`, in bytes.
pub fn memory(pid: u32, what: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next())
        .with_context(|| format!("no {what} in the status of process {pid}"))?;
    Ok(kilobytes.parse::<f64>()? * 1024.0)
}

/// Returns the CPU time of a process, including ended threads, with a resolution of 10 ms.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&text).with_context(|| format!("no times in the state of process {pid}"))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// Reads the ticks in user and kernel mode from `/proc/PID/stat`. The second field is a name in
/// brackets with any characters.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Returns the cores that this process may run on.
pub fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect())
}

/// Limits a process, with all its current and future threads, to these cores.
pub fn pin(pid: u32, cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.file_name();
        let id = thread.to_str().and_then(|id| id.parse().ok());
        let id = id.and_then(rustix::thread::Pid::from_raw);
        // The thread may have ended.
        let _ = sched_setaffinity(id, &set);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a b) c) R 1 2 3 4 5 6 7 8 9 10 30 12 13 14";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) R 1"), None);
    }

    #[test]
    fn a_process_uses_memory_and_has_a_core() {
        let here = std::process::id();
        assert!(memory(here, "VmRSS").unwrap() > 0.0);
        assert!(processor_time(here).is_ok());
        assert!(!cores().unwrap().is_empty());
    }
}
