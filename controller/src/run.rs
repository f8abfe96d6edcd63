//! The loop that owns the index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_vitals::chain;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span, debug, info, info_span, warn};

use crate::config::ControllerConfig;
use crate::convergence::Convergence;
use crate::error::{CallError, ControllerError};
use crate::event_publisher::EventPublisher;
use crate::index::{Index, IndexSettings, Seen, WatchChange, Watched};
use crate::jobs::{
    JobContext, JobResult, Learned, read_secret, sync_secret, work_on_heartbeat, work_on_host,
    work_on_parent,
};
use crate::lane::FIRST_RETRY;
use crate::lanes::{LaneKey, Lanes};
use crate::leadership::Leadership;
use crate::object::{Name, Source};
use crate::vitals::ControllerVitals;
use crate::write_fence::{FenceState, WriteFence};
use crate::{identity, random, startup, watches, wire};

/// How long changes for a host are collected before its assignment is written: `kubectl apply` of a
/// folder creates about ten resources in that time, and each write has the same cost for the API
/// server.
const GATHER: Duration = Duration::from_millis(100);
/// Size of the queue of changes: a page of a list. When it is full, the watches wait.
const CHANGES: usize = 512;
/// How long jobs may take to end when the controller stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a controller until `shutdown`, or until an error.
pub async fn run(
    config: ControllerConfig,
    shutdown: CancellationToken,
) -> Result<(), ControllerError> {
    let fence_state = match config.election {
        Some(_) => FenceState::Closed,
        None => FenceState::NoElection,
    };
    let (fence_state, mut fence) = WriteFence::new(fence_state);
    let client = wire::client(
        config.kubernetes.clone(),
        fence.clone(),
        config.vitals.metrics.clone(),
        config.effects.clone(),
    )?;
    let hub = tokio::select! {
        hub = startup::hub(&client) => hub?,
        () = shutdown.cancelled() => return Ok(()),
    };
    info!(hub, fleet = config.fleet_namespace, "controller starts");
    let (sender, mut changes) = mpsc::channel(CHANGES);
    let mut watches = watches::start(&client, &sender);
    let mut identities = AbortOnDropHandle::new(tokio::spawn(identity::keep(
        client.clone(),
        config.fleet_namespace.clone(),
        fence.clone(),
    )));
    drop(sender);
    let (election, effects) = (config.election.clone(), config.effects.clone());
    let own = kube::Client::try_from(config.kubernetes.clone())?;
    let mut leadership = Leadership::start(own, election, fence_state, fence.clone(), effects);
    let vitals = Arc::clone(&config.vitals);
    let mut counts = vitals.counts();
    let mut controller = Controller::new(config, client, fence.clone(), hub);
    loop {
        vitals.watchdog.busy();
        controller.start_jobs();
        let due = controller.due();
        vitals.watchdog.idle();
        tokio::select! {
            () = shutdown.cancelled() => break,
            lost = leadership.lost() => return Err(lost),
            () = fence.changed() => {}
            Some(counted) = counts.recv() => {
                controller.count();
                // The scrape may have given up.
                let _ = counted.send(());
            }
            ended = watches.join_next() => {
                let source = ended.and_then(Result::err);
                return Err(ControllerError::Ended { part: "a watch", source });
            }
            ended = &mut identities => {
                let (part, source) = ("the keeper of identities", ended.err());
                return Err(ControllerError::Ended { part, source });
            }
            ended = &mut controller.event_task => {
                let (part, source) = ("the publisher of events", ended.err());
                return Err(ControllerError::Ended { part, source });
            }
            Some(done) = controller.jobs.join_next() => controller.finish(done)?,
            Some(change) = changes.recv() => {
                controller.take_in(change);
                // Take all waiting changes at once: a list is not processed item by item.
                for _ in 0..CHANGES {
                    let Ok(change) = changes.try_recv() else { break };
                    controller.take_in(change);
                }
            }
            () = sleep_until(due) => {}
        }
    }
    drop((watches, identities));
    let ended = controller.stop().await;
    leadership.end(ended).await;
    Ok(())
}

/// The index and its jobs.
struct Controller {
    context: JobContext,
    debounce: Duration,
    fence: WriteFence,
    vitals: Arc<ControllerVitals>,
    convergence: Convergence,
    index: Index,
    lanes: Lanes,
    jobs: JoinSet<JobResult>,
    /// The task that publishes events.
    event_task: JoinHandle<()>,
    /// Kinds whose first list is not complete yet.
    unfilled: BTreeSet<Watched>,
}

impl Controller {
    fn new(config: ControllerConfig, client: Client, fence: WriteFence, hub: String) -> Self {
        let (events, event_task) = EventPublisher::start(client.clone());
        Self {
            context: JobContext::new(client, events),
            debounce: config.debounce,
            fence,
            vitals: config.vitals,
            convergence: Convergence::default(),
            index: Index::new(
                hub,
                config.fleet_namespace,
                Instant::now(),
                IndexSettings {
                    offline_after: config.offline_after,
                    limits: config.limits,
                    namespace_hold: config.namespace_hold,
                },
            ),
            lanes: Lanes::new(),
            jobs: JoinSet::new(),
            event_task,
            unfilled: Watched::all().collect(),
        }
    }

