//! The agent of one host: a loop that watches its assignment, the events of its engine and timers, and never
//! waits for an action. Passes run beside it, one at a time for each kind. What a pass does never depends on
//! what started it.

mod assignment_tracker;
mod assignment_watch;
mod lane;
mod volume_jobs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::host::{AgentFacts, EngineFacts};
use dockfleet_planner::kinds::{self, Work};
use dockfleet_planner::support;
use dockfleet_vitals::{BootTime, chain};
use futures::{Stream, StreamExt};
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;

use self::assignment_tracker::AssignmentTracker;
use self::assignment_watch::AssignmentWatch;
use self::lane::{PassInputs, PassLane};
use self::volume_jobs::VolumeJobs;
use crate::backup::{BackupJob, INTERRUPTIONS, RestoreJob};
use crate::credentials::CredentialKeeper;
use crate::effect::Effects;
use crate::engine::{Endpoint, Engine, EngineError, EngineEvent, Timeouts};
use crate::heartbeat::{self, Heartbeats};
use crate::host::{self, AgentCondition, DockerHostReport, SeenNetwork};
use crate::interfaces;
use crate::interruption;
use crate::journal::{Journal, JournalError};
use crate::metrics::PassResult;
use crate::pass::PassReport;
use crate::pause::{Pause, PauseFile};
use crate::preflight::Preflight;
use crate::report::{self, AssignmentReport, AssignmentWriter, HostWriter, Report};
use crate::retry::Backoff;
use crate::swarm_secrets::SecretKeeper;
use crate::vitals::AgentVitals;

/// Events come in groups: one pass starts this long after the first event.
const SETTLE: Duration = Duration::from_millis(200);
/// How often the pause file is checked.
const PAUSE_CHECK: Duration = Duration::from_secs(2);
/// How often the progress of a long pass is reported.
const INTERIM_REPORT: Duration = Duration::from_secs(10);
/// Timeout of the last report when the agent stops.
const LAST_REPORT: Duration = Duration::from_secs(5);

/// The configuration of an agent.
#[derive(Clone)]
pub struct AgentConfig {
    /// The API server of its fleet.
    pub client: Client,
    /// Namespace of its DockerHost.
    pub namespace: String,
    /// Name of its DockerHost.
    pub host: String,
    /// Its engine.
    pub endpoint: Endpoint,
    /// Timeouts of calls to the engine.
    pub timeouts: Timeouts,
    /// Folder of its journal.
    pub state_dir: PathBuf,
    /// Interval of heartbeats.
    pub heartbeat: Duration,
    /// Called after every external change.
    pub effects: Effects,
    /// Its probes and metrics.
    pub vitals: Arc<AgentVitals>,
}

impl std::fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentConfig")
            .field("namespace", &self.namespace)
            .field("host", &self.host)
            .field("endpoint", &self.endpoint)
            .field("state_dir", &self.state_dir)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Without a journal the agent must not change anything.
    #[error("the agent cannot work without its journal")]
    Journal(#[from] JournalError),
}

