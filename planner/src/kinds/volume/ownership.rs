//! Owner and permissions of the top folder of a volume.
//!
//! An engine copies the content, the owner and the permissions of an image's folder into an empty volume when it
//! creates a container (moby, `daemon/volumes_unix.go`), as long as the volume is empty, also if the folder is. So what
//! was set in an empty volume may have to be set again after each container.

use dockfleet_crds::FieldDiff;
use dockfleet_crds::volume::{LOCAL, Ownership, OwnershipApply};
use serde::{Deserialize, Serialize};

use super::{DesiredVolume, ObservedVolume};
use crate::desired::is_default;
use crate::diff::value;
use crate::examination::Occasion;
use crate::plan::in_words;
use crate::render::RenderError;

/// The field of a resource, and the beginning of the fields in it.
pub(super) const FIELD: &str = "ownership";

/// Owner and permissions that a top folder must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredOwnership {
    /// The user; the present one if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The group; the present one if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The permissions; the present ones if they are not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// How long the folder is kept like this.
    #[serde(default, skip_serializing_if = "is_default")]
    pub apply: OwnershipApply,
}

/// The top folder of a volume, as containers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopFolder {
    /// The user that owns it.
    pub uid: u32,
    /// The group that owns it.
    pub gid: u32,
    /// Its permissions.
    pub mode: u32,
    /// Whether anything is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_files: bool,
}

/// A change of the top folder of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnershipChange {
    /// Identity of the volume.
    pub id: String,
    /// What the folder must be like.
    pub ownership: DesiredOwnership,
}

impl DesiredOwnership {
    /// Reads it from a spec.
    pub(super) fn of(spec: &Ownership) -> Result<Self, RenderError> {
        let wrong = |field, value: String, wanted| RenderError {
            field,
            value,
            wanted,
        };
        let id = |field, id: Option<i64>| {
            let known =
                |id: i64| u32::try_from(id).map_err(|_| wrong(field, id.to_string(), "an ID"));
            id.map(known).transpose()
        };
        let mode = spec.mode.as_ref().map(|mode| {
            u32::from_str_radix(mode, 8)
                .map_err(|_| wrong("ownership.mode", mode.clone(), "a mode such as 0750"))
        });
        Ok(Self {
            uid: id("ownership.uid", spec.uid)?,
            gid: id("ownership.gid", spec.gid)?,
            mode: mode.transpose()?,
            apply: spec.apply,
        })
    }

    /// Whether a folder is kept like this now.
    fn applies_to(&self, folder: &TopFolder) -> bool {
        match self.apply {
            OwnershipApply::Initial => !folder.has_files,
            OwnershipApply::Root => true,
        }
    }

    /// Returns what a folder must become, if it has to change.
    pub fn next(&self, folder: &TopFolder) -> Option<TopFolder> {
        let next = TopFolder {
            uid: self.uid.unwrap_or(folder.uid),
            gid: self.gid.unwrap_or(folder.gid),
            mode: self.mode.unwrap_or(folder.mode),
            has_files: folder.has_files,
        };
        (self.applies_to(folder) && next != *folder).then_some(next)
    }

    fn differences(&self, folder: &TopFolder) -> Vec<FieldDiff> {
        let mut diff = Vec::new();
        let mut field = |name: &str, want: Option<String>, have: String| {
            if let Some(want) = want {
                value(&mut diff, &format!("{FIELD}.{name}"), &want, &have);
            }
        };
        let octal = |mode: u32| format!("{mode:04o}");
        let text = |id: Option<u32>| id.map(|id| id.to_string());
        field("uid", text(self.uid), folder.uid.to_string());
        field("gid", text(self.gid), folder.gid.to_string());
        field("mode", self.mode.map(octal), octal(folder.mode));
        diff
    }
}

/// Returns the ownership that a volume must have. A folder that the engine only mounts has none.
fn wanted<'a>(want: &'a DesiredVolume, have: &ObservedVolume) -> Option<&'a DesiredOwnership> {
    let is_own = have.driver == LOCAL && !have.options.contains_key("device");
    want.ownership.as_ref().filter(|_| is_own)
}

/// Returns the differences of the top folder that are to be repaired, as far as it was examined.
pub(super) fn diff(want: &DesiredVolume, have: &ObservedVolume) -> Vec<FieldDiff> {
    match (wanted(want, have), &have.top_folder) {
        (Some(ownership), Some(folder)) if ownership.applies_to(folder) => {
            ownership.differences(folder)
        }
        (Some(_) | None, _) => Vec::new(),
    }
}

/// Returns how a top folder differs that stays as it is, because the volume has files. Their owner is the business of
/// the containers that use it, so this is no drift.
pub(super) fn note(want: &DesiredVolume, have: &ObservedVolume) -> Option<String> {
    let (ownership, folder) = wanted(want, have).zip(have.top_folder.as_ref())?;
    let left = ownership.differences(folder);
    (!ownership.applies_to(folder) && !left.is_empty()).then(|| {
        let left = in_words(&left);
        format!("the volume has files, so its top folder stays as it is: {left}; to change it, set apply: Root")
    })
}

/// Returns the change of the top folder, if it has to change.
pub(super) fn change(want: &DesiredVolume, have: &ObservedVolume) -> Option<OwnershipChange> {
    use crate::kinds::ObservedObject as _;
    let ownership = wanted(want, have)?;
    ownership.next(have.top_folder.as_ref()?)?;
    Some(OwnershipChange {
        id: have.id(),
        ownership: ownership.clone(),
    })
}

/// Returns the least occasion on which the top folder is to be examined, if it ever is.
pub(super) fn examine_on(want: &DesiredVolume, have: &ObservedVolume) -> Option<Occasion> {
    let ownership = wanted(want, have)?;
    match (&have.top_folder, ownership.apply) {
        (None, _) => Some(Occasion::None),
        (Some(_), OwnershipApply::Root) => Some(Occasion::Time),
        // Only a container changes it, and one more file in it changes nothing.
        (Some(folder), OwnershipApply::Initial) => {
            (!folder.has_files).then_some(Occasion::Containers)
        }
    }
}

#[cfg(test)]
mod tests;
