//! The setup that the tests share: a control plane with the CRDs, the controller, and some hosts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use dockfleet_e2e::{ControlPlane, Dockfleet, Fleet, Generation, Process, at_once, eventually};
use serde_json::Value;

use crate::test_host::TestHost;

/// The namespace of the hosts.
pub(crate) const FLEET: &str = "dockfleet-hosts";
/// How long a fleet may take for anything, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// A host to start: name, engine, and labels in YAML's short form. The name may have a namespace
/// before a slash.
pub(crate) type Wanted<'a> = (&'a str, Generation, &'a str);

/// A fleet with a control plane, the controller and an agent on every host.
pub(crate) struct TestCluster {
    // The order of the fields is the order in which they go.
    pub(crate) hosts: Vec<TestHost>,
    controller: RefCell<Option<Process>>,
    controller_env: RefCell<BTreeMap<String, String>>,
    pub(crate) plane: ControlPlane,
    pub(crate) dockfleet: Dockfleet,
}

impl TestCluster {
    /// Starts everything and waits until every host is ready. The controller has the rights of the
    /// chart, and each agent those of its own host.
    pub(crate) fn start(hosts: &[Wanted<'_>]) -> Result<Self> {
        let cluster = Self::prepare(hosts)?;
        cluster.start_controller()?;
        for host in &cluster.hosts {
            let joined = host.join(&cluster.plane);
            joined.with_context(|| cluster.report())?;
            host.start_agent()?;
        }
        if !cluster.hosts.is_empty() {
            cluster.ready("dhost --all --all-namespaces")?;
        }
        Ok(cluster)
    }

    /// Starts engines and the control plane with CRDs and hosts in it, without controller and
    /// agents; an agent that is started without joining has the administrator's rights.
    pub(crate) fn prepare(hosts: &[Wanted<'_>]) -> Result<Self> {
        Self::prepare_with(Dockfleet::find()?, hosts)
    }

    /// Does the same with a program that was prepared before.
    pub(crate) fn prepare_with(dockfleet: Dockfleet, wanted: &[Wanted<'_>]) -> Result<Self> {
        let fleet = Fleet::new()?;
        let (plane, hosts) = thread::scope(|scope| {
            let plane = scope.spawn(|| ControlPlane::start(&fleet));
            let hosts = wanted.iter().map(|(name, generation, _)| {
                let (namespace, name) = name.split_once('/').unwrap_or((FLEET, name));
                Ok((namespace, fleet.host(name)?, *generation))
            });
            let hosts = at_once(
                hosts.collect::<Result<Vec<_>>>()?,
                |(namespace, host, generation)| {
                    TestHost::new(namespace, host, generation, &dockfleet)
                },
            );
            let plane = plane.join().map_err(|_| anyhow!("a thread panicked"))?;
            anyhow::Ok((plane?, hosts?))
        })?;
        let kubeconfig = plane.kubeconfig_for_hosts()?;
        for host in &hosts {
            host.use_kubeconfig(&kubeconfig);
        }
        let cluster = Self {
            hosts,
            controller: RefCell::default(),
            controller_env: RefCell::default(),
            plane,
            dockfleet,
        };
        install_crds(&cluster.plane, &cluster.dockfleet)?;
        cluster.plane.grant_rights(FLEET)?;
        for host in cluster.hosts.iter().filter(|m| m.namespace() != FLEET) {
            cluster.plane.grant_rights(host.namespace())?;
        }
        for (name, _, labels) in wanted {
            cluster.apply(&host(name, labels, "All"))?;
        }
        Ok(cluster)
    }

    /// Gives the hosts in the order in which they were asked for.
    pub(crate) fn hosts<const N: usize>(&self) -> Result<[&TestHost; N]> {
        let all: Vec<&TestHost> = self.hosts.iter().collect();
        all.try_into()
            .map_err(|all: Vec<_>| anyhow!("there are {} hosts", all.len()))
    }

    /// Starts the controller.
    pub(crate) fn start_controller(&self) -> Result<()> {
        self.start_controller_of(&self.dockfleet)
    }

    /// Starts the controller of another version.
    pub(crate) fn start_controller_of(&self, dockfleet: &Dockfleet) -> Result<()> {
        // Two of them are a matter of their own (`leader`).
        let mut command = dockfleet.command(["controller", "--fleet-namespace", FLEET]);
        command.args(["--leader-elect=false", "--metrics-address=127.0.0.1:0"]);
        command.env("KUBECONFIG", self.plane.kubeconfig_for_controller()?);
        command.envs(&*self.controller_env.borrow());
        let controller = dockfleet.spawn_command(&command, None)?;
        *self.controller.borrow_mut() = Some(controller);
        Ok(())
    }

    /// Has controller and agents that are started from now on see a host as offline after seconds
    /// and not minutes.
    pub(crate) fn hurry(&self) {
        let mut env = self.controller_env.borrow_mut();
        env.insert("DOCKFLEET_OFFLINE_AFTER".to_owned(), "15s".to_owned());
        env.insert("DOCKFLEET_HEARTBEAT_INTERVAL".to_owned(), "2s".to_owned());
        for host in &self.hosts {
            host.set_env("DOCKFLEET_HEARTBEAT_INTERVAL", "2s");
        }
    }

    /// Gives the file that the controller logs to.
    pub(crate) fn controller_log_path(&self) -> Result<PathBuf> {
        let controller = self.controller.borrow();
        let controller = controller.as_ref().context("the controller does not run")?;
        Ok(controller.log_path().to_owned())
    }

    /// Kills the controller (SIGKILL), whatever it is doing.
    pub(crate) fn kill_controller(&self) -> Result<()> {
        let controller = self.controller.borrow_mut().take();
        controller.context("the controller does not run")?.kill()
    }

    /// Applies YAML and gives what `kubectl` printed.
    pub(crate) fn apply(&self, yaml: &str) -> Result<String> {
        self.plane.apply_yaml(yaml)
    }

    /// Applies manifests of resources in the default namespace, and waits until each of these is Ready.
    pub(crate) fn make(&self, manifests: &[String]) -> Result<()> {
        let printed = self.apply(&manifests.concat())?;
        let names = printed.lines().map(|line| line.split(' ').next());
        let names: Vec<&str> = names.flatten().collect();
        ensure!(names.len() == manifests.len(), "{printed}");
        self.ready(&names.join(" "))
    }

    /// Runs `kubectl` with the words of `line` and gives what it printed.
    pub(crate) fn kubectl(&self, line: &str) -> Result<String> {
        let printed = self.plane.kubectl(line.split_whitespace())?.ok();
        printed.with_context(|| self.report())
    }

    /// Merges `patch` into `what`.
    pub(crate) fn patch(&self, what: &str, patch: &str) -> Result<()> {
        let mut words = vec!["patch", "--type=merge", "--patch", patch];
        words.extend(what.split_whitespace());
        self.plane.kubectl(words)?.ok().map(drop)
    }

    /// Waits until the jsonpath expression holds of `what`: `{.a.b}=value`, or `{.a.b}` for any.
    pub(crate) fn until(&self, what: &str, holds: &str) -> Result<()> {
        self.wait(what, &format!("jsonpath={holds}"))
    }

    /// Waits until the condition Ready is True for the present generation.
    pub(crate) fn ready(&self, what: &str) -> Result<()> {
        self.wait(what, "condition=Ready")
    }

    /// Waits until the condition Ready has this status and reason, for the present generation.
    pub(crate) fn not_ready(&self, what: &str, status: &str, reason: &str) -> Result<()> {
        self.wait(what, &format!("condition=Ready={status}"))?;
        self.until(what, &ready_reason(reason))
    }

    fn wait(&self, what: &str, holds: &str) -> Result<()> {
        let (holds, timeout) = (
            format!("--for={holds}"),
            format!("--timeout={}s", SOON.as_secs()),
        );
        let mut words = vec!["wait", &holds, &timeout];
        words.extend(what.split_whitespace());
        let printed = self.plane.kubectl(words)?.ok();
        printed.map(drop).with_context(|| self.report())
    }

    /// Waits until the entry of `what` in the assignment of `host` has this reason, and gives what
    /// the agent says of it.
    pub(crate) fn entry_with(&self, host: &TestHost, uid: &str, reason: &str) -> Result<Value> {
        let path = format!("{{.status.entries[?(@.uid==\"{uid}\")].reason}}={reason}");
        self.until(&format!("hassign/{} -n {FLEET}", host.name()), &path)?;
        let assignment = self.assignment(host)?;
        let entries = assignment["status"]["entries"].as_array();
        let entry = entries.and_then(|all| all.iter().find(|e| e["uid"] == uid));
        entry.cloned().context("the entry is gone again")
    }

    /// Waits until the assignment of `host` speaks of the resources of these names and no others.
    pub(crate) fn assigned(&self, host: &TestHost, names: &[&str]) -> Result<()> {
        let what = format!("the assignment of {}", host.name());
        let waited = eventually(&what, SOON, || {
            let assignment = self.assignment(host).map_err(|e| e.to_string())?;
            let entries = assignment["spec"]["entries"].as_array();
            let mut found: Vec<&str> = entries
                .into_iter()
                .flatten()
                .filter_map(|e| e["name"].as_str())
                .collect();
            found.sort_unstable();
            (found == names)
                .then_some(())
                .ok_or_else(|| format!("{found:?}"))
        });
        waited.with_context(|| self.report())
    }

    /// Gives the assignment of a host.
    pub(crate) fn assignment(&self, host: &TestHost) -> Result<Value> {
        self.get(&format!("hassign/{} -n {}", host.name(), host.namespace()))
    }

    /// Waits until the agent of `host` has seen the present spec of its assignment.
    pub(crate) fn assignment_seen(&self, host: &TestHost) -> Result<()> {
        let generation = self.assignment(host)?["metadata"]["generation"].clone();
        self.until(
            &format!("hassign/{} -n {FLEET}", host.name()),
            &format!("{{.status.observedGeneration}}={generation}"),
        )
    }

    /// Gives objects as JSON.
    pub(crate) fn get(&self, what: &str) -> Result<Value> {
        let words: Vec<&str> = what.split_whitespace().collect();
        self.plane.get_json(&words)
    }

    /// Gives the UID of a resource.
    pub(crate) fn uid(&self, what: &str) -> Result<String> {
        let object = self.get(what)?;
        let uid = object["metadata"]["uid"].as_str().context("no UID")?;
        Ok(uid.to_owned())
    }

    /// Gives what is on all engines, by host, kind and name.
    pub(crate) fn objects(&self) -> Result<BTreeMap<String, String>> {
        let mut all = BTreeMap::new();
        for host in &self.hosts {
            all.extend(host.objects()?);
        }
        Ok(all)
    }

    /// Shows that controller and agents have moved past everything that came before: a new resource
    /// reaches every host.
    pub(crate) fn everybody_goes_on(&self, name: &str) -> Result<()> {
        self.apply(&network(name, "{hostSelector: {}}"))?;
        let what = format!("dnet/{name}");
        self.until(
            &what,
            &format!("{{.status.hosts.ready}}={}", self.hosts.len()),
        )?;
        self.ready(&what)?;
        for host in &self.hosts {
            host.network_id(name)?;
        }
        Ok(())
    }

    /// Gives everything that helps to understand a failure.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for words in [
            "get dhost,hassign,dnet,dvol,dswarm,drepo,dbackup -A -o yaml",
            "get events -A -o wide",
        ] {
            let said = self.plane.kubectl(words.split_whitespace());
            let said = said.map_or_else(|e| e.to_string(), |o| o.stdout + &o.stderr);
            let _ = writeln!(text, "== kubectl {words}\n{said}");
        }
        let controller = self.controller.borrow();
        let log = controller.as_ref().map(Process::log).unwrap_or_default();
        let _ = writeln!(text, "== controller\n{log}");
        for host in &self.hosts {
            let _ = writeln!(text, "== agent {}\n{}", host.name(), host.agent_log());
        }
        text
    }
}

impl Drop for TestCluster {
    #[expect(clippy::print_stderr, reason = "it explains a failed assertion")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.report());
        }
    }
}

