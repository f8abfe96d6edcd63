//! Checks that the kinds are in one list: no code of the workspace has its own match over them.
//!
//! The list is in `crds/src/kinds.rs`, and each crate generates its matches from it with the macro `kinds!`,
//! without names of kinds. Any other match would have to be changed for each new kind.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail as the test does"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dockfleet_crds::assignment::Kind;
use strum::VariantArray;

const CRATES: [&str; 5] = ["crds", "planner", "agent", "controller", "cli"];

/// The only file that names every kind.
const LIST: &str = "crds/src/kinds.rs";

/// A line that names kinds as arms of a match or compares with one.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    line: usize,
    text: String,
}

/// A kind that a line names as a variant, such as `Kind::DockerVolume` or `Desired::DockerVolume(`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// The type before the variant.
    of: String,
    kind: &'static str,
}

#[test]
fn no_match_over_kinds_is_outside_of_their_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    for name in CRATES {
        let mut files = Vec::new();
        collect(&root.join(name).join("src"), &mut files);
        assert!(!files.is_empty(), "no sources of {name}");
        let tests: BTreeSet<PathBuf> = files.iter().flat_map(|file| test_modules(file)).collect();
        for file in &files {
            let shown = file.strip_prefix(root).unwrap().display().to_string();
            let is_test = file.ancestors().any(|place| tests.contains(place));
            if is_test || shown == LIST {
                continue;
            }
            for Finding { line, text } in findings(&fs::read_to_string(file).unwrap()) {
                all.push(format!("{shown}:{line}: {text}"));
            }
        }
    }
    assert!(
        all.is_empty(),
        "{} lines name kinds as arms of a match, or compare with one:\n{}",
        all.len(),
        all.join("\n")
    );
}

/// Collects the sources below a folder in a fixed order.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Returns the files and folders of the modules of a file that are for tests only.
fn test_modules(file: &Path) -> Vec<PathBuf> {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let folder = match stem {
        "lib" | "main" | "mod" => file.with_file_name(""),
        _ => file.with_extension(""),
    };
    let text = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let declaration = lines.next().unwrap_or_default();
        let module = declaration.split_once("mod ").map(|(_, name)| name);
        if let Some(name) = module.and_then(|name| name.strip_suffix(';')) {
            found.push(folder.join(name));
            found.push(folder.join(name).with_extension("rs"));
        }
    }
    found
}

/// Returns the lines of a source that are neither comments nor tests, with their numbers.
fn code(source: &str) -> Vec<(usize, &str)> {
    let mut code = Vec::new();
    let mut lines = source.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            skip_item(indent(line), &mut lines);
        } else if !line.trim_start().starts_with("//") {
            code.push((number, line));
        }
    }
    code
}

