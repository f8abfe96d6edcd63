use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Job, JobControl, JobOutcome, Jobs, MAX_DETAIL};
use crate::effect::Effects;
use crate::journal::Journal;
use crate::journal::tests::open;

/// Writes a file for each number from one to the last, one at each step, and then a file that marks the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Count {
    folder: PathBuf,
    last: usize,
    done: usize,
    /// The number at which it waits until it must end.
    waits_at: Option<usize>,
    /// The number at which it fails.
    fails_at: Option<usize>,
}

impl Count {
    fn to(folder: &Path, last: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            last,
            done: 0,
            waits_at: None,
            fails_at: None,
        }
    }
}

impl Job for Count {
    const TYPE: &'static str = "count";
    type Tools = ();

    async fn step(mut self, control: &JobControl, (): &()) -> Result<Option<Self>, String> {
        if self.done == self.last {
            std::fs::write(self.folder.join("all"), "").map_err(|err| err.to_string())?;
            return Ok(None);
        }
        let next = self.done + 1;
        control.detail(&format!("{next} of {}", self.last));
        if self.waits_at == Some(next) {
            control.ended().await;
            return Err("it was to end".to_owned());
        }
        if self.fails_at == Some(next) {
            return Err(format!("{next} is unlucky"));
        }
        let file = self.folder.join(next.to_string());
        std::fs::write(file, "").map_err(|err| err.to_string())?;
        self.done = next;
        Ok(Some(self))
    }

    async fn clean_up(self, (): &()) -> Result<(), String> {
        for number in 1..=self.last {
            let _ = std::fs::remove_file(self.folder.join(number.to_string()));
        }
        Ok(())
    }
}

fn lane(journal: &Journal, most: usize) -> Jobs<Count> {
    Jobs::new(
        journal,
        Effects::default(),
        most,
        CancellationToken::new(),
        (),
    )
}

fn wanted(jobs: impl IntoIterator<Item = (&'static str, Count)>) -> BTreeMap<String, Count> {
    let jobs = jobs.into_iter();
    jobs.map(|(uid, job)| (uid.to_owned(), job)).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("journal"))
        .collect();
    names.sort();
    names
}

fn ended(uid: &str, outcome: JobOutcome) -> (String, JobOutcome) {
    (uid.to_owned(), outcome)
}

#[tokio::test]
async fn a_job_does_its_steps_and_leaves_nothing_in_the_journal() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let mut jobs = lane(&journal, 1);
    jobs.want(wanted([("a", Count::to(out.path(), 3))]))
        .await
        .unwrap();
    assert_eq!(jobs.next().await, Some(ended("a", JobOutcome::Done)));
    assert_eq!(files(out.path()), ["1", "2", "3", "all"]);
    assert!(journal.ledger().jobs(Count::TYPE).await.unwrap().is_empty());
    assert_eq!(jobs.next().await, None);
}

#[tokio::test]
async fn no_more_jobs_run_at_the_same_time_than_may() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let mut jobs = lane(&journal, 2);
    let job = || Count::to(out.path(), 1);
    let five = [
        ("a", job()),
        ("b", job()),
        ("c", job()),
        ("d", job()),
        ("e", job()),
    ];
    jobs.want(wanted(five)).await.unwrap();
    let mut done = 0;
    loop {
        assert!(jobs.details().len() <= 2);
        if jobs.next().await.is_none() {
            break;
        }
        done += 1;
    }
    assert_eq!(done, 5);
}

