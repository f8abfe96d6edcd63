//! Measures how long five engines take to form a swarm with one manager or with three, and an overlay network, against
//! Ansible. Ansible joins managers as managers. Dockfleet promotes one worker after the other, and waits for each.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Fleet, Generation};
use serde_json::Value;

use crate::lab::{LIMIT, PeerLab, say, version};
use crate::object_set::ObjectSet;
use crate::peer::Peer;
use crate::peers::{Times, add};
use crate::report::{Expected, ResultTable};
use crate::run::timed;

const NAMES: [&str; 5] = ["h1", "h2", "h3", "h4", "h5"];
/// The numbers of managers.
const MANAGERS: [usize; 2] = [1, 3];

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    let ansible = Peer::ansible(lab, ObjectSet(0))?;
    let repetitions = lab.repetitions.div_ceil(2);
    let all = Generation::ALL.into_iter();
    for (generation, managers) in all.flat_map(|g| MANAGERS.map(|m| (g, m))) {
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        let mut name = String::new();
        for number in 1..=repetitions {
            say(&format!(
                "{generation:?}: a swarm of five hosts with managers: {managers}, {number} of {repetitions}"
            ));
            let engines = engines(generation)?;
            name = version(engines.first().context("no engine")?)?;
            by_dockfleet(lab, &engines, managers, &mut ours).context("dockfleet")?;
            let engines = self::engines(generation)?;
            by_ansible(lab, &ansible, &engines, managers, &mut theirs).context("Ansible")?;
        }
        let goals = [Expected::AtLeast(3.0), Expected::None];
        let objects = format!("a swarm of 5 (managers: {managers}) and an overlay network");
        add(
            report,
            &objects,
            &name,
            &ours,
            &ansible.name,
            &theirs,
            goals,
        )?;
    }
    Ok(())
}

/// Starts the engines, each on a host of its own.
fn engines(generation: Generation) -> Result<Vec<Engine>> {
    let fleet = Fleet::new()?;
    let start = |name: &&str| Engine::start(&fleet.host(name)?, generation);
    NAMES.iter().map(start).collect()
}

fn by_dockfleet(
    lab: &PeerLab,
    engines: &[Engine],
    managers: usize,
    times: &mut Times,
) -> Result<()> {
    let manifests = lab.scratch.write(".yaml", &manifests(engines, managers)?)?;
    let state = lab.scratch.folder()?;
    let pass = || -> Result<Duration> {
        let mut command = lab.dockfleet.command(["apply", "--filename"]);
        command.arg(&manifests).arg("--state-dir").arg(&state);
        Ok(timed(&mut command, LIMIT)?.wall)
    };
    both(engines, managers, times, &pass)
}

fn by_ansible(
    lab: &PeerLab,
    ansible: &Peer,
    engines: &[Engine],
    managers: usize,
    times: &mut Times,
) -> Result<()> {
    let file = lab.scratch.write(".yaml", PLAYBOOK)?;
    let inventory = lab.scratch.write(".ini", &inventory(engines, managers)?)?;
    let state = lab.scratch.folder()?;
    let inventory = inventory.to_str().context("a path that is not UTF-8")?;
    let pass = || -> Result<Duration> {
        let mut command = ansible.playbook(inventory, &file, &state);
        Ok(timed(&mut command, LIMIT)?.wall)
    };
    both(engines, managers, times, &pass)
}

/// Measures the creation and a pass without changes.
fn both(
    engines: &[Engine],
    managers: usize,
    times: &mut Times,
    pass: &dyn Fn() -> Result<Duration>,
) -> Result<()> {
    times.create.push(pass()?);
    let before = check(engines, managers)?;
    times.unchanged.push(pass()?);
    let after = check(engines, managers)?;
    ensure!(before == after, "a pass without changes changed something");
    Ok(())
}

/// Checks that there is one swarm with the managers and the network, and returns their IDs.
fn check(engines: &[Engine], wanted: usize) -> Result<(String, String)> {
    let first = engines.first().context("no engine")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes = first.get("/nodes")?;
    let nodes = nodes.as_array().context("no list of nodes")?;
    ensure!(nodes.len() == NAMES.len(), "{} nodes", nodes.len());
    let managers = nodes
        .iter()
        .filter(|n| n.pointer("/ManagerStatus/Reachability") == Some(&"reachable".into()));
    ensure!(managers.count() == wanted, "other managers: {nodes:?}");
    let network = first.get("/networks/mesh")?;
    let swarm = first.get("/swarm")?;
    let id = |value: &Value, key: &str| value.get(key).map(text).unwrap_or_default();
    Ok((id(&swarm, "ID"), id(&network, "Id")))
}

/// Returns the files for Dockfleet.
fn manifests(engines: &[Engine], managers: usize) -> Result<String> {
    let mut all = String::new();
    for (name, engine) in NAMES.iter().zip(engines) {
        let endpoint = engine.docker_host();
        write!(
            all,
            "apiVersion: dockfleet.io/v1alpha1
kind: DockerHost
metadata: {{name: {name}}}
spec:
  allowedNamespaces: {{from: All}}
  connection: {{direct: {{endpoint: '{endpoint}'}}}}
---
"
        )?;
    }
    write!(
        all,
        "apiVersion: dockfleet.io/v1alpha1
kind: SwarmCluster
metadata: {{name: shop}}
spec:
  hostSelector: {{}}
  managers: {{count: {managers}}}
  advertiseAddress: eth0
---
apiVersion: dockfleet.io/v1alpha1
kind: DockerNetwork
metadata: {{name: mesh}}
spec:
  hostSelector: {{}}
  driver: overlay
"
    )?;
    Ok(all)
}

/// Returns the hosts for Ansible.
fn inventory(engines: &[Engine], managers: usize) -> Result<String> {
    let mut all = String::new();
    for (number, (name, engine)) in NAMES.iter().zip(engines).enumerate() {
        let group = if number == 0 {
            "[first]\n"
        } else if number == managers {
            "[workers]\n"
        } else if number == 1 {
            "[managers]\n"
        } else {
            ""
        };
        let (endpoint, address) = (engine.docker_host(), engine.host().address());
        writeln!(
            all,
            "{group}{name} docker_host={endpoint} address={address}"
        )?;
    }
    Ok(all)
}

/// One play for each role, as the documentation of the module shows it. Hosts of a play run side by side.
const PLAYBOOK: &str = "- hosts: first
  gather_facts: false
  tasks:
    - community.docker.docker_swarm:
        docker_host: '{{ docker_host }}'
        state: present
        advertise_addr: '{{ address }}'
      register: swarm
- hosts: managers
  gather_facts: false
  tasks:
    - community.docker.docker_swarm:
        docker_host: '{{ docker_host }}'
        state: join
        advertise_addr: '{{ address }}'
        join_token: '{{ hostvars.h1.swarm.swarm_facts.JoinTokens.Manager }}'
        remote_addrs: ['{{ hostvars.h1.address }}:2377']
- hosts: workers
  gather_facts: false
  tasks:
    - community.docker.docker_swarm:
        docker_host: '{{ docker_host }}'
        state: join
        advertise_addr: '{{ address }}'
        join_token: '{{ hostvars.h1.swarm.swarm_facts.JoinTokens.Worker }}'
        remote_addrs: ['{{ hostvars.h1.address }}:2377']
- hosts: first
  gather_facts: false
  tasks:
    - community.docker.docker_network:
        docker_host: '{{ docker_host }}'
        name: mesh
        driver: overlay
        attachable: true
";
