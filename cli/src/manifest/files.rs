//! Reads the files of `-f`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;

use dockfleet_crds::validation::{kinds, prepare};

use super::list::{Item, take_apart};
use super::{Document, ManifestError, places, text, yaml};

/// Reads the paths of `-f` in their order: files, folders, and `-` for standard input.
///
/// In a folder, the files that end in `.yaml`, `.yml` or `.json` are read, sorted by name.
/// Subfolders are read only if `recursive` is true.
///
/// # Errors
/// All errors, not only the first one.
pub fn load(paths: &[PathBuf], recursive: bool) -> Result<Vec<Document>, Vec<ManifestError>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    let mut begun = BTreeSet::new();
    for path in paths {
        let files = match places::files(path, recursive) {
            Ok(files) => files,
            Err(found) => {
                errors.extend(found);
                continue;
            }
        };
        let before = (documents.len(), errors.len());
        for file in files {
            match read(&file, &mut begun) {
                Ok(found) => documents.extend(found),
                Err(error) => errors.push(error),
            }
        }
        // An empty pipe usually means that the command before it has failed.
        if before == (documents.len(), errors.len()) {
            errors.push(empty(path));
        }
    }
    if errors.is_empty() {
        Ok(documents)
    } else {
        Err(errors)
    }
}

fn empty(path: &Path) -> ManifestError {
    let why = if path.as_os_str() == places::STDIN {
        "standard input is empty; check the command before the pipe"
    } else if path.is_dir() {
        "the files in this folder contain no resource"
    } else {
        "it is empty, or has only comments or empty lists"
    };
    ManifestError::Empty {
        file: path.display().to_string(),
        why: why.to_owned(),
    }
}

fn read(path: &Path, begun: &mut BTreeSet<&'static str>) -> Result<Vec<Document>, ManifestError> {
    let text = text::read(path)?;
    prepare_for(&text, begun);
    parse(&path.display().to_string(), &text)
}

/// Compiles the schemas of the kinds in a text while the text is read. Both take the same time for
/// some hundred documents, and most machines have several cores.
fn prepare_for(text: &str, begun: &mut BTreeSet<&'static str>) {
    for kind in kinds() {
        if text.contains(kind) && begun.insert(kind) {
            // If no thread can be started, it is done later, with the first document.
            let _ = thread::Builder::new().spawn(move || prepare(kind));
        }
    }
}

/// Returns the documents of one file's text. Lists are replaced by their items.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Document>, ManifestError> {
    let nodes = yaml::parse(text).map_err(|problem| ManifestError::Syntax {
        file: file.to_owned(),
        line: problem.line,
        message: problem.to_string(),
    })?;
    let mut items = Vec::new();
    for node in nodes {
        take_apart(node, &mut items);
    }
    let documents = items.into_iter().enumerate();
    let documents = documents.map(|(index, Item { node, value })| Document {
        source: file.to_owned(),
        index,
        line: node.line(),
        value,
        node,
    });
    Ok(documents.collect())
}
