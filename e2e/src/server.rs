//! What the servers that tests start have in common: a free port, and the wait until they answer.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::Process;
use crate::program;
use crate::wait::eventually;

/// How long a server may take to be ready on a machine that is busy with other tests and builds.
const START: Duration = Duration::from_mins(2);
/// The ports that servers get. They lie below those that the kernel gives to outgoing connections:
/// a client could be given the server's own port while the server is down, and would then be
/// connected to itself.
const PORTS: std::ops::Range<u16> = 18_000..30_000;

/// Finds a port of `address` that nothing listens on.
pub(crate) fn free_port(address: Ipv4Addr) -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    // Every process begins elsewhere, so that two which choose at once choose differently.
    let begin = process::id().wrapping_mul(97) % count;
    for _ in 0..count {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((begin + next) % count)?;
        let port = PORTS.start + offset;
        if TcpListener::bind((address, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port of {address} is free")
}

/// Waits until `probe` succeeds, and fails at once when the process ends before.
pub(crate) fn when_ready<T>(
    what: &str,
    process: Process,
    probe: impl Fn() -> Result<T>,
) -> Result<Process> {
    let ended = eventually(what, START, || {
        if let Some(status) = process.exit_status() {
            return Ok(Some(status));
        }
        match probe() {
            Ok(_) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    })
    .with_context(|| process.log())?;
    match ended {
        None => Ok(process),
        Some(status) => bail!("{what} ended ({status}):\n{}", process.log()),
    }
}

/// Asks a server by `curl`, and gives what it answered.
pub(crate) fn curl(args: &[&str]) -> Result<String> {
    let common = [
        "--silent",
        "--show-error",
        "--fail",
        "--noproxy",
        "*",
        "--max-time",
        "5",
    ];
    let command = program::command(program::require("curl")?, common.iter().chain(args));
    program::run(&command, Duration::from_secs(10))?.ok()
}
