//! Sizes in the form of Kubernetes: `64Mi`, `10G`, `1048576`.

/// The pattern a size must match, for schemas.
pub const PATTERN: &str = "^[1-9][0-9]{0,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$";

/// Returns the number of bytes of a size, or `None` if it is not a size or too large.
pub fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match size.get(digits.len()..)? {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn units_are_decimal_or_binary() {
        assert_eq!(bytes("64Mi"), Some(67_108_864));
        assert_eq!(bytes("10G"), Some(10_000_000_000));
        assert_eq!(bytes("512"), Some(512));
    }

    #[test]
    fn a_text_that_is_not_a_size_has_no_bytes() {
        assert_eq!(bytes("64MB"), None);
        assert_eq!(bytes(""), None);
        assert_eq!(bytes("99999999999999Ti"), None);
    }
}
