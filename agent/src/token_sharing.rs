//! Shares the join token of a swarm: while hosts join, the agent of one manager writes the token for workers into
//! its host's own Secret, where only the controller reads it. The token for managers is never read.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::Entry;
use dockfleet_planner::credentials::{CredentialEntry, JOIN_TOKEN_KEY};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_vitals::chain;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::{Engine, EngineCall, EngineError};
use crate::report::{ApiError, call};
use crate::retry::Backoff;

/// The field manager of the token in a Secret; it owns nothing else there.
const FIELD_MANAGER: &str = "dockfleet-agent-swarm";
/// How often the token is read again while it is shared: somebody may rotate it.
const AGAIN: Duration = Duration::from_secs(30);

/// What is to be in the Secret.
#[derive(Clone, Debug, Default)]
enum Wanted {
    /// The host is in no swarm of a resource: the Secret is not touched.
    #[default]
    Untouched,
    /// No token.
    Nothing,
    /// The token of this engine's swarm.
    Token(Arc<Engine>),
}

/// Shares the token in a task of its own.
#[derive(Debug)]
pub(crate) struct TokenSharing {
    wanted: watch::Sender<Wanted>,
    /// Ends with this.
    writer: AbortOnDropHandle<()>,
}

impl TokenSharing {
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

    /// Shares or removes the token as the entries ask for it.
    pub(crate) fn follow(&mut self, entries: &[Entry], engine: Option<&Arc<Engine>>) {
        let untouched = matches!(*self.wanted.borrow(), Wanted::Untouched);
        let wanted = match (shares(entries), engine) {
            (None, _) if untouched => Wanted::Untouched,
            (None | Some(false), _) => Wanted::Nothing,
            (Some(true), Some(engine)) => Wanted::Token(Arc::clone(engine)),
            // Until the engine answers, everything stays.
            (Some(true), None) => return,
        };
        self.wanted.send_if_modified(|before| {
            let same = match (&*before, &wanted) {
                (Wanted::Untouched, Wanted::Untouched) | (Wanted::Nothing, Wanted::Nothing) => true,
                (Wanted::Token(a), Wanted::Token(b)) => Arc::ptr_eq(a, b),
                (Wanted::Untouched | Wanted::Nothing | Wanted::Token(_), _) => false,
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

/// Returns whether entries ask for the token; `None` if none is of a swarm.
fn shares(entries: &[Entry]) -> Option<bool> {
    entries
        .iter()
        .filter_map(|entry| match EntrySpec::of(entry) {
            Ok(EntrySpec::Present(desired)) => desired.shares_token(),
            Ok(EntrySpec::Absent(..)) | Err(_) => None,
        })
        .reduce(|a, b| a || b)
}

/// Why the token is not in the Secret.
#[derive(Debug, thiserror::Error)]
enum SharingError {
    #[error("the engine does not return the token")]
    Engine(#[from] EngineError),
    #[error("the host's own Secret cannot be written")]
    Api(#[from] ApiError),
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
                Ok(()) => {
                    backoff.reset();
                    matches!(wanted, Wanted::Token(_)).then_some(AGAIN)
                }
                Err(err) => {
                    tracing::warn!(error = %chain(&err), "the join token cannot be shared");
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

    async fn write(&self, wanted: &Wanted) -> Result<(), SharingError> {
        let data = match wanted {
            Wanted::Untouched => return Ok(()),
            Wanted::Nothing => {
                let secret = call(self.secrets.get_opt(&self.name)).await?;
                let has = secret
                    .is_some_and(|s| s.data.is_some_and(|data| data.contains_key(JOIN_TOKEN_KEY)));
                if !has {
                    return Ok(());
                }
                json!({})
            }
            Wanted::Token(engine) => {
                let token = engine.join_token().await?;
                let packed = ByteString(CredentialEntry::of_token(&token).packed());
                json!({ JOIN_TOKEN_KEY: packed })
            }
        };
        let patch = Patch::Apply(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": self.name},
            "data": data,
        }));
        let params = PatchParams::apply(FIELD_MANAGER).force();
        call(self.secrets.patch(&self.name, &params, &patch)).await?;
        Ok(())
    }
}

impl Engine {
    /// Returns the token with which workers join the engine's swarm.
    async fn join_token(&self) -> Result<String, EngineError> {
        let swarm = self
            .read(EngineCall::JoinToken, self.docker().inspect_swarm())
            .await?;
        let token = swarm.join_tokens.and_then(|t| t.worker);
        token.ok_or_else(|| EngineError::Refused("the swarm has no token for workers".to_owned()))
    }
}
