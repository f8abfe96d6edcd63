//! What the agent has made before, what is there by hand, and what it is asked for then.

use anyhow::{Result, anyhow};
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::validation::admit;
use dockfleet_e2e::Engine;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::kinds;
use dockfleet_planner::resource::Resource;
use serde_json::{Value, json};

/// What stays as it is from the beginning to the end, identity and content included.
pub(crate) const UNTOUCHED: [&str; 7] = [
    "network none",
    "network host",
    "network kept-net",
    "volume kept-vol",
    "network adopted-net",
    "volume adopted-vol",
    "network foreign",
];
/// The volumes that have content.
pub(crate) const WITH_CONTENT: [&str; 2] = ["kept-vol", "adopted-vol"];
/// The volume whose folder gets an owner, which takes a container for a moment.
pub(crate) const WITH_OWNER: &str = "new-vol";
/// What may be removed, with the stage that the journal is in from before it goes: what tombstones
/// and an updatePolicy permit.
pub(crate) const REMOVABLE: [(&str, &str); 4] = [
    ("network deleted-net", "Removing"),
    ("volume deleted-vol", "Removing"),
    ("network changed", "Replacing"),
    ("volume moved-vol", "Replacing"),
];

/// What is made.
pub(crate) const MADE: [&str; 5] = [
    "network changed",
    "network new-a",
    "network new-b",
    "volume moved-vol",
    "volume new-vol",
];
/// What is there in the end, as the agent has to say it: the resource, its state and its reason.
pub(crate) const SAID: [(&str, &str, Option<&str>); 10] = [
    ("adopted-net", "Ready", None),
    ("adopted-vol", "Ready", None),
    ("changed", "Ready", None),
    ("foreign", "Failed", Some("Conflict")),
    ("kept-net", "Ready", None),
    ("kept-vol", "Ready", None),
    ("moved-vol", "Ready", None),
    ("new-a", "Ready", None),
    ("new-b", "Ready", None),
    ("new-vol", "Ready", None),
];

/// A resource and its future, as a controller knows them.
pub(crate) struct Wish {
    pub(crate) resource: Box<dyn Resource>,
    pub(crate) lifecycle: Lifecycle,
}

/// Gives what the host has before.
pub(crate) fn before() -> Result<Vec<Wish>> {
    Ok(vec![
        network("kept-net", &on(1))?,
        volume("kept-vol", &json!({}))?,
        network("changed", &changed(2))?,
        network("deleted-net", &on(3))?,
        volume("deleted-vol", &json!({"deletionPolicy": "Delete"}))?,
        volume("moved-vol", &moved("192.0.2.1"))?,
    ])
}

/// Gives what the host is asked for then: to make three, to change one of each kind, to let go of one of each
/// kind, to take over one of each kind, and one thing that it must not take.
pub(crate) fn after() -> Result<Vec<Wish>> {
    let deleted = |wish| Wish {
        lifecycle: Lifecycle::Deleted,
        ..wish
    };
    let adopting = json!({"adoptionPolicy": "IfMatching"});
    Ok(vec![
        network("kept-net", &on(1))?,
        volume("kept-vol", &json!({}))?,
        network("changed", &changed(12))?,
        deleted(network("deleted-net", &on(3))?),
        deleted(volume("deleted-vol", &json!({"deletionPolicy": "Delete"}))?),
        volume("moved-vol", &moved("192.0.2.2"))?,
        network("new-a", &on(4))?,
        network("new-b", &on(5))?,
        volume("new-vol", &owned())?,
        network("adopted-net", &merged(on(6), &adopting))?,
        volume("adopted-vol", &adopting)?,
        network("foreign", &on(7))?,
    ])
}

/// Makes on the engine what somebody made by hand.
pub(crate) fn make_by_hand(engine: &Engine) -> Result<()> {
    for (name, third) in [("adopted-net", 6), ("foreign", 7)] {
        let ipam = json!({"Config": [{"Subnet": subnet(third)}]});
        let body = json!({"Name": name, "Driver": "bridge", "IPAM": ipam, "CheckDuplicate": true});
        engine.post("/networks/create", &body)?.ok()?;
    }
    let body = json!({"Name": "adopted-vol", "Driver": "local"});
    engine.post("/volumes/create", &body)?.ok()?;
    Ok(())
}

/// Gives the UID of the resource with this name.
pub(crate) fn uid(name: &str) -> String {
    format!("uid-{name}")
}

/// A share of a server.
fn moved(server: &str) -> Value {
    json!({"updatePolicy": "WhenUnused", "nfs": {"server": server, "path": "/a"}})
}

/// An owner, which an agent sets through a container.
fn owned() -> Value {
    json!({"ownership": {"uid": 1000, "mode": "0750"}})
}

fn changed(third: u8) -> Value {
    merged(on(third), &json!({"updatePolicy": "WhenUnused"}))
}

fn on(third: u8) -> Value {
    json!({"ipam": {"config": [{"subnet": subnet(third)}]}})
}

fn subnet(third: u8) -> String {
    format!("10.201.{third}.0/24")
}

fn merged(mut spec: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    spec
}

fn network(name: &str, spec: &Value) -> Result<Wish> {
    wish(Kind::DockerNetwork, name, spec)
}

fn volume(name: &str, spec: &Value) -> Result<Wish> {
    wish(Kind::DockerVolume, name, spec)
}

/// Gives a resource for every host as an API server would store it.
fn wish(kind: Kind, name: &str, spec: &Value) -> Result<Wish> {
    let object = json!({
        "apiVersion": "dockfleet.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": merged(json!({"hostSelector": {}}), spec),
    });
    let stored = admit(kind.as_str(), &object, None);
    let mut stored = stored.map_err(|errors| anyhow!("{name}: {errors:?}"))?;
    stored["metadata"]["uid"] = uid(name).into();
    Ok(Wish {
        resource: kinds::read(kind, stored)?,
        lifecycle: Lifecycle::Live,
    })
}
