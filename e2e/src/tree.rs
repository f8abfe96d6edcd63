//! Trees of files in which everything occurs that a Linux file system can hold, and the comparison of
//! two trees.
//!
//! A test of backups makes one with [`Content::make`], backs it up, restores it elsewhere, and asks for
//! [`differences`]. What a tool or a store cannot keep stands in that list, so a test names it.
#![expect(
    clippy::unnecessary_debug_formatting,
    reason = "names have line ends and broken UTF-8 in them"
)]

mod content;
mod differences;
mod entry;
mod node;
mod random;

pub use content::Content;
pub use differences::differences;
