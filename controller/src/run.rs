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
use tracing::{Instrument as _, debug, info, info_span, warn};

use crate::config::ControllerConfig;
use crate::convergence::Convergence;
use crate::error::{CallError, ControllerError};
use crate::gate::{Gate, Hold};
use crate::index::{Change, Index, Patience, Seen, Watched};
use crate::jobs::{
    Context, Done, Key, Learned, deliver, work_on_host, work_on_parent, work_on_pulse,
};
use crate::leadership::Leadership;
use crate::metrics::QueueName;
use crate::object::{Name, Source};
use crate::queue::{FIRST_RETRY, Queue};
use crate::secrets::SecretWatches;
use crate::teller::Teller;
use crate::vitals::ControllerVitals;
use crate::{identity, random, startup, watches, wire};

/// The most assignments that are written at the same time. One costs the API server some 10 ms of a
/// core, so that more would only wait there.
const HOST_JOBS: usize = 16;
/// The most hosts whose Lease is looked after at the same time: little work, and nobody waits for it.
const PULSE_JOBS: usize = 8;
/// The most resources that are worked on at the same time; a few, so that many edits leave the API
/// server time for the hosts.
const PARENT_JOBS: usize = 8;
/// The most Secrets of hosts that are written at the same time.
const DELIVERY_JOBS: usize = 4;
/// How long changes for a host are collected before its assignment is written: `kubectl apply` of a
/// folder brings some ten resources in that time, and each write costs the API server the same.
const GATHER: Duration = Duration::from_millis(100);
/// Changes that wait for the loop: a page of a list. When it is full the watches wait.
const CHANGES: usize = 512;
/// How long what is under way may take when the controller is to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a controller until `shutdown`, or until it cannot go on.
pub async fn run(
    config: ControllerConfig,
    shutdown: CancellationToken,
) -> Result<(), ControllerError> {
    let hold = match config.election {
        Some(_) => Hold::Shut,
        None => Hold::Unguarded,
    };
    let (hold, mut gate) = Gate::new(hold);
    let client = wire::client(
        config.kubernetes.clone(),
        gate.clone(),
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
        gate.clone(),
    )));
    let mut secrets = SecretWatches::new(client.clone(), sender);
    let (election, effects) = (config.election.clone(), config.effects.clone());
    let own = kube::Client::try_from(config.kubernetes.clone())?;
    let mut leadership = Leadership::start(own, election, hold, gate.clone(), effects);
    let vitals = Arc::clone(&config.vitals);
    let mut counts = vitals.counts();
    let mut controller = Controller::new(config, client, gate.clone(), hub);
    loop {
        vitals.pulse.works();
        if let Some(names) = controller.index.take_secrets() {
            secrets.follow(&names);
        }
        controller.start_jobs();
        let due = controller.due();
        vitals.pulse.waits();
        tokio::select! {
            () = shutdown.cancelled() => break,
            lost = leadership.lost() => return Err(lost),
            () = gate.changed() => {}
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
            ended = &mut controller.told => {
                let (part, source) = ("the publisher of events", ended.err());
                return Err(ControllerError::Ended { part, source });
            }
            Some(done) = controller.jobs.join_next() => controller.finish(done)?,
            Some(change) = changes.recv() => {
                controller.take_in(change);
                // What is there already is one change: a list is not worked on item by item.
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

/// The index and what is being done about it.
struct Controller {
    context: Context,
    debounce: Duration,
    gate: Gate,
    vitals: Arc<ControllerVitals>,
    convergence: Convergence,
    index: Index,
    hosts: Queue<Name>,
    pulses: Queue<Name>,
    parents: Queue<String>,
    deliveries: Queue<Name>,
    jobs: JoinSet<Done>,
    /// The task that publishes events.
    told: JoinHandle<()>,
    /// Kinds of which no list was complete yet.
    unfilled: BTreeSet<Watched>,
}

impl Controller {
    fn new(config: ControllerConfig, client: Client, gate: Gate, hub: String) -> Self {
        let (teller, told) = Teller::start(client.clone());
        Self {
            context: Context::new(client, teller),
            debounce: config.debounce,
            gate,
            vitals: config.vitals,
            convergence: Convergence::default(),
            index: Index::new(
                hub,
                config.fleet_namespace,
                Instant::now(),
                Patience {
                    offline_after: config.offline_after,
                    limits: config.limits,
                    namespace_hold: config.namespace_hold,
                },
            ),
            hosts: Queue::new(),
            pulses: Queue::new(),
            parents: Queue::new(),
            deliveries: Queue::new(),
            jobs: JoinSet::new(),
            told,
            unfilled: Watched::ALL.into_iter().collect(),
        }
    }

    fn take_in(&mut self, change: Change) {
        self.index.tick(Instant::now());
        self.measure(&change);
        if !self.stands_by()
            && let Some((host, notices)) = self.index.host_news(&change)
        {
            self.context.tell(&host, notices);
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

    /// Measures how long a host took to report on what was written for it.
    fn measure(&mut self, change: &Change) {
        let seen = match change {
            Change::Assignment(Seen::Applied(seen) | Seen::Listed(seen)) => seen,
            Change::Assignment(Seen::Deleted(meta)) => {
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

    /// Brings the metrics up to date that are numbers of what there is.
    fn count(&self) {
        let metrics = &self.vitals.metrics;
        metrics.leads(self.gate.is_open());
        metrics.queue(QueueName::Hosts, self.hosts.depth());
        metrics.queue(QueueName::Resources, self.parents.depth());
        metrics.count(&self.index.census());
    }

    /// Whether nothing may be decided yet: what is not there yet looks like what is gone, and what
    /// another controller is about to write would be written twice.
    fn stands_by(&self) -> bool {
        !self.unfilled.is_empty() || !self.gate.is_open()
    }

    /// Starts what is due, as much of it as may run at the same time.
    fn start_jobs(&mut self) {
        if self.stands_by() {
            return;
        }
        let now = Instant::now();
        self.index.tick(now);
        loop {
            self.enqueue_dirty(now);
            if self.hosts.busy() < HOST_JOBS
                && let Some(name) = self.hosts.take(now)
            {
                self.start_host(name);
            } else if self.pulses.busy() < PULSE_JOBS
                && let Some(name) = self.pulses.take(now)
            {
                self.start_pulse(name);
            } else if self.parents.busy() < PARENT_JOBS
                && let Some(uid) = self.parents.take(now)
            {
                self.start_parent(&uid);
            } else if self.deliveries.busy() < DELIVERY_JOBS
                && let Some(name) = self.deliveries.take(now)
            {
                self.start_delivery(name);
            } else {
                return;
            }
        }
    }

    fn start_host(&mut self, name: Name) {
        let Some(work) = self.index.host_work(&name) else {
            self.hosts.succeeded(&name);
            return;
        };
        let span = info_span!("host", namespace = name.namespace, host = name.name);
        self.jobs
            .spawn(work_on_host(self.context.clone(), name, work).instrument(span));
    }

    fn start_pulse(&mut self, name: Name) {
        let Some(work) = self.index.pulse_work(&name, &Time(Timestamp::now())) else {
            self.pulses.succeeded(&name);
            return;
        };
        let span = info_span!("heartbeat", namespace = name.namespace, host = name.name);
        self.jobs
            .spawn(work_on_pulse(self.context.clone(), name, work).instrument(span));
    }

    fn start_parent(&mut self, uid: &str) {
        let Some(work) = self.index.parent_work(uid, &Time(Timestamp::now())) else {
            self.parents.succeeded(&uid.to_owned());
            return;
        };
        let resource = work.parent.resource();
        let span = info_span!(
            "resource",
            kind = resource.kind().as_str(),
            namespace = resource.namespace(),
            name = resource.name()
        );
        self.jobs
            .spawn(work_on_parent(self.context.clone(), work).instrument(span));
    }

    fn start_delivery(&mut self, name: Name) {
        let Some(delivery) = self.index.delivery(&name) else {
            self.deliveries.succeeded(&name);
            return;
        };
        let span = info_span!("delivery", namespace = name.namespace, host = name.name);
        self.jobs
            .spawn(deliver(self.context.clone(), name, delivery).instrument(span));
    }

    fn enqueue_dirty(&mut self, now: Instant) {
        let dirty = self.index.take_dirty();
        for host in dirty.deliveries {
            self.deliveries.add(host, now);
        }
        for host in dirty.hosts {
            self.hosts.add(host, now + GATHER);
        }
        for host in dirty.pulses {
            self.pulses.add(host, now);
        }
        for uid in dirty.now {
            self.parents.add(uid, now);
        }
        for uid in dirty.soon {
            self.parents.add(uid, now + self.debounce);
        }
    }

    /// Returns when there is something to start again, if it is known.
    fn due(&self) -> Option<Instant> {
        if self.stands_by() {
            return None;
        }
        let hosts = self.hosts.next().filter(|_| self.hosts.busy() < HOST_JOBS);
        let parents = self
            .parents
            .next()
            .filter(|_| self.parents.busy() < PARENT_JOBS);
        let deliveries = self
            .deliveries
            .next()
            .filter(|_| self.deliveries.busy() < DELIVERY_JOBS);
        let pulses = self
            .pulses
            .next()
            .filter(|_| self.pulses.busy() < PULSE_JOBS);
        let tick = self.index.next_tick();
        let all = [hosts, parents, deliveries, pulses, tick];
        all.into_iter().flatten().min()
    }

    /// Takes in what the API server answered.
    fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::Written {
                host,
                asked_with,
                assignment,
            } => {
                let generation = assignment.metadata.generation;
                let now = std::time::Instant::now();
                self.convergence.written(&host, generation, now);
                self.index.host_written(&host, asked_with, *assignment);
            }
            Learned::Looked {
                host,
                asked_with,
                assignment,
            } => {
                self.index
                    .host_seen(&host, asked_with, assignment.map(|a| *a));
            }
            Learned::Parent { asked_with, parent } => {
                self.index.parent_written(asked_with, *parent);
            }
            Learned::Delivered { host, had } => self.index.delivered(&host, had),
            Learned::Lease { host, lease } => self.index.lease_seen(&host, lease.as_deref()),
            Learned::Host(host) => self.index.apply_host(*host, &Source::Watched),
            Learned::HostFate { host, uid, fate } => {
                self.index.set_host_fate(&host, uid.as_deref(), fate);
            }
            Learned::Fate { uid, fate } => self.index.set_fate(&uid, fate),
        }
    }

    fn finish(&mut self, done: Result<Done, JoinError>) -> Result<(), ControllerError> {
        let done = done.map_err(|source| ControllerError::Ended {
            part: "a job",
            source: Some(source),
        })?;
        let Done {
            key,
            learned,
            failed,
        } = done;
        let looked = learned.iter().any(|l| matches!(l, Learned::Looked { .. }));
        for learned in learned {
            self.learn(learned);
        }
        match (key, failed) {
            (Key::Host(name), None) if looked => self.hosts.progressed(&name),
            (Key::Host(name), None) => self.hosts.succeeded(&name),
            (Key::Host(name), Some(err)) => {
                self.index.host_failed(&name);
                again(&mut self.hosts, name, "HostAssignment", &err);
            }
            (Key::Delivery(name), None) => self.deliveries.succeeded(&name),
            (Key::Delivery(name), Some(err)) => {
                self.index.delivery_failed(&name, err.to_string());
                again(&mut self.deliveries, name, "Secret", &err);
            }
            (Key::Pulse(name), None) => self.pulses.succeeded(&name),
            (Key::Pulse(name), Some(err)) => {
                self.index.pulse_failed(&name, err.is_answer());
                again(&mut self.pulses, name, "Lease", &err);
            }
            (Key::Parent(uid), None) => self.parents.succeeded(&uid),
            (Key::Parent(uid), Some(err)) => {
                let delay = self.parents.failed(&uid, Instant::now(), random());
                let (kind, name) = match self.index.parent_name(&uid) {
                    Some(of) => (of.kind.as_str(), of.object()),
                    None => ("resource", Name::default()),
                };
                if err.is_conflict() {
                    debug!(
                        kind,
                        namespace = name.namespace,
                        name = name.name,
                        "changed meanwhile"
                    );
                } else {
                    report(kind, &name, &err, delay);
                }
            }
        }
        Ok(())
    }

    /// Lets what is under way come to its end, and starts nothing more. Returns whether it did.
    async fn stop(self) -> bool {
        let Self {
            context,
            mut jobs,
            told,
            ..
        } = self;
        info!(under_way = jobs.len(), "controller stops");
        let end = async {
            while jobs.join_next().await.is_some() {}
            // With the last job and this, every way to the task is gone, and so it ends.
            drop(context);
            told.await
        };
        let ended = tokio::time::timeout(STOP_TIMEOUT, end).await;
        match &ended {
            Ok(Ok(())) => {}
            Ok(Err(err)) => warn!(error = chain(err), "events were lost"),
            Err(_) => warn!("gave up on what was still under way"),
        }
        ended.is_ok()
    }
}

/// Has a host looked at again whose object of this kind could not be written.
fn again(queue: &mut Queue<Name>, host: Name, kind: &'static str, err: &CallError) {
    let now = Instant::now();
    let delay = queue.failed(&host, now, random());
    if !err.is_conflict() {
        return report(kind, &host, err, delay);
    }
    // Somebody, as a rule its agent, wrote it since it was read: it is read again, and at once
    // unless that was so the last time too.
    let (namespace, name) = (&host.namespace, &host.name);
    debug!(kind, namespace, name, "changed meanwhile");
    if delay < 2 * FIRST_RETRY {
        queue.add(host, now);
    }
}

/// Tells of a failed call about an object; the kind says what was written there.
fn report(kind: &'static str, of: &Name, err: &CallError, delay: Duration) {
    let (namespace, name) = (&of.namespace, &of.name);
    let (error, retry_in_s) = (chain(err), delay.as_secs());
    warn!(kind, namespace, name, error, retry_in_s, "call failed");
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
