//! The meaning of a scalar, which is the same as in kubectl.
//!
//! kubectl turns YAML into JSON by sigs.k8s.io/yaml, on go-yaml v2, whose `resolve.go` this follows:
//! booleans and whole numbers as in YAML 1.1 (`yes`, `0755`, `1_000`), no numbers to the base 60, dates
//! as texts. `e2e/tests/standalone/scalars.rs` compares it with kubectl.

use serde_json::{Number, Value};

/// The value of a scalar.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// Returns the value of a scalar without quotes and without a tag.
    pub(super) fn plain(text: &str) -> Self {
        let found = match text.as_bytes().first() {
            None => Some(Self::Null),
            Some(b'+' | b'-' | b'0'..=b'9') => word(text).or_else(|| number(text)),
            Some(b'.') => word(text).or_else(|| fraction(text)),
            Some(_) => word(text),
        };
        found.unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// Returns the value of a scalar with a tag such as `!!int`, or `None` if it does not fit the
    /// tag, or the tag is unknown.
    pub(super) fn tagged(tag: &str, text: &str) -> Option<Self> {
        if tag == "str" {
            return Some(Self::Text(text.to_owned()));
        }
        let found = Self::plain(text);
        match (tag, &found) {
            ("null", Self::Null)
            | ("bool", Self::Bool(_))
            | ("int", Self::Int(_))
            | ("float", Self::Int(_) | Self::Float(_)) => Some(found),
            // A number above the signed 64-bit range.
            ("int", Self::Float(_)) if !text.contains(['.', 'e', 'E']) => Some(found),
            _ => None,
        }
    }

    /// Returns the name of a field, or `None` if kubectl has none or a different one.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            Self::Bool(truth) => Some(truth.to_string()),
            Self::Null | Self::Float(_) => None,
        }
    }

    /// Returns it as a value of JSON; null for a number that JSON does not have.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::from(*number),
            Self::Float(float) => {
                let whole = whole(*float).map(Value::from);
                whole.unwrap_or_else(|| Number::from_f64(*float).map_or(Value::Null, Value::Number))
            }
            Self::Text(text) => Value::String(text.clone()),
        }
    }
}

/// `1420.0` is 1420 for an API server: kubectl, which is written in Go, sends it without a
/// fraction.
fn whole(float: f64) -> Option<i64> {
    let bound = 2f64.powi(63);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is between the bounds of the type"
    )]
    (float.fract() == 0.0 && float >= -bound && float < bound).then_some(float as i64)
}

fn word(text: &str) -> Option<Scalar> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(text: &str) -> Option<Scalar> {
    let digits = text.replace('_', "");
    let found = integer(&digits).or_else(|| is_decimal(&digits).then(|| float(&digits))?);
    found.or_else(|| signed_behind_base(&digits))
}

/// Like `strconv.ParseInt` and, for larger numbers, `ParseUint` with base 0: a leading zero means
/// octal.
fn integer(digits: &str) -> Option<Scalar> {
    let (sign, rest) = sign(digits);
    let lower = rest.to_ascii_lowercase();
    let (radix, rest) = match lower.as_bytes() {
        [b'0', b'x', _, ..] => (16, lower.get(2..)?),
        [b'0', b'o', _, ..] => (8, lower.get(2..)?),
        [b'0', b'b', _, ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    let size = magnitude(rest, radix)?;
    let signed = if sign == Some('-') { -size } else { size };
    match i64::try_from(signed) {
        Ok(number) => Some(Scalar::Int(number)),
        #[expect(
            clippy::cast_precision_loss,
            reason = "an API server makes a float of it too"
        )]
        Err(_) if sign.is_none() && u64::try_from(size).is_ok() => Some(Scalar::Float(size as f64)),
        Err(_) => None,
    }
}

fn magnitude(digits: &str, radix: u32) -> Option<i128> {
    let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    i128::from_str_radix(digits, radix).ok().filter(|_| all)
}

/// go-yaml also accepts a sign after `0b`.
fn signed_behind_base(digits: &str) -> Option<Scalar> {
    let (sign, rest) = sign(digits.strip_prefix("0b")?);
    let size = magnitude(rest, 2)?;
    let signed = if sign == Some('-') { -size } else { size };
    i64::try_from(signed).ok().map(Scalar::Int)
}

