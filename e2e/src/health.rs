//! What other people's tools make of an object.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::owned::Folder;
use crate::program::{self, BuiltSet};

/// How long a tool may take for all objects together.
const LIMIT: Duration = Duration::from_mins(2);

/// What a tool makes of one object, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// One word.
    pub status: String,
    /// A sentence.
    pub message: String,
}

/// Asks kstatus, the library that Flux waits with, how each of the objects stands.
pub fn kstatus(objects: &[Value]) -> Result<Vec<Health>> {
    judge::<&OsStr>("kstatus", &[], objects)
}

/// Runs a `health.lua` over each of the objects, as Argo CD does it.
pub fn argo_health(script: &Path, objects: &[Value]) -> Result<Vec<Health>> {
    judge("argo-health", &[script], objects)
}

fn judge<A: AsRef<OsStr>>(tool: &str, args: &[A], objects: &[Value]) -> Result<Vec<Health>> {
    let folder = Folder::new()?;
    let input = folder.file("objects");
    let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
    fs::write(&input, lines.join("\n"))?;
    let command = program::command(program::built(BuiltSet::Kstatus)?.join(tool), args);
    let printed = program::run_with(&command, File::open(&input)?.into(), LIMIT)?.ok()?;
    let healths: Vec<Health> = printed
        .lines()
        .map(|line| {
            let said: Value = serde_json::from_str(line)?;
            let text = |key: &str| {
                let text = said.get(key).and_then(Value::as_str).map(str::to_owned);
                text.with_context(|| format!("{tool} said {line}"))
            };
            Ok(Health {
                status: text("status")?,
                message: text("message")?,
            })
        })
        .collect::<Result<_>>()?;
    ensure!(
        healths.len() == objects.len(),
        "{tool} judged {} of {} objects",
        healths.len(),
        objects.len()
    );
    Ok(healths)
}
