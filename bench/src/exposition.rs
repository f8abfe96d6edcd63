//! Reads metrics in the Prometheus text format.

/// One line: the labels of a metric and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricLine<'a> {
    labels: &'a str,
    /// The value.
    pub value: f64,
}

impl<'a> MetricLine<'a> {
    /// Returns the value of a label, or an empty string.
    pub fn label(&self, name: &str) -> &'a str {
        self.labels
            .split(',')
            .find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""))
            .map_or("", |value| value.trim_end_matches('"'))
    }
}

/// Returns every line of the metric with exactly this name.
pub fn samples<'a>(text: &'a str, name: &str) -> impl Iterator<Item = MetricLine<'a>> {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let value = value.parse().ok()?;
        Some(MetricLine { labels, value })
    })
}

/// Adds up a metric over all its labels.
pub fn sum(text: &str, name: &str) -> f64 {
    samples(text, name).map(|line| line.value).sum()
}

/// Returns a counter as a whole number. Metrics are floating point numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and nothing that is counted here is negative or has a fraction"
)]
pub fn count(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE a counter\n\
        a{x=\"1\",y=\"two\"} 3\n\
        a{x=\"2\",y=\"two\"} 4.5e+01\n\
        a_b{x=\"1\"} 100\n\
        plain 7\n";

    #[test]
    fn a_name_is_no_prefix_of_another() {
        assert_eq!(samples(TEXT, "a").count(), 2);
        assert_eq!(count(sum(TEXT, "a")), 48);
        assert_eq!(count(sum(TEXT, "plain")), 7);
        assert_eq!(samples(TEXT, "absent").count(), 0);
    }

    #[test]
    fn labels_are_distinguished() {
        let second = samples(TEXT, "a").find(|line| line.label("x") == "2");
        assert_eq!(second.map(|line| line.label("y")), Some("two"));
        assert_eq!(second.map(|line| line.label("z")), Some(""));
    }
}
