use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{eventually, sweep};

/// A test process with all there is: two hosts, engines, a container with a network, and a control
/// plane.
fn everything() -> Result<Child> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_e2e-fleet"))
        .arg("2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("no output")?;
    let mut ready = false;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some((_, host)) = line.split_once("DOCKER_HOST=") {
            docker(host, &["network", "create", "front"])?;
            docker(host, &["run", "-d", "--network", "front", "busybox:local"])?;
        }
        if line == "ready" {
            ready = true;
            break;
        }
    }
    ensure!(ready, "e2e-fleet ended: {}", child.wait()?);
    Ok(child)
}

fn docker(host: &str, args: &[&str]) -> Result<()> {
    let status = Command::new("docker")
        .env("DOCKER_HOST", host)
        .args(args)
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "docker {args:?}: {status}");
    Ok(())
}

/// The processes that are in a control group or use a folder of the test process `pid`.
fn processes_of(pid: u32) -> Result<Vec<String>> {
    let mark = format!("/dfe{pid}x");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let about = [read("cgroup"), read("cmdline")].concat();
        let about = String::from_utf8_lossy(&about);
        if about.contains(&mark) {
            found.push(format!("{name}: {about}"));
        }
    }
    Ok(found)
}

/// Everything else on the machine whose name carries `pid`.
fn things_of(pid: u32) -> Result<Vec<String>> {
    let marks = ['b', 'v', 'n', 'e'].map(|kind| format!("df{kind}{pid}x"));
    let mut lines: Vec<String> = Vec::new();
    let temporary = std::env::temp_dir();
    let folders = ["/run/netns".into(), "/sys/class/net".into(), temporary];
    let groups = fs::read_dir("/sys/fs/cgroup")?.flatten().map(|e| e.path());
    for folder in folders.into_iter().chain(groups) {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        lines.extend(entries.map(|e| e.path().display().to_string()));
    }
    for text in [
        fs::read_to_string("/proc/mounts")?,
        output("iptables", &["-w", "-S"])?,
        output("ip", &["-o", "link"])?,
    ] {
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.retain(|line| marks.iter().any(|mark| line.contains(mark)));
    Ok(lines)
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn nothing_is_left_of_a_test_that_ends() -> Result<()> {
    let mut child = everything()?;
    let pid = child.id();
    assert!(
        processes_of(pid)?.len() > 8,
        "the check sees what it looks for"
    );
    assert!(
        things_of(pid)?.len() > 8,
        "the check sees what it looks for"
    );
    drop(child.stdin.take());
    ensure!(child.wait()?.success(), "e2e-fleet failed");
    assert_eq!(processes_of(pid)?, Vec::<String>::new());
    assert_eq!(things_of(pid)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn nothing_is_left_of_a_test_that_was_killed() -> Result<()> {
    let mut child = everything()?;
    let pid = child.id();
    child.kill()?;
    child.wait()?;
    eventually("the end of its processes", Duration::from_secs(20), || {
        let left = processes_of(pid).map_err(|e| e.to_string())?;
        left.is_empty().then_some(()).ok_or_else(|| left.join("\n"))
    })?;
    sweep()?;
    assert_eq!(things_of(pid)?, Vec::<String>::new());
    Ok(())
}
