//! Measures backups and restores of one volume: Dockfleet, `tar | zstd -3`, restic, and `tar -z` in a container, as
//! docker-volume-backup and most scripts do it.
//!
//! The folders of the repositories are made before the clock starts, and everything earlier is on the disk.

mod data;
mod programs;
mod watched;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Generation};
use rustix::process::setpriority_process;

use self::data::Data;
use self::programs::{Dockfleet, Program, Programs};
use self::watched::Watched;
use crate::lab::{PeerLab, new_engine, say, version};
use crate::report::{Comparison, Expected, ResultTable, Unit};
use crate::run::written_back_in;
use crate::sample::Sample;

/// The engine only says where the volume is, so one is enough.
const GENERATION: Generation = Generation::Newest;

/// The priority of a job of Dockfleet. The other programs get it too: on a machine that is not idle they would have more
/// of it.
const NICE: i32 = 10;

/// What one program took in all rounds.
#[derive(Debug, Default)]
struct Series {
    full: Vec<Watched>,
    unchanged: Vec<Watched>,
    restore: Vec<Watched>,
}

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    // Everything that is started from here on inherits it.
    setpriority_process(None, NICE)?;
    let engine = new_engine(GENERATION)?;
    let name = version(&engine)?;
    engine.import_busybox()?;
    say("a volume with 10,000 files");
    let data = Data::make(&engine)?;
    report.note(format!(
        "Backups: a volume with {} files, {:.0} MB, half of them text and half random bytes; \
         all in the page cache.",
        data.files,
        data.bytes / 1e6
    ));
    let programs = Programs::find(lab, &engine, &data)?;
    let [mut ours, mut tar, mut restic, mut container] = [(); 4].map(|()| Series::default());
    let rounds = lab.repetitions.div_ceil(2);
    for number in 1..=rounds {
        for (program, series) in [
            (&programs.dockfleet as &dyn Program, &mut ours),
            (&programs.tar, &mut tar),
            (&programs.restic, &mut restic),
            (&programs.container, &mut container),
        ] {
            say(&format!("{}, {number} of {rounds}", program.name()));
            round(program, series, &engine, &data).with_context(|| program.name())?;
        }
    }
    let table = Table {
        engine: &name,
        report,
    };
    table.fill(&programs, &ours, &tar, &restic, &container)
}

/// Backs up, backs up again if the program makes a difference, restores, and removes everything.
fn round(program: &dyn Program, series: &mut Series, engine: &Engine, data: &Data) -> Result<()> {
    let mut work = program.begin()?;
    written_back_in(&data.folder)?;
    series.full.push(work.backup()?);
    if program.is_incremental() {
        written_back_in(&data.folder)?;
        series.unchanged.push(work.backup()?);
    }
    written_back_in(&data.folder)?;
    series.restore.push(work.restore()?);
    data.check(&work.restored(engine)?)?;
    work.end()
}

struct Table<'a> {
    engine: &'a str,
    report: &'a mut ResultTable,
}

