//! The containers of an engine, and their names.

use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;

use dockfleet_crds::labels;

use super::error::EngineCall;
use super::{Engine, EngineError};

/// Length of a short ID; a shorter text is more likely a name.
pub(crate) const SHORT_ID: usize = 12;

impl Engine {
    /// Lists the containers, running or stopped.
    pub(crate) async fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        let all = ListContainersOptionsBuilder::default().all(true).build();
        let answer = self.docker.list_containers(Some(all));
        self.read(EngineCall::Containers, answer).await
    }
}

/// Whether an agent has made a container for a moment.
pub(crate) fn is_helper(container: &ContainerSummary) -> bool {
    let labels = container.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(labels::HELPER))
}

/// Returns the name of a container, or the beginning of its ID where it has none.
pub(crate) fn container_name(container: &ContainerSummary) -> String {
    let names = container
        .names
        .iter()
        .flatten()
        .map(|n| n.trim_start_matches('/'));
    // A link is shown as a name with a slash inside.
    let own = names.filter(|n| !n.contains('/')).min();
    let id = || {
        container
            .id
            .as_deref()
            .unwrap_or("unknown")
            .chars()
            .take(SHORT_ID)
            .collect()
    };
    own.map_or_else(id, str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn container(value: Value) -> ContainerSummary {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_container_is_called_by_its_own_name() {
        assert_eq!(
            container_name(&container(json!({"Names": ["/other/web", "/web"]}))),
            "web"
        );
        assert_eq!(
            container_name(&container(json!({"Id": ID}))),
            "0123456789ab"
        );
    }
}
