//! How long hosts take to report on what was assigned to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::object::Name;

/// Written assignments without a report: at most one for each host.
#[derive(Debug, Default)]
pub(crate) struct Convergence {
    waiting: BTreeMap<Name, (i64, Instant)>,
}

impl Convergence {
    /// Notes that a generation of a host's assignment was written. If the host has not reported on
    /// an earlier generation yet, its time counts from that one.
    pub(crate) fn written(&mut self, host: &Name, generation: Option<i64>, now: Instant) {
        let Some(generation) = generation else {
            return;
        };
        let begin = self.waiting.get(host).map_or(now, |(_, begin)| *begin);
        self.waiting.insert(host.clone(), (generation, begin));
    }

    /// Notes that a host reports on a generation, and returns how long that took since the write.
    pub(crate) fn reported(
        &mut self,
        host: &Name,
        observed: Option<i64>,
        now: Instant,
    ) -> Option<Duration> {
        let (generation, begin) = *self.waiting.get(host)?;
        if observed? < generation {
            return None;
        }
        self.waiting.remove(host);
        Some(now.duration_since(begin))
    }

    /// Forgets a deleted host.
    pub(crate) fn forget(&mut self, host: &Name) {
        self.waiting.remove(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h() -> Name {
        Name {
            namespace: "hosts".to_owned(),
            name: "h".to_owned(),
        }
    }

    #[test]
    fn a_host_is_measured_from_the_first_write_it_has_not_reported_on() {
        let begin = Instant::now();
        let at = |s| begin + Duration::from_secs(s);
        let mut all = Convergence::default();
        assert_eq!(all.reported(&h(), Some(1), at(0)), None);
        all.written(&h(), Some(2), at(0));
        assert_eq!(all.reported(&h(), Some(1), at(1)), None);
        all.written(&h(), Some(3), at(2));
        assert_eq!(all.reported(&h(), Some(2), at(3)), None);
        assert_eq!(
            all.reported(&h(), Some(3), at(5)),
            Some(Duration::from_secs(5))
        );
        assert_eq!(all.reported(&h(), Some(3), at(6)), None);
    }

    #[test]
    fn a_deleted_host_is_forgotten() {
        let mut all = Convergence::default();
        all.written(&h(), Some(1), Instant::now());
        all.forget(&h());
        assert!(all.waiting.is_empty());
    }
}
