//! The table of results.

use std::env;
use std::fs;
use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use dockfleet_bench::sample::Sample;

use crate::Wanted;
use crate::figures::Fleet;
use crate::lab::{Cores, say};
use crate::limits::{self, Growth};
use crate::meter::Span;

/// Limits that the project has set itself.
const WRITES: f64 = 2.1;
const RATIO: f64 = 1.25;
const CONTROLLER_GROWTH: f64 = 1.3;
const START_GROWTH: f64 = 3.5 / 3.0;
const ASSIGNMENT: f64 = 12_000.0;

/// One line: what is measured, a text for each fleet, the goal and whether it is met.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    what: String,
    cells: Vec<String>,
    goal: String,
    verdict: &'static str,
}

/// Prints everything and writes it to `bench/scale.md` in the target folder.
pub(crate) fn finish(wanted: &Wanted, cores: &Cores, fleets: &[Fleet]) -> Result<()> {
    let text = text(wanted, &machine(cores)?, fleets)?;
    io::stdout().write_all(text.as_bytes())?;
    let program = env::current_exe()?;
    let target = program.ancestors().nth(2).context("no target folder")?;
    let folder = target.join("bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join("scale.md");
    fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))?;
    say(&format!("written to {}", file.display()));
    Ok(())
}

fn machine(cores: &Cores) -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let load = fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    Ok(format!(
        "{model}; cores of API server and etcd: {}, of everything else: {}; load at the end {}",
        list(&cores.server),
        list(&cores.others),
        load.join(" "),
    ))
}

fn list(cores: &[usize]) -> String {
    let all: Vec<String> = cores.iter().map(usize::to_string).collect();
    all.join(", ")
}

