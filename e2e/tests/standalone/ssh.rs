//! An engine behind ssh: a real server on the engine's host, a real client here.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use dockfleet_e2e::{Engine, Fleet, Folder, Generation, eventually};

use crate::cli_env::{CliEnv, Report, SOON, for_each_generation, says};
use crate::{have, manifest};

for_each_generation!(
    an_engine_behind_ssh_is_reached,
    no_ssh_process_outlives_its_command,
    a_stranger_gets_nowhere_and_nor_do_we_with_one,
);

/// Starts an ssh server on the engine's host, with the engine at its usual place.
///
/// The home folder of its own mount namespace holds the one key that is let in; the server goes by the
/// user's, not by $HOME.
const SERVER: &str = r#"
set -e
ln -s "$2" /run/docker.sock
dropbearkey -t ed25519 -f "$1/host-key"
dropbearkey -y -f "$1/host-key" | grep ^ssh- >"$1/host-key.pub"
HOME=$(getent passwd "$(id -u)" | cut -d: -f6) exec unshare --mount sh -c '
set -e
mount -t tmpfs -o mode=700 tmpfs ~
mkdir -m 700 ~/.ssh
cp "$1/key.pub" ~/.ssh/authorized_keys
exec dropbear -e -s -r "$1/host-key" -P "$1/pid" >/dev/null 2>&1
' inner "$1"
"#;

/// An engine, and a cli from which ssh leads to it.
struct Far {
    cli: CliEnv,
    engine: Engine,
    endpoint: String,
    /// Keys, and what ssh is told.
    keys: Folder,
    /// Where ssh sessions are kept.
    sessions: Folder,
}

impl Far {
    fn new(generation: Generation) -> Result<Self> {
        let host = Fleet::new()?.host("h1")?;
        let far = Self {
            cli: CliEnv::for_hosts_in_files()?,
            engine: Engine::start(&host, generation)?,
            endpoint: format!("ssh://root@{}", host.address()),
            keys: Folder::new()?,
            sessions: Folder::new()?,
        };
        let keys = far.keys.path().display().to_string();
        for name in ["key", "other"] {
            far.tool(&format!("ssh-keygen -q -t ed25519 -N '' -f {name}"))?;
        }
        let socket = far.engine.socket().display().to_string();
        let server = ["-c", SERVER, "server", &keys, &socket];
        far.engine.run_inside("sh", &server)?.ok()?;
        far.knows("host-key")?;
        // ssh reads its configuration from the home of the user, not from $HOME.
        let ssh = far.tool("command -v ssh")?;
        let wrapper = format!("#!/bin/sh\nexec {ssh} -F {keys}/config \"$@\"\n");
        fs::write(far.keys.file("ssh"), wrapper)?;
        far.tool("chmod +x ssh")?;
        far.uses("key")?;
        Ok(far)
    }

    /// Lets ssh use one key only.
    fn uses(&self, key: &str) -> Result<()> {
        let keys = self.keys.path().display();
        let text = format!(
            "Host *\nIdentityFile {keys}/{key}\nIdentitiesOnly yes\nUserKnownHostsFile {keys}/known\n"
        );
        Ok(fs::write(self.keys.file("config"), text)?)
    }

    /// Lets ssh expect one key at the address of the engine's host.
    fn knows(&self, key: &str) -> Result<()> {
        let address = self.engine.host().address();
        let key = fs::read_to_string(self.keys.file(&format!("{key}.pub")))?;
        Ok(fs::write(
            self.keys.file("known"),
            format!("{address} {key}"),
        )?)
    }

    fn tool(&self, line: &str) -> Result<String> {
        let mut shell = Command::new("sh");
        let output = shell
            .args(["-c", line])
            .current_dir(self.keys.path())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "`{line}`: {said} (is it installed? run `make deps`)"
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs a command on the host and one network.
    fn run(&self, command: &str) -> Result<Report> {
        let direct = format!("endpoint: {}", self.endpoint);
        let yaml = manifest::reached_by("h1", "{}", &direct) + &manifest::network("front", "");
        self.cli.write("all.yaml", &yaml)?;
        let path = self.keys.path().display();
        let line = format!("PATH={path}:$PATH exec dockfleet {command} -f all.yaml -o json");
        let mut shell = self.cli.shell(&line);
        shell
            .env("XDG_STATE_HOME", self.sessions.path())
            .env_remove("SSH_AUTH_SOCK");
        Report::of(self.cli.program().run_command(&shell, None)?)
    }

    /// Gives the processes of ssh that there are.
    fn processes(&self) -> Result<Vec<(PathBuf, String)>> {
        let config = self.keys.file("config").display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&config) {
                found.push((entry.path(), line));
            }
        }
        Ok(found)
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let left = self.processes().unwrap_or_default();
        for pid in left.iter().filter_map(|(path, _)| path.file_name()) {
            // Whatever ended by itself in the meantime is fine.
            let _ = Command::new("kill").arg(pid).output();
        }
    }
}

fn an_engine_behind_ssh_is_reached(generation: Generation) -> Result<()> {
    let far = Far::new(generation)?;
    let report = far.run("apply")?.all_ready()?;
    assert_eq!(
        report.row("front")?["id"],
        have::network_id(&far.engine, "front")?
    );
    assert_eq!(far.run("apply")?.all_ready()?.changed(), Some(0));
    far.run("diff")?.ended_with(0)?;
    far.run("delete")?.ended_with(0)?;
    assert!(!have::has_network(&far.engine, "front")?);
    Ok(())
}

fn no_ssh_process_outlives_its_command(generation: Generation) -> Result<()> {
    let far = Far::new(generation)?;
    for command in ["apply", "diff", "apply", "delete"] {
        far.run(command)?.ended_with(0)?;
        eventually("the end of ssh", SOON, || {
            let left = far.processes().map_err(|e| e.to_string())?;
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("after {command}: {left:?}"))
            }
        })?;
    }
    let left: Vec<_> = fs::read_dir(far.sessions.path())?
        .flatten()
        .map(|e| e.path())
        .collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}

fn a_stranger_gets_nowhere_and_nor_do_we_with_one(generation: Generation) -> Result<()> {
    let far = Far::new(generation)?;
    let refused = |why: &str| -> Result<()> {
        let report = far.run("apply")?.ended_with(1)?;
        says(
            &report.failure("h1")?,
            &["no Docker Engine answers at", &far.endpoint, why],
        )?;
        assert!(!have::has_network(&far.engine, "front")?);
        Ok(())
    };
    far.uses("other")?;
    refused("Permission denied (publickey)")?;
    far.uses("key")?;
    far.run("apply")?.all_ready()?;
    far.run("delete")?.ended_with(0)?;

    let unknown = "Host key verification failed";
    // Another host at that address has another key.
    far.knows("other")?;
    refused(unknown)?;
    // And nobody vouches for one that was never seen.
    fs::remove_file(far.keys.file("known"))?;
    refused(unknown)?;
    assert!(!far.keys.file("known").exists());
    Ok(())
}
