//! The compared programs, each run like by its users.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use dockfleet_e2e::Engine;

use super::data::{Data, VOLUME, folder_of};
use super::watched::{Watched, WatchedProcess};
use crate::lab::{LIMIT, PeerLab};
use crate::run::timed;

const PASSWORD: &str = "correct horse";
/// The volume that Dockfleet restores into.
const RESTORED: &str = "restored";

/// A program that makes backups.
pub(super) trait Program {
    /// Its name in the table.
    fn name(&self) -> String;
    /// Whether a second backup differs from the first.
    fn is_incremental(&self) -> bool;
    /// Prepares an empty place for backups.
    fn begin(&self) -> Result<Box<dyn Work + '_>>;
}

/// A program and its place for backups.
pub(super) trait Work {
    fn backup(&mut self) -> Result<Watched>;
    fn restore(&mut self) -> Result<Watched>;
    /// Returns the folder that was restored.
    fn restored(&self, engine: &Engine) -> Result<PathBuf>;
    /// Removes everything.
    fn end(&mut self) -> Result<()>;
}

/// All of them.
pub(super) struct Programs<'a> {
    pub(super) dockfleet: Dockfleet<'a>,
    pub(super) tar: Tar<'a>,
    pub(super) restic: Restic<'a>,
    pub(super) container: Container<'a>,
}

impl<'a> Programs<'a> {
    pub(super) fn find(lab: &'a PeerLab, engine: &'a Engine, data: &'a Data) -> Result<Self> {
        let password = lab.scratch.write("", PASSWORD)?;
        let mut version = Command::new("restic");
        let version = timed(version.arg("version"), LIMIT)?.stdout;
        let version = version.split(' ').nth(1).context("no version of restic")?;
        Ok(Self {
            dockfleet: Dockfleet {
                lab,
                engine,
                password: password.clone(),
            },
            tar: Tar { lab, data },
            restic: Restic {
                lab,
                data,
                password,
                name: format!("restic {version}"),
            },
            container: Container { lab, engine },
        })
    }
}

/// `dockfleet backup` and `dockfleet restore`.
pub(super) struct Dockfleet<'a> {
    lab: &'a PeerLab,
    engine: &'a Engine,
    password: PathBuf,
}

impl Dockfleet<'_> {
    /// Returns the process that reads or writes the files: the last one that a command starts.
    pub(super) fn job(run: &Watched) -> Result<&WatchedProcess> {
        let job = run.processes.last();
        job.filter(|job| job.arguments.ends_with("backup-job "))
            .context("no process of a job was seen")
    }

    /// Returns the most memory of the command itself.
    pub(super) fn command(run: &Watched) -> f64 {
        run.processes.first().map_or(0.0, |process| process.peak)
    }

    /// Returns the most memory of the job before, which derives the key of the repository from its password.
    pub(super) fn opening(run: &Watched) -> f64 {
        run.processes.get(1).map_or(0.0, |process| process.peak)
    }
}

impl Program for Dockfleet<'_> {
    fn name(&self) -> String {
        "dockfleet".to_owned()
    }

    fn is_incremental(&self) -> bool {
        true
    }

    fn begin(&self) -> Result<Box<dyn Work + '_>> {
        Ok(Box::new(DockfleetWork {
            program: self,
            store: self.lab.scratch.folder()?,
            state: self.lab.scratch.folder()?,
        }))
    }
}

struct DockfleetWork<'a> {
    program: &'a Dockfleet<'a>,
    store: PathBuf,
    state: PathBuf,
}

impl DockfleetWork<'_> {
    fn run(&self, args: &[&str], store: &str) -> Result<Watched> {
        let mut command = self.program.lab.dockfleet.command(args);
        command
            .arg(store)
            .arg(&self.store)
            .arg("--password-file")
            .arg(&self.program.password)
            .env("DOCKER_HOST", self.program.engine.docker_host())
            .env("DOCKFLEET_STATE_DIR", &self.state);
        Watched::run(&mut command)
    }
}

impl Work for DockfleetWork<'_> {
    fn backup(&mut self) -> Result<Watched> {
        self.run(&["backup", VOLUME, "--create"], "--to")
    }

    fn restore(&mut self) -> Result<Watched> {
        self.run(&["restore", VOLUME, "--to-volume", RESTORED], "--from")
    }

    fn restored(&self, engine: &Engine) -> Result<PathBuf> {
        folder_of(engine, RESTORED)
    }

    fn end(&mut self) -> Result<()> {
        self.program.engine.docker(["volume", "rm", RESTORED])?;
        Ok(fs::remove_dir_all(&self.store)?)
    }
}

/// `tar` and `zstd`, in pipes.
pub(super) struct Tar<'a> {
    lab: &'a PeerLab,
    data: &'a Data,
}

impl Program for Tar<'_> {
    fn name(&self) -> String {
        "tar, zstd -3".to_owned()
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn begin(&self) -> Result<Box<dyn Work + '_>> {
        Ok(Box::new(TarWork {
            data: self.data,
            archive: self.lab.scratch.path(".tar.zst"),
            restored: self.lab.scratch.folder()?,
        }))
    }
}