/// Installs the CRDs as the program's help says.
pub(crate) fn install_crds(plane: &ControlPlane, dockfleet: &Dockfleet) -> Result<()> {
    let folder = plane.kubeconfig().with_file_name("crds");
    std::fs::create_dir_all(&folder)?;
    let path = folder.display().to_string();
    dockfleet.run(["crds", "--dir", &path])?.ok()?;
    plane
        .kubectl(["apply", "--server-side", "-f", &path])?
        .ok()?;
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    let ready = plane.kubectl([&wait[..], &["-f", &path]].concat())?.ok()?;
    let files = std::fs::read_dir(&folder)?.count();
    ensure!(
        files >= 4 && ready.lines().count() == files,
        "of {files} CRDs: {ready}"
    );
    Ok(())
}

/// The manifest of a host; `name` may have a namespace before a slash.
pub(crate) fn host(name: &str, labels: &str, from: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or((FLEET, name));
    format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: DockerHost\n\
         metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\n\
         spec: {{allowedNamespaces: {{from: {from}}}}}\n---\n"
    )
}

/// The manifest of a network.
pub(crate) fn network(name: &str, spec: &str) -> String {
    resource("DockerNetwork", name, spec)
}

/// The manifest of a volume.
pub(crate) fn volume(name: &str, spec: &str) -> String {
    resource("DockerVolume", name, spec)
}

