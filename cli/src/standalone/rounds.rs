//! Rounds over all hosts, for resources that have one object for several hosts. In each round, the entries of every
//! host are rendered from what is recorded, every host runs a pass, and what the hosts report becomes the next
//! record. A record is durable before any host acts on it.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{anyhow, bail};
use dockfleet_agent::pass::Progress;
use dockfleet_crds::{DockerHost, Entry, EntryStatus, Intent, Reason};
use dockfleet_planner::aggregate::HostView;
use dockfleet_planner::assignment::Refusal;
use dockfleet_planner::resource::{HostReport as ReportOfHost, OwnStatus, Resource, StatusContext};
use dockfleet_planner::select::{Selection, selection};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::recorded::Recorded;
use super::session::entries_of;
use super::shared::{called, without_removed};
use super::wait::{BETWEEN_LOOKS, waits};
use super::{CommandGoal, Engines, Files, HostReport, HostSession};
use crate::result::{Failure, ResultRow, Summary};

/// How long nothing may change before a command no longer waits for a swarm: the managers notice after some
/// seconds that a node has joined, or that one is down.
const QUIET: Duration = Duration::from_mins(1);
/// The same for an engine that does not answer: a manager that becomes a worker is silent for some seconds.
const SILENT: Duration = Duration::from_secs(15);
/// How long nobody looks if nothing has changed, at first: a node takes about a second until it has a new role. The longer
/// nothing changes, the longer the pause.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);
/// How long a command works on swarms, whatever changes: a swarm of seven managers takes a minute.
const AT_MOST: Duration = Duration::from_mins(15);

/// A command that works on all hosts in rounds.
pub(crate) struct Rounds<'a> {
    pub(crate) goal: &'a CommandGoal,
    /// How long to wait for a lock that another process has.
    pub(crate) patience: Duration,
    /// How long to wait for objects that containers use.
    pub(crate) wait: Duration,
    /// Shows the progress of a host.
    pub(crate) show: fn(&str, &Progress),
    pub(crate) stop: &'a CancellationToken,
}

/// A host in the rounds, in the order of the files' hosts.
struct Host {
    name: String,
    target: DockerHost,
    state: HostState,
    report: HostReport,
}

enum HostState {
    Open(Box<HostSession>),
    /// It could not be worked on. Its entries are those in its journal, if that can be read.
    Failed(anyhow::Error, Vec<Entry>),
}

impl Host {
    fn entries(&self) -> &[Entry] {
        match &self.state {
            HostState::Open(session) => session.previous(),
            HostState::Failed(_, entries) => entries,
        }
    }

    fn entry(&self, uid: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.uid == uid)
    }

    fn session(&self) -> Option<&HostSession> {
        match &self.state {
            HostState::Open(session) => Some(session),
            HostState::Failed(..) => None,
        }
    }

    /// Returns what it last reported on a resource. An engine that did not answer has reported nothing.
    fn status(&self, uid: &str) -> Option<&EntryStatus> {
        let found = self.report.statuses.iter().find(|s| s.uid == uid)?;
        (!found.is_because(Reason::EngineUnreachable)).then_some(found)
    }

    fn is_offline(&self, uid: &str) -> bool {
        let unreachable = |s: &EntryStatus| s.is_because(Reason::EngineUnreachable);
        let mut statuses = self.report.statuses.iter().filter(|s| s.uid == uid);
        self.session().is_none() || statuses.any(unreachable)
    }

    fn refused(&self, uid: &str) -> Option<&Refusal> {
        self.report.refused.get(uid)
    }
}

