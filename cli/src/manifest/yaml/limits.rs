//! Limits of a file. A file of a few lines with nested anchors can expand to billions of values. Files
//! of users are far below these limits.

use super::node::Size;

/// Maximum size of one file, in bytes.
pub(in super::super) const FILE: u64 = 64 << 20;
/// Maximum number of values in one file, with every alias expanded. A thousand resources have about
/// 20,000.
const VALUES: usize = 2_000_000;
/// Maximum size of all strings and names in one file in bytes, with every alias expanded.
const BYTES: usize = 128 << 20;
/// Maximum number of nested lists and maps. A resource has less than ten.
pub(super) const LEVELS: usize = 100;

/// Returns which limit a size exceeds, and a solution.
pub(super) fn exceeded(size: Size) -> Option<String> {
    let Size {
        values,
        bytes,
        levels,
    } = size;
    if values > VALUES {
        Some(format!(
            "more than {VALUES} values in one file, counted with every alias (*name) replaced by what it \
             stands for; split the file, or write fewer aliases"
        ))
    } else if bytes > BYTES {
        Some(format!(
            "more than {} MiB of text in one file, counted with every alias (*name) replaced by what it \
             stands for; split the file, or write fewer aliases",
            BYTES >> 20
        ))
    } else if levels > LEVELS {
        Some(too_deep())
    } else {
        None
    }
}

pub(super) fn too_deep() -> String {
    format!(
        "lists and maps are more than {LEVELS} levels deep; no resource needs that, so look for an extra bracket"
    )
}
