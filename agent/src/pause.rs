//! Pauses a host: its administrator stops every change on it, by the DockerHost or by a file.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use dockfleet_crds::condition::{self, ConditionStatus, NewCondition};

/// Name of the file in the state folder; its text is the reason.
const FILE: &str = "paused";
/// Number of bytes that are read of it.
const MOST: u64 = 160;

/// The message if the HostAssignment pauses the host.
const BY_SPEC: &str = "the DockerHost is paused (spec.paused), or another DockerHost has the same engine \
                       (condition Stalled)";

/// Why a host is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    reason: &'static str,
    pub(crate) message: String,
}

impl Pause {
    /// Combines `spec.paused` of the DockerHost and the file; either of them pauses the host.
    pub(crate) fn of(by_spec: bool, file: Option<String>) -> Option<Self> {
        let (reason, message) = match (by_spec, file) {
            (false, None) => return None,
            (true, None) => ("SpecPaused", BY_SPEC.to_owned()),
            (false, Some(file)) => ("PauseFile", file),
            (true, Some(file)) => ("SpecPaused", format!("{BY_SPEC}; {file}")),
        };
        Some(Self { reason, message })
    }

    pub(crate) fn new_condition(&self) -> NewCondition {
        NewCondition::new(
            condition::PAUSED,
            ConditionStatus::True,
            self.reason,
            &*self.message,
        )
    }
}

/// The file on the host that pauses it.
#[derive(Debug)]
pub(crate) struct PauseFile(PathBuf);

impl PauseFile {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(FILE))
    }

    /// Returns a sentence about the file, if it exists. A file that cannot be read counts.
    pub(crate) fn read(&self) -> Option<String> {
        let path = self.0.display();
        let mut text = Vec::new();
        let read = std::fs::File::open(&self.0).and_then(|f| f.take(MOST).read_to_end(&mut text));
        match read {
            Err(err) if err.kind() == ErrorKind::NotFound => None,
            Err(err) => Some(format!("{path} cannot be read: {err}")),
            Ok(_) => {
                let text = String::from_utf8_lossy(&text);
                let words: Vec<&str> = text.split_whitespace().collect();
                Some(if words.is_empty() {
                    format!("{path} exists")
                } else {
                    format!("{path}: {}", words.join(" "))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_pauses_and_its_text_is_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = PauseFile::new(dir.path());
        assert_eq!(file.read(), None);
        let path = dir.path().join("paused");
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.read(), Some(format!("{} exists", path.display())));
        std::fs::write(&path, "disks are\nbeing changed\n").unwrap();
        let expected = format!("{}: disks are being changed", path.display());
        assert_eq!(file.read(), Some(expected));
        std::fs::write(&path, "x".repeat(5000)).unwrap();
        assert!(file.read().is_some_and(|text| text.len() < 400));
        // Anything of this name pauses the host.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(
            file.read()
                .is_some_and(|text| text.contains("cannot be read"))
        );
    }

    #[test]
    fn the_dockerhost_or_the_file_pauses_the_host() {
        assert_eq!(Pause::of(false, None), None);
        let reason = |by_spec, file: Option<&str>| {
            Pause::of(by_spec, file.map(str::to_owned)).map(|p| (p.reason, p.message))
        };
        let spec = "the DockerHost is paused (spec.paused), or another DockerHost has the same engine \
                    (condition Stalled)";
        assert_eq!(reason(true, None), Some(("SpecPaused", spec.to_owned())));
        let both = Some(("SpecPaused", format!("{spec}; a file")));
        assert_eq!(reason(true, Some("a file")), both);
        let file = Some(("PauseFile", "a file".to_owned()));
        assert_eq!(reason(false, Some("a file")), file);
    }
}