impl Rounds<'_> {
    /// Works on the hosts until nothing is left to do, or only what does not happen by itself.
    pub(crate) async fn run(&self, files: &mut Files, engines: Engines) -> Summary {
        let mut summary = Summary::default();
        let mut hosts = Vec::new();
        let mut notes = BTreeMap::new();
        if let Err(err) = self.work(files, engines, &mut hosts, &mut notes).await {
            summary.failures.push(Failure {
                message: format!("{err:#}"),
                ..Failure::default()
            });
        }
        for host in hosts {
            match host.state {
                HostState::Open(_) => summary.add(&host.name, Ok(host.report)),
                HostState::Failed(err, _) => summary.add(&host.name, Err(err)),
            }
        }
        summary.hints.extend(notes.into_values().flatten());
        summary
    }

    async fn work(
        &self,
        files: &mut Files,
        engines: Engines,
        hosts: &mut Vec<Host>,
        notes: &mut BTreeMap<String, Vec<String>>,
    ) -> anyhow::Result<()> {
        let lock = files.shared.folder.lock(self.patience);
        let Some(lock) = self.stop.run_until_cancelled(lock).await else {
            bail!("interrupted before anything was changed");
        };
        let _lock = lock?;
        // Another process may have written since the files were read.
        files.recall()?;
        *hosts = self.open(files, engines).await;
        if self.stop.is_cancelled() {
            // What is on the hosts may be unknown, so nothing is recorded.
            return Ok(());
        }
        self.keep_agreed(files, hosts);
        let begin = Instant::now();
        let mut moved_at = begin;
        loop {
            self.read_tokens(files, hosts).await;
            let changed = self.pass(files, hosts).await;
            files.drop_tokens();
            let recorded = self.record(files, hosts, notes)?;
            if changed || recorded {
                moved_at = Instant::now();
            }
            let goes_on = recorded || self.has_more(files, hosts, moved_at, begin);
            if self.stop.is_cancelled() || begin.elapsed() >= AT_MOST + self.wait || !goes_on {
                break;
            }
            if !recorded {
                let pause = (moved_at.elapsed() / 4).clamp(BETWEEN_ROUNDS, BETWEEN_LOOKS);
                let pause = tokio::time::sleep(pause);
                self.stop.run_until_cancelled(pause).await;
            }
        }
        self.forget(files, hosts)
    }

    /// Opens the journals of all hosts. They stay locked to the end.
    async fn open(&self, files: &Files, mut engines: Engines) -> Vec<Host> {
        let works = files.targets.iter().enumerate().map(|(index, target)| {
            let engine = engines.take(target);
            let work = async move {
                let opened = HostSession::open(target, engine, self.patience);
                let opened = self.stop.run_until_cancelled(opened).await;
                let state = match opened {
                    Some(Ok(session)) => HostState::Open(Box::new(session)),
                    Some(Err(err)) => {
                        let journal = target.journal_to_read();
                        let entries = journal.map(|j| entries_of(&j).to_vec());
                        let entries = entries.unwrap_or_default();
                        HostState::Failed(err, mark_retiring(entries, files, &target.host))
                    }
                    None => HostState::Failed(
                        anyhow!("interrupted before anything was changed"),
                        Vec::new(),
                    ),
                };
                let name = target.name().to_owned();
                let host = target.host.clone();
                let report = HostReport::default();
                let host = Host {
                    name,
                    target: host,
                    state,
                    report,
                };
                Ok((index, host))
            };
            (target.name().to_owned(), work)
        });
        let opened = super::gather(works).await;
        let mut hosts: Vec<(usize, Host)> =
            opened.into_iter().filter_map(|(_, h)| h.ok()).collect();
        hosts.sort_by_key(|(index, _)| *index);
        hosts.into_iter().map(|(_, host)| host).collect()
    }

    /// Keeps the resources in no file that are on these hosts, and whose removal a user agreed to on all of them.
    fn keep_agreed(&self, files: &mut Files, hosts: &[Host]) {
        files.shared.prune_only(|resource| {
            let mut on = hosts
                .iter()
                .filter_map(|h| Some((h.session()?, h.entry(resource.uid())?)))
                .peekable();
            on.peek().is_some() && on.all(|(session, entry)| session.may_prune(self.goal, entry))
        });
    }

    /// Reads the join token of each swarm that a host joins, from the engine of its writer. It is in memory until the
    /// end of the round only (invariant 9).
    async fn read_tokens(&self, files: &mut Files, hosts: &[Host]) {
        let mut tokens = Vec::new();
        for resource in files.shared_resources(false) {
            let Some(writer) = resource.credentials_secret() else {
                continue;
            };
            if !hosts.iter().any(|h| resource.needs_credentials(&h.target)) {
                continue;
            }
            let namespace = Some(resource.namespace());
            let is_writer =
                |h: &&Host| h.name == writer && h.target.metadata.namespace.as_deref() == namespace;
            let session = hosts.iter().find(is_writer).and_then(Host::session);
            let token = match session {
                Some(session) => session.engine.join_token().await.map_err(|e| e.sentence()),
                None => Err("it cannot be reached, or is in no file".to_owned()),
            };
            let token = token.map_err(|why| Refusal {
                reason: Reason::CredentialsMissing,
                message: format!("the join token cannot be read from host {writer}: {why}"),
            });
            tokens.push((resource.uid().to_owned(), token));
        }
        for (uid, token) in tokens {
            files.credentials.grant(uid, token);
        }
    }

    /// Runs a pass on every host, and returns whether an engine was changed.
    async fn pass(&self, files: &Files, hosts: &mut [Host]) -> bool {
        let works = hosts.iter_mut().map(|host| {
            let name = host.name.clone();
            let work = async move {
                let HostState::Open(session) = &mut host.state else {
                    return Ok(false);
                };
                let mut show = |p: &Progress| (self.show)(&host.name, p);
                match session.apply(files, self.goal, &mut show, self.stop).await {
                    Ok(report) => {
                        let changed = report.changed > 0;
                        host.report.follow(report);
                        Ok(changed)
                    }
                    Err(err) => {
                        let entries = session.previous().to_vec();
                        host.state = HostState::Failed(err, entries);
                        Ok(false)
                    }
                }
            };
            (name, work)
        });
        let done = super::gather(works).await;
        done.into_iter()
            .any(|(_, changed)| changed.unwrap_or_default())
    }

    /// Works out the next state of each resource, and records it. Returns whether one has changed. `notes` gets what
    /// a resource waits for, and warnings about it.
    fn record(
        &self,
        files: &mut Files,
        hosts: &[Host],
        notes: &mut BTreeMap<String, Vec<String>>,
    ) -> anyhow::Result<bool> {
        let mut has_changed = false;
        let prunes = self.goal.prune.is_any();
        let mut uids: Vec<(bool, String)> = files
            .shared_resources(prunes)
            .map(|r| (r.needs_swarm(), r.uid().to_owned()))
            .collect();
        // The networks follow the swarms.
        uids.sort();
        for (_, uid) in uids {
            let Some(resource) = files.shared_resources(prunes).find(|r| r.uid() == uid) else {
                continue;
            };
            let absent = files.absent_members(resource);
            let concerned = concerned(resource, files, hosts);
            let own = resource
                .next_own_status(&StatusContext::new(jiff::Timestamp::now(), &|| {
                    reports(resource, files, &concerned, &absent)
                }));
            notes.insert(uid.clone(), note(resource, &own, &absent));
            tell(resource, &own);
            let waits = own.waits_for.is_some();
            let fields = without_removed(resource, own.fields, &absent)?;
            let now = resource.with_own_status(fields)?;
            let changed = now.own_status() != resource.own_status();
            let of_hosts = concerned.iter().map(|h| &h.target).chain(&absent);
            let of_hosts = of_hosts.map(|h| h.metadata.clone()).collect();
            let recorded = Recorded::of(&*now, of_hosts)?;
            if files.shared.recorded.get(&uid) != Some(&recorded) {
                files.shared.folder.write(&uid, &recorded)?;
                files.shared.recorded.insert(uid.clone(), recorded);
            }
            files.replace(now);
            if waits {
                files.shared.waiting.insert(uid);
            } else {
                files.shared.waiting.remove(&uid);
            }
            has_changed |= changed;
        }
        files.follow_memberships();
        Ok(has_changed)
    }

    /// Whether another round may do more.
    fn has_more(&self, files: &Files, hosts: &[Host], moved_at: Instant, begin: Instant) -> bool {
        let rows = || hosts.iter().flat_map(|h| &h.report.rows);
        if begin.elapsed() < self.wait && rows().any(waits) {
            return true;
        }
        let by_itself = |row: &ResultRow| {
            let waits = files.shared.waiting.contains(&row.uid);
            let temporary =
                row.is_because(Reason::Progressing) || row.is_because(Reason::EngineBusy);
            let silent = row.is_because(Reason::EngineUnreachable) && moved_at.elapsed() < SILENT;
            let shared = files.shared_resources(true).any(|r| r.uid() == row.uid);
            shared && (silent || (temporary && !waits))
        };
        moved_at.elapsed() < QUIET && rows().any(by_itself)
    }

    /// Removes the records of resources that are deleted on every host.
    fn forget(&self, files: &Files, hosts: &[Host]) -> anyhow::Result<()> {
        for resource in files.shared_resources(self.goal.prune.is_any()) {
            let uid = resource.uid();
            if !resource.is_deleting() {
                continue;
            }
            let is_left = |h: &Host| {
                let unknown = h.session().is_none() && is_selected(resource, files, &h.target);
                unknown || h.entry(uid).is_some()
            };
            if !hosts.iter().any(is_left) {
                files.shared.folder.remove(uid)?;
            }
        }
        Ok(())
    }
}

