//! Publishes events, beside the work they tell of: nothing waits for an event.

use dockfleet_vitals::chain;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::debug;

use crate::FIELD_MANAGER;
use crate::jobs::in_time;
use crate::kinds;
use crate::notice::Notice;
use crate::parent::Parent;

/// Events that wait to be published: a few for each resource of a large `kubectl apply`. What comes
/// when it is full is dropped; the statuses say the same.
const WAITING: usize = 1024;

/// The way to the task that publishes events.
#[derive(Clone, Debug)]
pub(crate) struct EventPublisher {
    sender: mpsc::Sender<(ObjectReference, Notice)>,
}

impl EventPublisher {
    /// Starts the task; it ends when every teller is gone and everything is published.
    pub(crate) fn start(client: Client) -> (Self, JoinHandle<()>) {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        let recorder = Recorder::new(client, reporter);
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender }, tokio::spawn(publish(recorder, receiver)))
    }

    /// Has notices about a resource published.
    pub(crate) fn publish(&self, parent: &Parent, notices: impl IntoIterator<Item = Notice>) {
        self.publish_for(&kinds::reference(&**parent), notices);
    }

    /// Has notices about any object published.
    pub(crate) fn publish_for(
        &self,
        object: &ObjectReference,
        notices: impl IntoIterator<Item = Notice>,
    ) {
        for notice in notices {
            if self.sender.try_send((object.clone(), notice)).is_err() {
                debug!("dropped an event");
            }
        }
    }
}

/// Publishes what comes. Events are for people: one that is not published changes nothing, so that
/// it cannot be is no failure.
async fn publish(recorder: Recorder, mut receiver: mpsc::Receiver<(ObjectReference, Notice)>) {
    while let Some((reference, notice)) = receiver.recv().await {
        if let Err(err) = in_time(recorder.publish(&notice.event(), &reference)).await {
            debug!(
                reason = notice.reason,
                error = chain(&err),
                "could not publish an event"
            );
        }
    }
}
