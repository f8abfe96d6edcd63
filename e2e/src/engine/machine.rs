//! The part of a Docker host that outlives its engine: private mounts and process ids, and
//! containerd in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::engine::Generation;
use crate::host::Host;
use crate::owned::{Folder, complain};
use crate::process::{Process, send, tail};
use crate::program;
use crate::wait::eventually;

/// How long a daemon may take to answer on a machine that is busy with other tests and builds.
pub(super) const START: Duration = Duration::from_mins(1);

/// Prepares the private mounts and becomes containerd; arguments: host name, configuration.
///
/// An empty /run keeps everything of this machine's own engine, firewalld and systemd out of reach,
/// and is empty again after a loss of power, as on a real host. `docker-init` reaps what shims
/// leave behind.
const BOOT: &str = r#"
set -e
hostname "$1"
mount -t tmpfs -o mode=755 tmpfs /run
echo 1 > /proc/sys/net/ipv4/ip_forward
exec docker-init -- containerd --config "$2"
"#;

/// Plugins of containerd that need something of this machine or write outside the engine's folder.
///
/// Unknown names are ignored, so one list serves every version.
const PLUGINS_LEFT_OUT: [&str; 8] = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.opt",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
];

/// The namespaces of a running host; dropping it is a loss of power.
#[derive(Debug)]
pub(super) struct Machine {
    /// `unshare`, the parent of `init`.
    process: Process,
    /// The first process of the namespaces.
    init: u32,
}

impl Machine {
    /// Starts the namespaces and containerd, which is separate as on every packaged engine: the
    /// engine stops in 0.1 s then, and in 1.1 s when it has to end its own containerd.
    pub(super) fn boot(host: &Host, generation: Generation, folder: &Folder) -> Result<Self> {
        for name in ["docker-init", "runc", "hostname", "mount", "unshare"] {
            program::require(name)?;
        }
        let configuration = write_configuration(folder.path())?;
        let socket = folder.file("containerd.sock");
        // The socket of a machine that lost its power would look like the new one's.
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let unshare = [
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ];
        let mut boot = program::command("sh", ["-c", BOOT, "boot", host.name()]);
        boot.arg(configuration);
        generation.set_path(&mut boot)?;
        let process = Process::start(
            &host.command(&program::behind(&unshare, &boot)),
            &folder.file("containerd.log"),
        )?;
        let init = eventually("containerd", START, || {
            if let Some(status) = process.exit_status() {
                return Ok(Err(status));
            }
            if !socket.exists() {
                return Err("its socket is not there".into());
            }
            child_of(process.pid())
                .map(Ok)
                .ok_or_else(|| "its process is not there".into())
        })
        .with_context(|| process.log())?;
        match init {
            Ok(init) => Ok(Self { process, init }),
            Err(status) => bail!("containerd ended ({status}):\n{}", process.log()),
        }
    }

    /// Gives `command` for all namespaces of this machine.
    pub(super) fn command(&self, command: &Command) -> Command {
        let target = format!("--target={}", self.init);
        program::behind(
            &[
                "nsenter", &target, "--mount", "--pid", "--net", "--uts", "--",
            ],
            command,
        )
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The kernel reports the end of a pid namespace's first process only when all others in it
        // are gone, and `unshare` ends after it: so nothing of this machine runs any more when this
        // returns.
        let ended = send(self.init, Signal::KILL).and_then(|()| self.process.wait(START));
        complain(ended.map(drop));
    }
}

/// Gives a child process of `parent`.
///
/// Reads all of /proc: `/proc/PID/task/TID/children` is not in every kernel.
pub(super) fn child_of(parent: u32) -> Option<u32> {
    let parent = parent.to_string();
    fs::read_dir("/proc").ok()?.find_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in brackets and may hold anything; state and
        // parent follow.
        let after = stat.rsplit_once(')')?.1;
        (after.split_whitespace().nth(1)? == parent).then_some(pid)
    })
}

/// Gives the end of containerd's log.
pub(super) fn log(folder: &Folder) -> String {
    tail(&folder.file("containerd.log"))
}

fn write_configuration(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("containerd.toml");
    let folder = folder.display();
    let text = format!(
        "version = 2\nroot = \"{folder}/containerd\"\nstate = \"/run/containerd\"\ndisabled_plugins = {PLUGINS_LEFT_OUT:?}\n\
         [grpc]\naddress = \"{folder}/containerd.sock\"\n"
    );
    fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    Ok(path)
}
