//! The hook that is called after every external change.
//!
//! A test that ends the process after the n-th change finds every crash point.

use std::fmt;
use std::sync::Arc;

/// An external change that was just done or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The journal was written durably.
    JournalWrite,
    /// The engine was called to create an object.
    EngineCreate,
    /// The engine was called to remove an object.
    EngineRemove,
    /// The engine was called to change an object in place.
    EngineUpdate,
    /// The engine was called to create a helper container.
    HelperCreate,
    /// The engine was called to remove a helper container.
    HelperRemove,
    /// A status was written to the API server.
    ApiWrite,
}

/// The hook; it does nothing by default.
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

    /// Calls the hook after a change.
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
