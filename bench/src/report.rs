//! The table of results.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::thread;

use anyhow::{Context as _, Result};

use crate::lab::{PeerLab, say};
use crate::sample::Sample;

/// The goal of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    AtMost(f64),
    AtLeast(f64),
    /// No goal.
    None,
}

/// The unit of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
    Count,
    Times,
}

/// Two sides of one measurement.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) what: &'a str,
    pub(crate) engine: &'a str,
    pub(crate) ours: &'a Sample,
    pub(crate) other_name: &'a str,
    pub(crate) other: &'a Sample,
    pub(crate) unit: Unit,
    /// The ratios that the goal applies to, pair by pair.
    pub(crate) ratio: &'a Sample,
    /// The ratio of the smallest values of both sides: other work on the machine only adds time.
    pub(crate) best: f64,
    pub(crate) goal: Expected,
}

/// The results so far.
#[derive(Debug)]
pub(crate) struct ResultTable {
    head: String,
    rows: Vec<[String; 7]>,
    notes: Vec<String>,
}

const COLUMNS: [&str; 7] = [
    "measured",
    "engine",
    "dockfleet",
    "compared with",
    "ratio",
    "goal",
    "verdict",
];

impl ResultTable {
    pub(crate) fn new(lab: &PeerLab) -> Result<Self> {
        let load = load()?;
        let cores = thread::available_parallelism()?;
        if load > 0.5 {
            say(&format!(
                "this machine is busy (load {load}): times will be longer, ratios blurred"
            ));
        }
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown processor", |(_, model)| model);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let version = lab.dockfleet.run(["--version"])?.ok()?;
        let head = format!(
            "{}, {cores} cores ({model}), Linux {}, load {load} at the start. Pairs of each \
             comparison: {} (half of them, rounded up, with Ansible, compose and of backups). \
             Shown: median (smallest–largest); ratios are taken pair \
             by pair, and once more of the best of each side.",
            version.trim(),
            kernel.trim(),
            lab.repetitions,
        );
        Ok(Self {
            head,
            rows: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Adds a row with two sides.
    pub(crate) fn compare(&mut self, c: &Comparison<'_>) {
        self.add([
            c.what.to_owned(),
            c.engine.to_owned(),
            spread(c.ours, c.unit),
            format!("{}: {}", c.other_name, spread(c.other, c.unit)),
            format!(
                "{}; best of each {}",
                spread(c.ratio, Unit::Times),
                show(c.best, Unit::Times)
            ),
            c.goal.show(Unit::Times),
            c.goal.verdict(c.ratio).to_owned(),
        ]);
    }

    /// Adds a row with a figure that has only a goal.
    pub(crate) fn figure(
        &mut self,
        what: &str,
        engine: &str,
        sample: &Sample,
        unit: Unit,
        goal: Expected,
    ) {
        self.add([
            what.to_owned(),
            engine.to_owned(),
            spread(sample, unit),
            "–".to_owned(),
            "–".to_owned(),
            goal.show(unit),
            goal.verdict(sample).to_owned(),
        ]);
    }

    /// Adds a line below the table.
    pub(crate) fn note(&mut self, text: String) {
        say(&text);
        self.notes.push(text);
    }

    /// Prints everything and writes it to `bench/results.md` in the target folder.
    pub(crate) fn finish(&self) -> Result<()> {
        let text = self.text();
        io::stdout().write_all(text.as_bytes())?;
        let program = env::current_exe()?;
        let target = program.ancestors().nth(2).context("no target folder")?;
        let folder = target.join("bench");
        fs::create_dir_all(&folder)?;
        let file = folder.join("results.md");
        fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))?;
        say(&format!("written to {}", file.display()));
        Ok(())
    }

    fn add(&mut self, row: [String; 7]) {
        say(&row.join(" | "));
        self.rows.push(row);
    }

    fn text(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("# Benchmarks\n\n{}\n\n", self.head);
        text += &line(&COLUMNS.map(str::to_owned));
        text += &line(&COLUMNS.map(|_| "---".to_owned()));
        for row in &self.rows {
            text += &line(row);
        }
        if !self.notes.is_empty() {
            text += "\n";
        }
        for note in &self.notes {
            text += "- ";
            text += note;
            text += "\n";
        }
        text
    }
}

impl Expected {
    fn show(self, unit: Unit) -> String {
        match self {
            Self::AtMost(limit) => format!("≤ {}", show(limit, unit)),
            Self::AtLeast(limit) => format!("≥ {}", show(limit, unit)),
            Self::None => "–".to_owned(),
        }
    }

    fn verdict(self, sample: &Sample) -> &'static str {
        let met = match self {
            Self::AtMost(limit) => sample.median() <= limit,
            Self::AtLeast(limit) => sample.median() >= limit,
            Self::None => return "–",
        };
        if met { "met" } else { "**missed**" }
    }
}

fn spread(sample: &Sample, unit: Unit) -> String {
    let (min, median, max) = (
        show(sample.min(), unit),
        show(sample.median(), unit),
        show(sample.max(), unit),
    );
    if min == max {
        median
    } else {
        format!("{median} ({min}–{max})")
    }
}

fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes => format!("{:.1} MB", value / 1e6),
        Unit::Count => format!("{value}"),
        Unit::Times if value < 0.1 => format!("{value:.3}×"),
        Unit::Times if value < 10.0 => format!("{value:.2}×"),
        Unit::Times => format!("{value:.0}×"),
    }
}

/// Returns the load average of the last minute.
fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().context("/proc/loadavg holds no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_median() {
        let sample = Sample::new([1.0, 1.1, 9.0]).unwrap();
        assert_eq!(Expected::AtMost(1.1).verdict(&sample), "met");
        assert_eq!(Expected::AtMost(1.0).verdict(&sample), "**missed**");
        assert_eq!(Expected::AtLeast(2.0).verdict(&sample), "**missed**");
        assert_eq!(Expected::None.verdict(&sample), "–");
    }

    #[test]
    fn numbers_are_shown_with_what_they_are() {
        assert_eq!(show(0.0123, Unit::Seconds), "12.3 ms");
        assert_eq!(show(15e6, Unit::Bytes), "15.0 MB");
        assert_eq!(
            spread(&Sample::new([1.0, 2.0, 4.0]).unwrap(), Unit::Times),
            "2.00× (1.00×–4.00×)"
        );
        assert_eq!(spread(&Sample::new([3.0, 3.0]).unwrap(), Unit::Count), "3");
    }
}
