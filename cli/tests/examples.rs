//! Every manifest that people are given to copy is right: those in `examples/`, and those in the
//! documents.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail as the test does"
)]

use std::fs;
use std::path::{Path, PathBuf};

use dockfleet::manifest::{self, Document, ManifestError};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn documents() -> Vec<PathBuf> {
    let pages = fs::read_dir(project().join("docs")).unwrap();
    let pages = pages.map(|page| page.unwrap().path());
    let mut all: Vec<PathBuf> = pages
        .chain(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|f| project().join(f)))
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    all.sort();
    all
}

/// The YAML blocks of a page, with the line that each begins at.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.trim_start()) {
            (None, "```yaml") => open = Some((number + 1, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

/// Returns how many resources are in the documents.
fn check(documents: &[Document]) -> Result<usize, Vec<ManifestError>> {
    let found = manifest::check(documents)?;
    Ok(found.resources.len() + found.hosts.len() + found.namespaces.len() + found.secrets.len())
}

fn in_words(errors: &[ManifestError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn every_example_is_valid() {
    let folders = fs::read_dir(project().join("examples")).unwrap();
    let folders: Vec<PathBuf> = folders.map(|f| f.unwrap().path()).collect();
    assert!(!folders.is_empty());
    for folder in folders {
        // That folder is for kustomize, Argo CD and Flux; `gitops_examples.rs` of the
        // end-to-end tests builds it.
        if folder.ends_with("gitops") {
            continue;
        }
        let documents = manifest::load(std::slice::from_ref(&folder), true)
            .unwrap_or_else(|errors| panic!("{}", in_words(&errors)));
        let count = check(&documents).unwrap_or_else(|errors| panic!("{}", in_words(&errors)));
        // What only a cluster has a use for is passed over.
        let rights = |d: &&Document| {
            d.value["kind"]
                .as_str()
                .is_some_and(|k| k.starts_with("Role"))
        };
        let rights = documents.iter().filter(rights).count();
        assert_eq!(count + rights, documents.len(), "{}", folder.display());
    }
}

#[test]
fn every_manifest_in_the_documents_is_valid() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("block.yaml");
    let mut count = 0;
    for page in documents() {
        for (line, text) in blocks(&fs::read_to_string(&page).unwrap()) {
            fs::write(&file, text).unwrap();
            let found = manifest::load(std::slice::from_ref(&file), false).and_then(|d| check(&d));
            count += found.unwrap_or_else(|errors| {
                panic!(
                    "{}, block at line {line}: {}",
                    page.display(),
                    in_words(&errors)
                )
            });
        }
    }
    assert!(count > 0, "no manifest was found in the documents");
}
