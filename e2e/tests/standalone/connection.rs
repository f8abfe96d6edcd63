//! The ways to a host: socket, TCP with TLS, ssh; and hosts that cannot be reached.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Fleet, Generation, eventually};

use crate::certificates::Authority;
use crate::desk::{Desk, Report, SOON, for_each_generation, pair, says};
use crate::{have, manifest};

for_each_generation!(
    one_unreachable_host_does_not_stop_the_other,
    an_engine_behind_tls_is_reached_with_its_certificates_only,
    an_engine_behind_ssh_is_reached,
);

fn one_unreachable_host_does_not_stop_the_other(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let desk = Desk::for_hosts_in_files()?;
    desk.write("hosts/all.yaml", &(manifest::host(&first, "{}") + &manifest::host(&second, "{}")))?;
    desk.write("front.yaml", &(manifest::network("front", "") + &manifest::volume("data", "")))?;
    let files = ["-f", "hosts", "-f", "front.yaml"];
    let apply = || desk.report(&[&["apply"], &files[..]].concat());
    first.stop()?;
    let report = apply()?.ended_with(1)?;
    says(&report.failure("h1")?, &["no Docker Engine answers at unix://"])?;
    for name in ["front", "data"] {
        assert_eq!(report.row_on("h2", name)?["state"], "Ready");
    }
    assert!(have::has_network(&second, "front")?);
    assert_eq!(desk.run(&[&["diff"], &files[..]].concat())?.code(), Some(1));

    // Back again it catches up, and the other one has nothing to do.
    let id = have::network_id(&second, "front")?;
    first.start_again()?;
    let report = apply()?.all_ready()?;
    assert_eq!(report.rows().len(), 4);
    assert_eq!(report.changed(), Some(2));
    assert_eq!(report.row_on("h1", "front")?["id"], have::network_id(&first, "front")?);
    assert_eq!(have::network_id(&second, "front")?, id);

    // Letting go does not wait for it either (7).
    second.stop()?;
    let report = desk.report(&[&["delete"], &files[..]].concat())?.ended_with(1)?;
    report.failure("h2")?;
    assert!(!have::has_network(&first, "front")?);
    Ok(())
}

/// The arguments of an engine that lets in whom `ca.pem` knows.
fn on_tls(certificates: &Path, address: Ipv4Addr) -> Vec<String> {
    let file = |name: &str| certificates.join(name).display().to_string();
    vec![
        "--host".to_owned(),
        format!("tcp://{address}:2376"),
        "--tlsverify".to_owned(),
        format!("--tlscacert={}", file("ca.pem")),
        format!("--tlscert={}", file("cert.pem")),
        format!("--tlskey={}", file("key.pem")),
    ]
}

fn an_engine_behind_tls_is_reached_with_its_certificates_only(
    generation: Generation,
) -> Result<()> {
    let host = Fleet::new()?.host("h1")?;
    let desk = Desk::for_hosts_in_files()?;
    let (ours, stranger) = (Authority::new("ours")?, Authority::new("a stranger")?);
    ours.server(&desk.file("server"), host.address())?;
    let arguments = on_tls(&desk.file("server"), host.address());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let engine = Engine::start_with(&host, generation, &arguments)?;

    ours.client(&desk.file("hosts/right"))?;
    ours.client(&desk.file("hosts/wrong-authority"))?;
    stranger.root(&desk.file("hosts/wrong-authority"))?;
    stranger.client(&desk.file("hosts/wrong-client"))?;
    ours.root(&desk.file("hosts/wrong-client"))?;
    let endpoint = format!("tcp://{}:2376", host.address());
    let apply = |certificates: &str| -> Result<Report> {
        let direct = format!("endpoint: {endpoint}\n{certificates}");
        let yaml = manifest::reached_by("h1", "{}", &direct) + &manifest::network("front", "");
        desk.write("hosts/all.yaml", &yaml)?;
        desk.report(&["apply", "-f", "hosts/all.yaml"])
    };
    for certificates in ["certPath: wrong-authority", "certPath: wrong-client", ""] {
        let report = apply(certificates)?.ended_with(1)?;
        says(&report.failure("h1")?, &["no Docker Engine answers at", &endpoint])?;
        assert!(!have::has_network(&engine, "front")?, "{certificates}");
    }
    let report = apply("certPath: missing")?;
    ensure!(report.code != Some(0), "{report:?}");
    // The path is seen from the file, and not from where the command runs.
    let report = apply("certPath: right")?.all_ready()?;
    assert_eq!(report.row("front")?["id"], have::network_id(&engine, "front")?);

    // The same by the variables of the Docker CLI.
    let desk_of_cli = Desk::with_docker_host(&endpoint)?;
    desk_of_cli.write("all.yaml", &manifest::network("back", ""))?;
    let mut command = desk_of_cli.command(&["apply", "-f", "all.yaml"]);
    command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", desk.file("hosts/right"));
    desk.program().run_command(&command, None)?.ok()?;
    assert!(have::has_network(&engine, "back")?);
    Ok(())
}