    fn take_in(&mut self, change: WatchChange) {
        self.index.tick(Instant::now());
        self.measure(&change);
        if !self.stands_by()
            && let Some((host, notices)) = self.index.host_events(&change)
        {
            self.context.publish(&host, notices);
        }
        let Some(listed) = self.index.take_in(change) else {
            return;
        };
        if self.unfilled.remove(&listed) && self.unfilled.is_empty() {
            self.index.look_at_all();
            let (resources, hosts, namespaces) = self.index.sizes();
            info!(resources, hosts, namespaces, "caches are filled");
            self.vitals.is_filled();
        }
    }

    /// Measures how long a host took to report on its written assignment.
    fn measure(&mut self, change: &WatchChange) {
        let seen = match change {
            WatchChange::Assignment(Seen::Applied(seen) | Seen::Listed(seen)) => seen,
            WatchChange::Assignment(Seen::Deleted(meta)) => {
                return self.convergence.forget(&Name::of(meta));
            }
            _ => return,
        };
        let observed = seen.status.as_ref().and_then(|s| s.observed_generation);
        let host = Name::of(&seen.metadata);
        let now = std::time::Instant::now();
        if let Some(took) = self.convergence.reported(&host, observed, now) {
            self.vitals.metrics.converged(took);
        }
    }

    /// Updates the metrics that count objects.
    fn count(&self) {
        let metrics = &self.vitals.metrics;
        metrics.leads(self.fence.is_open());
        for (kind, depth) in self.lanes.depths() {
            metrics.queue(kind, depth);
        }
        metrics.count(&self.index.census());
    }

    /// Whether nothing may be decided: in a cache that is not filled, an existing object looks
    /// deleted, and a standby would repeat the writes of the leader.
    fn stands_by(&self) -> bool {
        !self.unfilled.is_empty() || !self.fence.is_open()
    }

    /// Starts the due jobs, up to the limit of each lane.
    fn start_jobs(&mut self) {
        if self.stands_by() {
            return;
        }
        let now = Instant::now();
        self.index.tick(now);
        loop {
            self.enqueue_dirty(now);
            let Some(key) = self.lanes.take(now) else {
                return;
            };
            if !self.start(&key) {
                self.lanes.succeeded(&key);
            }
        }
    }

    /// Starts the job of a key; false if there is nothing to do.
    fn start(&mut self, key: &LaneKey) -> bool {
        let (context, now) = (self.context.clone(), Time(Timestamp::now()));
        match key {
            LaneKey::Host(name) => {
                let Some(work) = self.index.host_work(name) else {
                    return false;
                };
                let span = info_span!("host", namespace = name.namespace, host = name.name);
                self.spawn(work_on_host(context, name.clone(), work), span);
            }
            LaneKey::Heartbeat(name) => {
                let Some(work) = self.index.heartbeat_work(name, &now) else {
                    return false;
                };
                let span = info_span!("heartbeat", namespace = name.namespace, host = name.name);
                self.spawn(work_on_heartbeat(context, name.clone(), work), span);
            }
            LaneKey::Parent(uid) => {
                let Some(work) = self.index.parent_work(uid, &now) else {
                    return false;
                };
                let resource = &*work.parent;
                let span = info_span!(
                    "resource",
                    kind = resource.kind().as_str(),
                    namespace = resource.namespace(),
                    name = resource.name()
                );
                self.spawn(work_on_parent(context, work), span);
            }
            LaneKey::SecretSync(name) => {
                let Some(sync) = self.index.secret_sync(name) else {
                    return false;
                };
                let span = info_span!("secret_sync", namespace = name.namespace, host = name.name);
                self.spawn(sync_secret(context, name.clone(), sync), span);
            }
            LaneKey::Secret(name) => {
                let Some(form) = self.index.secret_form(name) else {
                    return false;
                };
                let span = info_span!("secret", namespace = name.namespace, name = name.name);
                self.spawn(read_secret(context, name.clone(), form), span);
            }
        }
        true
    }

    fn spawn(&mut self, job: impl Future<Output = JobResult> + Send + 'static, span: Span) {
        self.jobs.spawn(job.instrument(span));
    }

    fn enqueue_dirty(&mut self, now: Instant) {
        let dirty = self.index.take_dirty();
        let hosts = dirty
            .hosts
            .into_iter()
            .map(|h| (LaneKey::Host(h), now + GATHER));
        let (index, debounce) = (&self.index, self.debounce);
        let soon = dirty.soon.into_iter().map(|uid| {
            let at = now + index.collected_for(&uid, debounce);
            (LaneKey::Parent(uid), at)
        });
        let heartbeats = dirty.heartbeats.into_iter().map(LaneKey::Heartbeat);
        let at_once = heartbeats
            .chain(dirty.now.into_iter().map(LaneKey::Parent))
            .chain(dirty.secret_syncs.into_iter().map(LaneKey::SecretSync))
            .chain(dirty.secrets.into_iter().map(LaneKey::Secret))
            .map(|key| (key, now));
        for (key, at) in hosts.chain(soon).chain(at_once) {
            self.lanes.add(key, at);
        }
    }

