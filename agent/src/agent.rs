//! The agent of one host: one task that is woken by its assignment, its engine and time, and makes
//! the same pass whatever woke it.

mod assigned;
mod told;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::assignment::MAX_STATUSES;
use dockfleet_crds::host::{AgentFacts, EngineFacts};
use dockfleet_crds::{Entry, EntryStatus};
use dockfleet_planner::support;
use futures::{Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;

use self::assigned::Hearing;
use self::told::ToldAssignment;
use crate::credentials::CredentialKeeper;
use crate::effect::Effects;
use crate::engine::{Endpoint, Engine, EngineError, Happening};
use crate::heartbeat;
use crate::host::{self, HostView, Standing};
use crate::journal::{Journal, JournalError};
use crate::metrics::PassResult;
use crate::pass::{self, PassReport, Work};
use crate::pause::{Pause, PauseFile};
use crate::report::{self, AssignmentReport, AssignmentWriter, HostWriter, Report};
use crate::retry::{Backoff, around};
use crate::vitals::AgentVitals;

/// Events can be lost, so the engine is looked at this often without one.
const RELIST: Duration = Duration::from_secs(300);
const RELIST_SHARE: f64 = 0.2;
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// Events come in swarms: one look is made when the first has settled, and not again too soon.
const SETTLE: Duration = Duration::from_millis(200);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// What happened while the stream of events was being opened is seen by one more look.
const AFTER_OPENING: Duration = Duration::from_secs(2);
/// How often the pause file is looked for.
const PAUSE_GLANCE: Duration = Duration::from_secs(2);
/// How long the last report may take when the agent stops.
const LAST_REPORT: Duration = Duration::from_secs(5);

/// What an agent works with.
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
    /// Folder of its journal.
    pub state_dir: PathBuf,
    /// How often it shows that it is alive.
    pub heartbeat: Duration,
    /// Called after every change of the outside world.
    pub effects: Effects,
    /// What it says about itself.
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

/// Why an agent cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Without a journal nothing may be done.
    #[error("the agent cannot work without its journal")]
    Journal(#[from] JournalError),
}

/// Runs the agent of one host until `shutdown`, and then finishes the step it is at. It goes on
/// without its API server, and waits for its engine; an error only where its journal cannot be used.
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
    let heartbeat = tokio::spawn(heartbeat::run(
        config.client.clone(),
        config.namespace.clone(),
        config.host.clone(),
        config.heartbeat,
        config.vitals.metrics.clone(),
        shutdown.clone(),
    ));
    let assignments: Api<ToldAssignment> = Api::namespaced(config.client, &config.namespace);
    let told = watcher::watch_object(assignments, &config.host).default_backoff();
    let agent = Agent {
        endpoint: config.endpoint,
        effects: config.effects,
        vitals: config.vitals,
        hearing: Hearing::default(),
        journal,
        credentials,
        engine: None,
        facts: None,
        about: support::this_agent(env!("CARGO_PKG_VERSION")),
        events: None,
        engine_trouble: None,
        journal_trouble: None,
        pause_file: PauseFile::new(&config.state_dir),
        pause: None,
        statuses: None,
        drifted: BTreeSet::new(),
        waiting: 0,
        backoff: Backoff::new(FIRST_RETRY, LAST_RETRY),
        listening: Backoff::new(FIRST_RETRY, LAST_RETRY),
        reports,
    };
    agent.run(std::pin::pin!(told), &shutdown).await;
    heartbeat.abort();
    // The agent is gone and its end of the channel with it: the writers write the last and end.
    let last = async { while writers.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_REPORT, last).await.is_err() {
        tracing::warn!("stopped before the last report was written");
    }
    Ok(())
}

type Told = Result<Option<ToldAssignment>, watcher::Error>;
type Events = Pin<Box<dyn Stream<Item = Result<Happening, EngineError>> + Send>>;

