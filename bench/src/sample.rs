//! Several measurements of one thing.

use std::time::Duration;

use anyhow::{Result, ensure};

/// Measurements of one thing, at least one, from the smallest to the largest.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Sorts the values. An empty list is an error.
    pub fn new(values: impl IntoIterator<Item = f64>) -> Result<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        ensure!(!values.is_empty(), "nothing was measured");
        values.sort_by(f64::total_cmp);
        Ok(Self(values))
    }

    /// Creates a sample from durations, in seconds.
    pub fn of_durations(values: &[Duration]) -> Result<Self> {
        Self::new(values.iter().map(Duration::as_secs_f64))
    }

    /// Creates a sample from the quotient of each pair.
    ///
    /// The two values of a pair were measured one right after the other, so a slow phase of the
    /// machine affects both.
    pub fn of_ratios(above: &[Duration], below: &[Duration]) -> Result<Self> {
        let seconds = |all: &[Duration]| all.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        Self::of_quotients(&seconds(above), &seconds(below))
    }

    /// Creates a sample from the quotient of each pair of numbers.
    pub fn of_quotients(above: &[f64], below: &[f64]) -> Result<Self> {
        Self::new(above.iter().zip(below).map(|(a, b)| a / b))
    }

    /// Returns the smallest value.
    pub fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    /// Returns the largest value.
    pub fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// Returns the median.
    pub fn median(&self) -> f64 {
        let upper = self.0.len() / 2;
        let lower = (self.0.len() - 1) / 2;
        let at = |index: usize| self.0.get(index).copied().unwrap_or(f64::NAN);
        f64::midpoint(at(lower), at(upper))
    }
}

/// Returns the median of several durations. For an even number it is the larger of the two in the
/// middle.
pub fn median(durations: &[Duration]) -> Result<Duration> {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let middle = sorted.get(sorted.len() / 2).copied();
    middle.ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.iter().copied()).unwrap()
    }

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    #[test]
    fn the_median_lies_between_the_two_in_the_middle() {
        assert!(close(sample(&[3.0, 1.0, 2.0]).median(), 2.0));
        assert!(close(sample(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5));
        assert!(Sample::new([]).is_err());
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let seconds = |s: &[u64]| {
            s.iter()
                .map(|&s| Duration::from_secs(s))
                .collect::<Vec<_>>()
        };
        let ratios = Sample::of_ratios(&seconds(&[2, 9]), &seconds(&[1, 3])).unwrap();
        assert_eq!(ratios, sample(&[2.0, 3.0]));
    }
}
