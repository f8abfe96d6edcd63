//! A repository as the jobs of a host use it: it is opened once, and then asked.

use std::time::Duration;

use dockfleet_crds::{Open, Reason};
use dockfleet_planner::credentials::Credentials;
use dockfleet_planner::kinds::backup::DesiredRepository;
use dockfleet_planner::kinds::repository::PASSWORD_KEY;
use dockfleet_vault::{
    Access, Address, Event, Job as JobProcess, Limits, Login, Outcome, Request, Secret, Task,
    VaultError, Waits,
};
use tokio::time::Instant;

use super::downtime::Downtime;
use super::place::{self, Known, Refused};
use super::{BackupTools, REPOSITORIES};
use crate::jobs::JobControl;

/// How often the progress in the status changes.
const PROGRESS: Duration = Duration::from_mins(1);

/// A repository that was opened.
pub(super) struct OpenRepository(Request);

impl OpenRepository {
    /// Opens the repository, and creates it if it may be.
    pub(super) async fn open(
        repository: &DesiredRepository,
        (uid, host): (&str, &str),
        may_create: bool,
        control: &JobControl,
        tools: &BackupTools,
    ) -> Result<Self, Refused> {
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
        let may_create = may_create && repository.create && !was_there;
        if may_create {
            let repository = repository.clone();
            place::in_time(move || place::make_folder(&repository)).await?;
        }
        let password = credentials.values().get(PASSWORD_KEY).cloned();
        let request = Request {
            access: access(repository, &address, &credentials)?,
            repository: address,
            secret: Secret::Password(password.unwrap_or_default()),
            create: may_create,
            host: host.to_owned(),
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
    pub(super) async fn read(
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

    pub(super) async fn ask(&self, task: Task, control: &JobControl) -> Result<Outcome, Refused> {
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

pub(super) fn refused(err: VaultError) -> Refused {
    (Open::of(&err.reason.to_string()), err.message)
}

/// An outcome of another task is a bug.
pub(super) fn another() -> Refused {
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
            Failed::TargetNotEmpty,
            Failed::TargetUnwritable,
            Failed::TargetFull,
            Failed::NoSnapshot,
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