fn sign(text: &str) -> (Option<char>, &str) {
    let sign = text.chars().next().filter(|c| matches!(c, '+' | '-'));
    (
        sign,
        text.get(sign.map_or(0, char::len_utf8)..)
            .unwrap_or_default(),
    )
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_decimal(text: &str) -> bool {
    let (_, text) = sign(text);
    let are_digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(sign(exponent).1)),
        None => (text, None),
    };
    let is_mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => are_digits(fraction),
        Some((whole, fraction)) => {
            are_digits(whole) && (fraction.is_empty() || are_digits(fraction))
        }
        None => are_digits(mantissa),
    };
    is_mantissa && exponent.is_none_or(are_digits)
}

/// Like `strconv.ParseFloat`: an underscore must be between digits.
fn fraction(text: &str) -> Option<Scalar> {
    let mut parts = text.split('_').peekable();
    let mut are_between = true;
    while let Some(part) = parts.next() {
        if let Some(next) = parts.peek() {
            are_between &= part.ends_with(|c: char| c.is_ascii_digit())
                && next.starts_with(|c: char| c.is_ascii_digit());
        }
    }
    float(&text.replace('_', "")).filter(|_| are_between)
}

/// go-yaml reads a number that is too large for a float as a string.
fn float(text: &str) -> Option<Scalar> {
    let float = is_decimal(text).then(|| text.parse::<f64>().ok())??;
    float.is_finite().then_some(Scalar::Float(float))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_scalar_is_the_same_as_in_kubectl() {
        let texts = [
            "Yes.",
            "yEs",
            "oN",
            "tRUE",
            "nULL",
            "~x",
            "1:30",
            "190:20:30",
            "0x",
            "0b",
            "0b2",
            "0o8",
            "-",
            "+",
            "_1",
            ".",
            "._5",
            ".5__0",
            ".5_",
            "..5",
            ".e5",
            "1e",
            "1e400",
            ".5e400",
            "2026-11-28",
            "2001-12-14t21:59:43.10-05:00",
            "1,000",
            "1.2.3",
            "0x1p-2",
            "+-5",
            "--5",
            "0x1FFFFFFFFFFFFFFFF",
            "0o",
            "-0b",
            "12e03x",
            ".Infinity",
            "inf",
            "NaN",
            "<<",
            "=",
        ];
        for text in texts {
            assert_eq!(Scalar::plain(text).value(), json!(text), "{text}");
        }
        let others = [
            ("y", json!(true)),
            ("Off", json!(false)),
            ("NO", json!(false)),
            ("on", json!(true)),
            ("", json!(null)),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("+5", json!(5)),
            ("0755", json!(493)),
            ("0o755", json!(493)),
            ("0O17", json!(15)),
            ("01_420", json!(784)),
            ("1_420", json!(1420)),
            ("1__0_", json!(10)),
            ("08", json!(8)),
            ("089.5", json!(89.5)),
            ("0x_ff", json!(255)),
            ("-0X1F", json!(-31)),
            ("0b101", json!(5)),
            ("-0b101", json!(-5)),
            ("0b-101", json!(-5)),
            ("1420.0", json!(1420)),
            ("1.", json!(1)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            (".2_5", json!(0.25)),
            ("-.5", json!(-0.5)),
            ("1e3", json!(1000)),
            ("1E-2", json!(0.01)),
            ("-0.0", json!(0)),
            ("1_0.2_5", json!(10.25)),
            ("9223372036854775807", json!(9_223_372_036_854_775_807_i64)),
            ("9223372036854775808", json!(9_223_372_036_854_775_808.0)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            (
                "-9223372036854775809",
                json!(-9_223_372_036_854_775_808_i64),
            ),
            (
                "07777777777777777777777777",
                json!(7_777_777_777_777_777_777_777_777.0),
            ),
        ];
        for (text, value) in others {
            assert_eq!(Scalar::plain(text).value(), value, "{text}");
        }
    }

    #[test]
    fn a_tag_sets_the_type_of_a_scalar() {
        let value = |tag, text| Scalar::tagged(tag, text).map(|s| s.value());
        assert_eq!(value("str", "yes"), Some(json!("yes")));
        assert_eq!(value("int", "0x10"), Some(json!(16)));
        assert_eq!(value("float", "1"), Some(json!(1)));
        assert_eq!(value("bool", "on"), Some(json!(true)));
        assert_eq!(value("null", ""), Some(json!(null)));
        for (tag, text) in [
            ("int", "1.5"),
            ("bool", "1"),
            ("null", "x"),
            ("binary", "aGk="),
            ("timestamp", "2001-01-01"),
        ] {
            assert_eq!(value(tag, text), None, "!!{tag} {text}");
        }
    }
}
