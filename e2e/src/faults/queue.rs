//! Points that several sites try at the same time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Points that each are given to one site.
#[derive(Debug)]
pub struct Queue<P>(Mutex<VecDeque<P>>);

impl<P> Queue<P> {
    /// Makes a queue.
    pub fn new(points: impl IntoIterator<Item = P>) -> Self {
        Self(Mutex::new(points.into_iter().collect()))
    }

    /// Gives the next point.
    pub fn next(&self) -> Option<P> {
        self.points().pop_front()
    }

    /// Takes away what is left.
    pub fn close(&self) {
        self.points().clear();
    }

    fn points(&self) -> MutexGuard<'_, VecDeque<P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
