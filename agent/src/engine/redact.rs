//! Hides secrets that an engine may repeat in its texts.
//!
//! An engine repeats driver options in its error texts, and the mount options of a volume may contain the
//! password of a file server.

/// Keys of mount options with secret values.
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

/// Hides the value of every `password=…` and similar option.
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

/// Returns where a value ends. A comma ends it, and a quote that closes the text around it. A space does not,
/// because a password may contain one.
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
