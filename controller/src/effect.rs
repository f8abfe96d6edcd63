//! A hook that is called for every write to the API server.
//!
//! A test that ends the process after the n-th write covers every crash point. A test that halts
//! the process between the fence and the network covers what a fence cannot prevent.

use std::fmt;
use std::sync::Arc;

type Hook = Arc<dyn Fn(WriteStage, &str) + Send + Sync>;

/// The stage of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStage {
    /// The fence admitted the write; it is sent next.
    Begins,
    /// The write has a response, whether it was carried out or not.
    Ended,
}

/// Called with every write to the API server: with the method and the resource, such as `PATCH
/// hostassignments`, or with a description of a write of the Lease, for which only the end is
/// reported. Does nothing by default.
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

    /// Reports that a write is sent now.
    pub(crate) fn begins(&self, effect: &str) {
        self.call(WriteStage::Begins, effect);
    }

    /// Reports that a write has a response.
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