/// Starts an ssh server on the engine's host, with the engine at its usual place.
///
/// The home folder of its own mount namespace holds the one key that is let in.
const SSH_SERVER: &str = r#"
set -e
ln -s "$2" /run/docker.sock
dropbearkey -t ed25519 -f "$1/host-key"
exec unshare --mount sh -c '
set -e
mount -t tmpfs -o mode=700 tmpfs ~
mkdir -m 700 ~/.ssh
cp "$1/key.pub" ~/.ssh/authorized_keys
exec dropbear -e -s -r "$1/host-key" -P "$1/pid" >/dev/null 2>&1
' inner "$1"
"#;

fn tool(line: &str, folder: &Path) -> Result<String> {
    let output = Command::new("sh").args(["-c", line]).current_dir(folder).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`{line}`: {said} (is it installed? run `make deps`)");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn an_engine_behind_ssh_is_reached(generation: Generation) -> Result<()> {
    let host = Fleet::new()?.host("h1")?;
    let engine = Engine::start(&host, generation)?;
    let desk = Desk::for_hosts_in_files()?;
    let folder = desk.file("ssh");
    fs::create_dir_all(&folder)?;
    tool("ssh-keygen -q -t ed25519 -N '' -f key && ssh-keygen -q -t ed25519 -N '' -f other", &folder)?;
    let path = folder.display().to_string();
    let socket = engine.socket().display().to_string();
    engine.run_inside("sh", &["-c", SSH_SERVER, "server", &path, &socket])?.ok()?;

    // ssh reads its configuration from the home of the user, not from $HOME.
    let ssh = tool("command -v ssh", &folder)?;
    desk.write("ssh/ssh", &format!("#!/bin/sh\nexec {ssh} -F {path}/config \"$@\"\n"))?;
    tool("chmod +x ssh", &folder)?;
    let configure = |key: &str| {
        let text = format!(
            "Host *\nIdentityFile {path}/{key}\nIdentitiesOnly yes\nUserKnownHostsFile {path}/known\n"
        );
        desk.write("ssh/config", &text)
    };
    let endpoint = format!("ssh://root@{}", host.address());
    let yaml = manifest::reached_by("h1", "{}", &format!("endpoint: {endpoint}"))
        + &manifest::network("front", "");
    desk.write("all.yaml", &yaml)?;
    let state = desk.state_dir().with_file_name("xdg");
    fs::create_dir_all(&state)?;
    let run = |command: &str| -> Result<Report> {
        let line = format!("PATH={path}:$PATH exec dockfleet {command} -f all.yaml -o json");
        let mut shell = desk.shell(&line);
        shell.env("XDG_STATE_HOME", &state).env_remove("SSH_AUTH_SOCK");
        Report::of(desk.program().run_command(&shell, None)?)
    };

    configure("other")?;
    let report = run("apply")?.ended_with(1)?;
    says(&report.failure("h1")?, &["no Docker Engine answers at", &endpoint])?;
    assert!(!have::has_network(&engine, "front")?);

    configure("key")?;
    let report = run("apply")?.all_ready()?;
    assert_eq!(report.row("front")?["id"], have::network_id(&engine, "front")?);
    assert_eq!(run("apply")?.all_ready()?.changed(), Some(0));
    run("diff")?.ended_with(0)?;
    run("delete")?.ended_with(0)?;
    assert!(!have::has_network(&engine, "front")?);
    eventually("the end of ssh", SOON, || {
        let left = sessions(&state).map_err(|e| format!("{e:#}"))?;
        left.is_empty().then_some(()).ok_or_else(|| left.join("\n"))
    })
}

/// Gives the command lines of the processes that name a folder.
fn sessions(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder) {
            found.push(line);
        }
    }
    Ok(found)
}
