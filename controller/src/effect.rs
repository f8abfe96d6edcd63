//! The one seam that every write to the API server passes.
//!
//! A test that ends the process after the n-th write finds every crash point there is; one that halts
//! it between the fence and the wire finds what a fence cannot hold back.

use std::fmt;
use std::sync::Arc;

type Hook = Arc<dyn Fn(WriteStage, &str) + Send + Sync>;

/// How far a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStage {
    /// It was let through, and is sent next.
    Begins,
    /// It was answered, whether it was carried out or not.
    Ended,
}

/// Called with every write to the API server: with the method and the resource, such as
/// `PATCH hostassignments`, or with what was done about the Lease, of which only the end is told. Does
/// nothing by default.
#[derive(Clone, Default)]
pub struct WriteHook {
    hook: Option<Hook>,
}

impl WriteHook {
    /// Calls `hook` right before each write is sent, and right after it was answered.
    pub fn new(hook: impl Fn(WriteStage, &str) + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
        }
    }

    /// Says that a write is sent now.
    pub(crate) fn begins(&self, effect: &str) {
        self.call(WriteStage::Begins, effect);
    }

    /// Says that a write has happened, or was tried.
    pub(crate) fn happened(&self, effect: &str) {
        self.call(WriteStage::Ended, effect);
    }

    fn call(&self, stage: WriteStage, effect: &str) {
        if let Some(hook) = &self.hook {
            hook(stage, effect);
        }
    }
}

impl fmt::Debug for WriteHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHook")
            .field("hook", &self.hook.is_some())
            .finish()
    }
}
