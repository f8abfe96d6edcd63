//! The API server: what people ask for, and what agents do.

use anyhow::{Context as _, Result};
use dockfleet_e2e::ApiClient;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Where people have their resources.
const WISHED: &str = "/apis/dockfleet.io/v1alpha1/namespaces/default";
/// Where hosts are.
const FLEET: &str = "/apis/dockfleet.io/v1alpha1/namespaces/dockfleet-hosts";
const COORDINATION: &str = "/apis/coordination.k8s.io/v1/namespaces/dockfleet-hosts";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/dockfleet-hosts";
const CORE: &str = "/api/v1/namespaces/dockfleet-hosts";
/// What a host is known by.
pub(crate) const IDENTITIES: [&str; 5] = [
    "leases",
    "secrets",
    "serviceaccounts",
    "roles",
    "rolebindings",
];

/// The host that is there all the time.
pub(crate) const HOST: &str = "h1";
/// The network that is edited in each change.
const NETWORK: &str = "all";

/// Gives what a step brings, and the next one takes away, is called; no other step's name has it in it.
pub(crate) fn step_name(step: usize) -> String {
    format!("step{step:04}")
}

/// Gives the label that the network gets in a step.
pub(crate) fn label(step: usize) -> String {
    format!("of-{}", step_name(step))
}

/// A client of the API server.
pub(crate) struct Hub(pub(crate) ApiClient);

/// All there is: lists of objects, by the names of their kinds.
pub(crate) type Stand = Map<String, Value>;

/// Gives the objects of a kind.
pub(crate) fn all<'a>(stand: &'a Stand, kind: &str) -> impl Iterator<Item = &'a Value> {
    stand
        .get(kind)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Gives the name of an object.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Whether there is an object of this kind and name.
pub(crate) fn is_there(stand: &Stand, kind: &str, wanted: &str) -> bool {
    all(stand, kind).any(|object| name(object) == wanted)
}

/// Whether a condition of an object is True.
pub(crate) fn holds(object: &Value, condition: &str) -> bool {
    let mut conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions.any(|c| c["type"] == condition && c["status"] == "True")
}

impl Hub {
    /// Makes what there is before the first change, which is what every step leaves.
    pub(crate) fn begin(&self) -> Result<()> {
        self.make_host(HOST)?;
        let spec = json!({"hostSelector": {}, "labels": {"step": label(0)}});
        self.make(WISHED, "DockerNetwork", NETWORK, &spec)?;
        self.bring(&step_name(0))
    }

    /// Edits the network that is on all hosts.
    pub(crate) fn edit(&self, label: &str) -> Result<()> {
        let labels = json!({"spec": {"labels": {"step": label}}});
        let path = format!("{WISHED}/dockernetworks/{NETWORK}");
        self.0.merge(&path, &labels).map(drop)
    }

    /// Changes everything: edits a network on all hosts, brings a host and a volume, deletes those that
    /// the step before has brought.
    pub(crate) fn change(&self, step: usize) -> Result<()> {
        let (new, old) = (step_name(step), step_name(step - 1));
        self.edit(&label(step))?;
        self.bring(&new)?;
        self.0.delete(&format!("{WISHED}/dockervolumes/{old}"))?;
        self.0
            .delete(&format!("{FLEET}/dockerhosts/{old}"))
            .map(drop)
    }

    fn bring(&self, name: &str) -> Result<()> {
        let spec = json!({"hostNames": [HOST], "deletionPolicy": "Delete"});
        self.make(WISHED, "DockerVolume", name, &spec)?;
        self.make_host(name)
    }

    fn make_host(&self, name: &str) -> Result<()> {
        let spec = json!({"allowedNamespaces": {"from": "All"}});
        self.make(FLEET, "DockerHost", name, &spec)
    }

    fn make(&self, place: &str, kind: &str, name: &str, spec: &Value) -> Result<()> {
        let object = json!({
            "apiVersion": "dockfleet.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        });
        let path = format!("{place}/{}s", kind.to_lowercase());
        self.0.create::<Value>(&path, &object).map(drop)
    }

    /// Does what agents do: reports that everything asked for is done, and shows that hosts are alive
    /// until that was seen. Collects as garbage what deleted hosts owned. Gives what there was before.
    pub(crate) fn work(&self) -> Result<Stand> {
        let stand = self.stand()?;
        for assignment in all(&stand, "hostassignments") {
            let name = name(assignment);
            if is_there(&stand, "dockerhosts", name) {
                self.report(assignment)?;
            } else {
                self.0.delete(&format!("{FLEET}/hostassignments/{name}"))?;
            }
        }
        for host in all(&stand, "dockerhosts") {
            let name = name(host);
            if is_there(&stand, "leases", name) && !holds(host, "Reachable") {
                let now = json!({"spec": {"renewTime": format!("{:.6}", Timestamp::now())}});
                self.0
                    .merge(&format!("{COORDINATION}/leases/{name}"), &now)?;
            }
        }
        Ok(stand)
    }

    fn stand(&self) -> Result<Stand> {
        let mut stand = Stand::new();
        for (place, kinds) in [
            (WISHED, &["dockernetworks", "dockervolumes"][..]),
            (FLEET, &["dockerhosts", "hostassignments"]),
            (CORE, &["secrets", "serviceaccounts"]),
            (RBAC, &["roles", "rolebindings"]),
            (COORDINATION, &["leases"]),
        ] {
            for kind in kinds {
                let list: Option<Value> = self.0.get(&format!("{place}/{kind}"))?;
                let items = list.context("no list")?["items"].take();
                stand.insert((*kind).to_owned(), items);
            }
        }
        Ok(stand)
    }

    fn report(&self, assignment: &Value) -> Result<()> {
        let generation = &assignment["metadata"]["generation"];
        if assignment["status"]["observedGeneration"] == *generation {
            return Ok(());
        }
        let entries = assignment["spec"]["entries"]
            .as_array()
            .into_iter()
            .flatten();
        let entries: Vec<Value> = entries.map(done).collect();
        let report = json!({
            "apiVersion": "dockfleet.io/v1alpha1",
            "kind": "HostAssignment",
            "metadata": {"name": name(assignment)},
            "status": {"observedGeneration": generation, "entries": entries},
        });
        let path = format!("{FLEET}/hostassignments/{}/status", name(assignment));
        self.0.apply(&path, "dockfleet-agent", &report).map(drop)
    }
}

/// What an agent says of an entry when it has done what was asked for.
fn done(entry: &Value) -> Value {
    let mut done = json!({
        "uid": entry["uid"], "revision": entry["revision"], "state": "Ready", "id": "1",
    });
    if entry["intent"] == "Absent" {
        done["state"] = "Gone".into();
        done["reason"] = "Removed".into();
    }
    done
}
