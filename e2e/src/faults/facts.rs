//! How everything stands, in a form in which two runs can be compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

/// How everything stands, by what it is about.
pub type Facts = BTreeMap<String, Value>;

/// Gives the facts with other words for these: identities differ from run to run, and names do not.
pub fn renamed(facts: &Facts, words: &[(String, String)]) -> Result<Facts> {
    let mut text = serde_json::to_string(facts)?;
    for (from, to) in words {
        text = text.replace(from, to);
    }
    Ok(serde_json::from_str(&text)?)
}

/// Gives where the facts of a run differ from those of the clean run, which nobody disturbed.
pub fn differences(clean: &Facts, other: &Facts) -> Vec<String> {
    let keys: BTreeSet<&String> = clean.keys().chain(other.keys()).collect();
    keys.into_iter()
        .map(|key| (key, [other.get(key), clean.get(key)]))
        .filter(|(_, [is, was])| is != was)
        .map(|(key, both)| {
            let [is, was] = both.map(|fact| fact.unwrap_or(&Value::Null));
            format!("{key}: {is}, and in the clean run {was}")
        })
        .collect()
}
