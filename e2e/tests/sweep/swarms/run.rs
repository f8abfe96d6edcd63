//! One run: a swarm is formed, and left by all.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;
use dockfleet_e2e::eventually;
use dockfleet_e2e::faults::{How, Order};
use serde_json::{Value, json};

use super::site::{Site, SwarmHost, path};

/// How long each half of a run may take after the last kill, on a machine that is busy with other things.
const SOON: Duration = Duration::from_mins(2);

/// The agent of a host is killed in both halves of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kill {
    /// The number of the host.
    pub(super) victim: usize,
    /// When.
    pub(super) moment: Moment,
}

/// When an agent is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Once, right after this many effects.
    After(usize),
    /// Once, right after it had the engine create or join the swarm, or leave it.
    EngineCall,
    /// After every effect, again and again.
    Always,
}

impl Moment {
    fn order(self, call: &str) -> Order {
        let (number, of) = match self {
            Self::After(number) => (number, None),
            Self::EngineCall => (1, Some(call.to_owned())),
            Self::Always => (1, None),
        };
        let how = How::Killed;
        let fleeting = true;
        Order {
            how,
            number,
            of,
            fleeting,
        }
    }
}

/// What became of a run.
pub(super) struct Outcome {
    /// The effects of the agent of each host, on the way in and on the way out.
    effects: Vec<[Vec<String>; 2]>,
    /// How often an agent was killed.
    pub(super) kills: usize,
    /// What must never be.
    pub(super) breaches: Vec<String>,
}

impl Outcome {
    fn of(&self, host: usize) -> impl Iterator<Item = &Vec<String>> {
        self.effects.get(host).into_iter().flatten()
    }

    /// Gives the number of effects of a host's agent.
    pub(super) fn count(&self, host: usize) -> usize {
        self.of(host).map(Vec::len).sum()
    }

    /// Gives the number of effects of a host's agent in the longer half.
    pub(super) fn longest(&self, host: usize) -> usize {
        self.of(host).map(Vec::len).max().unwrap_or_default()
    }

    /// Gives the effects of a host's agent in words.
    pub(super) fn listed(&self, host: usize) -> String {
        let halves: Vec<String> = self.of(host).map(|half| half.join(", ")).collect();
        halves.join(" | ")
    }

    /// Gives what is wrong with the run.
    pub(super) fn findings(mut self, clean: &Self, asked: &[Kill]) -> Vec<String> {
        // Reports are put together as timing has it: of 27 effects in one run, another one had 20.
        let least = asked.iter().map(|kill| match kill.moment {
            Moment::After(_) => 1,
            Moment::EngineCall => 2,
            Moment::Always => clean.count(kill.victim) / 2,
        });
        let least: usize = least.sum();
        if self.kills < least {
            let kills = format!("{} kills, and not {least}", self.kills);
            self.breaches.push(kills);
        }
        self.breaches
    }
}

/// What is found out while a run goes on.
#[derive(Default)]
struct Findings {
    /// The IDs of all swarms that an engine was in.
    clusters: BTreeSet<String>,
    kills: usize,
}

