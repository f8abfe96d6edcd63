use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};
use dockfleet_e2e::{Dockfleet, Fleet, Process, eventually};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_process_outlives_the_thread_that_started_it_and_ends_with_its_handle() -> Result<()> {
    let process = std::thread::spawn(|| Process::start_alone(&shell("exec sleep 1000")))
        .join()
        .map_err(|_| anyhow!("the thread panicked"))??;
    assert!(process.is_running());
    let proc = format!("/proc/{}", process.pid());
    drop(process);
    assert!(!std::path::Path::new(&proc).exists());
    Ok(())
}

#[test]
fn a_process_can_be_asked_to_end_while_paused() -> Result<()> {
    let process = Process::start_alone(&shell(
        "trap 'exit 7' TERM; echo on; while :; do sleep 0.01; done",
    ))?;
    eventually("its first line", SOON, || {
        (process.log() == "on\n")
            .then_some(())
            .ok_or_else(|| process.log())
    })?;
    process.pause()?;
    assert!(process.is_running());
    assert_eq!(process.terminate(SOON)?.code(), Some(7));
    assert!(!process.is_running());
    process.kill()
}

#[test]
fn a_killed_process_tells_its_signal() -> Result<()> {
    let process = Process::start_alone(&shell("exec sleep 1000"))?;
    process.kill()?;
    assert_eq!(process.exit_status().and_then(|s| s.signal()), Some(9));
    Ok(())
}

#[test]
fn waiting_in_vain_tells_what_for_and_the_last_reason() {
    let mut asked = 0;
    let error = eventually::<()>("rain", Duration::from_millis(50), || {
        asked += 1;
        Err(format!("dry {asked}"))
    })
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("rain") && error.ends_with(&format!("dry {asked}")),
        "{error}"
    );
}

#[test]
fn a_program_runs_in_the_network_of_its_host() -> Result<()> {
    let host = Fleet::new()?.host("h1")?;
    let seen = host
        .run("ip", ["-4", "-o", "addr", "show", "dev", "eth0"])?
        .ok()?;
    assert!(seen.contains(&format!(" {}/24 ", host.address())), "{seen}");
    Ok(())
}

#[test]
fn the_program_under_test_is_found_or_the_command_that_builds_it_named() {
    match Dockfleet::find() {
        Ok(found) => assert!(found.binary().is_file()),
        Err(error) => assert!(
            error.to_string().contains("cargo build -p dockfleet"),
            "{error}"
        ),
    }
}
