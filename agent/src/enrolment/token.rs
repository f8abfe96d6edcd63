//! A token and its claims.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// A bearer token for the API server. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// When a token was issued and when it expires, in seconds since 1970 by the API server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Claims {
    /// When it was issued.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// When it expires.
    #[serde(rename = "exp")]
    pub expires_at: i64,
}

impl Token {
    /// Reads a token, with or without white space around it. `None` if the text cannot be sent as a token.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.~+/=".contains(&b);
        (!text.is_empty() && text.bytes().all(is_token)).then(|| Self(text.to_owned()))
    }

    /// Returns the token itself, to be sent or stored.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the claims, if they can be read. They only decide when the token is renewed.
    pub fn claims(&self) -> Option<Claims> {
        let payload = self.0.split('.').nth(1)?;
        let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_expiry_and_is_never_shown() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"iat": 100, "exp": 700, "sub": "x"}"#);
        let token = Token::parse(&format!(" h.{payload}.s\n")).unwrap();
        let claims = Claims {
            issued_at: 100,
            expires_at: 700,
        };
        assert_eq!(token.claims(), Some(claims));
        assert_eq!(token.expose(), format!("h.{payload}.s"));
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert_eq!(Token::parse("opaque").unwrap().claims(), None);
    }

    #[test]
    fn text_that_cannot_be_a_token_is_refused() {
        for text in ["", " \n", "two words", "line\nbreak", "a\u{e4}"] {
            assert_eq!(Token::parse(text), None, "{text:?}");
        }
    }
}
