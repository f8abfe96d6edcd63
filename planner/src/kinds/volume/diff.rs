//! The differences between an observed and a desired volume.

use dockfleet_crds::FieldDiff;

use super::desired::DesiredVolume;
use super::observed::ObservedVolume;
use super::ownership;
use crate::credentials::Credentials;
use crate::diff::{difference, subset, value};
use crate::secret;

/// The field of credentials that come from a Secret.
pub(super) const CREDENTIALS: &str = "cifs.credentialsSecret";

/// Returns the fields in which a volume differs, in a fixed order. Credentials from a Secret are not compared
/// if they are not `given`.
pub(super) fn volume(
    want: &DesiredVolume,
    have: &ObservedVolume,
    given: Option<&Credentials>,
) -> Vec<FieldDiff> {
    let mut diff = Vec::new();
    let mut options = want.options.clone();
    let written = Credentials::take_out(&mut options);
    value(&mut diff, "driver", &want.driver, &have.driver);
    subset(&mut diff, "options", &options, &have.options);
    // No engine adds an option to a volume, and an additional option means other data: a tmpfs is not a disk.
    for (key, have) in &have.options {
        if !options.contains_key(key) {
            diff.push(difference(
                format!("options[{key}]"),
                "nothing",
                have.as_str(),
            ));
        }
    }
    subset(&mut diff, "labels", &want.labels, &have.labels);
    diff.extend(ownership::diff(want, have));
    secret::hide(&mut diff);
    if want.credentials.is_none() {
        credentials(
            &mut diff,
            "options[o]",
            written.as_ref(),
            have.credentials.as_ref(),
        );
    } else if given.is_some() {
        credentials(&mut diff, CREDENTIALS, given, have.credentials.as_ref());
    }
    diff
}

/// Adds a difference of credentials without their values.
fn credentials(
    diff: &mut Vec<FieldDiff>,
    field: &str,
    want: Option<&Credentials>,
    have: Option<&Credentials>,
) {
    if want != have {
        let want = want.map_or("no credentials", |_| "its credentials");
        let have = have.map_or("", |_| "others");
        diff.push(difference(field.to_owned(), want, have));
    }
}

#[cfg(test)]
mod tests;