/// The manifest of a resource; `name` may have a namespace before a slash.
pub(crate) fn resource(kind: &str, name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

/// The jsonpath expression that holds when the condition Ready has this reason.
pub(crate) fn ready_reason(reason: &str) -> String {
    format!("{{.status.conditions[?(@.type==\"Ready\")].reason}}={reason}")
}

/// The condition of this type, or null.
pub(crate) fn condition(object: &Value, type_: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|c| c["type"] == type_));
    found.cloned().unwrap_or_default()
}

/// Waits until the agent of `host` has logged a line with this text.
pub(crate) fn log_says(host: &TestHost, text: &str) -> Result<()> {
    eventually(&format!("a line about {text:?}"), SOON, || {
        let log = host.agent_log();
        log.contains(text).then_some(()).ok_or(log)
    })
}

/// Waits until there is an event of this type with this text, on anything.
pub(crate) fn event(cluster: &TestCluster, type_: &str, text: &str) -> Result<()> {
    eventually(&format!("an event about {text:?}"), SOON, || {
        let all = cluster
            .get("events --all-namespaces")
            .map_err(|e| e.to_string())?;
        let mut items = all["items"].as_array().into_iter().flatten();
        items
            .any(|e| e["type"] == type_ && e["message"].to_string().contains(text))
            .then_some(())
            .ok_or_else(|| all.to_string())
    })
}
