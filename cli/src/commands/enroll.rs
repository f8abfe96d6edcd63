//! `dockfleet enroll`: lets one host join.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockfleet_agent::enrolment::{Enrolment, EnrolmentError, Token, request};
use dockfleet_crds::DockerHost;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config};
use tokio::time::{Instant, sleep};

use crate::args::access::{AdminArgs, EnrollArgs};
use crate::exit::Exit;

/// How long to wait until the controller has prepared a new host.
const PREPARED: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// The `ConfigMap` with the CA of the cluster, in every namespace.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Creates a short-lived token for a host, and prints how the host uses it.
pub(crate) async fn run(args: EnrollArgs) -> anyhow::Result<Exit> {
    let (config, client) = connect(&args.admin).await?;
    let AdminArgs {
        host, namespace, ..
    } = &args.admin;
    let found = find(&client, &args.admin).await?;
    let server = args.server.clone().unwrap_or_else(|| {
        config
            .cluster_url
            .to_string()
            .trim_end_matches('/')
            .to_owned()
    });
    let enrolment = Enrolment {
        ca: ca(&config, &client, namespace).await?,
        server,
        namespace: namespace.clone(),
        host: found.metadata.name.unwrap_or_else(|| host.clone()),
    };
    enrolment.check()?;
    let token = when_prepared(&client, &enrolment, args.valid_for).await?;
    if is_only_here(&enrolment.server) {
        anstream::eprintln!(
            "warning: {} is this machine for every host; name the API server's address as \
             {host} reaches it with --server",
            enrolment.server
        );
    }
    let minutes = args.valid_for.as_secs() / 60;
    if let Some(path) = &args.output {
        write_for_owner(path, &enrolment.to_kubeconfig(&token))
            .with_context(|| format!("cannot write {}", path.display()))?;
        anstream::eprintln!(
            "{} lets {host} join for {minutes} minutes: dockfleet agent join --file {}",
            path.display(),
            path.display()
        );
    } else {
        anstream::eprintln!("On {host}, as root, within {minutes} minutes:\n");
        anstream::println!("{}", command(&enrolment, &token));
    }
    Ok(Exit::Ready)
}

/// The command for the host. The token comes through a pipe from a builtin of the shell, because
/// every user of the host can read the arguments of processes.
fn command(enrolment: &Enrolment, token: &Token) -> String {
    format!(
        "echo {} | sudo dockfleet agent join --server {} --namespace {} --host {} --ca {}",
        token.expose(),
        enrolment.server,
        enrolment.namespace,
        enrolment.host,
        STANDARD.encode(enrolment.ca.trim()),
    )
}

/// Connects as the administrator in the kubeconfig.
pub(super) async fn connect(admin: &AdminArgs) -> anyhow::Result<(Config, Client)> {
    let options = KubeConfigOptions {
        context: admin.context.clone(),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_kubeconfig(&options).await.context(
        "no connection to the Kubernetes API is configured; set KUBECONFIG, or --context",
    )?;
    let client = Client::try_from(config.clone())?;
    Ok((config, client))
}

/// Finds the host, which an administrator has to have accepted by creating it.
pub(super) async fn find(client: &Client, admin: &AdminArgs) -> anyhow::Result<DockerHost> {
    let (host, namespace) = (&admin.host, &admin.namespace);
    let hosts: Api<DockerHost> = Api::namespaced(client.clone(), namespace);
    match hosts.get_opt(host).await {
        Ok(Some(found)) if found.metadata.deletion_timestamp.is_some() => {
            bail!("DockerHost {namespace}/{host} is being deleted")
        }
        Ok(Some(found)) => Ok(found),
        Ok(None) => bail!(
            "there is no DockerHost {namespace}/{host}; create it first (that is what accepts the \
             host), or name its namespace with -n"
        ),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            bail!("the API server does not know DockerHosts; install the CRDs first")
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            bail!(
                "you may not read DockerHosts in namespace {namespace}: {}",
                status.message
            )
        }
        Err(err) => Err(err).context("cannot read the host from the API server"),
    }
}

/// Requests the token until the controller has created the Secret that it is bound to.
async fn when_prepared(
    client: &Client,
    enrolment: &Enrolment,
    life: Duration,
) -> anyhow::Result<Token> {
    let give_up = Instant::now() + PREPARED;
    let mut printed = false;
    loop {
        match request(client.clone(), enrolment, life).await {
            Ok(token) => return Ok(token),
            Err(EnrolmentError::NotPrepared { .. }) if Instant::now() < give_up => {
                if !printed {
                    anstream::eprintln!(
                        "waiting for the controller to prepare {} (at most {} s)",
                        enrolment.host,
                        PREPARED.as_secs()
                    );
                }
                printed = true;
            }
            Err(err @ EnrolmentError::NotPrepared { .. }) => {
                let seconds = PREPARED.as_secs();
                return Err(err).with_context(|| {
                    format!("no answer after {seconds} s; does the controller run?")
                });
            }
            Err(err @ EnrolmentError::Denied { .. }) => {
                return Err(err).context(
                    "you need the right to create serviceaccounts/token in the namespace of the host",
                );
            }
            Err(err) => return Err(err.into()),
        }
        sleep(BETWEEN_LOOKS).await;
    }
}

/// Returns the CA that the host trusts: from the administrator's kubeconfig, or from the cluster.
async fn ca(config: &Config, client: &Client, namespace: &str) -> anyhow::Result<String> {
    if let Some(certificates) = &config.root_cert {
        return Ok(certificates.iter().map(|der| pem(der)).collect());
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = maps.get_opt(ROOT_CA).await;
    map.ok()
        .flatten()
        .and_then(|map| map.data?.remove("ca.crt"))
        .with_context(|| {
            format!(
                "your kubeconfig has no certificate-authority, and there is no ConfigMap {ROOT_CA} \
                 in namespace {namespace} that would say which CA the hosts are to trust"
            )
        })
}

fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

fn is_only_here(server: &str) -> bool {
    ["https://127.", "https://localhost", "https://[::1]"]
        .iter()
        .any(|local| server.starts_with(local))
}

/// Writes a file that only its owner can read, also if it existed before.
fn write_for_owner(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_mode(0o600);
    file.set_permissions(permissions)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_written_as_it_is_read() {
        let der: Vec<u8> = (0..100).collect();
        let text = pem(&der).repeat(2);
        let read = dockfleet_agent::enrolment::certificates(&text);
        assert_eq!(read, Some(vec![der; 2]));
    }
}