struct TarWork<'a> {
    data: &'a Data,
    archive: PathBuf,
    restored: PathBuf,
}

impl Work for TarWork<'_> {
    fn backup(&mut self) -> Result<Watched> {
        let line = "tar --create --directory \"$1\" . | zstd -3 --quiet -o \"$2\"";
        shell(line, [&self.data.folder, &self.archive])
    }

    fn restore(&mut self) -> Result<Watched> {
        let line = "zstd --decompress --stdout \"$1\" | tar --extract --directory \"$2\"";
        shell(line, [&self.archive, &self.restored])
    }

    fn restored(&self, _: &Engine) -> Result<PathBuf> {
        Ok(self.restored.clone())
    }

    fn end(&mut self) -> Result<()> {
        fs::remove_dir_all(&self.restored)?;
        Ok(fs::remove_file(&self.archive)?)
    }
}

fn shell(line: &str, paths: [&Path; 2]) -> Result<Watched> {
    let mut command = Command::new("bash");
    command
        .args(["-o", "pipefail", "-c", line, "bench"])
        .args(paths);
    Watched::run(&mut command)
}

/// restic, with an empty cache in each round.
pub(super) struct Restic<'a> {
    lab: &'a PeerLab,
    data: &'a Data,
    password: PathBuf,
    name: String,
}

impl Program for Restic<'_> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn is_incremental(&self) -> bool {
        true
    }

    fn begin(&self) -> Result<Box<dyn Work + '_>> {
        let work = ResticWork {
            program: self,
            repository: self.lab.scratch.folder()?,
            cache: self.lab.scratch.folder()?,
            restored: self.lab.scratch.folder()?,
        };
        timed(&mut work.command(&["init"]), LIMIT)?;
        Ok(Box::new(work))
    }
}

struct ResticWork<'a> {
    program: &'a Restic<'a>,
    repository: PathBuf,
    cache: PathBuf,
    restored: PathBuf,
}

impl ResticWork<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command
            .args(args)
            .arg("--repo")
            .arg(&self.repository)
            .arg("--password-file")
            .arg(&self.program.password)
            .arg("--cache-dir")
            .arg(&self.cache);
        command
    }
}

impl Work for ResticWork<'_> {
    fn backup(&mut self) -> Result<Watched> {
        let mut command = self.command(&["backup", "."]);
        Watched::run(command.current_dir(&self.program.data.folder))
    }

    fn restore(&mut self) -> Result<Watched> {
        let mut command = self.command(&["restore", "latest"]);
        Watched::run(command.arg("--target").arg(&self.restored))
    }

    fn restored(&self, _: &Engine) -> Result<PathBuf> {
        Ok(self.restored.clone())
    }

    fn end(&mut self) -> Result<()> {
        for folder in [&self.restored, &self.repository, &self.cache] {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }
}

/// A container that mounts the volume and writes a compressed archive: offen/docker-volume-backup, and most scripts.
pub(super) struct Container<'a> {
    lab: &'a PeerLab,
    engine: &'a Engine,
}

impl Program for Container<'_> {
    fn name(&self) -> String {
        "tar, gzip in a container".to_owned()
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn begin(&self) -> Result<Box<dyn Work + '_>> {
        Ok(Box::new(ContainerWork {
            program: self,
            archive: self.lab.scratch.folder()?,
            restored: self.lab.scratch.folder()?,
        }))
    }
}

struct ContainerWork<'a> {
    program: &'a Container<'a>,
    archive: PathBuf,
    restored: PathBuf,
}

impl ContainerWork<'_> {
    fn run(&self, mounts: [&str; 2], line: &str) -> Result<Watched> {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network", "none"]);
        for mount in mounts {
            command.args(["--volume", mount]);
        }
        command
            .args(["busybox:local", "busybox", "sh", "-c", line])
            .env("DOCKER_HOST", self.program.engine.docker_host());
        Watched::run(&mut command)
    }
}

impl Work for ContainerWork<'_> {
    fn backup(&mut self) -> Result<Watched> {
        let archive = format!("{}:/archive", self.archive.display());
        self.run(
            [&format!("{VOLUME}:/data:ro"), &archive],
            "set -o pipefail; busybox tar -c -C /data . | busybox gzip >/archive/data.tar.gz",
        )
    }

    fn restore(&mut self) -> Result<Watched> {
        let archive = format!("{}:/archive:ro", self.archive.display());
        let restored = format!("{}:/data", self.restored.display());
        self.run(
            [&restored, &archive],
            "set -o pipefail; busybox gunzip -c /archive/data.tar.gz | busybox tar -x -C /data",
        )
    }

    fn restored(&self, _: &Engine) -> Result<PathBuf> {
        Ok(self.restored.clone())
    }

    fn end(&mut self) -> Result<()> {
        for folder in [&self.restored, &self.archive] {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }
}