fn is_selected(resource: &dyn Resource, files: &Files, host: &DockerHost) -> bool {
    selection(resource, host, &files.namespaces) != Selection::No
}

/// Returns the hosts that a resource selects or is on.
fn concerned<'a>(resource: &dyn Resource, files: &Files, hosts: &'a [Host]) -> Vec<&'a Host> {
    let concerned = hosts
        .iter()
        .filter(|h| is_selected(resource, files, &h.target) || h.entry(resource.uid()).is_some());
    concerned.collect()
}

/// Returns what the hosts report, in the form in which the controller has it.
fn reports<'a>(
    resource: &'a dyn Resource,
    files: &'a Files,
    concerned: &[&'a Host],
    absent: &'a [DockerHost],
) -> Vec<ReportOfHost<'a>> {
    let uid = resource.uid();
    let present = concerned.iter().map(|host| ReportOfHost {
        host: &host.target,
        view: HostView {
            host: &host.name,
            entry: host.entry(uid),
            status: host.status(uid),
            refused: host.refused(uid),
            offline: host.is_offline(uid),
        },
        swarm: files.shared.membership(&host.target),
    });
    let absent = absent.iter().map(|host| ReportOfHost {
        host,
        view: HostView {
            host: host.metadata.name.as_deref().unwrap_or_default(),
            entry: None,
            status: None,
            refused: None,
            offline: true,
        },
        swarm: None,
    });
    present.chain(absent).collect()
}

