//! One run of the scenario, with an agent that is killed as asked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_crds::{DEFAULT_FLEET_NAMESPACE, DockerHost, EntryStatus};
use dockfleet_e2e::faults::{Facts, How, Order, TracedEffect, renamed, start};
use dockfleet_e2e::{Dockfleet, Engine, Folder, Process, eventually};
use rustix::process::Signal;
use serde_json::Value;

use crate::engine_events::{Moment, since};
use crate::facts::{Objects, happened_facts, journal_facts, status_facts};
use crate::hub::Hub;
use crate::permission::Permissions;
use crate::removals::Removals;
use crate::scenario::{self, UNTOUCHED, WITH_CONTENT, WITH_OWNER, Wish};

/// How long anything may take on a machine that is busy with other things.
const SOON: Duration = Duration::from_mins(1);
/// How long after its last report an agent may take to count the effect.
const COUNTED: Duration = Duration::from_secs(1);

/// When the agent is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Never.
    Never,
    /// Once, right after this many effects.
    After(usize),
    /// After every effect that is no fleeting one, again and again.
    Always,
}

/// What became of a run.
pub(crate) struct Outcome {
    /// The effects of the agents that could be killed, in their order.
    pub(crate) effects: Vec<String>,
    /// How often an agent was killed.
    pub(crate) kills: usize,
    /// How everything stands in the end.
    pub(crate) facts: Facts,
    /// What must never be.
    pub(crate) breaches: Vec<String>,
}

/// What the runs on one engine share.
pub(crate) struct Site<'a> {
    pub(crate) dockfleet: &'a Dockfleet,
    pub(crate) kubeconfig: &'a Path,
    pub(crate) engine: Engine,
    pub(crate) docker_host: String,
    pub(crate) hub: Hub,
}

impl Site<'_> {
    pub(crate) fn run(&self, name: &str, crash: Crash) -> Result<Outcome> {
        self.clear()?;
        scenario::make_by_hand(&self.engine)?;
        let run = Run {
            site: self,
            host: self.hub.add_host(name)?,
            name,
            folder: Folder::new()?,
        };
        run.settle(&scenario::before()?)?;
        for volume in WITH_CONTENT {
            fs::write(self.content_of(volume)?, volume)?;
        }
        run.change(crash)
    }

    /// Removes everything that can be removed from the engine.
    fn clear(&self) -> Result<()> {
        for key in Objects::read(&self.engine)?.ids.keys() {
            if !["network none", "network host"].contains(&key.as_str()) {
                let path = key.replacen(' ', "s/", 1);
                self.engine.delete(&format!("/{path}"))?.ok()?;
            }
        }
        Ok(())
    }

    fn content_of(&self, volume: &str) -> Result<PathBuf> {
        Ok(self.folder_of(volume)?.join("content"))
    }

    fn owner_of(&self, volume: &str) -> Result<String> {
        let folder = fs::metadata(self.folder_of(volume)?)?;
        Ok(format!("{} {:04o}", folder.uid(), folder.mode() & 0o7777))
    }

    fn folder_of(&self, volume: &str) -> Result<PathBuf> {
        let volume = self.engine.get(&format!("/volumes/{volume}"))?;
        let place = volume["Mountpoint"].as_str().context("it is nowhere")?;
        Ok(Path::new(place).to_owned())
    }
}

struct Run<'a> {
    site: &'a Site<'a>,
    host: DockerHost,
    name: &'a str,
    /// Holds the journal, and the order and the trace of the agents that may be killed.
    folder: Folder,
}

