//! What a person without a cluster has: files, the program, and a folder for its journals.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Dockfleet, Engine, Fleet, Folder, Generation, Output, Process};
use serde_json::Value;

/// How long what happens by itself may take.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Makes two tests of each check, one per engine generation. A check gets an engine of its own and
/// the cli of its administrator.
macro_rules! on_each_engine {
    ($($check:ident),+ $(,)?) => { $(
        mod $check {
            use dockfleet_e2e::Generation;

            fn run(generation: Generation) -> anyhow::Result<()> {
                let engine = crate::cli_env::solo(generation)?;
                super::$check(&engine, &crate::cli_env::CliEnv::at(&engine)?)
            }

            #[test]
            fn on_20() -> anyhow::Result<()> {
                run(Generation::Debian20)
            }

            #[test]
            fn on_the_newest() -> anyhow::Result<()> {
                run(Generation::Newest)
            }
        }
    )+ };
}

/// Makes two tests of each check, one per engine generation. A check starts its own engines.
macro_rules! for_each_generation {
    ($($check:ident),+ $(,)?) => { $(
        mod $check {
            #[test]
            fn on_20() -> anyhow::Result<()> {
                super::$check(dockfleet_e2e::Generation::Debian20)
            }

            #[test]
            fn on_the_newest() -> anyhow::Result<()> {
                super::$check(dockfleet_e2e::Generation::Newest)
            }
        }
    )+ };
}

pub(crate) use {for_each_generation, on_each_engine};

/// Starts one engine on a host of its own.
pub(crate) fn solo(generation: Generation) -> Result<Engine> {
    Engine::start(&Fleet::new()?.host("solo")?, generation)
}

/// Starts two engines on the hosts `h1` and `h2` of one network.
pub(crate) fn pair(generation: Generation) -> Result<(Engine, Engine)> {
    let fleet = Fleet::new()?;
    let first = Engine::start(&fleet.host("h1")?, generation)?;
    let second = Engine::start(&fleet.host("h2")?, generation)?;
    Ok((first, second))
}

/// A folder of manifests, the program, and a folder for its journals.
pub(crate) struct CliEnv {
    folder: Folder,
    program: Dockfleet,
    docker_host: String,
}

impl CliEnv {
    /// Gives a cli whose `DOCKER_HOST` is `engine`.
    pub(crate) fn at(engine: &Engine) -> Result<Self> {
        Self::with_docker_host(&engine.docker_host())
    }

    /// Gives a cli with any `DOCKER_HOST`.
    pub(crate) fn with_docker_host(docker_host: &str) -> Result<Self> {
        let cli = Self {
            folder: Folder::new()?,
            program: Dockfleet::find()?,
            docker_host: docker_host.to_owned(),
        };
        fs::create_dir(cli.folder.file("files"))?;
        Ok(cli)
    }

    /// Gives a cli without an engine beside it: its hosts are in its files.
    pub(crate) fn for_hosts_in_files() -> Result<Self> {
        Self::with_docker_host("unix:///nowhere/docker.sock")
    }

    /// Gives the path of a file; commands name it as `name`, for that is where they run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.file("files").join(name)
    }

    /// Writes a file, in folders as its name says.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.file(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
    }

    /// Gives the folder of the journals.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.file("state")
    }

    /// Gives the folder of the only journal there is.
    pub(crate) fn journal(&self) -> Result<PathBuf> {
        let entries = fs::read_dir(self.state_dir())?.collect::<Result<Vec<_>, _>>()?;
        let [only] = entries.as_slice() else {
            anyhow::bail!("{} journals instead of one", entries.len());
        };
        Ok(only.path())
    }

    /// Gives the program.
    pub(crate) fn program(&self) -> &Dockfleet {
        &self.program
    }

    /// Gives a command of the program in this cli's folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.placed(self.program.command(args))
    }

    /// Gives a line for the shell, in which `dockfleet` is the program.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = self.program.binary().parent().map(|p| p.display());
        let folder = folder.map(|f| f.to_string()).unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        shell.env("PATH", format!("{folder}:{path}"));
        self.placed(shell)
    }

    fn placed(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.file("files"))
            .env("DOCKER_HOST", &self.docker_host)
            .env("DOCKFLEET_STATE_DIR", self.state_dir())
            .env_remove("DOCKER_TLS_VERIFY")
            .env_remove("DOCKER_CERT_PATH")
            .env_remove("DOCKFLEET_LOG");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Output> {
        self.program.run_command(&self.command(args), None)
    }

    /// Runs a line for the shell to its end.
    pub(crate) fn run_shell(&self, line: &str) -> Result<Output> {
        self.program.run_command(&self.shell(line), None)
    }

    /// Writes `manifest` to `all.yaml`, and runs a command on it.
    pub(crate) fn with(&self, manifest: &str, args: &[&str]) -> Result<Report> {
        self.write("all.yaml", manifest)?;
        self.report(&[args, &["-f", "all.yaml"]].concat())
    }

    /// Runs a command that prints a result, and reads it.
    pub(crate) fn report(&self, args: &[&str]) -> Result<Report> {
        Report::of(self.run(&[args, &["-o", "json"]].concat())?)
    }

    /// Applies `manifest`.
    pub(crate) fn apply(&self, manifest: &str) -> Result<Report> {
        self.with(manifest, &["apply"])
    }

    /// Deletes what `manifest` names.
    pub(crate) fn delete(&self, manifest: &str) -> Result<Report> {
        self.with(manifest, &["delete"])
    }

    /// Starts `apply --watch` on `manifest`.
    pub(crate) fn watch(&self, manifest: &str) -> Result<Process> {
        self.write("all.yaml", manifest)?;
        let command = self.command(&["apply", "--watch", "-f", "all.yaml"]);
        self.program.spawn_command(&command, None)
    }

    /// Checks that `manifest` is applied already: another `apply` changes nothing, and `diff` finds
    /// nothing.
    pub(crate) fn is_settled(&self, manifest: &str) -> Result<()> {
        let diff = self.with(manifest, &["diff"])?;
        ensure!(diff.code == Some(0), "diff finds something: {diff:?}");
        ensure!(diff.rows().is_empty(), "diff shows something: {diff:?}");
        let again = self.apply(manifest)?.all_ready()?;
        ensure!(again.changed() == Some(0), "apply does it again: {again:?}");
        Ok(())
    }
}

