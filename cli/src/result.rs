//! What a command says at its end: one line for each resource on each host.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, EntryState, EntryStatus, FieldDiff, Open, Reason};
use serde::{Deserialize, Serialize};
use tabwriter::TabWriter;

use crate::args::Output;
use crate::exit::Exit;

/// One resource on one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    #[serde(skip)]
    pub(crate) uid: String,
    pub(crate) host: String,
    pub(crate) kind: Open<Kind>,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Name of the network or volume on the host.
    pub(crate) object: String,
    pub(crate) state: Open<EntryState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Open<Reason>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) diff: Vec<FieldDiff>,
}

/// What could not be worked on at all: a host, a journal, or the input.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Failure {
    /// Name of the host, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Folder of the journal, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) journal: Option<String>,
    pub(crate) message: String,
}

/// What every command prints for programs: what it found or did, and what failed.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a, R> {
    /// Changes made on engines, by a command that may make some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<usize>,
    pub(crate) results: &'a [R],
    pub(crate) failures: &'a [Failure],
}

/// The result of a command over all hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// Changes made on engines.
    pub(crate) changed: usize,
    pub(crate) results: Vec<Row>,
    pub(crate) failures: Vec<Failure>,
    /// Resources that select none of the hosts.
    pub(crate) unselected: usize,
    /// What a person should know beside the result.
    pub(crate) hints: Vec<String>,
}

impl Failure {
    pub(crate) fn of_host(host: &str, err: &anyhow::Error) -> Self {
        Self {
            host: Some(host.to_owned()),
            message: format!("{err:#}"),
            ..Self::default()
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "host {host}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl<R: Serialize> Document<'_, R> {
    /// Prints the document, if it is for a program.
    ///
    /// # Errors
    /// Where it cannot be put into the format.
    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Json => anstream::println!("{}", serde_json::to_string_pretty(self)?),
            Output::Yaml => anstream::print!("{}", serde_saphyr::to_string(self)?),
            Output::Table | Output::Wide => {}
        }
        Ok(())
    }
}

/// Says that the input cannot be used, and why: to a person, and to a program that waits for a result.
pub(crate) fn bad_input(problems: Vec<String>, output: Output) -> Exit {
    for problem in &problems {
        anstream::eprintln!("error: {problem}");
    }
    let failures: Vec<Failure> = problems
        .into_iter()
        .map(|message| Failure {
            message,
            ..Failure::default()
        })
        .collect();
    let document = Document::<Row> {
        changed: Some(0),
        results: &[],
        failures: &failures,
    };
    // It has been said already.
    let _ = document.print(output);
    Exit::BadInput
}

impl Row {
    pub(crate) fn new(host: &str, entry: &Entry, object: &str, status: &EntryStatus) -> Self {
        Self {
            uid: entry.uid.clone(),
            host: host.to_owned(),
            kind: entry.kind.clone(),
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            object: object.to_owned(),
            state: status.state.clone(),
            reason: status.reason.clone(),
            message: status.message.clone(),
            id: status.id.clone(),
            diff: status.diff.clone(),
        }
    }

    /// Whether it is as it is to be.
    pub(crate) fn is_fine(&self) -> bool {
        matches!(
            self.state.known(),
            Some(EntryState::Ready | EntryState::Gone)
        )
    }

    /// Returns the one word of the STATUS column.
    fn word(&self) -> &str {
        match &self.reason {
            Some(reason) if self.state != EntryState::Ready => reason.as_str(),
            Some(_) | None => self.state.as_str(),
        }
    }

    /// Whether this is the reason.
    pub(crate) fn is_because(&self, reason: Reason) -> bool {
        self.reason.as_ref().is_some_and(|r| *r == reason)
    }

    fn style(&self) -> Style {
        let color = match self.state.known() {
            Some(EntryState::Ready | EntryState::Gone) => AnsiColor::Green,
            Some(EntryState::Pending | EntryState::Drifted) => AnsiColor::Yellow,
            Some(EntryState::Failed | EntryState::Unsupported) | None => AnsiColor::Red,
        };
        color.on_default()
    }
}

impl Summary {
    /// Prints the result.
    ///
    /// # Errors
    /// Where it cannot be put into the format.
    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Json | Output::Yaml => self.document().print(output)?,
            Output::Table => anstream::print!("{}", self.table(false)?),
            Output::Wide => anstream::print!("{}", self.table(true)?),
        }
        for hint in &self.hints {
            anstream::eprintln!("hint: {hint}");
        }
        Ok(())
    }

    /// Returns what a program is told.
    pub(crate) fn document(&self) -> Document<'_, Row> {
        Document {
            changed: Some(self.changed),
            results: &self.results,
            failures: &self.failures,
        }
    }

    fn table(&self, wide: bool) -> anyhow::Result<String> {
        let mut table = TabWriter::new(Vec::new()).padding(3).ansi(true);
        if !self.results.is_empty() {
            let more = if wide { "\tOBJECT\tID" } else { "" };
            writeln!(table, "HOST\tKIND\tNAME\tSTATUS{more}\tMESSAGE")?;
        }
        for row in &self.results {
            let style = row.style();
            write!(
                table,
                "{}\t{}\t{}/{}\t{style}{}{style:#}",
                row.host,
                row.kind.as_str(),
                row.namespace,
                row.name,
                row.word(),
            )?;
            if wide {
                let id: String = row.id.as_deref().unwrap_or("-").chars().take(12).collect();
                write!(table, "\t{}\t{id}", row.object)?;
            }
            writeln!(table, "\t{}", row.message)?;
        }
        table.flush()?;
        let bytes = table.into_inner().map_err(|err| anyhow::anyhow!("{err}"))?;
        let mut text: String = String::from_utf8(bytes)?
            .lines()
            .fold(String::new(), |text, line| text + line.trim_end() + "\n");
        for failure in &self.failures {
            let style = AnsiColor::Red.on_default();
            writeln!(text, "{style}{failure}{style:#}")?;
        }
        writeln!(text, "{}", self.sentence())?;
        Ok(text)
    }

    /// Returns the last line: how it went, in a few words.
    fn sentence(&self) -> String {
        let count = |f: fn(&Row) -> bool| self.results.iter().filter(|r| f(r)).count();
        let parts = [
            (count(|r| r.state == EntryState::Ready), "ready"),
            (count(|r| r.state == EntryState::Pending), "pending"),
            (count(|r| r.state == EntryState::Drifted), "drifted"),
            (count(|r| r.state == EntryState::Failed), "failed"),
            (
                count(|r| r.state == EntryState::Unsupported),
                "not supported",
            ),
            (count(|r| r.is_because(Reason::Removed)), "removed"),
            (count(|r| r.is_because(Reason::Retained)), "retained"),
            (self.failures.len(), "not reached"),
            (self.unselected, "on no host"),
        ];
        let mut words: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        if words.is_empty() {
            words.push("nothing here".to_owned());
        }
        let changed = match self.changed {
            0 => "nothing changed".to_owned(),
            1 => "1 change made".to_owned(),
            n => format!("{n} changes made"),
        };
        format!("{}; {changed}", words.join(", "))
    }

    /// Returns how a command with this result ends.
    pub(crate) fn exit(&self) -> Exit {
        if self.failures.is_empty() && self.results.iter().all(Row::is_fine) {
            Exit::Ready
        } else {
            Exit::Failed
        }
    }
}
