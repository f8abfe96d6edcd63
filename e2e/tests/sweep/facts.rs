//! What is on the engine, in the journal and in the API server, in a form in which two runs can be
//! compared: identities differ from run to run, and are replaced by the names of what has them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dockfleet_crds::{DockerHost, EntryStatus, labels};
use dockfleet_e2e::Engine;
use serde_json::{Value, json};

use crate::engine_events::Happened;

/// Everything that is compared, by what it is about.
pub(crate) type Facts = BTreeMap<String, Value>;

/// The objects of an engine.
pub(crate) struct Objects {
    /// What the engine shows, by kind and name.
    shown: BTreeMap<String, Value>,
    /// The identities that the agent knows them by.
    pub(crate) ids: BTreeMap<String, String>,
}

impl Objects {
    /// Reads what the engine has; two networks of one name are an error.
    pub(crate) fn read(engine: &Engine) -> Result<Self> {
        let mut objects = Self {
            shown: BTreeMap::new(),
            ids: BTreeMap::new(),
        };
        let networks = engine.get("/networks")?;
        for network in networks.as_array().context("no list of networks")? {
            let id = text(&network["Id"]);
            objects.add("network", network, id)?;
        }
        let volumes = engine.get("/volumes")?;
        for volume in volumes["Volumes"].as_array().into_iter().flatten() {
            let id = match &volume["Labels"][labels::VOLUME_ID] {
                Value::Null => format!("name:{}", text(&volume["Name"])),
                id => text(id),
            };
            objects.add("volume", volume, id)?;
        }
        Ok(objects)
    }

    fn add(&mut self, kind: &str, object: &Value, id: String) -> Result<()> {
        let key = format!("{kind} {}", text(&object["Name"]));
        ensure!(!self.ids.contains_key(&key), "{key} is there twice");
        self.ids.insert(key.clone(), id);
        self.shown.insert(key, object.clone());
        Ok(())
    }

    pub(crate) fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        for (key, object) in &self.shown {
            let mut object = object.clone();
            for field in ["Id", "Created", "CreatedAt"] {
                if let Some(fields) = object.as_object_mut() {
                    fields.remove(field);
                }
            }
            if !object["Labels"][labels::VOLUME_ID].is_null() {
                object["Labels"][labels::VOLUME_ID] = "its own".into();
            }
            facts.insert(format!("engine: {key}"), object);
        }
        facts
    }

    /// Gives what `journal` says, each identity by the object that has it.
    pub(crate) fn journal_facts(&self, journal: &[Value]) -> Facts {
        let fact = |record: &Value| {
            let mut record = record.clone();
            self.name_id(&mut record);
            (format!("journal: {}", text(&record["uid"])), record)
        };
        journal.iter().map(fact).collect()
    }

    /// The same of what the agent has told the API server.
    pub(crate) fn status_facts(&self, host: &DockerHost, entries: &[EntryStatus]) -> Result<Facts> {
        let mut facts = Facts::new();
        for entry in entries {
            let mut told = serde_json::to_value(entry)?;
            self.name_id(&mut told);
            facts.insert(format!("status: {}", entry.uid), told);
        }
        let status = host.status.as_ref().context("the host has no status")?;
        let conditions: Vec<_> = status
            .conditions
            .iter()
            .map(|c| (&c.type_, &c.status, &c.reason, &c.message))
            .collect();
        let told = json!({"conditions": conditions, "entries": status.entries});
        facts.insert("status: of the host".to_owned(), told);
        Ok(facts)
    }

    fn name_id(&self, value: &mut Value) {
        let id = &mut value["id"];
        let known = self.ids.iter().find(|(_, known)| *id == known.as_str());
        if let Some((key, _)) = known {
            *id = format!("that of {key}").into();
        }
    }
}

/// Gives how often each object was made and removed.
pub(crate) fn event_facts(events: &[Happened]) -> Facts {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for event in events {
        let key = format!("events: {} {}", event.action, event.object);
        *counts.entry(key).or_default() += 1;
    }
    counts.into_iter().map(|(k, n)| (k, n.into())).collect()
}

/// Gives where two sets of facts differ.
pub(crate) fn differences(clean: &Facts, other: &Facts) -> Vec<String> {
    let (mut keys, none): (Vec<&String>, _) =
        (clean.keys().chain(other.keys()).collect(), Value::Null);
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| {
            (
                key,
                clean.get(key).unwrap_or(&none),
                other.get(key).unwrap_or(&none),
            )
        })
        .filter(|(_, clean, other)| clean != other)
        .map(|(key, clean, other)| format!("{key}: {other}, and in the clean run {clean}"))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