/// Runs the agent of one host until `shutdown`, and then finishes the current actions. It continues without
/// its API server, and waits for its engine. It returns an error only if its journal cannot be used.
pub async fn run(config: AgentConfig, shutdown: CancellationToken) -> Result<(), AgentError> {
    let journal = Journal::open(&config.state_dir)?;
    let (reports, receiver) = watch::channel(None);
    let mut writers = JoinSet::new();
    writers.spawn(report::keep_writing(
        HostWriter::new(
            config.client.clone(),
            &config.namespace,
            config.host.clone(),
            config.effects.clone(),
        ),
        receiver.clone(),
        config.vitals.metrics.clone(),
    ));
    writers.spawn(report::keep_writing(
        AssignmentWriter::new(
            config.client.clone(),
            &config.namespace,
            config.host.clone(),
            config.effects.clone(),
        ),
        receiver,
        config.vitals.metrics.clone(),
    ));
    let mut credentials = CredentialKeeper::start(&config.client, &config.namespace, &config.host);
    credentials.ask_for(journal.assignment().map_or(&[], |s| &s.entries));
    let swarm_secrets = SecretKeeper::start(&config.client, &config.namespace, &config.host);
    let (heartbeats_sender, heartbeats) = watch::channel(Heartbeats::default());
    let assigned = Arc::new(Notify::new());
    if journal.assignment().is_some() {
        assigned.notify_one();
    }
    let heartbeat = tokio::spawn(heartbeat::run(
        Api::namespaced(config.client.clone(), &config.namespace),
        config.host.clone(),
        config.heartbeat,
        heartbeats_sender,
        config.vitals.metrics.clone(),
        Arc::clone(&assigned),
        shutdown.clone(),
    ));
    let backups = VolumeJobs::new(&config, &journal, &credentials, &shutdown);
    let restores = VolumeJobs::new(&config, &journal, &credentials, &shutdown);
    let agent = Agent {
        assignments: AssignmentWatch::new(config.client, &config.namespace, &config.host),
        endpoint: config.endpoint,
        timeouts: config.timeouts,
        effects: config.effects,
        vitals: config.vitals,
        tracker: AssignmentTracker::default(),
        heartbeats,
        heartbeat_interval: config.heartbeat,
        known_gaps: 0,
        is_cut_off: true,
        assigned,
        journal,
        credentials,
        swarm_secrets,
        preflight: Preflight::new(),
        backups,
        restores,
        interruptions: config.state_dir.join(INTERRUPTIONS),
        puts_back: false,
        engine: None,
        facts: None,
        network: SeenNetwork::default(),
        own_facts: support::this_agent(env!("CARGO_PKG_VERSION")),
        events: None,
        connect_error: None,
        accept_error: None,
        pause_file: PauseFile::new(&config.state_dir),
        pause: None,
        lanes: Kind::all().map(PassLane::new).collect(),
        tasks: JoinSet::new(),
        connecting: false,
        engine_answers: None,
        report_due: None,
        accept_due: None,
        backoff: Backoff::default(),
        events_backoff: Backoff::default(),
        reports,
        shutdown,
    };
    agent.run().await;
    heartbeat.abort();
    // The agent has dropped its end of the channel, so the writers write the last report and end.
    let last = async { while writers.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_REPORT, last).await.is_err() {
        tracing::warn!("stopped before the last report was written");
    }
    Ok(())
}

type Events = Pin<Box<dyn Stream<Item = Result<EngineEvent, EngineError>> + Send>>;

/// The result of a task that ran beside the loop.
enum TaskEvent {
    /// `None` if the agent stops.
    Connected(Option<Result<Engine, EngineError>>),
    Passed(Kind, PassReport),
    PutBack,
}

struct Agent {
    endpoint: Endpoint,
    timeouts: Timeouts,
    effects: Effects,
    vitals: Arc<AgentVitals>,
    assignments: AssignmentWatch,
    tracker: AssignmentTracker,
    heartbeats: watch::Receiver<Heartbeats>,
    heartbeat_interval: Duration,
    /// The gaps between heartbeats after which the watch of the assignment was started again.
    known_gaps: u64,
    /// Another host may be the writer now, because this one has not heard of the API server for too long.
    is_cut_off: bool,
    /// Tells the heartbeat that there is an assignment.
    assigned: Arc<Notify>,
    journal: Journal,
    credentials: CredentialKeeper,
    swarm_secrets: SecretKeeper,
    preflight: Preflight,
    backups: VolumeJobs<BackupJob>,
    restores: VolumeJobs<RestoreJob>,
    /// Folder of the files about containers that are paused or stopped.
    interruptions: PathBuf,
    /// Whether containers are being put back.
    puts_back: bool,
    /// `None` while the engine must be connected again.
    engine: Option<Arc<Engine>>,
    facts: Option<EngineFacts>,
    /// The network of the host, as it was at the last pass.
    network: SeenNetwork,
    /// What the agent reports about itself.
    own_facts: AgentFacts,
    events: Option<Events>,
    /// Why the last connection to the engine failed, if it did.
    connect_error: Option<String>,
    /// Why the last assignment could not be written to the journal, if so.
    accept_error: Option<String>,
    pause_file: PauseFile,
    /// Why the host is paused, if it is.
    pause: Option<Pause>,
    /// The passes, by kind.
    lanes: Vec<PassLane>,
    /// Tasks beside the loop: at most one pass for each kind, and one connection attempt.
    tasks: JoinSet<TaskEvent>,
    connecting: bool,
    /// Whether the engine answered the last call.
    engine_answers: Option<bool>,
    /// When the next report is due, even if a pass runs.
    report_due: Option<Instant>,
    /// When the received assignment is written to the journal.
    accept_due: Option<Instant>,
    backoff: Backoff,
    /// Backoff for the stream of events.
    events_backoff: Backoff,
    reports: watch::Sender<Option<Arc<Report>>>,
    shutdown: CancellationToken,
}