/// Skips the item after an attribute: to its brace at the same depth, or to the end of its only line.
fn skip_item<'a>(depth: usize, lines: &mut impl Iterator<Item = (&'a str, usize)>) {
    for (line, _) in lines {
        let is_outer = indent(line) == depth && !line.trim().is_empty();
        let is_attribute = line.trim_start().starts_with("#[");
        if is_outer && !is_attribute && line.ends_with(['}', ';']) {
            return;
        }
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn findings(source: &str) -> Vec<Finding> {
    let code = code(source);
    let mut arms: Vec<(usize, Vec<Named>)> = Vec::new();
    let mut found = Vec::new();
    for (number, line) in code {
        let depth = indent(line);
        if !line.trim().is_empty() {
            // Deeper blocks have ended, and every match in them.
            arms.retain(|(at, _)| *at <= depth);
        }
        if is_comparison(line) {
            found.push(Finding {
                line: number,
                text: line.trim().to_owned(),
            });
            continue;
        }
        let Some(pattern) = pattern(line) else {
            continue;
        };
        let mut named = named(pattern);
        named.extend(as_text(pattern));
        if named.is_empty() {
            continue;
        }
        let is_of_kind = named.iter().any(|n| n.of == "Kind");
        let beside = arms.iter().filter(|(at, _)| *at == depth);
        let mut beside = beside.flat_map(|(_, other)| other).chain(&named);
        let is_beside = beside.any(|b| named.iter().any(|n| n.of == b.of && n.kind != b.kind));
        if is_of_kind || is_beside {
            found.push(Finding {
                line: number,
                text: line.trim().to_owned(),
            });
        }
        arms.push((depth, named));
    }
    found
}

/// Whether a line compares something with a kind, by `==`, `!=` or a `matches!` in one line.
fn is_comparison(line: &str) -> bool {
    let kinds = || named(line).into_iter().chain(as_text(line));
    let compares = line.contains(" == ") || line.contains(" != ");
    (compares && kinds().any(|n| n.of == "Kind"))
        || (line.contains("matches!(") && kinds().next().is_some())
}

/// Returns the part of a line that may be the pattern of an arm: what is before `=>`, a part of a pattern of
/// several lines, or alternatives in one line.
fn pattern(line: &str) -> Option<&str> {
    if let Some((pattern, _)) = line.split_once("=>") {
        return Some(pattern);
    }
    let alone = line.trim();
    let starts = alone.starts_with("| ") || alone.ends_with(" |");
    (starts || alone.contains(" | ")).then_some(line)
}

/// Returns the kinds that a text names as variants, in their order.
fn named(text: &str) -> Vec<Named> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("::") {
        let (before, after) = text.split_at(at);
        let of = before.rsplit(|c: char| !is_of_a_name(c)).next().unwrap();
        let variant = after.trim_start_matches("::");
        let variant = variant.split(|c: char| !is_of_a_name(c)).next().unwrap();
        let kind = Kind::VARIANTS.iter().find(|k| k.as_str() == variant);
        found.extend(kind.map(|kind| Named {
            of: of.to_owned(),
            kind: kind.as_str(),
        }));
    }
    found
}

/// Returns the kinds that a text names as texts, such as `"DockerVolume"`.
fn as_text(text: &str) -> impl Iterator<Item = Named> {
    let kinds = Kind::VARIANTS.iter().map(|kind| kind.as_str());
    let found = kinds.filter(move |kind| text.contains(&format!("\"{kind}\"")));
    found.map(|kind| Named {
        of: "Kind".to_owned(),
        kind,
    })
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn a_match_over_kinds_is_found_and_nothing_else_is() {
    let lines = |source: &str| {
        findings(source)
            .into_iter()
            .map(|f| f.line)
            .collect::<Vec<_>>()
    };
    let kind = "
match kind {
    Kind::DockerNetwork => 1,
    Some(assignment::Kind::DockerVolume) if late => 2,
    _ => 3,
}";
    assert_eq!(lines(kind), [3, 4]);
    assert_eq!(
        lines("let both = matches!(k, Kind::DockerNetwork | Kind::DockerVolume);"),
        [1]
    );
    for compared in [
        "if kind == Kind::DockerVolume {",
        "let other = assignment::Kind::DockerVolume != kind;",
        "entries.retain(|e| e.kind == \"DockerVolume\");",
        "matches!(kind, Kind::DockerVolume)",
        "if matches!(desired, Desired::DockerNetwork(n) if n.internal) {",
    ] {
        assert_eq!(lines(compared), [1], "{compared}");
    }
    let pattern_of_two_lines = "
    Kind::DockerNetwork
    | Kind::DockerVolume => true,";
    assert_eq!(lines(pattern_of_two_lines), [3]);
    let desired = "
match desired {
    Desired::DockerNetwork(network) => {
        network.name.clone()
    }
    Desired::DockerVolume(volume) => volume.name.clone(),
}";
    assert_eq!(lines(desired), [6]);
    let two_matches = "
fn first() {
    match desired {
        Desired::DockerNetwork(network) => network,
        _ => return,
    }
}
fn second() {
    match desired {
        Desired::DockerVolume(volume) => volume,
        _ => return,
    }
}";
    assert_eq!(lines(two_matches), [0; 0]);
    let fine = "
// Kind::DockerNetwork => a comment
const KIND: Kind = Kind::DockerVolume;
let Desired::DockerNetwork(network) = desired else { return };
$(Kind::$kind => $object,)*
#[cfg(test)]
mod tests {
    fn of(kind: Kind) {
        match kind {
            Kind::DockerNetwork => 1,
        }
    }
}";
    assert_eq!(lines(fine), [0; 0]);
    let after_tests = "
    #[cfg(test)]
    #[expect(dead_code)]
    fn of() {
        1
    }
    Kind::DockerVolume => 2,";
    assert_eq!(lines(after_tests), [7]);
}
