//! `dockfleet revoke`: ends a host's access.

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;

use super::enroll::{connect, find};
use crate::args::access::RevokeArgs;
use crate::exit::Exit;

/// Deletes the Secret that every token of the host is bound to.
pub(crate) async fn run(args: RevokeArgs) -> anyhow::Result<Exit> {
    let (_, client) = connect(&args.admin).await?;
    find(&client, &args.admin).await?;
    let (host, namespace) = (&args.admin.host, &args.admin.namespace);
    let secrets: Api<Secret> = Api::namespaced(client, namespace);
    match secrets.delete(host, &DeleteParams::default()).await {
        Ok(_) => anstream::eprintln!(
            "Every token of {host} is dead; the API server has noticed within 10 s.\n\
             What is on {host} stays as it was last asked for. To let it in again: dockfleet enroll \
             {host} -n {namespace} (from 30 s on)"
        ),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            anstream::eprintln!("{host} has no Secret, and so no valid token");
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => bail!(
            "you may not delete Secret {namespace}/{host}, and {host} keeps its access: {}",
            status.message
        ),
        Err(err) => return Err(err).context(format!("{host} keeps its access")),
    }
    Ok(Exit::Ready)
}
