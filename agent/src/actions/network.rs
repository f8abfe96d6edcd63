//! The calls to an engine for networks.

use std::convert::Infallible;

use bollard::models::{ContainerSummary, Ipam, IpamConfig, Network, NetworkCreateRequest};
use bollard::query_parameters::ListNetworksOptions;
use bollard::{Docker, body_full};
use dockfleet_crds::DockerNetwork;
use dockfleet_planner::capability::ApiVersion;
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::ObjectKind as _;
use dockfleet_planner::kinds::network::{
    AddressBlock, DEFAULT_IPAM, DesiredNetwork, ObservedNetwork,
};

use super::{EngineObject, swarm};
use crate::effect::Effects;
use crate::engine::map::{from_engine, to_engine};
use crate::engine::{Engine, EngineCall, EngineError, orphaned_network, redact, usage, versioned};

/// Since this API version the engine itself refuses a second network of one name.
const UNIQUE_NAMES: ApiVersion = ApiVersion(1, 44);

impl EngineObject for DockerNetwork {
    async fn list(engine: &Engine) -> Result<(Vec<ObservedNetwork>, Vec<String>), EngineError> {
        let list = networks(engine).await?;
        Ok((list.into_iter().map(observed).collect(), Vec::new()))
    }

    async fn create(
        engine: &Engine,
        desired: &DesiredNetwork,
        _: Option<&Credentials>,
    ) -> Result<(), EngineError> {
        let call = EngineCall::Create(Self::KIND, &desired.name);
        let docker = checking_names(engine, request(desired));
        let answer = docker.create_network(request(desired));
        let created = match engine.change(call, answer).await {
            Err(EngineError::Refused(text)) => return Err(refusal(engine, text).await),
            other => other?,
        };
        if !created.warning.is_empty() {
            tracing::warn!(
                object = desired.name,
                warning = redact::redact(&created.warning),
                "the engine returned a warning"
            );
        }
        Ok(())
    }

    async fn remove(engine: &Engine, id: &str, _name: &str) -> Result<(), EngineError> {
        let answer = engine.docker().remove_network(Engine::plain(id)?);
        engine
            .change(EngineCall::Remove(Self::KIND, id), answer)
            .await
    }

    /// A network is removed by its ID, which no other network ever has.
    async fn is_still(_engine: &Engine, _id: &str, _name: &str) -> Result<bool, EngineError> {
        Ok(true)
    }

    async fn users_elsewhere(engine: &Engine, id: &str) -> Vec<String> {
        swarm::network_users(engine, id)
            .await
            .unwrap_or_else(|err| {
                tracing::debug!(
                    error = err.sentence(),
                    "the users of a network are not known"
                );
                Vec::new()
            })
    }

    /// An engine cannot change it.
    async fn update(
        _: &Engine,
        _: &Effects,
        _: &str,
        change: &Infallible,
    ) -> Result<(), EngineError> {
        match *change {}
    }

    fn is_used_by(container: &ContainerSummary, id: &str, name: &str) -> bool {
        is_used_by(container, id, name)
    }

    /// `CheckDuplicate` does not see a network that is still being created.
    fn may_create_duplicates(engine: &Engine) -> bool {
        engine.api() < UNIQUE_NAMES
    }
}

/// Returns the ID and the name of each network of a swarm that the engine shows.
pub(super) async fn swarm_networks(engine: &Engine) -> Result<Vec<(String, String)>, EngineError> {
    let list = networks(engine).await?.into_iter();
    let of_swarm = list.filter(|n| n.scope.as_deref() == Some("swarm"));
    Ok(of_swarm.filter_map(|n| Some((n.id?, n.name?))).collect())
}

pub(super) async fn networks(engine: &Engine) -> Result<Vec<Network>, EngineError> {
    let call = engine.docker().list_networks(None::<ListNetworksOptions>);
    engine
        .read(EngineCall::List(DockerNetwork::KIND), call)
        .await
}

/// Returns the refusal of a network, with an explanation if the reason is a network that the engine does not
/// list.
async fn refusal(engine: &Engine, text: String) -> EngineError {
    let Some(rival) = orphaned_network::rival(&text) else {
        return EngineError::Refused(text);
    };
    let text = match DockerNetwork::list(engine).await {
        Ok((listed, _)) if listed.iter().all(|n| n.id != rival) => {
            orphaned_network::explained(&text, rival)
        }
        Ok(_) | Err(_) => text,
    };
    EngineError::Refused(text)
}