fn text(wanted: &Wanted, machine: &str, fleets: &[Fleet]) -> Result<String> {
    let mut text = format!(
        "# Scale\n\n{machine}. {} entries a host, {} connections of the bare loop. Shown: median \
         (smallest–largest) of {} edits. CPU is net of what the idle fleet takes.\n\n",
        wanted.entries, wanted.writers, wanted.rounds
    );
    let sizes = fleets.iter().map(|fleet| format!("{} hosts", fleet.hosts));
    let head: Vec<String> = ["one edit that reaches every host".to_owned()]
        .into_iter()
        .chain(sizes)
        .chain(["goal".to_owned(), "verdict".to_owned()])
        .collect();
    text += &line(&head);
    text += &line(&head.iter().map(|_| "---".to_owned()).collect::<Vec<_>>());
    for row in rows(fleets)? {
        let cells = [row.what].into_iter().chain(row.cells);
        let cells = cells.chain([row.goal, row.verdict.to_owned()]);
        text += &line(&cells.collect::<Vec<_>>());
    }
    let head = [
        "what a fleet takes".to_owned(),
        "each further host".to_owned(),
        format!("{} hosts", limits::HOSTS),
    ];
    text += "\n";
    text += &line(&head);
    text += &line(&head.map(|_| "---".to_owned()));
    for (what, growth, show) in growths(fleets) {
        if let Some(growth) = growth {
            let cells = [
                what.to_owned(),
                show(growth.per_host),
                show(growth.projected),
            ];
            text += &line(&cells);
        }
    }
    text += "\nWritten in the edits:\n";
    for fleet in fleets {
        for round in &fleet.rounds {
            let hosts = fleet.hosts.to_string();
            let writes = round.edit.writes.to_string();
            text += &["- ", &hosts, " hosts: ", &writes, "\n"].concat();
        }
    }
    Ok(text)
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn rows(fleets: &[Fleet]) -> Result<Vec<Row>> {
    let hosts = |fleet: &Fleet| f64::from(fleet.hosts);
    let seconds = |span: &Span| span.wall.as_secs_f64();
    let table = Table(fleets);
    let mut rows = vec![
        table.goal("Kubernetes writes for each host", count, WRITES, |f| {
            f.edits(|edit| f64::from(edit.writes.total()) / hosts(f))
        })?,
        table.row("until every host and the resource report it", time, |f| {
            f.edits(seconds)
        })?,
        table.row("bare loop of the same writes", time, |f| f.bare(seconds))?,
        table.goal("edit against bare loop", times, RATIO, Fleet::ratio)?,
        table.row("API server: CPU for each write", time, |f| {
            f.edits(|edit| f.net(edit, |w| w.server) * hosts(f) / f64::from(edit.writes.total()))
        })?,
        table.row("the same in the bare loop", time, |f| {
            f.bare(|bare| f.net(bare, |w| w.server) / 2.0)
        })?,
        table.row("etcd: CPU for each host", time, |f| {
            f.edits(|edit| f.net(edit, |w| w.etcd))
        })?,
        table.row("controller: CPU for each changed entry", time, |f| {
            f.edits(|edit| f.net(edit, |w| w.controller))
        })?,
        table.row("agent and simulated engine: CPU for each host", time, |f| {
            f.edits(|edit| f.net(edit, |w| w.agents))
        })?,
        table.row("sent to watchers, events for each host", count, |f| {
            f.edits(|edit| edit.watch_events / hosts(f))
        })?,
        table.row("sent to watchers, bytes for each host", bytes, |f| {
            f.edits(|edit| edit.watch_bytes / hosts(f))
        })?,
    ];
    rows.extend(growth(
        fleets,
        "controller: CPU for each changed entry",
        CONTROLLER_GROWTH,
        |f| Ok(f.edits(|edit| f.net(edit, |w| w.controller))?.median()),
    )?);
    rows.extend([
        table.goal("assignment: spec", bytes, ASSIGNMENT, |f| {
            one(f.mean(f.sizes.specs))
        })?,
        table.row("assignment: status", bytes, |f| {
            one(f.mean(f.sizes.statuses))
        })?,
        table.row("assignment: whole object", bytes, |f| {
            one(f.mean(f.sizes.whole))
        })?,
        table.row("controller: resident memory", bytes, |f| {
            one(f.memory.controller)
        })?,
        table.row("controller: the most it ever had", bytes, |f| {
            one(f.memory.controller_most)
        })?,
        table.row("API server: resident memory", bytes, |f| {
            one(f.memory.server)
        })?,
        table.row("etcd: resident memory", bytes, |f| one(f.memory.etcd))?,
        table.row("etcd: stored", bytes, |f| one(f.stored))?,
        table.row("agent with engine: resident memory", bytes, |f| {
            one(f.memory.agents / hosts(f))
        })?,
        table.row("watches open", count, |f| one(f64::from(f.watches)))?,
        table.row("idle: heartbeats a second", count, |f| one(f.heartbeats()))?,
        table.row("idle: other writes a minute", count, |f| {
            one(f64::from(f.idle.writes.total()) * 60.0 / f.idle.wall.as_secs_f64())
        })?,
        table.row("idle: API server, cores", count, |f| {
            one(f.idle_cores(|w| w.server))
        })?,
        table.row(
            "idle: etcd, cores",
            count,
            |f| one(f.idle_cores(|w| w.etcd)),
        )?,
        table.row("idle: controller, cores", count, |f| {
            one(f.idle_cores(|w| w.controller))
        })?,
    ]);
    rows.extend(start(fleets)?);
    Ok(rows)
}

/// Gives the lines of the first start.
fn start(fleets: &[Fleet]) -> Result<Vec<Row>> {
    let hosts = |fleet: &Fleet| f64::from(fleet.hosts);
    let seconds = |fleet: &Fleet| fleet.start.wall.as_secs_f64();
    let table = Table(fleets);
    let mut rows = vec![
        table.row("first start: until all is ready", time, |f| one(seconds(f)))?,
        table.row("first start: Kubernetes writes for each host", count, |f| {
            one(f64::from(f.start.writes.total()) / hosts(f))
        })?,
        table.row("first start: API server, CPU for each host", time, |f| {
            one(f.start(|w| w.server))
        })?,
        table.row("first start: etcd, CPU for each host", time, |f| {
            one(f.start(|w| w.etcd))
        })?,
        table.row("first start: controller, CPU for each host", time, |f| {
            one(f.start(|w| w.controller))
        })?,
        table.row(
            "first start: agent and simulated engine, CPU for each host",
            time,
            |f| one(f.start(|w| w.agents)),
        )?,
    ];
    rows.extend(growth(
        fleets,
        "first start: time for each host",
        START_GROWTH,
        |f| Ok(seconds(f) / hosts(f)),
    )?);
    Ok(rows)
}

/// Gives how much more something is in the largest fleet than in the smallest.
fn growth(
    fleets: &[Fleet],
    what: &str,
    limit: f64,
    of: impl Fn(&Fleet) -> Result<f64>,
) -> Result<Option<Row>> {
    let Some((small, large)) = limits::ends(fleets).filter(|(s, l)| s.hosts != l.hosts) else {
        return Ok(None);
    };
    let growth = of(large)? / of(small)?;
    let cell = |f: &Fleet| {
        if f.hosts == large.hosts {
            times(growth)
        } else {
            "–".to_owned()
        }
    };
    Ok(Some(Row {
        what: format!("{what}, against {} hosts", small.hosts),
        cells: fleets.iter().map(cell).collect(),
        goal: format!("≤ {}", times(limit)),
        verdict: verdict(growth <= limit),
    }))
}

type Show = fn(f64) -> String;

/// Gives what grows with a fleet.
fn growths(fleets: &[Fleet]) -> Vec<(&'static str, Option<Growth>, Show)> {
    let edit = |f: &Fleet, of: fn(crate::meter::Work) -> f64| {
        let all = f.edits(|edit| f.net(edit, of) * f64::from(f.hosts));
        all.map_or(f64::NAN, |sample| sample.median())
    };
    let of = |value: &dyn Fn(&Fleet) -> f64| limits::growth(fleets, value);
    vec![
        (
            "API server: CPU of one edit",
            of(&|f| edit(f, |w| w.server)),
            time,
        ),
        ("etcd: CPU of one edit", of(&|f| edit(f, |w| w.etcd)), time),
        (
            "controller: CPU of one edit",
            of(&|f| edit(f, |w| w.controller)),
            time,
        ),
        (
            "API server: cores while idle",
            of(&|f| f.idle_cores(|w| w.server)),
            fraction,
        ),
        (
            "etcd: cores while idle",
            of(&|f| f.idle_cores(|w| w.etcd)),
            fraction,
        ),
        (
            "controller: cores while idle",
            of(&|f| f.idle_cores(|w| w.controller)),
            fraction,
        ),
        ("heartbeats a second", of(&|f| f.heartbeats()), fraction),
        ("API server: memory", of(&|f| f.memory.server), bytes),
        ("etcd: memory", of(&|f| f.memory.etcd), bytes),
        ("etcd: stored", of(&|f| f.stored), bytes),
        (
            "controller: memory at most",
            of(&|f| f.memory.controller_most),
            bytes,
        ),
        ("watches", of(&|f| f64::from(f.watches)), fraction),
    ]
}

struct Table<'a>(&'a [Fleet]);

