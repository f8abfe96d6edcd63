//! The events of an engine that can matter to an entry.

use std::collections::HashMap;

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::labels;
use futures::{Stream, StreamExt, future};

use super::error::EngineCall;
use super::{Engine, EngineError};

/// The type of events about the nodes of a swarm.
const NODE: &str = "node";

/// An event of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// An object of a known kind was created or removed.
    Object,
    /// A container no longer uses something: only waiting entries are affected.
    Release,
    /// A container was created or started, so that it may have changed the top folder of a volume.
    Container,
    /// A node of the swarm was added, changed or removed. Only managers have such events.
    Node,
}

impl Engine {
    /// Returns the events of the engine from now on. The stream ends with the connection. A broken connection
    /// may never end it, so the caller must open it again from time to time.
    pub fn events(&self) -> impl Stream<Item = Result<EngineEvent, EngineError>> + Send + use<> {
        self.calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let types = Kind::all().map(Kind::object).chain(["container", NODE]);
        let filters = HashMap::from([
            ("type", types.collect()),
            (
                "event",
                vec![
                    "create",
                    "destroy",
                    "remove",
                    "disconnect",
                    "start",
                    "die",
                    "update",
                ],
            ),
        ]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        self.docker.events(Some(options)).filter_map(|event| {
            future::ready(match event {
                Ok(event) => relevant(&event).map(Ok),
                Err(err) => Some(Err(EngineError::of(EngineCall::Events, &err))),
            })
        })
    }
}

fn relevant(event: &EventMessage) -> Option<EngineEvent> {
    let action = event.action.as_deref().unwrap_or_default();
    let is_object = |of: &str| Kind::all().any(|kind| kind.object() == of);
    // The attributes of a container's event have its labels.
    let attributes = event.actor.as_ref().and_then(|a| a.attributes.as_ref());
    if attributes.is_some_and(|a| a.contains_key(labels::HELPER)) {
        return None;
    }
    match (event.typ?.as_ref(), action) {
        (of, "create" | "destroy" | "remove") if is_object(of) => Some(EngineEvent::Object),
        (NODE, "create" | "update" | "remove") => Some(EngineEvent::Node),
        ("container", "create" | "start") => Some(EngineEvent::Container),
        ("network", "disconnect") | ("container", "die" | "destroy") => Some(EngineEvent::Release),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{EngineEvent, relevant};

    #[test]
    fn only_relevant_events_are_returned() {
        let event = |typ: &str, action: &str| {
            relevant(&serde_json::from_value(json!({"Type": typ, "Action": action})).unwrap())
        };
        assert_eq!(event("network", "destroy"), Some(EngineEvent::Object));
        assert_eq!(event("volume", "create"), Some(EngineEvent::Object));
        assert_eq!(event("network", "disconnect"), Some(EngineEvent::Release));
        assert_eq!(event("container", "die"), Some(EngineEvent::Release));
        assert_eq!(event("node", "update"), Some(EngineEvent::Node));
        assert_eq!(event("container", "update"), None);
        assert_eq!(event("container", "create"), Some(EngineEvent::Container));
        assert_eq!(event("container", "start"), Some(EngineEvent::Container));
        let helper = json!({
            "Type": "container", "Action": "create",
            "Actor": {"Attributes": {"image": "i", "io.dockfleet.helper": "ownership"}},
        });
        assert_eq!(relevant(&serde_json::from_value(helper).unwrap()), None);
        assert_eq!(event("network", "connect"), None);
    }
}