impl Agent {
    async fn run(mut self) {
        let mut pause_checks = tokio::time::interval(PAUSE_CHECK);
        pause_checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.shutdown.clone();
        self.pause = self.pausing();
        loop {
            let due = self.next_due();
            self.vitals.watchdog.idle();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(done) = self.tasks.join_next() => self.done(done),
                Some(event) = self.assignments.next() => {
                    if matches!(event, Ok(Some(_))) {
                        self.assigned.notify_one();
                    }
                    if self.tracker.track(event, self.journal.assignment().map(AsRef::as_ref)) {
                        self.backoff.reset();
                        self.accept_due = Some(Instant::now());
                    } else {
                        self.publish();
                    }
                }
                Ok(()) = self.heartbeats.changed() => {}
                () = self.credentials.changed() => self.wake(Instant::now()),
                () = self.swarm_secrets.failed() => {}
                () = self.preflight.changed() => self.publish(),
                Some(wait) = self.backups.ended() => {
                    self.put_back();
                    self.wake_work(Work::Backups, wait);
                }
                Some(wait) = self.restores.ended() => self.wake_work(Work::Restores, wait),
                event = next(&mut self.events) => match event {
                    Some(Ok(event)) => self.on_engine_event(event),
                    Some(Err(_)) | None => self.events_ended(),
                },
                _ = pause_checks.tick() => self.check_pause(),
                () = until(due) => {}
            }
            self.vitals.watchdog.busy();
            if self.accept_due.is_some_and(|at| at <= Instant::now()) {
                self.accept().await;
            }
            self.preflight.ended().await;
            if let Some(wait) = self.backups.follow().await {
                self.wake_work(Work::Backups, wait);
            }
            if let Some(wait) = self.restores.follow().await {
                self.wake_work(Work::Restores, wait);
            }
            self.check_contact();
            self.start_due_passes();
            if self.report_due.is_some_and(|at| at <= Instant::now()) {
                self.publish();
            }
        }
        // They stop at once, and the next process makes them again.
        while self.backups.ended().await.is_some() {}
        while self.restores.ended().await.is_some() {}
        // Each pass ends after its current action.
        while let Some(done) = self.tasks.join_next().await {
            self.done(done);
        }
        tracing::info!("stopped");
    }

    fn next_due(&self) -> Option<Instant> {
        let lanes = self.lanes.iter().filter_map(PassLane::due);
        let may_begin = self.engine.is_some() || !self.connecting;
        let lanes = lanes.filter(|_| may_begin);
        lanes.chain(self.report_due).chain(self.accept_due).min()
    }

    /// Starts a pass of every kind at this time or earlier.
    fn wake(&mut self, at: Instant) {
        self.lanes.iter_mut().for_each(|lane| lane.wake(at));
    }

    /// Ends running passes after their current action, and starts every pass again.
    fn restart(&mut self) {
        self.lanes.iter_mut().for_each(PassLane::restart);
    }

    /// Starts passes because of an event of the engine.
    fn on_engine_event(&mut self, event: EngineEvent) {
        tracing::debug!(?event, "woken by the engine");
        let settled = Instant::now() + SETTLE;
        for lane in &mut self.lanes {
            match event {
                EngineEvent::Release if lane.waiting == 0 => {}
                // Networks and volumes do not depend on the nodes of a swarm.
                EngineEvent::Node if kinds::is_observed_always(lane.kind) => {}
                EngineEvent::Container => lane.container_event(settled),
                EngineEvent::Release | EngineEvent::Object | EngineEvent::Node => {
                    lane.wake_by_event(settled);
                }
            }
        }
    }

    /// Connects to the engine again: it may have been restarted with another version.
    fn events_ended(&mut self) {
        self.events = None;
        self.engine = None;
        let wait = self.events_backoff.next();
        self.wake(Instant::now() + wait);
    }

    /// Checks whether the host is paused.
    fn check_pause(&mut self) {
        let pause = self.pausing();
        if self.pause == pause {
            return;
        }
        if let Some(pause) = &pause {
            tracing::info!(why = pause.message, "paused");
        } else {
            tracing::info!("no longer paused");
        }
        self.pause = pause;
        self.restart();
    }

    /// Checks whether another host may be the writer: this one sends no heartbeats, or has not read its assignment
    /// since it sends them again.
    fn check_contact(&mut self) {
        let heartbeats = *self.heartbeats.borrow_and_update();
        if self.known_gaps != heartbeats.gaps {
            self.known_gaps = heartbeats.gaps;
            self.tracker.start_again();
            self.assignments.start_again();
        }
        let hears = heartbeats.are_regular(self.heartbeat_interval, BootTime::now());
        let is_cut_off = !(hears && self.tracker.is_in_force());
        if self.is_cut_off == is_cut_off {
            return;
        }
        self.is_cut_off = is_cut_off;
        if is_cut_off {
            tracing::info!(
                "cut off from the API server: this host changes nothing for its whole swarm"
            );
            let running = self.lanes.iter_mut().filter(|l| l.is_running());
            running.for_each(PassLane::restart);
        } else {
            tracing::debug!("there are news of the API server and the assignment");
            self.lanes.iter_mut().for_each(PassLane::resume);
        }
    }

    /// Starts the passes that are due; connects to the engine first if necessary.
    fn start_due_passes(&mut self) {
        let now = Instant::now();
        let is_due = |lane: &PassLane| lane.due().is_some_and(|due| due <= now);
        if !self.lanes.iter().any(is_due) {
            return;
        }
        self.check_pause();
        let Some(engine) = self.engine.clone() else {
            self.connect();
            return;
        };
        self.listen(&engine);
        let shared = PassInputs {
            engine,
            ledger: Arc::clone(self.journal.ledger()),
            snapshot: self.journal.assignment().cloned(),
            store: self.credentials.store(),
            effects: self.effects.clone(),
            paused: self.pause.as_ref().map(|p| p.message.clone()),
            is_cut_off: self.is_cut_off,
            backups: self.volume_jobs(),
        };
        for lane in &mut self.lanes {
            if is_due(lane) {
                let (kind, pass) = (lane.kind, lane.begin(shared.clone(), &self.shutdown));
                self.tasks
                    .spawn(async move { TaskEvent::Passed(kind, pass.run().await) });
            }
        }
    }

    fn connect(&mut self) {
        if self.connecting {
            return;
        }
        self.connecting = true;
        let (endpoint, timeouts) = (self.endpoint.clone(), self.timeouts);
        let (vitals, shutdown) = (Arc::clone(&self.vitals), self.shutdown.clone());
        self.tasks.spawn(async move {
            let connect = Engine::connect_with(&endpoint, timeouts, &vitals);
            TaskEvent::Connected(shutdown.run_until_cancelled(connect).await)
        });
    }

    /// Opens the stream of events if there is none.
    fn listen(&mut self, engine: &Arc<Engine>) {
        // A remote connection can break without an error; a connection to a local socket ends with the
        // engine.
        let far = !matches!(self.endpoint, Endpoint::Unix(_));
        let listens = self.events.is_some();
        if listens {
            self.events_backoff.reset();
        }
        if !listens || (far && !self.lanes.iter().any(PassLane::is_running)) {
            self.events = Some(Box::pin(engine.events()));
        }
        if !listens {
            self.lanes.iter_mut().for_each(PassLane::events_opened);
        }
    }

    /// Processes the result of a task.
    fn done(&mut self, done: Result<TaskEvent, JoinError>) {
        match done {
            Ok(TaskEvent::Connected(answer)) => {
                self.connecting = false;
                match answer {
                    Some(Ok(engine)) => self.connected(engine),
                    Some(Err(err)) => self.engine_unreachable(&err),
                    None => {}
                }
            }
            Ok(TaskEvent::Passed(kind, report)) => self.passed(kind, report),
            Ok(TaskEvent::PutBack) => self.puts_back = false,
            // The state of its work is not known. So the process ends with the panic, is restarted, and
            // observes the engine.
            Err(err) => match err.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => tracing::error!(%cancelled, "a task was cancelled"),
            },
        }
    }

    fn connected(&mut self, engine: Engine) {
        self.connect_error = None;
        if self.facts.as_ref() != Some(engine.facts()) {
            self.engine_answers = None;
            self.facts = Some(engine.facts().clone());
        }
        self.engine = Some(Arc::new(engine));
        self.put_back();
        self.look_at_network();
        self.follow_swarms();
    }

    /// Lets containers run again that a backup has paused or stopped and left so, and tries until nothing is left.
    fn put_back(&mut self) {
        let Some(engine) = self.engine.clone().filter(|_| !self.puts_back) else {
            return;
        };
        self.puts_back = true;
        let (folder, shutdown) = (self.interruptions.clone(), self.shutdown.clone());
        self.tasks.spawn(async move {
            let mut backoff = Backoff::default();
            while interruption::has_left(&folder) {
                for sentence in interruption::put_back_left(&engine, &folder).await {
                    tracing::warn!("{sentence}");
                }
                let wait = tokio::time::sleep(backoff.next());
                if interruption::has_left(&folder)
                    && shutdown.run_until_cancelled(wait).await.is_none()
                {
                    break;
                }
            }
            TaskEvent::PutBack
        });
    }

    /// Does for swarms what the assignment asks for beside the passes: keeps their secrets or removes them, and tries
    /// ports.
    fn follow_swarms(&mut self) {
        let entries = self.journal.assignment().map_or(&[][..], |s| &s.entries);
        self.swarm_secrets.follow(entries, self.engine.as_ref());
        let shares_network = matches!(self.network, SeenNetwork::Shared(_));
        self.preflight.follow(entries, shares_network);
    }

    /// Looks at the network of the host.
    fn look_at_network(&mut self) {
        if let Some(engine) = &self.engine {
            self.network = if engine.shares_network() {
                SeenNetwork::Shared(interfaces::network())
            } else {
                SeenNetwork::NotShared
            };
        }
    }

    fn engine_unreachable(&mut self, err: &EngineError) {
        let error = err.sentence();
        self.engine_answered(Err(&error));
        self.connect_error = Some(error);
        self.vitals.metrics.passed(PassResult::EngineFailed);
        self.events = None;
        let snapshot = self.journal.assignment();
        // They may go on: they read a folder.
        let backups = self.volume_jobs();
        for lane in &mut self.lanes {
            lane.engine_unreachable(self.journal.ledger(), snapshot, &backups);
        }
        let wait = self.backoff.next();
        for lane in &mut self.lanes {
            lane.defer(Instant::now() + wait);
        }
        self.publish();
    }

    /// Returns how far running backups and restores are, in words, by UID.
    fn volume_jobs(&self) -> BTreeMap<String, String> {
        let mut all = self.backups.details();
        all.extend(self.restores.details());
        all
    }

    /// Starts a pass over the backups or restores after this time.
    fn wake_work(&mut self, work: Work, wait: Duration) {
        let lane = self.lanes.iter_mut().find(|l| kinds::work(l.kind) == work);
        if let Some(lane) = lane {
            lane.wake(Instant::now() + wait);
        }
    }

    fn passed(&mut self, kind: Kind, mut report: PassReport) {
        self.look_at_network();
        if let Some(wanted) = report.jobs.take() {
            match kinds::work(kind) {
                Work::Backups => self.backups.plan(wanted.backups),
                Work::Restores => self.restores.plan(wanted.restores),
                Work::Objects | Work::Pruning | Work::Nothing => {}
            }
        }
        if !report.engine_failures.is_empty() {
            self.engine = None;
        }
        if let Some(lane) = self.lanes.iter_mut().find(|l| l.kind == kind) {
            lane.end(report, &self.vitals.metrics);
            if !self.is_cut_off {
                lane.resume();
            }
        }
        match self.lanes.iter().find_map(|l| l.engine_error.clone()) {
            None => {
                self.backoff.reset();
                self.engine_answered(Ok(()));
            }
            Some(error) => self.engine_answered(Err(&error)),
        }
        self.publish();
    }

    /// Records whether the engine answers, and logs a change.
    fn engine_answered(&mut self, answer: Result<(), &str>) {
        self.vitals.engine_answered(answer.is_ok());
        let before = self.engine_answers.replace(answer.is_ok());
        match answer {
            Ok(()) if before == Some(true) => {}
            Ok(()) => {
                let facts = self.facts.clone().unwrap_or_default();
                let (version, api) = (facts.version, facts.api_version);
                tracing::info!(version, api, "the engine answers");
            }
            Err(error) if before == Some(false) => {
                tracing::debug!(error, "the engine still does not answer");
            }
            Err(error) => {
                tracing::warn!(error, endpoint = %self.endpoint, "the engine does not answer");
            }
        }
    }

    /// Writes the received assignment to the journal. An assignment is not applied before it is durable.
    async fn accept(&mut self) {
        self.accept_due = None;
        let Some(snapshot) = self.tracker.pending.clone() else {
            return;
        };
        match self.journal.accept(snapshot, &self.effects).await {
            Ok(()) => {
                self.tracker.pending = None;
                self.accept_error = None;
                let entries = self.journal.assignment().map_or(&[][..], |s| &s.entries);
                let generation = self.journal.assignment().map(|s| s.generation);
                tracing::info!(generation, entries = entries.len(), "assignment accepted");
                self.credentials.ask_for(entries);
                self.follow_swarms();
                self.check_pause();
                self.restart();
            }
            Err(err) => {
                let error = chain(&err);
                tracing::error!(
                    %error,
                    "the assignment could not be written to the journal and is not applied"
                );
                self.vitals.metrics.journal_failed();
                self.accept_error = Some(error);
                self.accept_due = Some(Instant::now() + self.backoff.next());
                self.publish();
            }
        }
    }

    /// Returns why the host is paused, if it is.
    fn pausing(&self) -> Option<Pause> {
        let by_spec = self.journal.assignment().is_some_and(|s| s.paused);
        Pause::of(by_spec, self.pause_file.read())
    }

    /// Reports the state of all entries. A report waits for a pass that has just started, but not for a long
    /// one.
    fn publish(&mut self) {
        let now = Instant::now();
        let young = self.lanes.iter().filter_map(|l| l.delays_report_until(now));
        if let Some(until) = young.max() {
            self.report_due = Some(until);
            return;
        }
        let runs = self.lanes.iter().any(PassLane::is_running);
        self.report_due = runs.then_some(now + INTERIM_REPORT);
        let snapshot = self.journal.assignment();
        let statuses = self.lanes.iter().map(|l| l.statuses(snapshot));
        let Some(statuses) = statuses.collect::<Option<Vec<_>>>() else {
            // Before the first observation the earlier report stays.
            return;
        };
        let mut statuses = statuses.concat();
        statuses.sort_by(|a, b| a.uid.cmp(&b.uid));
        let entries = snapshot.map_or(&[][..], |s| &s.entries);
        self.vitals.metrics.set_entries(entries, &statuses);
        let report = Report {
            host: DockerHostReport {
                engine: self.facts.clone(),
                agent: self.own_facts.clone(),
                network: self.network.clone().map(|n| self.preflight.report(n)),
                counts: host::counts(entries, &statuses),
                condition: self.condition(),
                pause: self.pause.clone(),
                generation: snapshot.and_then(|s| s.host_generation),
            },
            assignment: snapshot.map(|s| AssignmentReport {
                uid: s.uid.clone(),
                generation: s.generation,
                entries: report::limited(entries, &statuses),
            }),
        };
        self.reports.send_if_modified(|last| {
            if last.as_deref() == Some(&report) {
                return false;
            }
            *last = Some(Arc::new(report));
            true
        });
    }

    fn condition(&self) -> AgentCondition {
        let journal = self.lanes.iter().find_map(|l| l.journal_error.as_ref());
        let engine = self.lanes.iter().find_map(|l| l.engine_error.as_ref());
        if let Some(why) = &self.tracker.foreign {
            AgentCondition::ForeignHub(why.clone())
        } else if let Some(why) = journal.or(self.accept_error.as_ref()) {
            AgentCondition::JournalFailed(why.clone())
        } else if let Some(why) = engine.or(self.connect_error.as_ref()) {
            AgentCondition::EngineUnreachable(why.clone())
        } else if let Some(why) = &self.tracker.unreadable {
            AgentCondition::InvalidAssignment(why.clone())
        } else {
            AgentCondition::Ready
        }
    }
}

/// Returns at a time; never returns without one.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Returns the next event; never returns without a stream.
async fn next(events: &mut Option<Events>) -> Option<Result<EngineEvent, EngineError>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
