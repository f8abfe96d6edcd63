//! The reference pages name everything there is: a field, reason, option or flag that is added has to be
//! written down, and one that is gone has to go.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may fail as the test does"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dockfleet_crds::assignment::{EntryState, Reason};
use dockfleet_crds::manifests;
use dockfleet_planner::support::Feature;
use serde_json::Value;
use strum::VariantArray;

/// What every Kubernetes object has, and people need no explanation of here.
const COMMON: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "status",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "lastTransitionTime",
    "type",
];

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap()
}

/// The words in backticks.
fn code(page: &str) -> BTreeSet<&str> {
    page.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)))
        .flat_map(|word| word.split('.').chain([word]))
        .filter(|word| !word.is_empty())
        .collect()
}

fn words<T: Copy + VariantArray + Into<&'static str>>() -> impl Iterator<Item = &'static str> {
    T::VARIANTS.iter().map(|word| (*word).into())
}

/// Collects the names of all fields of a schema, and the values of all its enums.
fn names(schema: &Value, fields: &mut BTreeSet<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        fields.insert(name.clone());
        names(inner, fields);
    }
    for value in schema["enum"].as_array().into_iter().flatten() {
        fields.extend(value.as_str().map(str::to_owned));
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            names(&schema[inner], fields);
        }
    }
}

#[test]
fn every_field_and_reason_is_described() {
    let text = page("docs/resources.md");
    let described = code(&text);
    let mut missing = Vec::new();
    for (file, crd) in manifests::all() {
        // Entries of an assignment are between controller and agent.
        if file == "hostassignments.yaml" {
            continue;
        }
        let crd = serde_json::to_value(crd).unwrap();
        let mut fields = BTreeSet::new();
        names(
            &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            &mut fields,
        );
        missing.extend(
            fields
                .into_iter()
                .filter(|f| !COMMON.contains(&f.as_str()) && !described.contains(f.as_str()))
                .map(|f| format!("{file}: {f}")),
        );
    }
    // They are no enums in the CRDs: a newer version may add some.
    let words = words::<Reason>()
        .chain(words::<EntryState>())
        .chain(words::<Feature>());
    missing.extend(words.filter(|w| !described.contains(w)).map(str::to_owned));
    assert!(missing.is_empty(), "not in docs/resources.md: {missing:#?}");
}

#[test]
fn every_option_and_capability_is_described() {
    use dockfleet_planner::kinds::network::capability::CAPABILITIES;
    let text = page("docs/options.md");
    let described = code(&text);
    for capability in &CAPABILITIES {
        assert!(
            described.contains(capability.name),
            "{} is not in docs/options.md",
            capability.name
        );
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", capability.name)))
            .unwrap_or_default();
        let wanted = format!("| {} | {} |", capability.engine, capability.since);
        assert!(row.contains(&wanted), "{row} should say {wanted}");
    }
    // The keys are named once in the code, in the planner.
    let source = page("planner/src/kinds/network/options.rs");
    let keys = source.split("#[cfg(test)]").next().unwrap_or_default();
    let keys: Vec<&str> = keys
        .split('"')
        .filter(|k| k.starts_with("com.docker."))
        .collect();
    assert!(keys.len() >= 10, "the keys are elsewhere: {keys:?}");
    for key in keys {
        assert!(described.contains(key), "{key} is not in docs/options.md");
    }
}

/// The folders of the crates of the program.
const CRATES: [&str; 7] = [
    "crds",
    "planner",
    "vitals",
    "agent",
    "controller",
    "cli",
    "vault",
];

/// The names in a text of Rust.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|name| !name.is_empty())
}

/// Whether a source declares a name, or exports it from another module.
fn declares(source: &str, name: &str) -> bool {
    let keywords = ["struct", "enum", "trait", "type", "fn", "const", "static"];
    let names: Vec<&str> = identifiers(source).collect();
    let is_declared = names
        .windows(2)
        .any(|pair| matches!(pair, [keyword, it] if keywords.contains(keyword) && *it == name));
    let mut exports = source.split("\npub").skip(1).filter_map(|rest| {
        let scope = rest.trim_start_matches("(crate)").trim_start();
        scope.strip_prefix("use ")?.split(';').next()
    });
    is_declared || exports.any(|export| identifiers(export).any(|it| it == name))
}