impl Table<'_> {
    fn row(&self, what: &str, show: Show, of: impl Fn(&Fleet) -> Result<Sample>) -> Result<Row> {
        let samples = self.0.iter().map(of).collect::<Result<Vec<_>>>()?;
        Ok(Row {
            what: what.to_owned(),
            cells: samples.iter().map(|s| spread(s, show)).collect(),
            goal: "–".to_owned(),
            verdict: "–",
        })
    }

    fn goal(
        &self,
        what: &str,
        show: Show,
        limit: f64,
        of: impl Fn(&Fleet) -> Result<Sample>,
    ) -> Result<Row> {
        let samples = self.0.iter().map(&of).collect::<Result<Vec<_>>>()?;
        let met = samples.iter().all(|sample| sample.median() <= limit);
        Ok(Row {
            goal: format!("≤ {}", show(limit)),
            verdict: verdict(met),
            ..self.row(what, show, of)?
        })
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

/// Makes a sample of what was measured once.
fn one(value: f64) -> Result<Sample> {
    Sample::new([value])
}

fn spread(sample: &Sample, show: Show) -> String {
    let (min, median, max) = (
        show(sample.min()),
        show(sample.median()),
        show(sample.max()),
    );
    if min == max {
        median
    } else {
        format!("{median} ({min}–{max})")
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => format!("{:.2} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s => format!("{s:.1} s"),
    }
}

fn times(value: f64) -> String {
    format!("{value:.2}×")
}

fn count(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn fraction(value: f64) -> String {
    match value {
        v if v < 0.01 => format!("{v:.5}"),
        v if v < 10.0 => format!("{v:.2}"),
        v => format!("{v:.0}"),
    }
}

fn bytes(value: f64) -> String {
    match value {
        v if v < 1e6 => format!("{:.1} kB", v / 1e3),
        v if v < 1e9 => format!("{:.0} MB", v / 1e6),
        v => format!("{:.1} GB", v / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_what_they_are() {
        assert_eq!(time(0.0123), "12.30 ms");
        assert_eq!(time(0.5), "500 ms");
        assert_eq!(time(12.34), "12.3 s");
        assert_eq!(count(2.0), "2");
        assert_eq!(count(2.104), "2.1");
        assert_eq!(count(0.0), "0");
        assert_eq!(bytes(11_400.0), "11.4 kB");
        assert_eq!(bytes(2.5e9), "2.5 GB");
        let sample = Sample::new([1.0, 1.25, 2.0]).unwrap();
        assert_eq!(spread(&sample, times), "1.25× (1.00×–2.00×)");
    }
}