/// Returns a client that sends `CheckDuplicate` to engines that need it: without it they create a second
/// network of the same name. The client library's type has no such field.
fn checking_names(engine: &Engine, request: NetworkCreateRequest) -> Docker {
    let (docker, api) = (engine.docker(), engine.api());
    if api >= UNIQUE_NAMES {
        return docker.clone();
    }
    let Some(body) = with_check_duplicate(request) else {
        return docker.clone();
    };
    docker.clone().with_request_modifier(move |request| {
        let mut request = versioned(request, api);
        *request.body_mut() = body_full(body.clone().into());
        request
    })
}

/// Returns the request for a network. Unset fields are left out, so that the engine's defaults apply.
fn request(want: &DesiredNetwork) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: want.name.clone(),
        driver: Some(want.driver.clone()),
        internal: Some(want.internal),
        attachable: Some(want.attachable),
        ingress: want.ingress.then_some(true),
        enable_ipv4: want.enable_ipv4,
        enable_ipv6: want.enable_ipv6,
        ipam: ipam(want),
        options: to_engine(&want.options),
        labels: to_engine(&want.labels),
        ..NetworkCreateRequest::default()
    }
}

fn ipam(want: &DesiredNetwork) -> Option<Ipam> {
    if want.ipam.is_empty() && want.ipam_driver.is_none() && want.ipam_options.is_empty() {
        return None;
    }
    Some(Ipam {
        driver: Some(
            want.ipam_driver
                .clone()
                .unwrap_or_else(|| DEFAULT_IPAM.to_owned()),
        ),
        config: (!want.ipam.is_empty()).then(|| want.ipam.iter().map(block).collect()),
        options: to_engine(&want.ipam_options),
    })
}

fn block(want: &AddressBlock) -> IpamConfig {
    IpamConfig {
        subnet: Some(want.subnet.clone()),
        ip_range: want.ip_range.clone(),
        gateway: want.gateway.clone(),
        auxiliary_addresses: to_engine(&want.aux_addresses),
    }
}

/// Returns the request in JSON with the flag by which an engine before 25.0 refuses an existing name.
fn with_check_duplicate(request: NetworkCreateRequest) -> Option<Vec<u8>> {
    let mut body = serde_json::to_value(request).ok()?;
    body.as_object_mut()?
        .insert("CheckDuplicate".to_owned(), true.into());
    serde_json::to_vec(&body).ok()
}

fn observed(shown: Network) -> ObservedNetwork {
    let ipam = shown.ipam.unwrap_or_default();
    ObservedNetwork {
        id: shown.id.unwrap_or_default(),
        name: shown.name.unwrap_or_default(),
        driver: shown.driver.unwrap_or_default(),
        options: from_engine(shown.options),
        labels: from_engine(shown.labels),
        internal: shown.internal.unwrap_or_default(),
        attachable: shown.attachable.unwrap_or_default(),
        ingress: shown.ingress.unwrap_or_default(),
        enable_ipv4: shown.enable_ipv4,
        enable_ipv6: shown.enable_ipv6.unwrap_or_default(),
        ipam_driver: ipam.driver.unwrap_or_default(),
        ipam_options: from_engine(ipam.options),
        ipam: ipam
            .config
            .into_iter()
            .flatten()
            .map(observed_block)
            .collect(),
    }
}

fn observed_block(shown: IpamConfig) -> AddressBlock {
    // An engine may write an empty text instead of no value.
    let some = |text: Option<String>| text.filter(|t| !t.is_empty());
    AddressBlock {
        subnet: shown.subnet.unwrap_or_default(),
        ip_range: some(shown.ip_range),
        gateway: some(shown.gateway),
        aux_addresses: from_engine(shown.auxiliary_addresses),
    }
}

/// Whether a text is the ID, the short ID or the name of a network.
fn is_named_by(text: &str, id: &str, name: &str) -> bool {
    text == name || text == id || (text.len() >= usage::SHORT_ID && id.starts_with(text))
}

/// Whether a container was created with a network, to which it may not be connected any more.
pub(super) fn is_configured_in(container: &ContainerSummary, id: &str, name: &str) -> bool {
    let config = container.host_config.as_ref();
    let mode = config.and_then(|h| h.network_mode.as_deref());
    mode.is_some_and(|text| is_named_by(text, id, name))
}

