//! The output of a command: one line for each resource on each host.

use std::fmt::{self, Write as _};
use std::io::{Write as _, stdout};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
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
pub(crate) struct ResultRow {
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

/// A host, a journal or an input that could not be processed.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Failure {
    /// Name of the host, for a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Folder of the journal, for a journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) journal: Option<String>,
    pub(crate) message: String,
}

/// The output of every command for programs: results and failures.
#[derive(Debug, Serialize)]
pub(crate) struct OutputDocument<'a, R> {
    /// Number of changes made on engines, if the command can make changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<usize>,
    pub(crate) results: &'a [R],
    pub(crate) failures: &'a [Failure],
}

/// The result of a command over all hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// Number of changes made on engines.
    pub(crate) changed: usize,
    pub(crate) results: Vec<ResultRow>,
    pub(crate) failures: Vec<Failure>,
    /// Resources that select none of the hosts.
    pub(crate) unselected: usize,
    /// Hints for users.
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

impl<R: Serialize> OutputDocument<'_, R> {
    /// Prints the document, if the format is for programs.
    ///
    /// # Errors
    /// If it cannot be written in the format.
    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Json => anstream::println!("{}", serde_json::to_string_pretty(self)?),
            Output::Yaml => anstream::print!("{}", serde_saphyr::to_string(self)?),
            Output::Table | Output::Wide => {}
        }
        Ok(())
    }
}

/// Reports that the input is not valid, and why, for users and for programs.
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
    let document = OutputDocument::<ResultRow> {
        changed: Some(0),
        results: &[],
        failures: &failures,
    };
    // The message was printed already.
    let _ = document.print(output);
    Exit::BadInput
}

/// Prints a text with colours, if the terminal has them, in one write. Otherwise each line would be a
/// write of its own, and would wake the program that reads it.
fn print_at_once(text: &str) {
    let plain;
    let text = match AutoStream::choice(&stdout()) {
        ColorChoice::Never => {
            plain = strip_str(text).to_string();
            &plain
        }
        _ => text,
    };
    anstream::print!("{text}");
}

impl ResultRow {
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

    /// Whether the resource is as required.
    pub(crate) fn is_fine(&self) -> bool {
        matches!(
            self.state.known(),
            Some(EntryState::Ready | EntryState::Gone)
        )
    }

    /// Returns the word of the STATUS column.
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
    /// If it cannot be written in the format.
    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Json | Output::Yaml => self.document().print(output)?,
            Output::Table => print_at_once(&self.table(false)?),
            Output::Wide => print_at_once(&self.table(true)?),
        }
        for hint in &self.hints {
            anstream::eprintln!("hint: {hint}");
        }
        Ok(())
    }

    /// Returns the document for programs.
    pub(crate) fn document(&self) -> OutputDocument<'_, ResultRow> {
        OutputDocument {
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

    /// Returns the last line, a summary.
    fn sentence(&self) -> String {
        let count = |f: fn(&ResultRow) -> bool| self.results.iter().filter(|r| f(r)).count();
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

    /// Returns the exit code of this result.
    pub(crate) fn exit(&self) -> Exit {
        if self.failures.is_empty() && self.results.iter().all(ResultRow::is_fine) {
            Exit::Ready
        } else {
            Exit::Failed
        }
    }
}
