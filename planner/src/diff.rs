//! The differences between the observed and the desired state of an object, by value and not by text.
//!
//! Fields that the user did not set are not compared. Values that the engine fills in are not drift: an
//! automatic subnet, a gateway, a daemon's default options, `null` for an empty map. Each kind compares its
//! own fields.

use std::collections::BTreeMap;

use dockfleet_crds::FieldDiff;

pub(crate) fn difference(
    field: String,
    want: impl Into<String>,
    have: impl Into<String>,
) -> FieldDiff {
    FieldDiff {
        field,
        want: want.into(),
        have: have.into(),
    }
}

pub(crate) fn value<T: PartialEq + ToString + ?Sized>(
    diff: &mut Vec<FieldDiff>,
    field: &str,
    want: &T,
    have: &T,
) {
    if want != have {
        diff.push(difference(
            field.to_owned(),
            want.to_string(),
            have.to_string(),
        ));
    }
}

pub(crate) fn subset(
    diff: &mut Vec<FieldDiff>,
    field: &str,
    want: &BTreeMap<String, String>,
    have: &BTreeMap<String, String>,
) {
    for (key, want) in want {
        let have = have.get(key);
        if have != Some(want) {
            let have = have.map(String::as_str).unwrap_or_default();
            diff.push(difference(format!("{field}[{key}]"), want, have));
        }
    }
}
