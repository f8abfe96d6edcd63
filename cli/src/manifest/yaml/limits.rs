//! How much a file may be. A file of a few lines can name an anchor in an anchor and so on, and become
//! billions of values; nobody writes as much as these limits allow.

use super::node::Size;

/// Most bytes of one file.
pub(in super::super) const FILE: u64 = 64 << 20;
/// Most values of one file, with every alias replaced by what it stands for. A thousand resources
/// have some 20,000.
const VALUES: usize = 2_000_000;
/// Most bytes of texts and names of one file, with every alias replaced by what it stands for.
const BYTES: usize = 128 << 20;
/// Most levels of lists and maps in each other. A resource has less than ten.
pub(super) const LEVELS: usize = 100;

/// Returns a sentence that says which limit a size exceeds, and the way out.
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
        "lists and maps are more than {LEVELS} levels deep; no resource is, so look for a bracket too many"
    )
}
