//! Changes of the nodes of a swarm.

use std::time::Duration;

use bollard::models::{NodeSpec, NodeSpecAvailabilityEnum, NodeSpecRoleEnum};
use bollard::query_parameters::UpdateNodeOptionsBuilder;
use dockfleet_crds::swarm::{Availability, NodeRole};
use dockfleet_planner::kinds::swarm::NodeSettings;

use super::status;
use crate::engine::{Engine, EngineCall, EngineError};

/// How long to wait until a node has its new role. An engine takes 0.55 s, most of which the node waits for its new
/// certificate.
const TAKES_EFFECT: Duration = Duration::from_secs(1);
/// How often to look meanwhile.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Sets the role of a node, and waits for some time until it has it, because the next node waits for this one.
pub(super) async fn set_role(
    engine: &Engine,
    call: EngineCall<'_>,
    node: &str,
    role: NodeRole,
) -> Result<(), EngineError> {
    let wanted = match role {
        NodeRole::Worker => NodeSpecRoleEnum::WORKER,
        NodeRole::Manager => NodeSpecRoleEnum::MANAGER,
    };
    change_node(engine, call, node, |spec| spec.role = Some(wanted)).await?;
    // Without the role or an answer, the pass sees what is there.
    let _ = tokio::time::timeout(TAKES_EFFECT, await_role(engine, call, node, role)).await;
    Ok(())
}

/// Waits until a node has a role and is reached.
async fn await_role(
    engine: &Engine,
    call: EngineCall<'_>,
    node: &str,
    role: NodeRole,
) -> Result<(), EngineError> {
    loop {
        let inspect = engine.docker().inspect_node(Engine::plain(node)?);
        let now = status(&engine.read(call, inspect).await?);
        if now.is_reachable() && now.is_manager() == (role == NodeRole::Manager) {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Sets the availability and the labels of a node.
pub(super) async fn set_node(
    engine: &Engine,
    call: EngineCall<'_>,
    settings: &NodeSettings,
) -> Result<(), EngineError> {
    change_node(engine, call, &settings.node, |spec| {
        if let Some(availability) = settings.availability {
            spec.availability = Some(match availability {
                Availability::Active => NodeSpecAvailabilityEnum::ACTIVE,
                Availability::Pause => NodeSpecAvailabilityEnum::PAUSE,
                Availability::Drain => NodeSpecAvailabilityEnum::DRAIN,
            });
        }
        let labels = spec.labels.get_or_insert_default();
        for (key, value) in &settings.labels {
            match value {
                Some(value) => drop(labels.insert(key.clone(), value.clone())),
                None => drop(labels.remove(key)),
            }
        }
    })
    .await
}

/// Changes the spec of a node. The engine takes the whole spec, in the version that it was read in.
async fn change_node(
    engine: &Engine,
    call: EngineCall<'_>,
    node: &str,
    change: impl FnOnce(&mut NodeSpec),
) -> Result<(), EngineError> {
    let inspect = engine.docker().inspect_node(Engine::plain(node)?);
    let found = engine.read(call, inspect).await?;
    let before = found.spec.unwrap_or_default();
    let mut spec = before.clone();
    change(&mut spec);
    if spec == before {
        return Ok(());
    }
    let version = found.version.and_then(|v| v.index).unwrap_or_default();
    let options = UpdateNodeOptionsBuilder::default()
        .version(i64::try_from(version).unwrap_or(i64::MAX))
        .build();
    let answer = engine.docker().update_node(node, spec, options);
    engine.change(call, answer).await
}
