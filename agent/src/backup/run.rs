//! Makes one backup: finds the data of the volume, opens the repository, and asks the processes of jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use dockfleet_crds::backup::{HostBackup, RetentionRules, Verify};
use dockfleet_crds::{Entry, Open, Reason, duration};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::backup::{DesiredBackup, DesiredRepository};
use dockfleet_planner::kinds::repository::PASSWORD_KEY;
use dockfleet_planner::plan::bounded;
use dockfleet_planner::retention::{Candidate, Retention};
use dockfleet_vault::{
    Access, Address, Backup, BackupOutcome, Event, Filter, Job as JobProcess, Limits, Login,
    Outcome, Problems, Request, Secret, Snapshot, Task, VaultError, Waits,
};
use dockfleet_vitals::chain;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::downtime::Downtime;
use super::place::{self, Known, Refused};
use super::{BackupTools, LOCKS, REPOSITORIES};
use crate::engine::Engine;
use crate::jobs::JobControl;
use crate::retry::Backoff;
use crate::volume_data::{self, VolumeData, VolumeDataError};
use crate::volume_lock::{VolumeLock, VolumeLockError};

/// How often the progress in the status changes.
const PROGRESS: Duration = Duration::from_mins(1);

/// Makes a backup. What cannot be done is a result, too.
pub(super) async fn make(
    entry: &Entry,
    want: &DesiredBackup,
    control: &JobControl,
    tools: &BackupTools,
    downtime: &mut Downtime,
) -> HostBackup {
    let begun = Instant::now();
    let made = try_to(entry, want, control, tools, downtime).await;
    let made = made.unwrap_or_else(|(reason, message)| failed(reason, message));
    HostBackup {
        host: want.host.clone(),
        seconds: begun.elapsed().as_secs().try_into().unwrap_or(i64::MAX),
        message: bounded(made.message),
        ..made
    }
}

/// Returns the result of a backup that was not made.
pub(super) fn failed(reason: Open<Reason>, message: String) -> HostBackup {
    HostBackup {
        reason: Some(reason),
        message,
        ..HostBackup::default()
    }
}

async fn try_to(
    entry: &Entry,
    want: &DesiredBackup,
    control: &JobControl,
    tools: &BackupTools,
    downtime: &mut Downtime,
) -> Result<HostBackup, Refused> {
    let (engine, data) = find(want, control, tools).await?;
    let _lock = lock(want, control, tools).await?;
    downtime.of(engine);
    place::check(&want.repository, &data.folder)?;
    let repository = OpenRepository::open(want, &entry.uid, control, tools).await?;
    let task = Task::Backup(Backup {
        folder: data.folder,
        volume: want.volume.clone(),
        host: want.host.clone(),
        tags: tags(entry, want),
        verify: match want.verify {
            Verify::None => dockfleet_vault::Verify::None,
            Verify::Metadata => dockfleet_vault::Verify::Metadata,
            Verify::ReadData => dockfleet_vault::Verify::ReadData,
        },
    });
    let Outcome::Backup(made) = repository.read(task, control, downtime).await? else {
        return Err(another());
    };
    let result = result(&made);
    // After a partial one too, which takes the place of earlier partial ones only.
    let rules = want.repository.retention.as_ref().map(retention);
    let forgotten = forget(&repository, want, rules.unwrap_or_default(), control).await;
    Ok(match forgotten {
        Ok(()) => result,
        // The snapshot is there all the same.
        Err((_, why)) => HostBackup {
            message: [
                result.message.as_str(),
                &format!("older snapshots were not removed: {why}"),
            ]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
            ..result
        },
    })
}

