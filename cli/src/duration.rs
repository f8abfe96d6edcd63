//! Durations on the command line.

use std::time::Duration;

/// Reads a duration such as `15s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err("write a whole number with ms, s, m, h or d, such as 15s".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "write a whole number with ms, s, m, h or d, such as 15s".to_owned())?;
    Ok(Duration::from_millis(number.saturating_mul(ms)))
}

/// Reads a duration that is at least a second.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        long if long >= Duration::from_secs(1) => Ok(long),
        _ => Err("at least 1s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("7d"), Ok(Duration::from_hours(168)));
        for bad in ["", "15", "s", "-1s", "1.5s", "1 s", "99999999999999999999s"] {
            assert!(duration(bad).unwrap_err().contains("such as 15s"), "{bad}");
        }
        assert!(seconds("1s").is_ok());
        assert!(seconds("0s").is_err());
    }
}
