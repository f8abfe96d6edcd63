//! Exchanges one token for another at the API server.

use std::time::Duration;

use dockfleet_vitals::CALL_TIMEOUT;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};

use super::kubeconfig::Proof;
use super::{Enrolment, EnrolmentError, Store, Token};

/// Joins the fleet: checks the server by its pinned CA, exchanges the token of the enrolment for the host's
/// own at once, and stores that. It can be repeated.
pub async fn join(
    store: &Store,
    enrolment: &Enrolment,
    first: &Token,
    life: Duration,
) -> Result<Token, EnrolmentError> {
    store.check(enrolment)?;
    let own = exchange(store, enrolment, first, life).await?;
    store.enrol(enrolment, &own)?;
    Ok(own)
}

/// Requests a new token of the host with its present one.
pub(super) async fn exchange(
    store: &Store,
    enrolment: &Enrolment,
    token: &Token,
    life: Duration,
) -> Result<Token, EnrolmentError> {
    let config = enrolment.config(&Proof::Token(token)).await;
    let config = config.map_err(|source| store.broken(source))?;
    let unreachable = |err| unreachable(enrolment, err);
    let client = Client::try_from(config).map_err(unreachable)?;
    request(client, enrolment, life).await
}

/// Requests a token of a host that is bound to its Secret, for the host's agent or for an administrator.
pub async fn request(
    client: Client,
    enrolment: &Enrolment,
    life: Duration,
) -> Result<Token, EnrolmentError> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, &enrolment.namespace);
    let wanted = TokenRequest {
        spec: TokenRequestSpec {
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(enrolment.host.clone()),
                uid: None,
            }),
            expiration_seconds: Some(i64::try_from(life.as_secs()).unwrap_or(i64::MAX)),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let asked = accounts.create_token_request(&enrolment.host, &params, &wanted);
    let Ok(answer) = tokio::time::timeout(CALL_TIMEOUT, asked).await else {
        return Err(EnrolmentError::Timeout {
            server: enrolment.server.clone(),
            seconds: CALL_TIMEOUT.as_secs(),
        });
    };
    let denied = |message: String| EnrolmentError::Denied {
        host: enrolment.which(),
        message,
    };
    match answer {
        Ok(answer) => answer
            .status
            .and_then(|status| Token::parse(&status.token))
            .ok_or_else(|| denied("the answer has no token".to_owned())),
        Err(kube::Error::Api(status)) if status.code == 401 => Err(EnrolmentError::Refused {
            host: enrolment.host.clone(),
        }),
        Err(kube::Error::Api(status)) if status.code == 404 => Err(EnrolmentError::NotPrepared {
            host: enrolment.which(),
            message: status.message.clone(),
        }),
        Err(kube::Error::Api(status)) => Err(denied(status.message.clone())),
        Err(err) => Err(unreachable(enrolment, err)),
    }
}

fn unreachable(enrolment: &Enrolment, source: kube::Error) -> EnrolmentError {
    EnrolmentError::Unreachable {
        server: enrolment.server.clone(),
        source: Box::new(source),
    }
}
