//! Texts of an engine without the secrets that it may echo.
//!
//! An engine repeats driver options in its refusals, and the mount options of a volume may hold the
//! password of a file server.

/// Keys of mount options whose values are nobody's business.
const SECRET_KEYS: [&str; 10] = [
    "credentials",
    "pass",
    "passwd",
    "password",
    "password2",
    "secret",
    "token",
    "user",
    "username",
    "cred",
];
const HIDDEN: &str = "…";

/// Replaces the value of every `password=…` and its like.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        out.push_str(before);
        out.push('=');
        let key = before
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default();
        if SECRET_KEYS
            .iter()
            .any(|secret| key.eq_ignore_ascii_case(secret))
        {
            out.push_str(HIDDEN);
            rest = after.get(value_end(after)..).unwrap_or_default();
        } else {
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// Returns where a value ends. A comma ends it, and a quote that closes the text it is quoted in; a
/// space does not, because a password may hold one.
fn value_end(value: &str) -> usize {
    let mut chars = value.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let closes = match c {
            ',' | '\n' => true,
            '"' | '\'' => chars
                .peek()
                .is_none_or(|(_, next)| matches!(next, ' ' | ':' | '.' | ',' | ')' | '}' | ']')),
            _ => false,
        };
        if closes {
            return at;
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn values_of_secret_keys_are_hidden() {
        assert_eq!(
            redact("invalid option: \"o=addr=h,username=u,Password=p w,uid=1\": bad"),
            "invalid option: \"o=addr=h,username=…,Password=…,uid=1\": bad"
        );
        assert_eq!(
            redact("mount \"password=p\": denied"),
            "mount \"password=…\": denied"
        );
        assert_eq!(redact("password=x"), "password=…");
        assert_eq!(redact("o=password=a=b,ro"), "o=password=…,ro");
    }

    #[test]
    fn other_texts_stay() {
        let text = "conflicts with network abc (br-1): size=5, compass=north, ümlaut=ö";
        assert_eq!(redact(text), text);
    }
}
