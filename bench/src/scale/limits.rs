//! What a larger fleet would take, by what each further host took.

use crate::figures::Fleet;

/// The fleet that is spoken of.
pub(crate) const HOSTS: u32 = 10_000;

/// One thing that grows with a fleet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Growth {
    /// What each further host takes.
    pub(crate) per_host: f64,
    /// What [`HOSTS`] would take.
    pub(crate) projected: f64,
}

/// Gives how something grows from the smallest to the largest of the fleets; with one fleet, as if
/// none took nothing.
pub(crate) fn growth(fleets: &[Fleet], of: impl Fn(&Fleet) -> f64) -> Option<Growth> {
    let (small, large) = ends(fleets)?;
    let (from, to) = (of(small), of(large));
    let per_host = if small.hosts == large.hosts {
        to / f64::from(large.hosts)
    } else {
        (to - from) / (f64::from(large.hosts) - f64::from(small.hosts))
    };
    let projected = to + per_host * (f64::from(HOSTS) - f64::from(large.hosts));
    Some(Growth {
        per_host,
        projected,
    })
}

/// Gives the smallest and the largest of the fleets.
pub(crate) fn ends(fleets: &[Fleet]) -> Option<(&Fleet, &Fleet)> {
    let small = fleets.iter().min_by_key(|fleet| fleet.hosts)?;
    let large = fleets.iter().max_by_key(|fleet| fleet.hosts)?;
    Some((small, large))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bare::Sizes;
    use crate::figures::Memory;
    use crate::meter::Span;

    fn fleet(hosts: u32, stored: f64) -> Fleet {
        Fleet {
            hosts,
            start: Span::default(),
            idle: Span::default(),
            rounds: Vec::new(),
            sizes: Sizes::default(),
            memory: Memory::default(),
            watches: 0,
            stored,
        }
    }

    #[test]
    fn a_line_goes_through_the_smallest_and_the_largest() {
        let fleets = [fleet(3000, 70.0), fleet(1000, 30.0)];
        let growth = growth(&fleets, |f| f.stored).unwrap();
        assert!((growth.per_host - 0.02).abs() < 1e-9);
        assert!((growth.projected - 210.0).abs() < 1e-9);
    }

    #[test]
    fn one_fleet_grows_from_nothing() {
        let growth = growth(&[fleet(1000, 30.0)], |f| f.stored).unwrap();
        assert!((growth.projected - 300.0).abs() < 1e-9);
        assert_eq!(super::growth(&[], |f| f.stored), None);
    }
}