/// Returns what people have to know of a resource, beside its rows.
fn note(resource: &dyn Resource, own: &OwnStatus, absent: &[DockerHost]) -> Vec<String> {
    let called = called(resource);
    let names: Vec<&str> = absent
        .iter()
        .filter_map(|h| h.metadata.name.as_deref())
        .collect();
    let absent = (!names.is_empty()).then(|| {
        format!(
            "{called}: {} stays a member, and is in no file",
            names.join(", ")
        )
    });
    let said = own.waits_for.iter().chain(&own.warnings);
    let said = said.map(|text| format!("{called}: {text}"));
    said.chain(absent).collect()
}

/// Shows the steps of a resource on a terminal, and not in a log file.
fn tell(resource: &dyn Resource, own: &OwnStatus) {
    if std::io::stderr().is_terminal() {
        for event in &own.events {
            anstream::eprintln!("{}: {}", called(resource), event.message);
        }
    }
}

/// Marks the entries of resources that are to leave a host which cannot be worked on, as its tombstones would be.
fn mark_retiring(mut entries: Vec<Entry>, files: &Files, host: &DockerHost) -> Vec<Entry> {
    for resource in files.shared_resources(true) {
        let stays = !resource.is_deleting() && is_selected(resource, files, host);
        let of_it = entries.iter_mut().filter(|e| e.uid == resource.uid());
        of_it
            .filter(|_| !stays)
            .for_each(|e| e.intent = Intent::Absent.into());
    }
    entries
}
