//! The measurement of one fleet.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dockfleet_bench::usage::memory;
use dockfleet_crds::{DockerNetwork, condition};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::await_condition;

use crate::Wanted;
use crate::bare::{self, Writers};
use crate::figures::{Fleet, Memory, Round};
use crate::lab::{Cores, Lab, ready_hosts, say};
use crate::meter::{self, Moment};
use crate::wish;

/// A fleet is quiet when nothing was written for so long, and has so long to become it.
const QUIET: Duration = Duration::from_secs(6);
const QUIET_LIMIT: Duration = Duration::from_mins(5);
/// How long an edit may take, and for each host.
const EDIT: Duration = Duration::from_mins(2);
const EDIT_PER_HOST: Duration = Duration::from_millis(300);

/// Starts a fleet, measures it, and ends it.
pub(crate) fn fleet(wanted: &Wanted, cores: &Cores, hosts: u32) -> Result<Fleet> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let lab = Lab::start(wanted, cores, hosts).await?;
        say(&format!(
            "ready after {:.0} s",
            lab.start.wall.as_secs_f64()
        ));
        let measured = measured(&lab, wanted).await;
        measured.with_context(|| lab.log())
    })
}

async fn measured(lab: &Lab, wanted: &Wanted) -> Result<Fleet> {
    quiet(lab).await?;
    let moment = Moment::begin(lab).await?;
    tokio::time::sleep(wanted.idle()).await;
    let idle = moment.end(lab).await?;

    let writers = Writers::new(lab, wanted.writers).await?;
    // The first time makes them, which is not measured.
    let (twins, _) = bare::read(lab).await?;
    writers.write(twins).await?;

    let mut rounds = Vec::new();
    for round in 1..=wanted.rounds {
        quiet(lab).await?;
        let moment = Moment::begin(lab).await?;
        edit(lab, round).await?;
        // What is written late is counted, but nobody waits for it.
        let all = moment.clone();
        let mut edit = moment.end(lab).await?;
        quiet(lab).await?;
        edit.writes = all.end(lab).await?.writes;

        let (twins, _) = bare::read(lab).await?;
        let moment = Moment::begin(lab).await?;
        writers.write(twins).await?;
        let bare = moment.end(lab).await?;
        say(&format!(
            "edit {:.1} s, bare loop {:.1} s; written: {}",
            edit.wall.as_secs_f64(),
            bare.wall.as_secs_f64(),
            edit.writes
        ));
        rounds.push(Round { edit, bare });
        lab.alive()?;
    }
    let (_, sizes) = bare::read(lab).await?;
    let metrics = meter::metrics(lab).await?;
    Ok(Fleet {
        hosts: lab.hosts,
        start: lab.start.clone(),
        idle,
        rounds,
        sizes,
        memory: used(lab)?,
        watches: meter::watches(&metrics),
        stored: meter::stored(&metrics),
    })
}

fn used(lab: &Lab) -> Result<Memory> {
    let mut agents = 0.0;
    for worker in &lab.workers {
        agents += memory(worker.pid(), "VmRSS")?;
    }
    Ok(Memory {
        server: memory(lab.plane.api_server_pid()?, "VmRSS")?,
        etcd: memory(lab.plane.etcd_pid()?, "VmRSS")?,
        controller: memory(lab.controller.pid(), "VmRSS")?,
        controller_most: memory(lab.controller.pid(), "VmHWM")?,
        agents,
    })
}

/// Waits until nothing but heartbeats was written for a while.
async fn quiet(lab: &Lab) -> Result<()> {
    let begin = Instant::now();
    let mut before = meter::writes(lab).await?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = meter::writes(lab).await?;
        if now == before {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < QUIET_LIMIT,
            "the fleet does not come to rest; the last writes: {}",
            now.since(&before)
        );
        before = now;
    }
}

/// Edits what every host has, and waits until the resource says that every host has it.
async fn edit(lab: &Lab, round: u32) -> Result<()> {
    let api: Api<DockerNetwork> = Api::namespaced(lab.client.clone(), wish::APPS);
    let patch = Patch::Merge(wish::edit(round));
    let edited = api
        .patch(wish::EDITED, &PatchParams::default(), &patch)
        .await?;
    let generation = edited.metadata.generation;
    let hosts = lab.hosts;
    let reported = move |network: Option<&DockerNetwork>| {
        network.is_some_and(|n| is_done(n, generation, hosts))
    };
    let done = await_condition(api, wish::EDITED, reported);
    tokio::time::timeout(EDIT + EDIT_PER_HOST * hosts, done)
        .await
        .context("the edit did not reach every host in time")??;
    Ok(())
}

fn is_done(network: &DockerNetwork, generation: Option<i64>, hosts: u32) -> bool {
    let Some(status) = network.status.as_ref().map(|s| &s.resource) else {
        return false;
    };
    let ready = status
        .conditions
        .iter()
        .any(|c| c.type_ == condition::READY && c.status == "True");
    status.observed_generation == generation && ready && ready_hosts(Some(status)) == hosts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn network(generation: i64, ready: &str, hosts: u32) -> DockerNetwork {
        serde_json::from_value(json!({
            "metadata": {},
            "spec": {},
            "status": {
                "observedGeneration": generation,
                "hosts": {"ready": hosts},
                "conditions": [{
                    "type": "Ready", "status": ready, "reason": "Ready", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn an_edit_is_done_when_its_own_generation_is_ready_on_all_hosts() {
        assert!(is_done(&network(2, "True", 3), Some(2), 3));
        assert!(!is_done(&network(1, "True", 3), Some(2), 3));
        assert!(!is_done(&network(2, "Unknown", 3), Some(2), 3));
        assert!(!is_done(&network(2, "True", 2), Some(2), 3));
    }
}
