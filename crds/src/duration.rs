//! Durations of resources: `90s`, `10m`, `72h`, `30d`.

/// Returns the number of seconds of a duration, or `None` if it is not a duration.
pub fn seconds(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u32 = digits.parse().ok()?;
    i64::from(number).checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("72h"), Some(259_200));
        assert_eq!(seconds("30d"), Some(2_592_000));
        for bad in ["", "s", "90", "1w", "-1s", "1.5h", "1h30m", "99999999999d"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
