//! The environment of the measurements: engines, the program, and a folder for files.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use dockfleet_e2e::{Dockfleet, Engine, Fleet, Generation};
use serde_json::Value;

use crate::run::{self, Finished};
use crate::scratch::Scratch;

/// Time limit of one pass of a program. Ansible takes half a minute for 40 objects.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);

/// The environment of the measurements.
#[derive(Debug)]
pub(crate) struct PeerLab {
    pub(crate) scratch: Scratch,
    pub(crate) dockfleet: Dockfleet,
    /// Number of pairs for each comparison.
    pub(crate) repetitions: u32,
}

impl PeerLab {
    pub(crate) fn open(repetitions: u32) -> Result<Self> {
        let dockfleet = Dockfleet::find().context(
            "the release build of dockfleet is missing: run `cargo build --release -p dockfleet`",
        )?;
        Ok(Self {
            scratch: Scratch::new()?,
            dockfleet,
            repetitions,
        })
    }

    /// Returns the command that applies `manifests`, with its journal in the folder `state`.
    pub(crate) fn apply_command(
        &self,
        docker_host: &str,
        manifests: &Path,
        state: &Path,
    ) -> Command {
        let mut command = self.dockfleet.command(["apply", "--filename"]);
        command
            .arg(manifests)
            .arg("--state-dir")
            .arg(state)
            .env("DOCKER_HOST", docker_host);
        command
    }

    /// Runs `dockfleet apply`, which succeeds only if everything is ready.
    pub(crate) fn apply(
        &self,
        docker_host: &str,
        manifests: &Path,
        state: &Path,
    ) -> Result<Finished> {
        run::timed(
            &mut self.apply_command(docker_host, manifests, state),
            LIMIT,
        )
    }
}

/// Starts an engine without objects, on a separate host.
pub(crate) fn new_engine(generation: Generation) -> Result<Engine> {
    Engine::start(&Fleet::new()?.host("bench")?, generation)
}

/// Returns the engine's version for a table.
pub(crate) fn version(engine: &Engine) -> Result<String> {
    let version = engine.get("/version")?;
    let version = version.get("Version").and_then(Value::as_str);
    Ok(version
        .context("the engine did not report a version")?
        .to_owned())
}

/// Prints the progress to standard error. Only the result goes to standard output.
pub(crate) fn say(text: &str) {
    // If standard error is closed, the message is lost.
    let _ = writeln!(io::stderr(), "bench: {text}");
}
