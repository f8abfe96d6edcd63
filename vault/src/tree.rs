//! Files and folders of a volume: how they are read, and how they are written.

pub(crate) mod mode;
pub(crate) mod source;
pub(crate) mod target;
