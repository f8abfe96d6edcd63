//! Finds and reads the files that `-f` names.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{fs, thread};

use dockfleet_crds::validation::{kinds, prepare};
use serde_json::Value;

use super::yaml::{self, Located};
use super::{Document, ManifestError};

/// Reads what `-f` names, in that order: files, folders, and `-` for the standard input.
///
/// Of a folder the files that end in `.yaml`, `.yml` or `.json` are read, sorted by name, and those
/// in folders inside it only where `recursive` says so.
///
/// # Errors
/// Everything that cannot be read, not only the first of it.
pub fn load(paths: &[PathBuf], recursive: bool) -> Result<Vec<Document>, Vec<ManifestError>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    let mut begun = BTreeSet::new();
    for path in paths {
        match files(path, recursive) {
            Ok(files) => {
                let before = (documents.len(), errors.len());
                for file in files {
                    match read(&file, &mut begun) {
                        Ok(found) => documents.extend(found),
                        Err(error) => errors.push(error),
                    }
                }
                // A pipe whose first half failed is not a wish for nothing.
                if before == (documents.len(), errors.len()) {
                    errors.push(ManifestError::Empty {
                        file: path.display().to_string(),
                    });
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(documents)
    } else {
        Err(errors)
    }
}

fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, ManifestError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    folder(path, recursive, &mut found).map_err(|error| ManifestError::Read {
        file: path.display().to_string(),
        error,
    })?;
    Ok(found)
}

/// Links are followed to files but not to folders, so that a folder cannot hold itself.
fn folder(path: &Path, recursive: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let inner = entry.path();
        if entry.file_type()?.is_dir() {
            if recursive {
                folder(&inner, recursive, found)?;
            }
        } else if is_manifest(&inner) && inner.is_file() {
            found.push(inner);
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let ending = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    ["yaml", "yml", "json"].contains(&ending)
}

fn read(path: &Path, begun: &mut BTreeSet<&'static str>) -> Result<Vec<Document>, ManifestError> {
    let file = path.display().to_string();
    let text = if file == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(|error| ManifestError::Read {
        file: file.clone(),
        error,
    })?;
    prepare_for(&text, begun);
    parse(&file, &text)
}

/// Has the schemas of the kinds in a text compiled while it is read: the one takes as long as the
/// other with some hundred documents, and there is more than one core as a rule.
fn prepare_for(text: &str, begun: &mut BTreeSet<&'static str>) {
    for kind in kinds() {
        if text.contains(kind) && begun.insert(kind) {
            // Where there is no thread to be had it is done later, with the first document.
            let _ = thread::Builder::new().spawn(move || prepare(kind));
        }
    }
}

/// Returns the documents of one file's text, lists taken apart.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    let located = yaml::parse(text).map_err(|error| ManifestError::Syntax {
        file: file.to_owned(),
        line: error.line,
        message: error.message,
    })?;
    let documents = located.into_iter().flat_map(take_apart).enumerate();
    Ok(documents
        .map(|(index, Located { line, value, lines })| Document {
            source: file.to_owned(),
            index,
            line,
            value,
            lines,
        })
        .collect())
}

/// `kubectl get -o yaml` writes several resources as the items of one `List`.
fn take_apart(located: Located) -> Vec<Located> {
    let is_list = located.value.get("kind").and_then(Value::as_str) == Some("List");
    let Some(items) = located
        .value
        .get("items")
        .and_then(Value::as_array)
        .filter(|_| is_list)
    else {
        return vec![located];
    };
    let item = |(index, value): (usize, &Value)| {
        let place = format!("items[{index}]");
        let inner = located.lines.iter().filter_map(|(path, line)| {
            Some((
                path.strip_prefix(&place)?.strip_prefix('.')?.to_owned(),
                *line,
            ))
        });
        Located {
            line: located.lines.get(&place).copied().unwrap_or(located.line),
            value: value.clone(),
            lines: inner.collect(),
        }
    };
    items.iter().enumerate().map(item).collect()
}
