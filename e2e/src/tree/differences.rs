//! Where two trees differ, in words.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{major, minor};

use super::entry::{Entry, Sort, entries};

/// How much more a copy may take on disk than its original: file systems allocate ahead, and keep
/// lists of their blocks.
const SLACK: u64 = 64 * 1024;
/// How much of two files is compared at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Gives where a copy differs from its original, sorted by path; nothing when it is the same byte by
/// byte and in its metadata.
///
/// Compared are names, sorts, contents, modes, owners, modification times in nanoseconds, extended
/// attributes (ACLs and capabilities are some), targets of symlinks, numbers of devices, which names
/// are one file, and that a sparse file is sparse still. Both roots are compared too, as `.`.
pub fn differences(original: &Path, copy: &Path) -> Result<Vec<String>> {
    let (original, copy) = (entries(original)?, entries(copy)?);
    let paths: BTreeSet<_> = original.keys().chain(copy.keys()).collect();
    let mut all = Vec::new();
    for path in paths {
        let found = match (original.get(path), copy.get(path)) {
            (Some(was), Some(is)) => between(was, is)?,
            (Some(was), None) => vec![format!("missing, was {}", was.sort.word())],
            (None, Some(is)) => vec![format!("{}, and was not there", is.sort.word())],
            (None, None) => Vec::new(),
        };
        all.extend(found.into_iter().map(|what| format!("{path:?}: {what}")));
    }
    Ok(all)
}

fn between(was: &Entry, is: &Entry) -> Result<Vec<String>> {
    if was.sort != is.sort {
        return Ok(vec![format!("{}, was {}", is.sort.word(), was.sort.word())]);
    }
    let mut all = Vec::new();
    let mut note = |what: &str, is: &dyn Fn(&Entry) -> String, one: &Entry, other: &Entry| {
        let (was, is) = (is(one), is(other));
        if was != is {
            all.push(format!("{what} {is}, was {was}"));
        }
    };
    note("mode", &|e| format!("{:04o}", e.mode), was, is);
    note("owner", &owner, was, is);
    note("modified", &modified, was, is);
    note("target", &target, was, is);
    note("device", &device, was, is);
    note("one file with", &same_as, was, is);
    let names: BTreeSet<_> = was.xattrs.keys().chain(is.xattrs.keys()).collect();
    for name in names {
        let value = |entry: &Entry| match entry.xattrs.get(name) {
            Some(value) => format!("\"{}\"", value.escape_ascii()),
            None => "missing".to_owned(),
        };
        let name = name.as_bytes().escape_ascii();
        note(&format!("attribute {name}"), &value, was, is);
    }
    if was.sort == Sort::File {
        if was.size == is.size {
            if let Some(at) = first_difference(&was.path, &is.path)? {
                all.push(format!("content differs from byte {at} on"));
            }
        } else {
            all.push(format!("{} bytes, was {}", is.size, was.size));
        }
        if is.allocated > was.allocated + was.allocated / 8 + SLACK {
            all.push(format!(
                "takes {} bytes on disk, was {}",
                is.allocated, was.allocated
            ));
        }
    }
    Ok(all)
}

fn owner(entry: &Entry) -> String {
    format!("{}:{}", entry.owner.0, entry.owner.1)
}

fn modified(entry: &Entry) -> String {
    format!("{}.{:09}", entry.modified.0, entry.modified.1)
}

fn target(entry: &Entry) -> String {
    format!(
        "{:?}",
        entry.target.as_deref().unwrap_or_else(|| Path::new(""))
    )
}

fn device(entry: &Entry) -> String {
    format!("{}:{}", major(entry.device), minor(entry.device))
}

fn same_as(entry: &Entry) -> String {
    match &entry.same_as {
        Some(path) => format!("{path:?}"),
        None => "no other".to_owned(),
    }
}

/// Gives the position of the first byte in which two files of one size differ.
fn first_difference(one: &Path, other: &Path) -> Result<Option<u64>> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("could not read {path:?}"))?;
        anyhow::Ok(BufReader::with_capacity(CHUNK, file))
    };
    let (mut one, mut other) = (open(one)?, open(other)?);
    let mut at = 0;
    let (mut left, mut right) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        left.clear();
        right.clear();
        let limit = u64::try_from(CHUNK)?;
        one.by_ref().take(limit).read_to_end(&mut left)?;
        other.by_ref().take(limit).read_to_end(&mut right)?;
        if left != right {
            let equal = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
            return Ok(Some(at + u64::try_from(equal)?));
        }
        if left.is_empty() {
            return Ok(None);
        }
        at += u64::try_from(left.len())?;
    }
}