#[tokio::test]
async fn a_job_reports_its_progress_and_is_cancelled_and_cleaned_up() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let mut jobs = lane(&journal, 1);
    let waits = Count {
        waits_at: Some(3),
        ..Count::to(out.path(), 5)
    };
    jobs.want(wanted([("a", waits)])).await.unwrap();
    let mut detail = jobs.running["a"].detail.clone();
    detail.wait_for(|text| text == "3 of 5").await.unwrap();
    assert_eq!(jobs.details()["a"], "3 of 5");
    assert_eq!(files(out.path()), ["1", "2"]);
    jobs.want(BTreeMap::new()).await.unwrap();
    assert_eq!(jobs.next().await, Some(ended("a", JobOutcome::Cancelled)));
    assert_eq!(files(out.path()), Vec::<String>::new());
    assert!(journal.ledger().jobs(Count::TYPE).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_that_stops_leaves_a_job_that_the_next_one_resumes() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let stop = CancellationToken::new();
    let mut jobs = Jobs::new(&journal, Effects::default(), 1, stop.clone(), ());
    let waits = Count {
        waits_at: Some(2),
        ..Count::to(out.path(), 3)
    };
    jobs.want(wanted([("a", waits)])).await.unwrap();
    let mut detail = jobs.running["a"].detail.clone();
    detail.wait_for(|text| text == "2 of 3").await.unwrap();
    stop.cancel();
    assert_eq!(jobs.next().await, Some(ended("a", JobOutcome::Stopped)));
    assert_eq!(files(out.path()), ["1"]);
    let saved = &journal.ledger().jobs(Count::TYPE).await.unwrap()["a"];
    assert!(saved.contains("\"done\":1"), "{saved}");

    // It is no longer wanted: its files are removed.
    let mut jobs = lane(&journal, 1);
    jobs.want(BTreeMap::new()).await.unwrap();
    assert_eq!(jobs.next().await, Some(ended("a", JobOutcome::Cancelled)));
    assert_eq!(files(out.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_job_stays_in_the_journal_and_resumes_when_it_is_wanted_again() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let mut jobs = lane(&journal, 1);
    let fails = Count {
        fails_at: Some(2),
        ..Count::to(out.path(), 2)
    };
    jobs.want(wanted([("a", fails.clone())])).await.unwrap();
    let failed = JobOutcome::Failed("2 is unlucky".to_owned());
    assert_eq!(jobs.next().await, Some(ended("a", failed)));
    jobs.want(wanted([("a", fails)])).await.unwrap();
    let again = jobs.next().await;
    assert!(
        matches!(again, Some((_, JobOutcome::Failed(_)))),
        "{again:?}"
    );
    assert_eq!(files(out.path()), ["1"], "it began at its second step");
}

#[tokio::test]
async fn an_entry_has_a_job_of_each_type() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let effects = Effects::default();
    let body = r#"{"job":{"folder":"/nowhere","last":1,"done":0}}"#.to_owned();
    let other = journal.ledger();
    other
        .keep_job("other", "a".to_owned(), body.clone(), &effects)
        .await
        .unwrap();
    // Neither is it taken over, nor is it cancelled because this type of job is not wanted.
    let mut jobs = lane(&journal, 1);
    let want = wanted([("a", Count::to(out.path(), 1))]);
    jobs.want(want).await.unwrap();
    assert_eq!(jobs.next().await, Some(ended("a", JobOutcome::Done)));
    jobs.want(BTreeMap::new()).await.unwrap();
    assert_eq!(jobs.next().await, None);
    assert_eq!(files(out.path()), ["1", "all"]);
    assert_eq!(other.jobs("other").await.unwrap()["a"], body);
}

#[tokio::test]
async fn i15_a_job_of_a_newer_version_is_left_as_it_is() {
    let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(state.path()).unwrap();
    let newer = r#"{"job":{"orbit":7}}"#.to_owned();
    let effects = Effects::default();
    let kept = journal
        .ledger()
        .keep_job(Count::TYPE, "z".to_owned(), newer.clone(), &effects);
    kept.await.unwrap();
    let mut jobs = lane(&journal, 1);
    jobs.want(wanted([("a", Count::to(out.path(), 1))]))
        .await
        .unwrap();
    assert_eq!(jobs.next().await, Some(ended("a", JobOutcome::Done)));
    assert_eq!(jobs.next().await, None);
    assert_eq!(
        journal.ledger().jobs(Count::TYPE).await.unwrap()["z"],
        newer
    );
}

/// Runs jobs until the process "ends" after its n-th effect, and returns whether there were that many.
async fn crashes(state: &Path, want: BTreeMap<String, Count>, after: usize) -> bool {
    let journal = open(state).unwrap();
    let crash = CancellationToken::new();
    let (count, crashed) = (Arc::new(AtomicUsize::new(0)), crash.clone());
    let effects = Effects::new(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) + 1 == after {
            crashed.cancel();
            std::panic::resume_unwind(Box::new("the end of the process"));
        }
    });
    let mut jobs = Jobs::new(&journal, effects, 1, CancellationToken::new(), ());
    jobs.want(want).await.unwrap();
    while let Some(ended) = jobs.tasks.join_next().await {
        let Ok((uid, _)) = ended else {
            return true;
        };
        jobs.running.remove(&uid);
        jobs.begin();
    }
    crash.is_cancelled()
}

#[tokio::test]
async fn every_crash_point_of_a_job_and_of_its_cleaning_is_repaired() {
    for after in 1.. {
        let (state, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let want = wanted([("a", Count::to(out.path(), 3))]);
        if !crashes(state.path(), want.clone(), after).await {
            assert!(after > 4, "it was saved at each of its steps");
            break;
        }
        let half = files(out.path());
        let journal = open(state.path()).unwrap();
        if journal.ledger().jobs(Count::TYPE).await.unwrap().is_empty() {
            assert_eq!(half, ["1", "2", "3", "all"]);
            continue;
        }
        drop(journal);
        // One job that is resumed, and one that is no longer wanted; the process ends at each point in turn.
        if after % 2 == 0 {
            crashes(state.path(), want, usize::MAX).await;
            assert_eq!(files(out.path()), ["1", "2", "3", "all"]);
        } else {
            for cleaning in 1.. {
                if !crashes(state.path(), BTreeMap::new(), cleaning).await {
                    break;
                }
            }
            let left = files(out.path());
            assert!(left.iter().all(|name| name == "all"), "{left:?}");
        }
        let journal = open(state.path()).unwrap();
        assert!(journal.ledger().jobs(Count::TYPE).await.unwrap().is_empty());
    }
}

#[test]
fn the_detail_of_a_job_is_bounded() {
    let (detail, shown) = tokio::sync::watch::channel(String::new());
    let control = JobControl {
        end: CancellationToken::new(),
        detail,
    };
    control.detail(&"ü".repeat(150));
    assert_eq!(shown.borrow().len(), MAX_DETAIL);
    control.detail(&format!("a{}", "ü".repeat(150)));
    assert_eq!(shown.borrow().len(), MAX_DETAIL - 1);
}