impl Run<'_> {
    /// Asks for the change of the scenario, has agents killed over it, and lets one finish it.
    fn change(&self, crash: Crash) -> Result<Outcome> {
        let wishes = scenario::after()?;
        let before = Objects::read(&self.site.engine)?;
        let permissions = Permissions::of(&before);
        let mut removals = Removals::since(&before);
        let begin = Moment::now()?;
        // From here on an agent finds the change when it starts: every effect belongs to it.
        let _ = self.site.hub.control(&self.host, &wishes)?;

        let (mut kills, mut breaches) = (0, Vec::new());
        while self.is_killed(crash, &wishes)? {
            kills += 1;
            let objects = Objects::read(&self.site.engine)?;
            removals.look(&objects, &since(&self.site.engine, begin)?);
            let effects = self.effects()?;
            let last = effects.last().map_or("", String::as_str);
            let not_durable = permissions.not_durable(removals.all(), &self.journal()?, last);
            breaches.extend(not_durable);
            if crash != Crash::Always {
                break;
            }
            ensure!(
                kills < 1000,
                "an agent that is killed again and again gets nowhere"
            );
        }
        let statuses = self.settle(&wishes)?;

        let (after, events) = (
            Objects::read(&self.site.engine)?,
            since(&self.site.engine, begin)?,
        );
        removals.look(&after, &events);
        breaches.extend(permissions.breaches(removals.all()));
        breaches.extend(touched(&before.ids, &after.ids));
        for volume in WITH_CONTENT {
            let content = fs::read_to_string(self.site.content_of(volume)?).unwrap_or_default();
            if content != volume {
                breaches.push(format!("volume {volume} has lost its content"));
            }
        }
        let mut facts = after.facts();
        let owner = self.site.owner_of(WITH_OWNER)?;
        facts.insert(format!("engine: owner of {WITH_OWNER}"), owner.into());
        facts.extend(journal_facts(&self.journal()?));
        let host = self.site.hub.host(self.name)?;
        facts.extend(status_facts(&host, &statuses)?);
        facts.extend(happened_facts(&events, removals.all()));
        let mut names = after.names();
        let data = self.site.engine.data_root().display().to_string();
        names.push((data, "the engine's data".to_owned()));
        Ok(Outcome {
            effects: self.effects()?,
            kills,
            facts: renamed(&facts, &names)?,
            breaches,
        })
    }

    /// Runs an agent that is killed as asked, and says whether it was. The one that is not killed
    /// ends when there is nothing left to do.
    fn is_killed(&self, crash: Crash, wishes: &[Wish]) -> Result<bool> {
        let number = match crash {
            Crash::Never => None,
            Crash::After(n) => Some(n),
            Crash::Always => Some(1),
        };
        if let Some(number) = number {
            let (how, of, fleeting) = (How::Killed, None, crash != Crash::Always);
            let order = Order {
                how,
                number,
                of,
                fleeting,
            };
            order.give(self.folder.path())?;
        }
        let program = env!("CARGO_BIN_EXE_dockfleet-that-stops");
        let args = ["agent", self.name, DEFAULT_FLEET_NAMESPACE];
        let agent = start(program, self.folder.path(), &args, &self.environment())?;
        let is_gone = || agent.exit_status();
        let waited = eventually("the end of the agent's work", SOON, || {
            if is_gone().is_some() {
                return Ok(());
            }
            self.control(wishes).map(drop)
        });
        waited.with_context(|| agent.log())?;
        // It says that all is done a moment before the effect is counted that it is killed after.
        let counted = match crash {
            Crash::After(_) => COUNTED,
            Crash::Never | Crash::Always => Duration::ZERO,
        };
        let _ = eventually("the count of the last effect", counted, || {
            is_gone().ok_or_else(|| "it goes on".to_owned())
        });
        let status = agent.terminate(SOON)?;
        match status.signal() {
            Some(signal) if signal == Signal::KILL.as_raw() => Ok(true),
            Some(signal) if signal == Signal::TERM.as_raw() => Ok(false),
            None if status.success() => Ok(false),
            _ => bail!("the agent ended ({status}):\n{}", agent.log()),
        }
    }

    /// Lets the agent as it is shipped work until there is nothing left to do, and gives what it
    /// says then.
    fn settle(&self, wishes: &[Wish]) -> Result<Vec<EntryStatus>> {
        let mut command = self.site.dockfleet.command(["agent", "--host", self.name]);
        command.arg("--state-dir").arg(self.folder.file("state"));
        command.envs(self.environment());
        let agent = Process::start_alone(&command)?;
        let waited = eventually("the end of all work", SOON, || {
            // Everything may have been said before it came: it has to have looked all the same.
            if !agent.log().contains("the engine answers") {
                return Err("it has not looked at the engine".to_owned());
            }
            // What the agent before this one left behind when it was killed.
            match containers(&self.site.engine).map_err(|error| format!("{error:#}"))? {
                0 => self.control(wishes),
                left => Err(format!("{left} containers are left")),
            }
        });
        let statuses = waited.with_context(|| agent.log())?;
        agent.terminate(SOON)?;
        ensure!(containers(&self.site.engine)? == 0, "a container is left");
        Ok(statuses)
    }

    /// Does the controller's part, and gives what the agent says when there is nothing left to do.
    fn control(&self, wishes: &[Wish]) -> Result<Vec<EntryStatus>, String> {
        let stand = self.site.hub.control(&self.host, wishes);
        stand.map_err(|error| format!("{error:#}"))?
    }

    fn environment(&self) -> [(&str, &OsStr); 2] {
        let site = self.site;
        [
            ("KUBECONFIG", site.kubeconfig.as_os_str()),
            ("DOCKER_HOST", OsStr::new(&site.docker_host)),
        ]
    }

    fn effects(&self) -> Result<Vec<String>> {
        let effects = TracedEffect::all(self.folder.path())?;
        Ok(effects.into_iter().map(|effect| effect.what).collect())
    }

    fn journal(&self) -> Result<Vec<Value>> {
        let folder = self.folder.file("state").display().to_string();
        let printed = self
            .site
            .dockfleet
            .run(["journal", &folder, "--output", "json"])?;
        let printed: Value = serde_json::from_str(&printed.ok()?)?;
        let records = printed["results"].as_array();
        let mut records = records.context("no results")?.clone();
        for record in &mut records {
            if let Some(record) = record.as_object_mut() {
                // Each run has a folder of its own.
                record.remove("journal");
            }
        }
        Ok(records)
    }
}

/// Gives the number of containers. Nobody but the agent makes one.
fn containers(engine: &Engine) -> Result<usize> {
    let all = engine.get("/containers/json?all=1")?;
    Ok(all.as_array().context("no list of containers")?.len())
}

/// Gives what had to stay as it was and is another one now.
fn touched(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let changed = UNTOUCHED
        .iter()
        .filter(|key| before.get(**key) != after.get(**key));
    changed
        .map(|key| {
            format!(
                "{key} was {:?} and is {:?}",
                before.get(*key),
                after.get(*key)
            )
        })
        .collect()
}
