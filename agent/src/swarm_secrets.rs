//! The secrets of a swarm in the host's own Secret.
//!
//! While hosts join, the agent of one manager writes the join token for workers there, where only the controller reads
//! it. The token for managers is never read. If managers lock, the agent of each keeps the unlock key there, and
//! unlocks its engine after a restart.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::Entry;
use dockfleet_planner::credentials::{
    CredentialEntry, Credentials, JOIN_TOKEN_KEY, UNLOCK_KEY_KEY,
};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::kinds::swarm::SwarmSecrets;
use dockfleet_vitals::chain;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::actions::swarm::{self, LockState};
use crate::engine::{Engine, EngineCall, EngineError};
use crate::report::{ApiError, call};
use crate::retry::Backoff;

/// The field manager of these keys in a Secret; it owns nothing else there.
const FIELD_MANAGER: &str = "dockfleet-agent-swarm";
/// How often the engine is asked again while a secret is kept: somebody may rotate it, and the engine may lock.
const AGAIN: Duration = Duration::from_secs(30);
/// How often it is asked for a key that it must have soon. Until the key is kept, a restart of all managers loses the
/// swarm.
const SOON: Duration = Duration::from_secs(2);

/// What is to be in the Secret.
#[derive(Clone, Debug, Default)]
enum Wanted {
    /// The host is in no swarm of a resource: the Secret is not touched.
    #[default]
    Untouched,
    /// These secrets of the engine's swarm; none if no entry is of a swarm any more. Without an engine that answers,
    /// everything stays.
    Secrets(Option<SwarmSecrets>, Option<Arc<Engine>>),
}

/// Keeps the secrets in a task of its own.
#[derive(Debug)]
pub(crate) struct SecretKeeper {
    wanted: watch::Sender<Wanted>,
    /// Ends with this.
    writer: AbortOnDropHandle<()>,
}

impl SecretKeeper {
    /// Starts the writer of the Secret with the host's name.
    pub(crate) fn start(client: &Client, namespace: &str, host: &str) -> Self {
        let (wanted, requests) = watch::channel(Wanted::default());
        let writer = Writer {
            secrets: Api::namespaced(client.clone(), namespace),
            name: host.to_owned(),
        };
        Self {
            wanted,
            writer: AbortOnDropHandle::new(tokio::spawn(writer.run(requests))),
        }
    }

    /// Keeps or removes the secrets as the entries ask for them.
    pub(crate) fn follow(&mut self, entries: &[Entry], engine: Option<&Arc<Engine>>) {
        let untouched = matches!(*self.wanted.borrow(), Wanted::Untouched);
        let wanted = match asked(entries) {
            None if untouched => Wanted::Untouched,
            asked => Wanted::Secrets(asked, engine.cloned()),
        };
        self.wanted.send_if_modified(|before| {
            let same = match (&*before, &wanted) {
                (Wanted::Untouched, Wanted::Untouched) => true,
                (Wanted::Secrets(a, one), Wanted::Secrets(b, other)) => {
                    a == b && one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
                }
                (Wanted::Untouched | Wanted::Secrets(..), _) => false,
            };
            *before = wanted;
            !same
        });
    }

    /// Ends the process if the writer has panicked.
    pub(crate) async fn failed(&mut self) {
        if let Err(err) = (&mut self.writer).await
            && let Ok(panic) = err.try_into_panic()
        {
            resume_unwind(panic);
        }
        std::future::pending::<()>().await;
    }
}

/// Returns what the entries ask for; `None` if none is of a swarm.
fn asked(entries: &[Entry]) -> Option<SwarmSecrets> {
    entries
        .iter()
        .filter_map(|entry| match EntrySpec::of(entry) {
            Ok(EntrySpec::Present(desired)) => desired.swarm_secrets(),
            Ok(EntrySpec::Absent(..)) | Err(_) => None,
        })
        .reduce(|a, b| SwarmSecrets {
            join_token: a.join_token || b.join_token,
            unlock_key: a.unlock_key || b.unlock_key,
        })
}

