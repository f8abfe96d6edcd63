//! What an engine has, asked of the engine itself.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Engine;
use serde_json::Value;

use crate::cli_env::text;

/// Gives every network of that very name.
pub(crate) fn networks(engine: &Engine, name: &str) -> Result<Vec<Value>> {
    let all = engine.get("/networks")?;
    let all = all.as_array().context("no list of networks")?;
    let named = all.iter().filter(|n| n["Name"] == name);
    named
        .map(|n| engine.get(&format!("/networks/{}", text(&n["Id"]))))
        .collect()
}

/// Gives the one network of that name.
pub(crate) fn network(engine: &Engine, name: &str) -> Result<Value> {
    let mut found = networks(engine, name)?;
    ensure!(found.len() == 1, "{} networks {name}", found.len());
    found.pop().context("it was there")
}

/// Gives the ID of the one network of that name.
pub(crate) fn network_id(engine: &Engine, name: &str) -> Result<String> {
    Ok(text(&network(engine, name)?["Id"]))
}

/// Says whether there is a network of that name.
pub(crate) fn has_network(engine: &Engine, name: &str) -> Result<bool> {
    Ok(!networks(engine, name)?.is_empty())
}

/// Gives the IDs of all networks but the engine's own, by name.
pub(crate) fn network_ids(engine: &Engine) -> Result<BTreeMap<String, Vec<String>>> {
    let all = engine.get("/networks")?;
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for network in all.as_array().context("no list of networks")? {
        let name = text(&network["Name"]);
        if !["bridge", "host", "none"].contains(&name.as_str()) {
            ids.entry(name).or_default().push(text(&network["Id"]));
        }
    }
    for ids in ids.values_mut() {
        ids.sort();
    }
    Ok(ids)
}

/// Gives the names of all volumes, sorted.
pub(crate) fn volume_names(engine: &Engine) -> Result<Vec<String>> {
    let all = engine.get("/volumes")?;
    let all = all["Volumes"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = all.iter().map(|v| text(&v["Name"])).collect();
    names.sort();
    Ok(names)
}

/// Gives a volume.
pub(crate) fn volume(engine: &Engine, name: &str) -> Result<Value> {
    engine.get(&format!("/volumes/{name}"))
}

/// Says whether there is a volume of that name.
pub(crate) fn has_volume(engine: &Engine, name: &str) -> Result<bool> {
    Ok(volume_names(engine)?.iter().any(|n| n == name))
}

/// Makes a network by hand.
pub(crate) fn make_network(engine: &Engine, body: &Value) -> Result<String> {
    let made = engine.post("/networks/create", body)?.ok()?;
    Ok(text(&made["Id"]))
}

/// Makes a volume by hand.
pub(crate) fn make_volume(engine: &Engine, body: &Value) -> Result<()> {
    engine.post("/volumes/create", body)?.ok()?;
    Ok(())
}

/// Removes something by hand, such as `/networks/front`.
pub(crate) fn remove(engine: &Engine, path: &str) -> Result<()> {
    engine.delete(path)?.ok()?;
    Ok(())
}

/// Everything that can tell one state of an engine from another: networks and volumes with all that
/// inspecting them shows.
pub(crate) fn everything(engine: &Engine) -> Result<(Vec<Value>, Vec<Value>)> {
    let mut networks = Vec::new();
    for id in network_ids(engine)?.into_values().flatten() {
        networks.push(engine.get(&format!("/networks/{id}"))?);
    }
    let names = volume_names(engine)?;
    let volumes = names
        .iter()
        .map(|n| volume(engine, n))
        .collect::<Result<_>>()?;
    Ok((networks, volumes))
}