/// Whether a path of code exists, such as `planner::record::Stage::Retained` or `Entry::revision`.
fn exists(path: &str) -> bool {
    let names: Vec<&str> = path.split("::").collect();
    let is_in = |source: &str, names: &[&str]| match names {
        [] => true,
        [item, parts @ ..] => {
            let has = |part: &&str| identifiers(source).any(|it| it == *part);
            declares(source, item) && parts.iter().all(has)
        }
    };
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Some((first, mut rest)) = names.split_first() else {
        return false;
    };
    if !CRATES.contains(first) {
        let mut sources = Vec::new();
        for part in CRATES {
            files(&top.join(part).join("src"), "rs", &mut sources);
        }
        return sources
            .iter()
            .any(|file| is_in(&fs::read_to_string(file).unwrap(), &names));
    }
    let mut folder = top.join(first).join("src");
    let mut file = folder.join("lib.rs");
    while let [module, inner @ ..] = rest {
        let next = folder.join(module).with_extension("rs");
        if !next.exists() {
            break;
        }
        (folder, file, rest) = (folder.join(module), next, inner);
    }
    is_in(&fs::read_to_string(file).unwrap(), rest)
}

#[test]
fn every_path_of_code_in_the_architecture_exists() {
    let text = page("ARCHITECTURE.md");
    let paths: BTreeSet<&str> = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|code| code.contains("::"))
        .collect();
    assert!(paths.len() > 40, "{paths:?}");
    let missing: Vec<&&str> = paths.iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "not in the code: {missing:?}");
    for wrong in [
        "planner::observed::Observed",
        "planner::no_module",
        "Entry::no_field",
    ] {
        assert!(!exists(wrong), "{wrong}");
    }
}

/// Returns the parts of a message that are the same in each such message. Not part of it: what `...` stands
/// for, words in capitals, single letters, words with digits or other signs, and an owner.
fn fixed_parts(message: &str) -> Vec<String> {
    let is_fixed = |word: &str| {
        let word = word.trim_matches([',', ';', ':', '.', '(', ')']);
        let is_text = |c: char| c.is_ascii_alphabetic() || "-.'`".contains(c);
        word.len() > 1
            && word.chars().all(is_text)
            && !word.contains("..")
            && word.chars().any(|c| c.is_ascii_lowercase())
    };
    let mut parts = vec![String::new()];
    for word in message.replace("belongs to ", "belongs to ... ").split(' ') {
        let ends = word.ends_with([':', ';']);
        if is_fixed(word) {
            let part = parts.last_mut().unwrap();
            *part = format!("{part} {word}");
        }
        if ends || !is_fixed(word) {
            parts.push(String::new());
        }
    }
    let trimmed = parts
        .iter()
        .map(|part| part.trim_matches([' ', ',', ';', ':', '.', '(', ')']));
    let parts = trimmed.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

#[test]
fn every_message_that_is_explained_is_in_the_code() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for part in CRATES.iter().chain(&["e2e"]) {
        files(&top.join(part).join("src"), "rs", &mut sources);
    }
    files(&top.join("scripts"), "sh", &mut sources);
    let mut code = String::new();
    for source in &sources {
        for line in fs::read_to_string(source).unwrap().lines() {
            let line = line.trim();
            if line.starts_with("//") {
                continue;
            }
            // A text goes on in the next line.
            match line.strip_suffix('\\') {
                Some(line) => code.push_str(line),
                None => code.extend([line, " "]),
            }
        }
    }
    let code = code.replace(['`', '\\'], "");
    let text = page("docs/troubleshooting.md");
    let is_known = |message: &str| fixed_parts(message).iter().all(|part| code.contains(part));
    let messages: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("| message |"))
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').step_by(2))
        .filter(|message| !message.trim().is_empty())
        .collect();
    assert!(messages.len() > 40, "{messages:?}");
    let missing: Vec<&&str> = messages.iter().filter(|m| !is_known(m)).collect();
    assert!(missing.is_empty(), "not in the code: {missing:#?}");
    assert!(!is_known("this agent cannot read the entry"));
}