/// Why a secret is not in the Secret.
#[derive(Debug, thiserror::Error)]
enum KeepingError {
    #[error("the engine does not return it")]
    Engine(#[from] EngineError),
    #[error("the engine is locked, and the key in the Secret does not unlock it")]
    Unlock(#[source] EngineError),
    #[error("the host's own Secret cannot be read or written")]
    Api(#[from] ApiError),
    #[error(
        "the engine is locked, and the Secret has no key for it; run `docker swarm unlock` on the host"
    )]
    NoKey,
}

struct Writer {
    secrets: Api<Secret>,
    name: String,
}

impl Writer {
    async fn run(self, mut requests: watch::Receiver<Wanted>) {
        let mut backoff = Backoff::default();
        loop {
            let wanted = requests.borrow_and_update().clone();
            let again = match self.write(&wanted).await {
                Ok(again) => {
                    backoff.reset();
                    again
                }
                Err(err) => {
                    tracing::warn!(error = %chain(&err), "the secrets of the swarm cannot be kept");
                    Some(backoff.next())
                }
            };
            let wait = async {
                match again {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                changed = requests.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    /// Writes what is wanted, and returns after which time the engine must be asked again.
    async fn write(&self, wanted: &Wanted) -> Result<Option<Duration>, KeepingError> {
        let Wanted::Secrets(asked, Some(engine)) = wanted else {
            return Ok(None);
        };
        let wanted = asked.unwrap_or_default();
        let secret = call(self.secrets.get_opt(&self.name)).await?;
        let had = |key| CredentialEntry::of_host(secret.as_ref()?, key);
        let (had_token, had_key) = (had(JOIN_TOKEN_KEY), had(UNLOCK_KEY_KEY));
        let key = if wanted.unlock_key || had_key.is_some() {
            unlocked(engine, had_key.as_ref(), asked.is_some()).await?
        } else {
            None
        };
        let token = if wanted.join_token {
            Some(engine.join_token().await?)
        } else {
            None
        };
        // A key stays as long as the swarm locks, even if nobody asks for it any more.
        let again = if wanted.unlock_key && key.is_none() {
            // The swarm is about to lock.
            Some(SOON)
        } else {
            (wanted.join_token || wanted.unlock_key || key.is_some()).then_some(AGAIN)
        };
        if (&token, &key) == (&had_token, &had_key) {
            return Ok(again);
        }
        let mut data = BTreeMap::new();
        for (name, entry) in [(JOIN_TOKEN_KEY, token), (UNLOCK_KEY_KEY, key)] {
            if let Some(entry) = entry {
                data.insert(name, ByteString(entry.packed()));
            }
        }
        let patch = Patch::Apply(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name},
            "data": data,
        }));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        call(self.secrets.patch(&self.name, &params, &patch)).await?;
        Ok(again)
    }
}

/// Unlocks the engine if it is locked, and returns the key that the Secret must have.
async fn unlocked(
    engine: &Engine,
    had: Option<&CredentialEntry>,
    is_member: bool,
) -> Result<Option<CredentialEntry>, KeepingError> {
    match swarm::lock_state(engine).await? {
        LockState::Locked => {
            let had = had.ok_or(KeepingError::NoKey)?;
            let answer = engine.unlock(&had.credentials).await;
            answer.map_err(KeepingError::Unlock)?;
            tracing::info!("the engine was locked, and is unlocked");
            Ok(Some(had.clone()))
        }
        LockState::Manager => Ok(engine.unlock_key().await?),
        // Until it says more, the key stays. An engine that is in no swarm and is to be in one has perhaps lost it.
        LockState::Unknown => Ok(had.cloned()),
        LockState::Inactive => Ok(had.filter(|_| is_member).cloned()),
        LockState::Worker => Ok(None),
    }
}

impl Engine {
    /// Returns the token with which workers join the engine's swarm.
    pub async fn join_token(&self) -> Result<CredentialEntry, EngineError> {
        let swarm = self
            .read(EngineCall::JoinToken, self.docker().inspect_swarm())
            .await?;
        let token = swarm.join_tokens.and_then(|t| t.worker);
        let none = || EngineError::Refused("the swarm has no token for workers".to_owned());
        Ok(CredentialEntry::of_token(&token.ok_or_else(none)?))
    }

    /// Returns the key that unlocks the managers of the engine's swarm; `None` if they do not lock.
    async fn unlock_key(&self) -> Result<Option<CredentialEntry>, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            unlock_key: String,
        }
        let answer = self.get(EngineCall::UnlockKey, "/swarm/unlockkey").await?;
        let answer: Answer = serde_json::from_str(&answer)
            // The error's text would quote the answer.
            .map_err(|_| EngineError::Refused("the unlock key cannot be read".to_owned()))?;
        let key = Some(answer.unlock_key).filter(|key| !key.is_empty());
        Ok(key.map(|key| CredentialEntry::of_token(&key)))
    }

    async fn unlock(&self, key: &Credentials) -> Result<(), EngineError> {
        let body = json!({"UnlockKey": key.secret()});
        let answer = self.post(EngineCall::Unlock, "/swarm/unlock", &body).await;
        answer.map_err(|err| err.without(Some(key)))
    }
}
