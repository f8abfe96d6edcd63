//! What the engine itself says that it has made and removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use dockfleet_e2e::Engine;
use serde_json::Value;

/// A moment by this machine's clock, which is the engine's too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Duration);

impl Moment {
    pub(crate) fn now() -> Result<Self> {
        Ok(Self(SystemTime::now().duration_since(UNIX_EPOCH)?))
    }

    fn query(self) -> String {
        format!("{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

/// A network or volume that was made or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happened {
    /// `create` or `destroy`.
    pub(crate) action: String,
    /// Kind and name, such as `network front`.
    pub(crate) object: String,
    /// The engine's identity; of a volume that is its name.
    pub(crate) id: String,
}

/// Gives what was made and removed since then, in the order in which it was.
pub(crate) fn since(engine: &Engine, begin: Moment) -> Result<Vec<Happened>> {
    let (since, until) = (begin.query(), Moment::now()?.query());
    let lines = match engine.get(&format!("/events?since={since}&until={until}"))? {
        Value::Null => Vec::new(),
        Value::String(text) => serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()?,
        only => vec![only],
    };
    lines
        .iter()
        .filter_map(|line| read(line).transpose())
        .collect()
}

fn read(event: &Value) -> Result<Option<Happened>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let (kind, action) = (text(&event["Type"]), text(&event["Action"]));
    let (kind, action) = (kind.context("no type")?, action.context("no action")?);
    let of_ours = ["network", "volume"].contains(&kind.as_str());
    if !of_ours || !["create", "destroy"].contains(&action.as_str()) {
        return Ok(None);
    }
    let actor = &event["Actor"];
    let id = text(&actor["ID"]).context("no identity")?;
    let name = text(&actor["Attributes"]["name"]).unwrap_or_else(|| id.clone());
    let object = format!("{kind} {name}");
    Ok(Some(Happened { action, object, id }))
}