impl Site<'_> {
    /// Has a swarm be formed and left, with the agent of a host killed as asked in each half.
    pub(super) fn run(&mut self, number: &str, kills: &[Kill]) -> Result<Outcome> {
        let name = format!("{}-{number}", self.name);
        let mut found = Findings::default();
        let begin = self.effects()?;
        let swarm = json!({
            "apiVersion": "dockfleet.io/v1alpha1", "kind": "SwarmCluster",
            "metadata": {"name": name},
            "spec": {
                "hostSelector": {"matchLabels": {"site": self.name}},
                "managers": {"count": self.hosts.len()},
                "advertiseAddress": "eth0",
                "removedHosts": "Leave",
            },
        });
        self.order(kills, "EngineCreate")?;
        self.api
            .create::<Value>(&path("swarmclusters", ""), &swarm)?;
        self.go_through(kills, &mut found, |site| site.is_formed(&name))?;
        let middle = self.effects()?;
        self.order(kills, "EngineRemove")?;
        self.api.delete(&path("swarmclusters/", &name))?;
        self.go_through(kills, &mut found, |site| site.is_left(&name))?;
        let end = self.effects()?;
        let effects = begin
            .iter()
            .zip(middle)
            .zip(end)
            .map(|((begin, middle), end)| {
                let after =
                    |all: &[String], begin: usize| all.get(begin..).unwrap_or_default().to_vec();
                [after(&middle, begin.len()), after(&end, middle.len())]
            });
        let mut breaches = Vec::new();
        if found.clusters.len() != 1 {
            breaches.push(format!("the swarms are {:?}", found.clusters));
        }
        Ok(Outcome {
            effects: effects.collect(),
            kills: found.kills,
            breaches,
        })
    }

    fn order(&self, kills: &[Kill], call: &str) -> Result<()> {
        for kill in kills {
            let host = self.hosts.get(kill.victim).context("no such host")?;
            host.order(&kill.moment.order(call))?;
        }
        Ok(())
    }

    fn effects(&self) -> Result<Vec<Vec<String>>> {
        self.hosts.iter().map(SwarmHost::effects).collect()
    }

    /// Waits until everything is done, and starts an agent in place of each that is killed meanwhile.
    fn go_through(
        &mut self,
        kills: &[Kill],
        found: &mut Findings,
        done: impl Fn(&Self) -> Result<()>,
    ) -> Result<()> {
        loop {
            let waited = eventually("the end of all work", SOON, || {
                if self.hosts.iter().any(|h| h.agent_end().is_some()) {
                    return Ok(true);
                }
                let clusters = self.clusters().map_err(|error| format!("{error:#}"))?;
                found.clusters.extend(clusters);
                done(self).map_err(|error| format!("{error:#}"))?;
                Ok(false)
            });
            let logs = || -> String { self.hosts.iter().map(SwarmHost::agent_log).collect() };
            let was_killed = waited.with_context(logs)?;
            let always = |kill: &Kill| kill.moment == Moment::Always;
            for (number, host) in self.hosts.iter_mut().enumerate() {
                let is_dead = host.agent_end().is_some();
                let again = kills.iter().any(|k| k.victim == number && always(k));
                if !was_killed || (is_dead && !again) {
                    host.pardon()?;
                }
                if is_dead {
                    found.kills += 1;
                    host.start_agent()?;
                }
            }
            ensure!(
                found.kills < 1000,
                "an agent that is killed again and again gets nowhere"
            );
            if !was_killed {
                return Ok(());
            }
        }
    }

    /// Says what is missing until the swarm is formed.
    fn is_formed(&self, name: &str) -> Result<()> {
        let swarm: Option<Value> = self.api.get(&path("swarmclusters/", name))?;
        let status = swarm.context("it is not there")?["status"].take();
        let condition = &status["conditions"][0];
        let is_ready = condition["type"] == "Ready" && condition["status"] == "True";
        ensure!(
            is_ready && status["managers"] == self.hosts.len(),
            "{status}"
        );
        ensure!(
            status["removedNodes"].as_array().is_none_or(Vec::is_empty),
            "{status}"
        );
        let mut nodes = BTreeSet::new();
        for host in &self.hosts {
            let info = host.info()?;
            ensure!(info["LocalNodeState"] == "active", "{}: {info}", host.name);
            ensure!(
                info["Cluster"]["ID"] == status["clusterID"],
                "{}: {info}",
                host.name
            );
            nodes.insert(info["NodeID"].to_string());
            let listed = host.engine.get("/nodes")?;
            let listed = listed.as_array().context("no list")?.len();
            ensure!(
                listed == self.hosts.len(),
                "{} lists {listed} nodes",
                host.name
            );
        }
        ensure!(nodes.len() == self.hosts.len(), "the nodes are {nodes:?}");
        self.journals_are(&["Owned"])?;
        self.no_token_is_left()
    }

    /// Says what is missing until everything is as it was before.
    fn is_left(&self, name: &str) -> Result<()> {
        let swarm: Option<Value> = self.api.get(&path("swarmclusters/", name))?;
        if let Some(swarm) = swarm {
            anyhow::bail!("it is still there: {}", swarm["status"]);
        }
        for host in &self.hosts {
            let info = host.info()?;
            ensure!(
                info["LocalNodeState"] == "inactive",
                "{}: {info}",
                host.name
            );
            let assignment: Option<Value> = self.api.get(&path("hostassignments/", &host.name))?;
            let entries = assignment.context("no assignment")?["spec"]["entries"].take();
            ensure!(
                entries.as_array().is_none_or(Vec::is_empty),
                "{}: {entries}",
                host.name
            );
        }
        self.journals_are(&[])?;
        self.no_token_is_left()
    }

    fn journals_are(&self, expected: &[&str]) -> Result<()> {
        for host in &self.hosts {
            let stages = host.stages(self.dockfleet)?;
            ensure!(
                stages == expected,
                "the journal of {} has {stages:?}",
                host.name
            );
        }
        Ok(())
    }

    /// The Secret of a host has nothing but what its agent joins with.
    fn no_token_is_left(&self) -> Result<()> {
        for host in &self.hosts {
            let path = format!(
                "/api/v1/namespaces/{DEFAULT_FLEET_NAMESPACE}/secrets/{}",
                host.name
            );
            let secret: Option<Value> = self.api.get(&path)?;
            let data = secret.map(|mut s| s["data"].take()).unwrap_or_default();
            let keys: Vec<&String> = data
                .as_object()
                .into_iter()
                .flat_map(|d| d.keys())
                .collect();
            ensure!(keys.is_empty(), "the Secret of {} has {keys:?}", host.name);
        }
        Ok(())
    }
}