/// Waits for the lock of the volume: a person may be restoring it.
async fn lock(
    want: &DesiredBackup,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<VolumeLock, Refused> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    loop {
        match VolumeLock::take(&tools.state_dir.join(LOCKS), &want.volume, "backup") {
            Ok(lock) => return Ok(lock),
            Err(err @ VolumeLockError::Held { .. }) => control.detail(&err.to_string()),
            Err(err @ VolumeLockError::File(..)) => {
                return Err((Reason::JournalFailed.into(), chain(&err)));
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Finds the data of the volume. It waits for an engine that does not answer.
async fn find(
    want: &DesiredBackup,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<(Engine, VolumeData), Refused> {
    let mut backoff = Backoff::default();
    loop {
        let found = match Engine::connect(&tools.endpoint).await {
            Ok(engine) => {
                let data = volume_data::find(&engine, &want.volume).await;
                data.map(|data| (engine, data))
            }
            Err(err) => Err(VolumeDataError::Engine(err)),
        };
        match found {
            Ok(data) => return Ok(data),
            Err(err @ VolumeDataError::NoVolume(_)) => {
                return Err((Reason::NoVolume.into(), err.to_string()));
            }
            Err(err @ (VolumeDataError::Elsewhere(_) | VolumeDataError::NotVisible(_))) => {
                return Err((Reason::SourceUnreadable.into(), err.to_string()));
            }
            Err(VolumeDataError::Engine(err)) => control.detail(&err.sentence()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// A repository that was opened.
struct OpenRepository(Request);

impl OpenRepository {
    /// Opens the repository, and creates it if it may be.
    async fn open(
        want: &DesiredBackup,
        uid: &str,
        control: &JobControl,
        tools: &BackupTools,
    ) -> Result<Self, Refused> {
        let repository = &want.repository;
        let credentials = tools.store.borrow().newest(uid).cloned();
        let Some(credentials) = credentials else {
            let text = "the credentials of the repository are not on the host".to_owned();
            return Err((Reason::CredentialsMissing.into(), text));
        };
        let address: Address = repository
            .address
            .parse()
            .map_err(|err| (Reason::Invalid.into(), format!("the repository: {err}")))?;
        let known = Known::of(&tools.state_dir.join(REPOSITORIES), &repository.address);
        let was_there = known.was_there();
        let may_create = repository.create && !was_there;
        if may_create {
            place::make_folder(repository)?;
        }
        let password = credentials.values().get(PASSWORD_KEY).cloned();
        let request = Request {
            access: access(repository, &address, &credentials)?,
            repository: address,
            secret: Secret::Password(password.unwrap_or_default()),
            create: may_create,
            host: want.host.clone(),
            task: Task::Open,
        };
        let opened = ask(&request, control).await.map_err(|(reason, message)| {
            let is_gone = was_there && reason == Reason::NoRepository;
            let hint = if is_gone {
                "; it was there before, so no new one is created: bring it back, or use another place"
            } else {
                ""
            };
            (reason, format!("{message}{hint}"))
        })?;
        let Outcome::Opened(secret) = opened else {
            return Err(another());
        };
        known.is_there(&repository.address).map_err(|err| {
            (
                Reason::JournalFailed.into(),
                format!("the state folder cannot be written: {err}"),
            )
        })?;
        Ok(Self(Request {
            secret,
            create: false,
            ..request
        }))
    }

    /// Makes a backup. Containers do not run from when it can begin to read, until all files are read.
    async fn read(
        &self,
        task: Task,
        control: &JobControl,
        downtime: &mut Downtime,
    ) -> Result<Outcome, Refused> {
        let request = Request {
            task,
            ..self.0.clone()
        };
        let waits = Waits {
            go: downtime.is_any(),
            lock: None,
        };
        let job = JobProcess::start_with(&request, waits).await;
        let mut job = job.map_err(refused)?;
        let mut progress = ToldProgress::default();
        loop {
            let event = tokio::select! {
                event = job.next() => event.map_err(refused)?,
                () = downtime.is_over() => return Err(downtime.too_long()),
            };
            match event {
                Event::Ready => {
                    downtime.begin().await?;
                    job.go().await.map_err(refused)?;
                }
                Event::SourceRead => downtime.end().await,
                Event::Done(outcome) => return Ok(outcome),
                event => progress.tell(&event, control),
            }
        }
    }

    async fn ask(&self, task: Task, control: &JobControl) -> Result<Outcome, Refused> {
        let request = Request {
            task,
            ..self.0.clone()
        };
        ask(&request, control).await
    }
}

/// Asks the process of a job, and reports its progress.
async fn ask(request: &Request, control: &JobControl) -> Result<Outcome, Refused> {
    let mut job = JobProcess::start(request).await.map_err(refused)?;
    let mut progress = ToldProgress::default();
    loop {
        match job.next().await.map_err(refused)? {
            Event::Done(outcome) => return Ok(outcome),
            event => progress.tell(&event, control),
        }
    }
}

/// When the progress was last told.
#[derive(Default)]
struct ToldProgress(Option<Instant>);

impl ToldProgress {
    fn tell(&mut self, event: &Event, control: &JobControl) {
        match event {
            Event::Waits(who) => control.detail(&format!("it waits: {who}")),
            Event::Progress(now) if self.0.is_none_or(|at| at.elapsed() >= PROGRESS) => {
                self.0 = Some(Instant::now());
                control.detail(&format!("{} files so far", now.files));
            }
            Event::Progress(_)
            | Event::Ready
            | Event::SourceRead
            | Event::Done(_)
            | Event::Failed(_) => {}
        }
    }
}

fn refused(err: VaultError) -> Refused {
    (Open::of(&err.reason.to_string()), err.message)
}

/// An outcome of another task is a bug.
fn another() -> Refused {
    let text = "the process of the job answered another question; please report it".to_owned();
    (Reason::Internal.into(), text)
}

/// Returns how the store is reached.
fn access(
    repository: &DesiredRepository,
    address: &Address,
    credentials: &Credentials,
) -> Result<Access, Refused> {
    let value = |key: &str| credentials.values().get(key).cloned();
    let login = |user: &str, secret: &str| {
        Some(Login {
            user: value(user)?,
            secret: value(secret)?,
        })
    };
    let login = match address {
        Address::Path(_) | Address::Sftp(_) => None,
        Address::S3(_) => {
            let login = login("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
            Some(login.ok_or_else(|| {
                let text =
                    "the Secret of the repository lacks AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY";
                (Reason::CredentialsMissing.into(), text.to_owned())
            })?)
        }
        // It may ask nobody who they are.
        Address::Rest(_) => login("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
    };
    Ok(Access {
        login,
        region: repository.region.clone(),
        ca: repository.ca.clone(),
        limits: Limits {
            upload: repository.upload,
            download: repository.download,
        },
        ..Access::default()
    })
}

/// Returns the tags by which a snapshot is found without the resource.
fn tags(entry: &Entry, want: &DesiredBackup) -> Vec<String> {
    let mut tags = vec![
        format!("backup={}/{}", entry.namespace, entry.name),
        format!("uid={}", entry.uid),
    ];
    tags.extend(want.tags.iter().cloned());
    tags
}

fn result(made: &BackupOutcome) -> HostBackup {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let snapshot = &made.snapshot;
    let problems = &made.problems;
    HostBackup {
        snapshot_id: Some(snapshot.id.clone()),
        files: number(snapshot.files),
        bytes: number(snapshot.bytes),
        added: number(made.written),
        problems: number(problems.failed + problems.changed),
        verified: snapshot.verified,
        reason: (!problems.is_empty()).then(|| Reason::PartiallyFailed.into()),
        message: in_words(problems),
        ..HostBackup::default()
    }
}

fn in_words(problems: &Problems) -> String {
    let first = problems.first.first().map(|text| format!(": {text}"));
    let first = first.unwrap_or_default();
    match (problems.failed, problems.changed) {
        (0, 0) => String::new(),
        (failed, 0) => format!("{failed} files could not be read{first}"),
        (0, changed) => format!("{changed} files changed while they were read{first}"),
        (failed, changed) => format!(
            "{failed} files could not be read and {changed} changed while they were read{first}"
        ),
    }
}

/// Removes the snapshots of the volume that the rules do not keep.
async fn forget(
    repository: &OpenRepository,
    want: &DesiredBackup,
    rules: Retention,
    control: &JobControl,
) -> Result<(), Refused> {
    if rules.is_empty() {
        return Ok(());
    }
    let filter = Filter {
        host: Some(want.host.clone()),
        volume: Some(want.volume.clone()),
    };
    let Outcome::List(all) = repository.ask(Task::List(filter), control).await? else {
        return Err(another());
    };
    let candidate = |snapshot: &Snapshot| Candidate {
        id: snapshot.id.clone(),
        time: snapshot.time,
        is_good: !snapshot.partial,
    };
    let all: Vec<Candidate> = all.iter().map(candidate).collect();
    let gone: BTreeSet<String> = rules.removed(&all, jiff::Timestamp::now(), &TimeZone::UTC);
    if gone.is_empty() {
        return Ok(());
    }
    match repository.ask(Task::Forget(gone), control).await? {
        Outcome::Forget(_) => Ok(()),
        _ => Err(another()),
    }
}

/// Returns the rules in the form of the planner.
fn retention(rules: &RetentionRules) -> Retention {
    let number = |n: Option<i32>| n.and_then(|n| u32::try_from(n).ok());
    Retention {
        last: number(rules.last),
        hourly: number(rules.hourly),
        daily: number(rules.daily),
        weekly: number(rules.weekly),
        monthly: number(rules.monthly),
        yearly: number(rules.yearly),
        within: rules
            .within
            .as_deref()
            .and_then(duration::seconds)
            .map(SignedDuration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_job_failed_is_a_reason_of_a_status() {
        use dockfleet_vault::Reason as Failed;
        for reason in [
            Failed::StoreUnreachable,
            Failed::StoreFull,
            Failed::StoreRefused,
            Failed::NoRepository,
            Failed::NotEmpty,
            Failed::WrongPassword,
            Failed::Locked,
            Failed::Damaged,
            Failed::SourceUnreadable,
            Failed::SourceEmpty,
            Failed::Interrupted,
            Failed::Internal,
        ] {
            let (reason, _) = refused(VaultError::new(reason, "x"));
            assert!(reason.known().is_some(), "{reason}");
        }
    }
}