/// All files with such a name below a folder.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// The names in backticks that could be of a capability; those in brackets are links to code.
fn camel_case(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split('`').collect();
    let mut words = Vec::new();
    for pair in parts.windows(2).step_by(2) {
        let [before, word] = pair else { continue };
        let is_name = word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.contains(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric());
        if is_name && !before.ends_with('[') {
            words.push(*word);
        }
    }
    words
}

#[test]
fn every_capability_that_is_named_exists() {
    use dockfleet_planner::kinds::network::capability::CAPABILITIES;
    let known: BTreeSet<&str> = CAPABILITIES.iter().map(|c| c.name).collect();

    let options = page("docs/options.md");
    let table = options.split("## Capabilities").nth(1).unwrap();
    let listed: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(listed, known, "the table of docs/options.md");

    // Elsewhere a capability is named in a paragraph that is about capabilities.
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paragraphs = Vec::new();
    let mut pages = Vec::new();
    files(&top.join("docs"), "md", &mut pages);
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for paragraph in text.split("\n\n") {
            // Each row of a table is about something else.
            let rows = paragraph.split(if paragraph.starts_with('|') {
                "\n"
            } else {
                "\n\n"
            });
            paragraphs.extend(rows.map(|row| (page.clone(), row.to_owned())));
        }
    }
    let mut sources = Vec::new();
    for part in ["crds", "planner", "agent", "controller", "cli"] {
        files(&top.join(part).join("src"), "rs", &mut sources);
    }
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        let mut comment = String::new();
        for line in text.lines().map(str::trim).chain([""]) {
            match line.strip_prefix("//") {
                Some(rest) => comment.extend([rest, "\n"]),
                None => paragraphs.push((source.clone(), std::mem::take(&mut comment))),
            }
        }
    }
    let about = paragraphs
        .iter()
        .filter(|(_, text)| text.to_lowercase().contains("capabilit"));
    let mut named = BTreeSet::new();
    for (file, text) in about {
        for word in camel_case(text) {
            named.insert(file);
            assert!(
                known.contains(word),
                "{}: there is no capability {word}",
                file.display()
            );
        }
    }
    let reference = top.join("crds/src/host.rs");
    assert!(
        named.contains(&reference),
        "the field is described with an example: {named:?}"
    );
}

/// The words of `dockfleet ... --help` that begin with two dashes, and its subcommands.
fn help(args: &[&str]) -> (BTreeSet<String>, Vec<String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_dockfleet"))
        .args(args)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "dockfleet {args:?} --help");
    let text = String::from_utf8(output.stdout).unwrap();
    let flags = text
        .split(|c: char| !c.is_ascii_lowercase() && c != '-')
        .filter(|word| word.len() > 2 && word.starts_with("--"))
        .map(str::to_owned)
        .collect();
    let commands = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    (flags, commands)
}

#[test]
fn every_command_and_flag_is_described() {
    let text = page("docs/cli.md");
    let described = code(&text);
    let (_, commands) = help(&[]);
    assert!(commands.len() > 4, "{commands:?}");
    let mut all: Vec<Vec<&str>> = commands.iter().map(|c| vec![c.as_str()]).collect();
    let inner: Vec<_> = all.iter().map(|c| (c.clone(), help(c).1)).collect();
    for (outer, commands) in &inner {
        all.extend(
            commands
                .iter()
                .map(|c| [&outer[..], &[c.as_str()]].concat()),
        );
    }
    for command in &all {
        let (flags, _) = help(command);
        let command = command.join(" ");
        assert!(
            text.contains(&format!("`dockfleet {command}")),
            "{command} is not in docs/cli.md"
        );
        for flag in flags
            .iter()
            .filter(|f| !["--help", "--version"].contains(&f.as_str()))
        {
            assert!(
                described.contains(flag.as_str()),
                "{flag} of {command} is not in docs/cli.md"
            );
        }
    }
}

#[test]
fn this_version_has_its_place_in_the_changelog() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/release-notes.sh");
    let output = Command::new(script)
        .arg(env!("CARGO_PKG_VERSION"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
