//! The one seam that every write to the API server passes.
//!
//! A test that ends the process after the n-th write finds every crash point there is.

use std::fmt;
use std::sync::Arc;

type Hook = Arc<dyn Fn(&str) + Send + Sync>;

/// Called after every write to the API server, whether it was carried out or not, with the method
/// and the resource, such as `PATCH hostassignments`; does nothing by default.
#[derive(Clone, Default)]
pub struct Effects {
    hook: Option<Hook>,
}

impl Effects {
    /// Calls `hook` right after each write.
    pub fn new(hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Arc::new(hook)),
        }
    }

    /// Says that a write has happened, or was tried.
    pub(crate) fn happened(&self, effect: &str) {
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
