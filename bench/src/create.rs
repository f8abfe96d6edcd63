//! Measures the creation of many objects, against a bare loop of the same calls.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use dockfleet_e2e::Generation;

use crate::http::Message;
use crate::lab::{PeerLab, new_engine, say, version};
use crate::object_set::ObjectSet;
use crate::recorder::Recorder;
use crate::replay::replay;
use crate::report::{Comparison, Expected, ResultTable, Unit};
use crate::sample::Sample;

const WANTED: ObjectSet = ObjectSet(100);

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    let manifests = lab.scratch.write(".yaml", &WANTED.resources())?;
    for generation in Generation::ALL {
        say(&format!(
            "{generation:?}: 100 networks and 100 volumes, recorded"
        ));
        // This run is not counted. It warms up the engine.
        let engine = new_engine(generation)?;
        let name = version(&engine)?;
        let recorder = Recorder::start(lab.scratch.path(".sock"), engine.socket())?;
        lab.apply(&recorder.docker_host(), &manifests, &lab.scratch.folder()?)?;
        let all = recorder.take()?;
        let creates: Vec<Message> = all
            .iter()
            .filter(|request| request.word(1).ends_with("/create"))
            .cloned()
            .collect();
        ensure!(
            creates.len() == 2 * usize::from(WANTED.0),
            "dockfleet sent {} creates",
            creates.len()
        );
        report.note(format!(
            "Engine {name}, create: calls of `dockfleet apply`: {}",
            summary(&all)
        ));
        drop(engine);

        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for number in 1..=lab.repetitions {
            say(&format!("{name}: pair {number} of {}", lab.repetitions));
            let engine = new_engine(generation)?;
            let state = lab.scratch.folder()?;
            let finished = lab.apply(&engine.docker_host(), &manifests, &state)?;
            ours.push(finished.wall);
            WANTED.check(&engine)?;
            drop(engine);

            let engine = new_engine(generation)?;
            bare.push(replay(&engine.socket(), &creates)?);
            WANTED.check(&engine)?;
        }
        let ratio = Sample::of_ratios(&ours, &bare)?;
        let (ours, bare) = (Sample::of_durations(&ours)?, Sample::of_durations(&bare)?);
        report.compare(&Comparison {
            what: "create 100 networks + 100 volumes",
            engine: &name,
            ours: &ours,
            other_name: "bare API loop",
            other: &bare,
            unit: Unit::Seconds,
            ratio: &ratio,
            best: ours.min() / bare.min(),
            goal: Expected::AtMost(1.10),
        });
    }
    Ok(())
}

/// Counts requests by method and path: `100 × POST /networks/create`.
pub(crate) fn summary(requests: &[Message]) -> String {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for request in requests {
        *counts.entry(shape(request)).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(shape, count)| format!("{count} × {shape}"))
        .collect();
    parts.join(", ")
}

/// Returns a request's method and path without version, query and names.
fn shape(request: &Message) -> String {
    let path = request.word(1);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .skip_while(|part| part.starts_with("v1."))
        .collect();
    let path = match parts.as_slice() {
        [kind] => format!("/{kind}"),
        [kind, "create"] => format!("/{kind}/create"),
        [kind, ..] => format!("/{kind}/…"),
        [] => path.to_owned(),
    };
    format!("{} {path}", request.word(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_and_path() {
        let requests = [
            "GET /v1.41/networks?filters=%7B%7D HTTP/1.1",
            "POST /v1.41/networks/create HTTP/1.1",
            "GET /networks/0123 HTTP/1.1",
            "GET /networks/4567 HTTP/1.1",
        ]
        .map(|start| Message {
            start: start.to_owned(),
            body: Vec::new(),
        });
        assert_eq!(
            summary(&requests),
            "1 × GET /networks, 2 × GET /networks/…, 1 × POST /networks/create"
        );
    }
}
