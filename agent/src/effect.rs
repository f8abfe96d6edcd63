//! The one seam that every change of the outside world passes.
//!
//! A test that ends the process after the n-th change finds every crash point there is.

use std::fmt;
use std::sync::Arc;

/// A change of the outside world that has just happened, or was just tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The journal was written, and is durable.
    JournalWrite,
    /// The engine was asked to make an object.
    EngineCreate,
    /// The engine was asked to remove an object.
    EngineRemove,
    /// A status was written to the API server.
    ApiWrite,
}

/// Called after every change of the outside world; does nothing by default.
#[derive(Clone, Default)]
pub struct Effects {
    hook: Option<Arc<dyn Fn(Effect) + Send + Sync>>,
}

impl Effects {
    /// Calls `hook` right after each change.
    pub fn new(hook: impl Fn(Effect) + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
        }
    }

    /// Says that a change has happened.
    pub fn happened(&self, effect: Effect) {
        if let Some(hook) = &self.hook {
            hook(effect);
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
