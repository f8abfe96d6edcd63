//! Manifests with one mistake each (`e2e/broken`): refused by the API server and by the program, in
//! the same words, before anything is done.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{ControlPlane, Dockfleet};

use crate::test_cluster::install_crds;

/// A broken manifest and what its first line says the answer is.
struct Broken {
    path: PathBuf,
    text: String,
    message: String,
}

fn broken() -> Result<Vec<Broken>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("broken");
    let mut paths = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    ensure!(paths.len() >= 30, "{} holds too few", folder.display());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path)?;
        let first = text.lines().next().unwrap_or_default();
        let message = first.strip_prefix("# expect: ");
        let message = message.with_context(|| format!("{} expects nothing", path.display()))?;
        Ok(Broken {
            message: message.to_owned(),
            path,
            text,
        })
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn kubectl_refuses_broken_manifests_with_a_helpful_sentence() -> Result<()> {
    let plane = ControlPlane::start_on_loopback()?;
    install_crds(&plane, &Dockfleet::find()?)?;
    plane
        .kubectl(["create", "namespace", "dockfleet-hosts"])?
        .ok()?;
    let mut wrong = Vec::new();
    for Broken { path, message, .. } in broken()? {
        let applied = plane.kubectl(["apply", "-f", &path.display().to_string()])?;
        if applied.success() || !applied.stderr.contains(&message) {
            wrong.push(format!(
                "{}: {}{}",
                path.display(),
                applied.stdout,
                applied.stderr
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    let all = plane.get_json(&["dnet,dvol,dhost", "--all-namespaces"])?;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(0), "{all}");
    Ok(())
}

/// The line of the field that a message is about, or of what is around it.
fn line_of(message: &str, text: &str) -> Option<usize> {
    let (_, quoted) = message.split_once("unknown field \"").unwrap_or_default();
    let path = match quoted.split_once('"') {
        Some((path, _)) => path,
        None if message.contains("in version \"dockfleet.io/v1alpha1\"") => "kind",
        None if message.starts_with("no matches for kind") => "apiVersion",
        None => message.split(": ").next()?,
    };
    // Each part stands behind the one around it; what is written in one line with that has its line.
    let (mut line, mut found) = (0, None);
    for part in path.split('.') {
        let name = part.split('[').next()?;
        let is_it = |line: &str| {
            let line = line.trim_start().trim_start_matches("- ");
            line.split_once(':').is_some_and(|(key, _)| key == name)
        };
        if let Some(at) = text.lines().skip(line).position(is_it) {
            line += at + 1;
            found = Some(line);
        }
    }
    found
}

#[test]
fn apply_refuses_broken_manifests_in_the_same_words_and_touches_nothing() -> Result<()> {
    let dockfleet = Dockfleet::find()?;
    let folder = std::env::temp_dir().join(format!("broken-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let socket = folder.join("docker.sock");
    let engine = UnixListener::bind(&socket)?;
    engine.set_nonblocking(true)?;
    let run = |path: &Path| {
        let mut command = dockfleet.command(["apply", "-f"]);
        command
            .arg(path)
            .arg("--state-dir")
            .arg(folder.join("state"))
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .env_remove("DOCKFLEET_LOG");
        dockfleet.run_command(&command, None)
    };
    let mut wrong = Vec::new();
    let all = broken()?;
    for Broken {
        path,
        text,
        message,
    } in &all
    {
        let line = line_of(message, text).with_context(|| message.clone())?;
        let place = format!("{}:{line}: ", path.display());
        let said = run(path)?;
        let reported = said
            .stderr
            .lines()
            .any(|l| l.contains(&place) && l.contains(message));
        if said.code() != Some(3) || !reported || !said.stdout.is_empty() {
            wrong.push(format!(
                "{place}{message}\n  {:?} {}{}",
                said.code(),
                said.stdout,
                said.stderr
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // All of them at once are told at once.
    let folder_of_all = all.first().and_then(|b| b.path.parent()).context("none")?;
    let said = run(folder_of_all)?;
    assert_eq!(said.code(), Some(3));
    for Broken { message, .. } in &all {
        assert!(said.stderr.contains(message), "{message}\n{}", said.stderr);
    }
    let asked = engine.accept().map(drop).map_err(|e| e.kind());
    assert_eq!(asked, Err(ErrorKind::WouldBlock), "an engine was asked");
    assert!(!folder.join("state").exists(), "a journal was opened");
    fs::remove_dir_all(folder)?;
    Ok(())
}
