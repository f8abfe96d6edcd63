//! What is on the engine, in the journal and in the API server, in a form in which two runs can be
//! compared: identities differ from run to run, and are replaced by the names of what has them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dockfleet_crds::{DockerHost, EntryStatus, labels};
use dockfleet_e2e::Engine;
use dockfleet_e2e::faults::Facts;
use serde_json::{Value, json};

use crate::engine_events::Happened;
use crate::removals::Removal;

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

    /// Gives what the engine shows.
    pub(crate) fn facts(&self) -> Facts {
        let facts = self.shown.iter().map(|(key, object)| {
            let mut object = object.clone();
            if let Some(fields) = object.as_object_mut() {
                fields.retain(|field, _| !["Id", "Created", "CreatedAt"].contains(&field.as_str()));
            }
            (format!("engine: {key}"), object)
        });
        facts.collect()
    }

    /// Gives each identity with the object that has it.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let ids = self.ids.iter();
        ids.map(|(key, id)| (id.clone(), format!("that of {key}")))
            .collect()
    }
}

/// Gives what the journal says.
pub(crate) fn journal_facts(journal: &[Value]) -> Facts {
    let fact = |record: &Value| (format!("journal: {}", text(&record["uid"])), record.clone());
    journal.iter().map(fact).collect()
}

/// Gives what the agent has told the API server.
pub(crate) fn status_facts(host: &DockerHost, entries: &[EntryStatus]) -> Result<Facts> {
    let mut facts = Facts::new();
    for entry in entries {
        facts.insert(
            format!("status: {}", entry.uid),
            serde_json::to_value(entry)?,
        );
    }
    let status = host.status.as_ref().context("the host has no status")?;
    let conditions = status.conditions.iter();
    let conditions: Vec<_> = conditions
        .map(|c| (&c.type_, &c.status, &c.reason, &c.message))
        .collect();
    let reported = json!({"conditions": conditions, "entries": status.entries});
    facts.insert("status: of the host".to_owned(), reported);
    Ok(facts)
}

/// Gives how often each object was made and removed.
pub(crate) fn happened_facts(events: &[Happened], removed: &[Removal]) -> Facts {
    // For a container that has a volume, Engine 20.10 says that it has made the volume, too.
    let is_first = |(at, event): &(usize, &Happened)| {
        let mut before = events.iter().take(*at).rev();
        let last = before.find(|e| e.object == event.object);
        !event.object.starts_with("volume ") || last.is_none_or(|e| e.action != "create")
    };
    let created = events
        .iter()
        .enumerate()
        .filter(is_first)
        .map(|(_, event)| event);
    let created = created.filter(|e| e.action == "create");
    let created = created.map(|e| format!("happened: create {}", e.object));
    let removed = removed
        .iter()
        .map(|r| format!("happened: remove {}", r.object));
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for key in created.chain(removed) {
        *counts.entry(key).or_default() += 1;
    }
    counts.into_iter().map(|(k, n)| (k, n.into())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