/// The result of one command.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

impl Report {
    pub(crate) fn of(output: Output) -> Result<Self> {
        let json = serde_json::from_str(&output.stdout)
            .with_context(|| format!("the result is no JSON: {output:?}"))?;
        Ok(Self {
            code: output.code(),
            json,
            stderr: output.stderr,
        })
    }

    /// Gives the number of changes made on engines.
    pub(crate) fn changed(&self) -> Option<u64> {
        self.json["changed"].as_u64()
    }

    /// Gives the rows: those of a result, or the changes that `diff` prints.
    pub(crate) fn rows(&self) -> &[Value] {
        let results = || self.json["results"].as_array();
        let rows = self.json.as_array().or_else(results);
        rows.map(Vec::as_slice).unwrap_or_default()
    }

    /// Gives the row of the resource `name`, which is on one host only.
    pub(crate) fn row(&self, name: &str) -> Result<&Value> {
        let rows: Vec<&Value> = self.rows().iter().filter(|r| r["name"] == name).collect();
        let [row] = rows.as_slice() else {
            anyhow::bail!("{} rows for {name}: {self:?}", rows.len());
        };
        Ok(row)
    }

    /// Gives the row of the resource `name` on `host`.
    pub(crate) fn row_on(&self, host: &str, name: &str) -> Result<&Value> {
        let mut rows = self.rows().iter();
        rows.find(|r| r["host"] == host && r["name"] == name)
            .with_context(|| format!("no row for {name} on {host}: {self:?}"))
    }

    /// Checks that the command succeeded and that every resource is as it should be.
    pub(crate) fn all_ready(self) -> Result<Self> {
        ensure!(self.code == Some(0), "not all is ready: {self:?}");
        let ready = self.rows().iter().all(|r| r["state"] == "Ready");
        ensure!(ready, "not all is ready: {self:?}");
        ensure!(!self.rows().is_empty(), "nothing was applied: {self:?}");
        Ok(self)
    }

    /// Checks that the command ended with `code`.
    pub(crate) fn ended_with(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "not {code}: {self:?}");
        Ok(self)
    }

    /// Checks how the resource `name` stands, and gives its message.
    pub(crate) fn stands(&self, name: &str, state: &str, reason: &str) -> Result<String> {
        stands(self.row(name)?, state, reason)
    }

    /// Gives the message about a host that could not be worked on.
    pub(crate) fn failure(&self, host: &str) -> Result<String> {
        let failures = self.json["failures"].as_array();
        let mut failures = failures.into_iter().flatten();
        let failure = failures.find(|f| f["host"] == host);
        let failure = failure.with_context(|| format!("{host} did not fail: {self:?}"))?;
        Ok(text(&failure["message"]))
    }
}

/// Checks how a row stands, and gives its message.
pub(crate) fn stands(row: &Value, state: &str, reason: &str) -> Result<String> {
    ensure!(
        row["state"] == state && row["reason"] == reason,
        "not {state}, {reason}: {row}"
    );
    Ok(text(&row["message"]))
}

/// Gives a JSON text without its quotes.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Checks that `text` has each of `parts`.
pub(crate) fn says(text: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(text.contains(part), "{part:?} is not in {text:?}");
    }
    Ok(())
}
