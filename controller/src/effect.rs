//! The one seam that every write to the API server passes.
//!
//! A test that ends the process after the n-th write finds every crash point there is; one that halts
//! it between the fence and the wire finds what a fence cannot hold back.

use std::fmt;
use std::sync::Arc;

type Hook = Arc<dyn Fn(Stage, &str) + Send + Sync>;

/// How far a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was let through, and is sent next.
    Begins,
    /// It was answered, whether it was carried out or not.
    Ended,
}

/// Called with every write to the API server: with the method and the resource, such as
/// `PATCH hostassignments`, or with what was done about the Lease, of which only the end is told. Does
/// nothing by default.
#[derive(Clone, Default)]
pub struct Effects {
    hook: Option<Hook>,
}

impl Effects {
    /// Calls `hook` right before each write is sent, and right after it was answered.
    pub fn new(hook: impl Fn(Stage, &str) + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
        }
    }

    /// Says that a write is sent now.
    pub(crate) fn begins(&self, effect: &str) {
        self.call(Stage::Begins, effect);
    }

    /// Says that a write has happened, or was tried.
    pub(crate) fn happened(&self, effect: &str) {
        self.call(Stage::Ended, effect);
    }

    fn call(&self, stage: Stage, effect: &str) {
        if let Some(hook) = &self.hook {
            hook(stage, effect);
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects")
            .field("hook", &self.hook.is_some())
            .finish()
    }
}
