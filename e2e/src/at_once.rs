//! Several things at the same time.

use std::thread::{self, ScopedJoinHandle};

use anyhow::{Result, anyhow};

/// Does something with each of these at the same time, each on a thread of its own, and gives what
/// came of it in their order.
pub fn at_once<I: Send, O: Send>(
    all: impl IntoIterator<Item = I>,
    each: impl Fn(I) -> Result<O> + Sync,
) -> Result<Vec<O>> {
    let each = &each;
    thread::scope(|scope| {
        let begin = |one| scope.spawn(move || each(one));
        let threads: Vec<_> = all.into_iter().map(begin).collect();
        let ends = threads.into_iter().map(ScopedJoinHandle::join);
        ends.map(|end| end.map_err(|_| anyhow!("a thread panicked"))?)
            .collect()
    })
}
