//! The engines of the hosts of a command: one engine is one host.
//!
//! Two hosts with one engine would have two journals, and one would remove the objects of the other.
//! The endpoints do not show it: a socket and a link to it, a name and its address, a socket and ssh to
//! the same machine. So the identity of each engine is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use dockfleet_agent::engine::Engine;
use dockfleet_crds::host::EngineIdentity;
use futures::StreamExt;

use super::{Files, HOSTS_AT_ONCE, HostTarget};
use crate::args::Output;
use crate::exit::Exit;
use crate::result::bad_input;

/// The connection to the engine of a host, or the error. `None` means to connect again.
pub(crate) type Connected = Option<anyhow::Result<Engine>>;

/// The connections to the engines by host name. If there are more hosts than can be processed at
/// the same time, open connections are dropped, because each may need an ssh session.
#[derive(Debug, Default)]
pub(crate) struct Engines(BTreeMap<String, anyhow::Result<Engine>>);

impl Engines {
    /// Connects to the engine of every host. If two hosts have the same engine, the input is not
    /// valid, which is printed. A host that does not answer does not stop others (invariant 7).
    pub(crate) async fn connect(files: &Files, output: Output) -> Result<Self, Exit> {
        // A single host cannot share its engine, and opens its journal first.
        if files.targets.len() < 2 {
            return Ok(Self::default());
        }
        let connected: Vec<_> = futures::stream::iter(&files.targets)
            .map(|target| async move { (target, target.connect().await) })
            .buffered(HOSTS_AT_ONCE)
            .collect()
            .await;
        let mut known: BTreeMap<EngineIdentity, &HostTarget> = BTreeMap::new();
        let mut problems = Vec::new();
        for (target, engine) in &connected {
            let identity = engine.as_ref().ok().and_then(|e| e.facts().identity());
            let Some(identity) = identity else {
                continue;
            };
            if let Some(other) = known.get(&identity) {
                problems.push(one_engine(other.name(), target.name(), &identity));
            } else {
                known.insert(identity, target);
            }
        }
        if !problems.is_empty() {
            return Err(bad_input(problems, output));
        }
        let all = connected.len() <= HOSTS_AT_ONCE;
        let kept = connected.into_iter().filter(|(_, e)| all || e.is_err());
        let by_name = |(target, engine): (&HostTarget, _)| (target.name().to_owned(), engine);
        Ok(Self(kept.map(by_name).collect()))
    }

    /// Returns the engine of a host.
    pub(crate) fn take(&mut self, target: &HostTarget) -> Connected {
        self.0.remove(target.name())
    }
}

/// The host of each engine in a long-running process: an engine may answer later than others, and
/// its identity may change.
#[derive(Clone, Debug, Default)]
pub(crate) struct EngineHosts(Arc<Mutex<BTreeMap<EngineIdentity, String>>>);

impl EngineHosts {
    /// Adds the engine of a host.
    ///
    /// # Errors
    /// If another host has it.
    pub(crate) fn claim(&self, host: &str, engine: &Engine) -> anyhow::Result<()> {
        self.release(host);
        let Some(identity) = engine.facts().identity() else {
            return Ok(());
        };
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = claims.get(&identity) {
            bail!("nothing is done: {}", one_engine(other, host, &identity));
        }
        claims.insert(identity, host.to_owned());
        Ok(())
    }

    /// Removes the engine of a host.
    pub(crate) fn release(&self, host: &str) {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.retain(|_, other| other != host);
    }
}

fn one_engine(first: &str, second: &str, identity: &EngineIdentity) -> String {
    format!(
        "DockerHosts {first} and {second} are one engine ({identity}); keep one of them. If these are \
         two machines, of which one was copied: give each its own host name, or the copy's engine an \
         ID of its own (delete engine-id in its data folder, and /etc/docker/key.json, and restart it)"
    )
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::host::EngineIdentity;

    use super::one_engine;

    #[test]
    fn both_hosts_and_the_engine_are_named() {
        let identity = EngineIdentity {
            id: "07204af6".to_owned(),
            hostname: "web-1".to_owned(),
            data_root: "/var/lib/docker".to_owned(),
        };
        let sentence = one_engine("a", "b", &identity);
        assert!(
            sentence.starts_with(
                "DockerHosts a and b are one engine (ID 07204af6, machine web-1, data in \
                 /var/lib/docker); keep one of them."
            ),
            "{sentence}"
        );
    }
}
