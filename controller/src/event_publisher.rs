//! Publishes events in the background: nothing waits for an event.

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

/// Size of the queue of events: a few for each resource of a large `kubectl apply`. When it is
/// full, new events are dropped; the statuses have the same information.
const WAITING: usize = 1024;

/// Sends events to the task that publishes them.
#[derive(Clone, Debug)]
pub(crate) struct EventPublisher {
    sender: mpsc::Sender<(ObjectReference, Notice)>,
}

impl EventPublisher {
    /// Starts the task. It ends when every publisher is dropped and everything is published.
    pub(crate) fn start(client: Client) -> (Self, JoinHandle<()>) {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        let recorder = Recorder::new(client, reporter);
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender }, tokio::spawn(publish(recorder, receiver)))
    }

    /// Publishes events about a resource.
    pub(crate) fn publish(&self, parent: &Parent, notices: impl IntoIterator<Item = Notice>) {
        self.publish_for(&kinds::reference(&**parent), notices);
    }

    /// Publishes events about any object.
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

/// Publishes the events in the queue. Events are for people only, so a failure to publish one is
/// not an error.
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