struct Agent {
    endpoint: Endpoint,
    effects: Effects,
    vitals: Arc<AgentVitals>,
    hearing: Hearing,
    journal: Journal,
    credentials: CredentialKeeper,
    /// Nothing while the engine has to be asked again what it is.
    engine: Option<Engine>,
    facts: Option<EngineFacts>,
    /// What the agent reports of itself.
    about: AgentFacts,
    events: Option<Events>,
    engine_trouble: Option<String>,
    journal_trouble: Option<String>,
    pause_file: PauseFile,
    /// Why nothing is changed, as of the last pass.
    pause: Option<Pause>,
    /// Nothing before the first pass: what was reported earlier stands until then.
    statuses: Option<Vec<EntryStatus>>,
    /// Entries whose object was different or gone when it was last looked at, by UID.
    drifted: BTreeSet<String>,
    /// Entries that wait until containers let go of something.
    waiting: usize,
    backoff: Backoff,
    /// The same for the stream of events.
    listening: Backoff,
    reports: watch::Sender<Option<Arc<Report>>>,
}

impl Agent {
    async fn run(
        mut self,
        mut told: Pin<&mut impl Stream<Item = Told>>,
        shutdown: &CancellationToken,
    ) {
        let mut due = Instant::now();
        let mut regular = due;
        let mut earliest = due;
        let mut glances = tokio::time::interval(PAUSE_GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(told) = told.next() => {
                    if self.hearing.hear(told, self.journal.assignment()) {
                        self.backoff.reset();
                        due = Instant::now();
                    } else {
                        self.publish();
                    }
                }
                () = self.credentials.come() => due = Instant::now(),
                happening = next(&mut self.events) => match happening {
                    Some(Ok(Happening::Release)) if self.waiting == 0 => {}
                    Some(Ok(happening)) => {
                        tracing::debug!(?happening, "woken by the engine");
                        due = due.min((Instant::now() + SETTLE).max(earliest));
                    }
                    Some(Err(_)) | None => {
                        // The engine may have been restarted, and be another version.
                        self.events = None;
                        self.engine = None;
                        due = regular.min(Instant::now() + self.listening.next());
                    }
                },
                _ = glances.tick() => {
                    if self.pause != self.pausing() {
                        due = Instant::now();
                    }
                }
                () = sleep_until(due) => {
                    let listened = self.events.is_some();
                    self.vitals.pulse.works();
                    let wait = self.pass(shutdown).await;
                    self.vitals.pulse.waits();
                    let now = Instant::now();
                    earliest = now + BETWEEN_LOOKS;
                    regular = now + wait;
                    let opened = !listened && self.events.is_some();
                    due = if opened { regular.min(now + AFTER_OPENING) } else { regular };
                }
            }
        }
        tracing::info!("stopped");
    }

    /// Makes one pass and returns how long to wait for the next one.
    async fn pass(&mut self, shutdown: &CancellationToken) -> Duration {
        self.accept();
        let pause = self.pausing();
        if self.pause != pause {
            if let Some(pause) = &pause {
                tracing::info!(why = pause.message, "paused");
            } else {
                tracing::info!("no longer paused");
            }
            self.pause = pause;
        }
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => match shutdown
                .run_until_cancelled(Engine::connect_with(&self.endpoint, &self.vitals))
                .await
            {
                Some(Ok(engine)) => engine,
                Some(Err(err)) => return self.engine_is_away(&err),
                None => return RELIST,
            },
        };
        // A far connection can die without a word; one to a socket beside us ends with the engine.
        let far = !matches!(self.endpoint, Endpoint::Unix(_));
        let listens = self.events.is_some();
        if listens {
            self.listening.reset();
        }
        if !listens || far {
            self.events = Some(Box::pin(engine.events()));
        }
        let keyring = self.credentials.keyring();
        let (ledger, entries) = self.journal.split();
        let work = Work {
            engine: &engine,
            entries,
            keyring: &keyring,
            effects: &self.effects,
            paused: self.pause.as_ref().map(|p| p.message.as_str()),
            stop: shutdown,
            before: self.statuses.as_deref().unwrap_or_default(),
        };
        let report = work.enforce(ledger, &mut |_| {}).await;
        let wait = self.learn(report, engine);
        self.publish();
        wait
    }

    /// Makes a newly heard assignment durable; nothing is done by one that is not.
    fn accept(&mut self) {
        self.journal_trouble = None;
        if self.hearing.pending.is_none() {
            return;
        }
        match self
            .journal
            .accept(&mut self.hearing.pending, &self.effects)
        {
            Ok(()) => {
                let generation = self.journal.assignment().map(|s| s.generation);
                let (_, entries) = self.journal.split();
                tracing::info!(generation, entries = entries.len(), "assignment accepted");
                self.credentials.ask_for(entries);
            }
            Err(err) => {
                let error = pass::sentence(&err);
                tracing::error!(%error, "the assignment is not durable, and is not acted by");
                self.vitals.metrics.journal_failed();
                self.journal_trouble = Some(error);
            }
        }
    }

    /// Returns why nothing may be changed on the host, if that is so.
    fn pausing(&self) -> Option<Pause> {
        let told = self.journal.assignment().is_some_and(|s| s.paused);
        Pause::of(told, self.pause_file.read())
    }

    fn engine_answers(&mut self, engine: Engine) {
        let facts = engine.facts();
        if self.facts.as_ref() != Some(facts) || self.engine_trouble.is_some() {
            tracing::info!(
                version = facts.version,
                api = facts.api_version,
                "the engine answers"
            );
        }
        self.vitals.looked(true);
        self.engine_trouble = None;
        self.facts = Some(facts.clone());
        self.engine = Some(engine);
    }

    fn engine_fails(&mut self, err: &EngineError) {
        let error = err.sentence();
        if self.engine_trouble.is_none() {
            tracing::warn!(error, endpoint = %self.endpoint, "the engine cannot be asked");
        } else {
            tracing::debug!(error, "the engine still cannot be asked");
        }
        self.vitals.looked(false);
        self.engine_trouble = Some(error);
    }

    fn engine_is_away(&mut self, err: &EngineError) -> Duration {
        self.engine_fails(err);
        self.vitals.metrics.passed(PassResult::EngineFailed);
        self.events = None;
        let (ledger, entries) = self.journal.split();
        self.statuses = Some(pass::unknown(entries, ledger.records()));
        self.publish();
        self.backoff.next()
    }

    /// Takes in what a pass found and returns how long to wait for the next one.
    fn learn(&mut self, report: PassReport, engine: Engine) -> Duration {
        tracing::debug!(
            calls = report.engine_calls,
            changed = report.changed,
            unfinished = report.unfinished,
            waiting = report.waiting,
            "pass done"
        );
        self.measure(&report);
        self.statuses = Some(report.statuses);
        self.waiting = report.waiting;
        if let Some(err) = &report.journal_failure {
            self.vitals.metrics.journal_failed();
            self.journal_trouble = Some(pass::sentence(err));
        }
        match report.engine_failures.first() {
            None => self.engine_answers(engine),
            Some(err) => self.engine_fails(err),
        }
        if report.unfinished > 0 || self.journal_trouble.is_some() {
            return self.backoff.next();
        }
        self.backoff.reset();
        around(RELIST, RELIST_SHARE)
    }

    /// Brings the metrics up to date with what a pass found.
    fn measure(&mut self, report: &PassReport) {
        let metrics = &self.vitals.metrics;
        metrics.passed(match report {
            r if r.journal_failure.is_some() => PassResult::JournalFailed,
            r if !r.engine_failures.is_empty() => PassResult::EngineFailed,
            r if r.unfinished > 0 => PassResult::Unfinished,
            _ => PassResult::Done,
        });
        for (uid, drift) in &report.drifts {
            if !self.drifted.contains(uid) {
                metrics.drift_found(drift.kind);
            }
            if drift.repaired {
                metrics.drift_repaired(drift.kind);
            }
        }
        // What cannot be asked for is as it was.
        if report.engine_failures.is_empty() {
            let left = report.drifts.iter().filter(|(_, drift)| !drift.repaired);
            self.drifted = left.map(|(uid, _)| uid.clone()).collect();
        }
    }

    fn publish(&mut self) {
        let Some(statuses) = &self.statuses else {
            return;
        };
        let entries = self.journal.assignment().map_or(&[][..], |s| &s.entries);
        self.vitals.metrics.stand(entries, statuses);
        let report = Report {
            host: HostView {
                engine: self.facts.clone(),
                agent: self.about.clone(),
                counts: host::counts(entries, statuses),
                standing: self.standing(),
                pause: self.pause.clone(),
                generation: self.journal.assignment().and_then(|s| s.host_generation),
            },
            assignment: self.journal.assignment().map(|s| AssignmentReport {
                uid: s.uid.clone(),
                generation: s.generation,
                entries: reported(entries, statuses),
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

    fn standing(&self) -> Standing {
        if let Some(why) = &self.hearing.foreign {
            Standing::ForeignHub(why.clone())
        } else if let Some(why) = &self.journal_trouble {
            Standing::JournalFailed(why.clone())
        } else if let Some(why) = &self.engine_trouble {
            Standing::EngineUnreachable(why.clone())
        } else if let Some(why) = &self.hearing.unreadable {
            Standing::InvalidAssignment(why.clone())
        } else {
            Standing::Ready
        }
    }
}

/// Returns the statuses that a HostAssignment has room for: those of its entries come before those of
/// journal records that no entry asks for, of which the DockerHost has the number.
fn reported(entries: &[Entry], statuses: &[EntryStatus]) -> Vec<EntryStatus> {
    let assigned: BTreeSet<&str> = entries.iter().map(|e| e.uid.as_str()).collect();
    let of_entry = |s: &&EntryStatus| assigned.contains(s.uid.as_str());
    let mut room = MAX_STATUSES.saturating_sub(statuses.iter().filter(of_entry).count());
    let fits = |s: &&EntryStatus| {
        let fits = of_entry(s) || room > 0;
        room -= usize::from(fits && !of_entry(s));
        fits
    };
    let reported = statuses.iter().filter(fits);
    reported.take(MAX_STATUSES).cloned().collect()
}

/// Returns the next event, and never without a stream of them.
async fn next(events: &mut Option<Events>) -> Option<Result<Happening, EngineError>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::assignment::MAX_STATUSES;
    use dockfleet_crds::{Entry, EntryStatus};

    use super::reported;

    fn status(uid: String) -> EntryStatus {
        EntryStatus {
            uid,
            ..EntryStatus::default()
        }
    }

    #[test]
    fn a_report_never_has_more_statuses_than_there_is_room_for() {
        let uids = |letter: char, count: usize| (0..count).map(move |i| format!("{letter}{i:03}"));
        let entry = |uid| Entry {
            uid,
            ..Entry::default()
        };
        let entries: Vec<Entry> = uids('m', 256).map(entry).collect();
        // By UID, records that no entry asks for come before and after those of the entries.
        let all = uids('a', 300).chain(uids('m', 256)).chain(uids('z', 300));
        let statuses: Vec<EntryStatus> = all.map(status).collect();
        let reported = reported(&entries, &statuses);
        assert_eq!(reported.len(), MAX_STATUSES);
        let of_entries = reported.iter().filter(|s| s.uid.starts_with('m'));
        assert_eq!(of_entries.count(), 256);
        assert!(reported.is_sorted_by(|a, b| a.uid < b.uid));
    }
}