pub(super) fn is_used_by(container: &ContainerSummary, id: &str, name: &str) -> bool {
    let names_it = |text: &str| is_named_by(text, id, name);
    let networks = container
        .network_settings
        .as_ref()
        .and_then(|s| s.networks.as_ref());
    match networks.filter(|n| !n.is_empty()) {
        // A disconnected container still has this network in its configuration: Engine 29 does not connect it
        // to another one if this is removed.
        None => is_configured_in(container, id, name),
        Some(networks) => networks.iter().any(|(key, endpoint)| {
            match endpoint.network_id.as_deref().filter(|id| !id.is_empty()) {
                // If several networks have the name, only the one with this ID.
                Some(network) => network == id,
                None => names_it(key),
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, to_value};

    use super::*;

    #[test]
    fn unset_fields_are_not_sent() {
        let want = DesiredNetwork {
            name: "n".into(),
            driver: "bridge".into(),
            ..DesiredNetwork::default()
        };
        assert_eq!(
            to_value(request(&want)).unwrap(),
            json!({"Name": "n", "Driver": "bridge", "Internal": false, "Attachable": false})
        );
    }

    #[test]
    fn every_field_is_sent_in_the_engines_words() {
        let want = DesiredNetwork {
            name: "n".into(),
            driver: "macvlan".into(),
            options: [("parent".to_owned(), "eth0".to_owned())].into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            internal: true,
            attachable: true,
            enable_ipv4: Some(true),
            enable_ipv6: Some(false),
            ipam: vec![AddressBlock {
                subnet: "10.0.0.0/24".into(),
                ip_range: Some("10.0.0.128/25".into()),
                gateway: Some("10.0.0.1".into()),
                aux_addresses: [("nas".to_owned(), "10.0.0.9".to_owned())].into(),
            }],
            ..DesiredNetwork::default()
        };
        assert_eq!(
            to_value(request(&want)).unwrap(),
            json!({
                "Name": "n", "Driver": "macvlan", "Internal": true, "Attachable": true,
                "EnableIPv4": true, "EnableIPv6": false,
                "Options": {"parent": "eth0"}, "Labels": {"a": "b"},
                "IPAM": {"Driver": "default", "Config": [{
                    "Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25", "Gateway": "10.0.0.1",
                    "AuxiliaryAddresses": {"nas": "10.0.0.9"}
                }]}
            })
        );
    }

    #[test]
    fn the_flag_against_duplicates_is_added_to_the_whole() {
        let want = DesiredNetwork {
            name: "n".into(),
            ..DesiredNetwork::default()
        };
        let body = with_check_duplicate(request(&want)).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["CheckDuplicate"], json!(true));
        assert_eq!(body["Name"], json!("n"));
    }

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn container(value: Value) -> ContainerSummary {
        serde_json::from_value(value).unwrap()
    }

    fn on_network(key: &str, id: &str) -> ContainerSummary {
        container(json!({"NetworkSettings": {"Networks": {key: {"NetworkID": id}}}}))
    }

    #[test]
    fn a_container_that_was_never_started_knows_a_network_by_name() {
        assert!(is_used_by(&on_network("lab", ""), ID, "lab"));
        assert!(is_used_by(&on_network("lab", ID), ID, "lab"));
        assert!(is_used_by(
            &container(json!({"HostConfig": {"NetworkMode": "lab"}})),
            ID,
            "lab"
        ));
        let short = json!({"HostConfig": {"NetworkMode": "0123456789ab"}});
        assert!(is_used_by(&container(short), ID, "lab"));
    }

    #[test]
    fn a_container_that_went_to_another_network_does_not_count() {
        let moved = json!({
            "HostConfig": {"NetworkMode": "lab"},
            "NetworkSettings": {"Networks": {"other": {"NetworkID": "ffff"}}}
        });
        assert!(!is_used_by(&container(moved), ID, "lab"));
    }

    #[test]
    fn a_container_on_another_network_of_the_same_name_does_not_count() {
        assert!(!is_used_by(&on_network("lab", "ffff"), ID, "lab"));
        assert!(!is_used_by(&on_network("other", ""), ID, "lab"));
        assert!(!is_used_by(&on_network("01", ""), ID, "lab"));
    }
}