impl Table<'_> {
    fn fill(
        mut self,
        programs: &Programs<'_>,
        ours: &Series,
        tar: &Series,
        restic: &Series,
        container: &Series,
    ) -> Result<()> {
        let [tar_name, restic_name, container_name] = [
            programs.tar.name(),
            programs.restic.name(),
            programs.container.name(),
        ];
        let full = "backup, all files new";
        let goals = [
            (&tar_name, &tar.full, Expected::AtMost(1.5)),
            (&restic_name, &restic.full, Expected::AtMost(1.0)),
            (&container_name, &container.full, Expected::None),
        ];
        for (other, theirs, goal) in goals {
            self.times(full, &ours.full, other, theirs, goal)?;
        }
        let unchanged = "backup, nothing changed";
        self.times(
            unchanged,
            &ours.unchanged,
            "all files new",
            &ours.full,
            Expected::AtMost(0.05),
        )?;
        self.times(
            unchanged,
            &ours.unchanged,
            &restic_name,
            &restic.unchanged,
            Expected::AtMost(1.0),
        )?;
        let restore = "restore";
        let goals = [
            (&tar_name, &tar.restore, Expected::AtMost(1.2)),
            (&restic_name, &restic.restore, Expected::None),
            (&container_name, &container.restore, Expected::None),
        ];
        for (other, theirs, goal) in goals {
            self.times(restore, &ours.restore, other, theirs, goal)?;
        }
        for (what, ours, other, theirs) in [
            (full, &ours.full, &tar_name, &tar.full),
            (full, &ours.full, &restic_name, &restic.full),
            (unchanged, &ours.unchanged, &restic_name, &restic.unchanged),
            (restore, &ours.restore, &tar_name, &tar.restore),
            (restore, &ours.restore, &restic_name, &restic.restore),
        ] {
            let spent = |run: &Watched| run.processor().as_secs_f64();
            let what = format!("{what}: processor time");
            self.compare_by(&what, spent, ours, other, theirs, Expected::None)?;
        }
        for (what, ours, restic, limit) in [
            (full, &ours.full, &restic.full, 96e6),
            (unchanged, &ours.unchanged, &restic.unchanged, 32e6),
            (restore, &ours.restore, &restic.restore, 128e6),
        ] {
            self.memory(what, ours, restic, &restic_name, limit)?;
        }
        let read = |all: &[Watched]| {
            let read = all
                .iter()
                .map(|run| Dockfleet::job(run).map(|job| job.read));
            read.collect::<Result<Vec<f64>>>()
        };
        let (all, few) = (read(&ours.full)?, read(&ours.unchanged)?);
        self.compare(
            "backup, nothing changed: bytes that its job reads",
            &few,
            "all files new",
            &all,
            Unit::Bytes,
            Expected::AtMost(0.01),
        )
    }

    /// Compares times from start to end.
    fn times(
        &mut self,
        what: &str,
        ours: &[Watched],
        other: &str,
        theirs: &[Watched],
        goal: Expected,
    ) -> Result<()> {
        let spent = |run: &Watched| run.wall.as_secs_f64();
        self.compare_by(what, spent, ours, other, theirs, goal)
    }

    fn compare_by(
        &mut self,
        what: &str,
        spent: impl Fn(&Watched) -> f64,
        ours: &[Watched],
        other: &str,
        theirs: &[Watched],
        goal: Expected,
    ) -> Result<()> {
        let [ours, theirs] = [ours, theirs].map(|all| all.iter().map(&spent).collect::<Vec<_>>());
        self.compare(what, &ours, other, &theirs, Unit::Seconds, goal)
    }

    /// Compares the memory of a job with that of restic, and shows that of the other processes.
    fn memory(
        &mut self,
        what: &str,
        ours: &[Watched],
        restic: &[Watched],
        restic_name: &str,
        limit: f64,
    ) -> Result<()> {
        let jobs = ours
            .iter()
            .map(Dockfleet::job)
            .collect::<Result<Vec<_>>>()?;
        let peaks: Vec<f64> = jobs.iter().map(|job| job.peak).collect();
        let spent: Vec<Duration> = jobs.iter().map(|job| job.lived).collect();
        let job = format!("{what}: most memory of its job");
        let sample = Sample::new(peaks.iter().copied())?;
        let at_most = Expected::AtMost(limit);
        self.report
            .figure(&job, self.engine, &sample, Unit::Bytes, at_most);
        let theirs: Vec<f64> = restic.iter().map(Watched::peak).collect();
        let goal = if what == "restore" {
            Expected::None
        } else {
            Expected::AtMost(0.6)
        };
        self.compare(&job, &peaks, restic_name, &theirs, Unit::Bytes, goal)?;
        let other = |pick: fn(&Watched) -> f64| Sample::new(ours.iter().map(pick));
        self.report.note(format!(
            "{what}: the job ran for {:.2} s of it; the command beside it has at most {:.1} MB, the job that derives \
             the key from the password {:.1} MB.",
            Sample::of_durations(&spent)?.median(),
            other(Dockfleet::command)?.median() / 1e6,
            other(Dockfleet::opening)?.median() / 1e6,
        ));
        Ok(())
    }

    fn compare(
        &mut self,
        what: &str,
        ours: &[f64],
        other_name: &str,
        other: &[f64],
        unit: Unit,
        goal: Expected,
    ) -> Result<()> {
        ensure!(ours.len() == other.len(), "{what}: not as many of each");
        let ratio = Sample::of_quotients(ours, other)?;
        let [ours, other] = [ours, other].map(|all| Sample::new(all.iter().copied()));
        let (ours, other) = (ours?, other?);
        self.report.compare(&Comparison {
            what,
            engine: self.engine,
            ours: &ours,
            other_name,
            other: &other,
            unit,
            ratio: &ratio,
            best: ours.min() / other.min(),
            goal,
        });
        Ok(())
    }
}
