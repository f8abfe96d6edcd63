//! How everything stands, in a form that is the same after each change.

use std::collections::BTreeSet;

use anyhow::Result;
use dockfleet_e2e::faults::{Facts, renamed};
use serde_json::{Value, json};

use crate::hub::{IDENTITIES, Stand, all, holds, is_there, name, step_name};

/// Gives how everything stands after a change, with the names of resources for their UIDs, and with
/// what the network was labelled last.
///
/// Of deleted hosts nothing is told: what they are known by is taken away by who saw the deletion, and
/// by a new leader ten minutes later.
pub(crate) fn facts(stand: &Stand, step: usize, label: &str) -> Result<Facts> {
    let (mut facts, mut words) = (Facts::new(), Vec::new());
    for kind in ["dockernetworks", "dockervolumes", "dockerhosts"] {
        for object in all(stand, kind) {
            let key = format!("{kind} {}", name(object));
            let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
            words.push((uid.to_owned(), key.clone()));
            let mut fact = fact(object);
            if kind == "dockerhosts" {
                let known_by = IDENTITIES.into_iter();
                let known_by = known_by.filter(|kind| is_there(stand, kind, name(object)));
                fact["known by"] = known_by.collect();
            }
            facts.insert(key, fact);
        }
    }
    for assignment in all(stand, "hostassignments") {
        let entries = assignment["spec"]["entries"].as_array();
        for entry in entries.into_iter().flatten() {
            let part = |key: &str| entry[key].as_str().unwrap_or_default();
            let key = format!("{} {} on {}", part("kind"), part("name"), name(assignment));
            let intent = entry["intent"].as_str().unwrap_or("Present");
            let fact = json!({"uid": entry["uid"], "intent": intent, "spec": entry["spec"]});
            facts.insert(key, fact);
        }
    }
    // The quotes keep another label that begins in the same way from being taken for it.
    words.push((format!("\"{label}\""), "\"the label\"".to_owned()));
    words.push((step_name(step), "new".to_owned()));
    renamed(&facts, &words)
}

/// Gives of how many deleted hosts something is left that they were known by.
pub(crate) fn leftovers(stand: &Stand) -> usize {
    let known = IDENTITIES.into_iter().flat_map(|kind| all(stand, kind));
    let left = known
        .map(name)
        .filter(|of| !is_there(stand, "dockerhosts", of));
    left.collect::<BTreeSet<_>>().len()
}

/// What is the same in every run of an object that is in the same state.
fn fact(object: &Value) -> Value {
    let mut status = object["status"].clone();
    let metadata = &object["metadata"];
    let observed = &status["observedGeneration"];
    let is_old = observed.is_i64() && *observed != metadata["generation"];
    let forget = |value: &mut Value| {
        for field in ["lastTransitionTime", "observedGeneration"] {
            value.as_object_mut().map(|fields| fields.remove(field));
        }
    };
    forget(&mut status);
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        forget(condition);
    }
    json!({
        "is old": is_old,
        "finalizers": metadata["finalizers"],
        "deleting": !metadata["deletionTimestamp"].is_null(),
        "status": status,
    })
}

/// Gives what is not done yet, where nobody knows the end.
pub(crate) fn undone(facts: &Facts) -> Vec<String> {
    let mut undone = Vec::new();
    for (key, fact) in facts {
        let done = match fact.get("intent") {
            Some(intent) => intent == "Present",
            // What else agents say of their hosts is not said here.
            None if key.starts_with("dockerhosts ") => holds(fact, "Reachable"),
            None => holds(fact, "Ready") && fact["is old"] == false,
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
