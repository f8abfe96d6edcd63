//! How everything stands, in a form that is the same after each change.

use std::collections::BTreeMap;

use anyhow::Result;
use kube::ResourceExt as _;
use kube::core::ObjectMeta;
use serde::Serialize;
use serde_json::{Value, json};

use crate::hub::{Stand, step_name};

/// How everything stands, by what it is about, with the names of resources for their UIDs.
pub(crate) type Facts = BTreeMap<String, Value>;

/// Gives how everything stands after a change, with what the network was labelled last.
///
/// Of deleted hosts nothing is told: what they are known by is taken away by who saw the deletion, and
/// by a new leader ten minutes later.
pub(crate) fn facts(stand: &Stand, step: usize, label: &str) -> Result<Facts> {
    let mut facts = Facts::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut add = |kind: &str, metadata: &ObjectMeta, fact: Value| {
        let name = format!("{kind} {}", metadata.name.as_deref().unwrap_or_default());
        names.insert(metadata.uid.clone().unwrap_or_default(), name.clone());
        facts.insert(name, fact);
    };
    for network in &stand.networks {
        let fact = fact(&network.metadata, network.status.as_ref())?;
        add("network", &network.metadata, fact);
    }
    for volume in &stand.volumes {
        let fact = fact(&volume.metadata, volume.status.as_ref())?;
        add("volume", &volume.metadata, fact);
    }
    for host in &stand.hosts {
        let mut fact = fact(&host.metadata, host.status.as_ref())?;
        let name = host.name_any();
        let known_by = stand.identities.iter().filter(|(_, of)| *of == name);
        let known_by: Vec<&str> = known_by.map(|(kind, _)| *kind).collect();
        fact["known by"] = json!(known_by);
        add("host", &host.metadata, fact);
    }
    for assignment in &stand.assignments {
        let host = assignment.name_any();
        for entry in &assignment.spec.entries {
            let key = format!("{} {} on {host}", entry.kind.object(), entry.name);
            let fact = json!({"uid": entry.uid, "intent": entry.intent, "spec": entry.spec});
            facts.insert(key, fact);
        }
    }
    let mut text = serde_json::to_string(&facts)?;
    for (uid, name) in names {
        text = text.replace(&uid, &name);
    }
    // The quotes keep another label that begins in the same way from being taken for it.
    let text = text.replace(&format!("\"{label}\""), "\"the label\"");
    let text = text.replace(&step_name(step), "new");
    Ok(serde_json::from_str(&text)?)
}

/// Gives of how many deleted hosts something is left that they were known by.
pub(crate) fn leftovers(stand: &Stand) -> usize {
    let is_host = |name: &String| stand.hosts.iter().any(|host| host.name_any() == *name);
    let left = stand.identities.iter().filter(|(_, of)| !is_host(of));
    let mut left: Vec<&String> = left.map(|(_, of)| of).collect();
    left.sort();
    left.dedup();
    left.len()
}

/// What is the same in every run of an object that is in the same state.
fn fact<S: Serialize>(metadata: &ObjectMeta, status: Option<&S>) -> Result<Value> {
    let mut status = serde_json::to_value(status)?;
    let forget = |value: &mut Value| {
        for field in ["lastTransitionTime", "observedGeneration"] {
            value.as_object_mut().map(|fields| fields.remove(field));
        }
    };
    let observed = status["observedGeneration"].as_i64();
    let is_old = observed.is_some_and(|g| Some(g) != metadata.generation);
    forget(&mut status);
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        forget(condition);
    }
    Ok(json!({
        "is old": is_old,
        "finalizers": metadata.finalizers,
        "deleting": metadata.deletion_timestamp.is_some(),
        "status": status,
    }))
}

/// Gives what is not done yet, where nobody knows the end.
pub(crate) fn undone(facts: &Facts) -> Vec<String> {
    let mut undone = Vec::new();
    for (key, fact) in facts {
        let conditions = fact["status"]["conditions"].as_array();
        let holds = |wanted: &str| {
            let is_so = |c: &Value| c["type"] == wanted && c["status"] == "True";
            conditions.is_some_and(|all| all.iter().any(is_so))
        };
        let done = match fact.get("intent") {
            Some(intent) => intent == "Present",
            // What else agents say of their hosts is not said here.
            None if key.starts_with("host ") => holds("Reachable"),
            None => holds("Ready") && fact["is old"] == false,
        };
        let known = fact.get("known by").and_then(Value::as_array);
        if !done || fact["deleting"] == true || known.is_some_and(|k| k.len() < 5) {
            undone.push(format!("{key}: {fact}"));
        }
    }
    // Two hosts with a network each, one of them with a volume too.
    if facts.len() != 7 {
        undone.push(format!("there are {:?}", facts.keys()));
    }
    undone
}

/// Gives where two sets of facts differ.
pub(crate) fn differences(clean: &Facts, other: &Facts) -> Vec<String> {
    let more = other.keys().filter(|key| !clean.contains_key(*key));
    let all = clean.keys().chain(more);
    all.filter(|key| clean.get(*key) != other.get(*key))
        .map(|key| {
            let (is, was) = (other.get(key), clean.get(key));
            format!("{key}: {is:?}, and in the clean run {was:?}")
        })
        .collect()
}
