//! `dockfleet controller`

use std::fs;

use anyhow::Context;
use dockfleet_controller::election::ElectionTimes;
use dockfleet_controller::{ControllerConfig, ControllerVitals, ElectionConfig, Limits};

use super::vitals;
use crate::args::{ControllerArgs, ElectionArgs};
use crate::exit::Exit;

/// Runs the controller until it is stopped.
pub(crate) async fn run(args: ControllerArgs) -> anyhow::Result<Exit> {
    let (beat, silence) = (args.heartbeat_interval, args.offline_after);
    anyhow::ensure!(
        silence >= 3 * beat,
        "--offline-after {}s is less than three times --heartbeat-interval {}s: a heartbeat or two \
         that are late would make a host offline",
        silence.as_secs_f32(),
        beat.as_secs_f32()
    );
    let kubernetes = kube::Config::infer()
        .await
        .context("no connection to the Kubernetes API is configured; set KUBECONFIG, or run inside a cluster")?;
    let config = ControllerConfig {
        fleet_namespace: args.fleet_namespace,
        offline_after: args.offline_after,
        limits: Limits {
            share: args.brake_share,
            resources: args.brake_resources,
        },
        namespace_hold: args.brake_namespace_hold,
        election: election(args.election)?,
        ..ControllerConfig::new(kubernetes, ControllerVitals::new()?)
    };
    vitals::serve(args.metrics_address, config.vitals.clone()).await?;
    dockfleet_controller::run(config, super::shutdown()?).await?;
    Ok(Exit::Ready)
}

fn election(args: ElectionArgs) -> anyhow::Result<Option<ElectionConfig>> {
    let times = ElectionTimes {
        lease_duration: args.lease_duration,
        renew_deadline: args.renew_deadline,
        retry_period: args.retry_period,
    };
    times
        .check()
        .context("--lease-duration, --renew-deadline and --retry-period do not match")?;
    if !args.leader_elect {
        return Ok(None);
    }
    let name = std::env::var("POD_NAME")
        .or_else(|_| fs::read_to_string("/proc/sys/kernel/hostname"))
        .unwrap_or_else(|_| "controller".to_owned());
    let namespace = args.leader_election_namespace;
    Ok(Some(ElectionConfig::new(namespace, name.trim(), times)))
}