    /// Returns when the next job is due, if known.
    fn due(&self) -> Option<Instant> {
        if self.stands_by() {
            return None;
        }
        let both = [self.lanes.next(), self.index.next_tick()];
        both.into_iter().flatten().min()
    }

    /// Applies a response of the API server to the index.
    fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::AssignmentWritten {
                host,
                asked_with,
                assignment,
            } => {
                let generation = assignment.metadata.generation;
                let now = std::time::Instant::now();
                self.convergence.written(&host, generation, now);
                self.index.host_written(&host, asked_with, *assignment);
            }
            Learned::AssignmentRead {
                host,
                asked_with,
                assignment,
            } => {
                self.index
                    .host_seen(&host, asked_with, assignment.map(|a| *a));
            }
            Learned::Parent { asked_with, parent } => {
                self.index.parent_written(asked_with, parent);
            }
            Learned::Secret { name, reading } => self.index.secret_read(&name, reading),
            Learned::SecretSynced { host, had } => self.index.secret_synced(&host, had),
            Learned::Lease { host, lease } => self.index.lease_seen(&host, lease.as_deref()),
            Learned::Host(host) => self.index.apply_host(*host, &Source::Watched),
            Learned::HostLifecycle {
                host,
                uid,
                lifecycle,
            } => {
                self.index
                    .set_host_lifecycle(&host, uid.as_deref(), lifecycle);
            }
            Learned::Lifecycle { uid, lifecycle } => self.index.set_lifecycle(&uid, lifecycle),
        }
    }

    fn finish(&mut self, done: Result<JobResult, JoinError>) -> Result<(), ControllerError> {
        let done = done.map_err(|source| ControllerError::Ended {
            part: "a job",
            source: Some(source),
        })?;
        let JobResult {
            key,
            learned,
            failed,
        } = done;
        let looked = learned
            .iter()
            .any(|l| matches!(l, Learned::AssignmentRead { .. }));
        for learned in learned {
            self.learn(learned);
        }
        match failed {
            Some(err) => self.failed(&key, &err),
            None if looked => self.lanes.progressed(&key),
            None => {
                self.lanes.succeeded(&key);
                if let LaneKey::Secret(name) = &key {
                    self.index.read_again(name, random());
                }
            }
        }
        Ok(())
    }

    /// Schedules the retry of a failed key.
    fn failed(&mut self, key: &LaneKey, err: &CallError) {
        let now = Instant::now();
        let delay = self.lanes.failed(key, now);
        let (kind, of) = match key {
            LaneKey::Host(name) => {
                self.index.host_failed(name);
                ("HostAssignment", name.clone())
            }
            LaneKey::Heartbeat(name) => {
                self.index.heartbeat_failed(name, err.is_answer());
                ("Lease", name.clone())
            }
            LaneKey::Parent(uid) => match self.index.parent_name(uid) {
                Some(of) => (of.kind.as_str(), of.object()),
                None => ("resource", Name::default()),
            },
            LaneKey::SecretSync(name) => {
                self.index.secret_sync_failed(name, err.to_string());
                ("Secret", name.clone())
            }
            LaneKey::Secret(name) => ("Secret", name.clone()),
        };
        let (namespace, name) = (&of.namespace, &of.name);
        if !err.is_conflict() {
            let (error, retry_in_s) = (chain(err), delay.as_secs());
            warn!(kind, namespace, name, error, retry_in_s, "call failed");
            return;
        }
        // Another client, usually a host's agent, wrote the object after it was read. It is read
        // again, at once unless the previous call conflicted too. A resource is not read: its watch
        // delivers the change.
        debug!(kind, namespace, name, "another client changed the object");
        if delay < 2 * FIRST_RETRY && !matches!(key, LaneKey::Parent(_)) {
            self.lanes.add(key.clone(), now);
        }
    }

    /// Starts no more jobs and waits for the running ones. Returns whether all ended.
    async fn stop(self) -> bool {
        let Self {
            context,
            mut jobs,
            event_task,
            ..
        } = self;
        info!(under_way = jobs.len(), "controller stops");
        let end = async {
            while jobs.join_next().await.is_some() {}
            // With the last publisher dropped, the task ends.
            drop(context);
            event_task.await
        };
        let ended = tokio::time::timeout(STOP_TIMEOUT, end).await;
        match &ended {
            Ok(Ok(())) => {}
            Ok(Err(err)) => warn!(error = chain(err), "events were lost"),
            Err(_) => warn!("stopped before all calls had ended"),
        }
        ended.is_ok()
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
