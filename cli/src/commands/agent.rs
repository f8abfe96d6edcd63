//! `dockfleet agent`

mod join;
mod runner;

use anyhow::{Context, ensure};
use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::{Endpoint, Timeouts};
use dockfleet_agent::enrolment::{Enrolment, Renewal, Store, keep};
use dockfleet_agent::{AgentConfig, AgentVitals, run as run_agent};
use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;
use tokio::sync::watch;

use super::vitals;
use crate::args::AgentArgs;
use crate::args::access::AgentCommand;
use crate::exit::Exit;

/// Runs the agent of one host until it is stopped, or joins a fleet.
pub(crate) async fn run(mut args: AgentArgs) -> anyhow::Result<Exit> {
    if let Some(AgentCommand::Join(args)) = args.command.take() {
        return Box::pin(join::run(args)).await;
    }
    let store = Store::new(&args.state_dir);
    let enrolment = enrolment(&args, &store)?;
    let (config, host, namespace) = match &enrolment {
        Some(of) => (
            store.config(of).await?,
            of.host.clone(),
            of.namespace.clone(),
        ),
        None => (
            kube::Config::infer().await.context(NO_WAY)?,
            args.host.clone().context(NO_HOST)?,
            args.namespace
                .clone()
                .unwrap_or_else(|| DEFAULT_FLEET_NAMESPACE.to_owned()),
        ),
    };
    let config = AgentConfig {
        client: dockfleet_agent::api::client(config)?,
        namespace,
        host,
        endpoint: Endpoint::from_env()?,
        timeouts: Timeouts::default(),
        state_dir: args.state_dir,
        heartbeat: args.heartbeat_interval,
        effects: Effects::default(),
        vitals: AgentVitals::new()?,
    };
    vitals::serve(args.metrics_address, config.vitals.clone()).await?;
    let shutdown = super::shutdown()?;
    if let Some(enrolment) = enrolment {
        let renewal = Renewal {
            life: args.life.token_life,
            share: args.token_renew_at,
        };
        let (expiry, reported) = watch::channel(None);
        let vitals = config.vitals.clone();
        tokio::spawn(async move { vitals.follow_token(reported).await });
        tokio::spawn(keep(store, enrolment, renewal, expiry, shutdown.clone()));
    }
    // The future is large, because it contains a pass.
    Box::pin(run_agent(config, shutdown)).await?;
    Ok(Exit::Ready)
}

const NO_WAY: &str = "no way to the Kubernetes API; make this host join a fleet (dockfleet agent join), \
                      or set KUBECONFIG";
const NO_HOST: &str = "--host is missing; it can be left out on a host that has joined a fleet \
                       (dockfleet agent join) and without KUBECONFIG";

/// Returns the identity from the credential in the state folder. KUBECONFIG takes precedence.
fn enrolment(args: &AgentArgs, store: &Store) -> anyhow::Result<Option<Enrolment>> {
    if std::env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty()) {
        return Ok(None);
    }
    let Some(enrolment) = store.enrolment()? else {
        return Ok(None);
    };
    for (flag, asked, has) in [
        ("--host", &args.host, &enrolment.host),
        ("--namespace", &args.namespace, &enrolment.namespace),
    ] {
        ensure!(
            asked.as_ref().is_none_or(|asked| asked == has),
            "{flag} is {}, but {} has the credential of {}/{}; leave the flag out, or name another \
             --state-dir",
            asked.as_deref().unwrap_or_default(),
            args.state_dir.display(),
            enrolment.namespace,
            enrolment.host
        );
    }
    Ok(Some(enrolment))
}
