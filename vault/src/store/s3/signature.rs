//! Signs requests to S3 in their header, with the hash of the content: "Signature Version 4".
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>. Servers compare the hash with what
//! they got, so what was damaged on its way is not stored. (A presigned URL would leave out the content.)

use std::fmt::Write as _;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::Method;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::access::Login;

/// What is signed with.
#[derive(Debug)]
pub(super) struct Signer<'a> {
    pub(super) login: &'a Login,
    pub(super) region: &'a str,
    pub(super) time: Timestamp,
}

/// What is signed.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a Method,
    /// Encoded.
    pub(super) path: &'a str,
    /// Encoded, and in the order of the names.
    pub(super) query: &'a str,
    /// In the order of their names, which are in small letters.
    pub(super) headers: &'a [(&'static str, String)],
    /// The hash of the content.
    pub(super) hash: &'a str,
}

impl Signer<'_> {
    /// Returns the time as the header `x-amz-date` has it.
    pub(super) fn date(&self) -> String {
        self.time.strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Returns the value of the header `authorization`.
    pub(super) fn authorization(&self, request: &Signed<'_>) -> String {
        let mut headers = String::new();
        let mut names = String::new();
        for (name, value) in request.headers {
            // Writing to a string does not fail.
            let _ = writeln!(headers, "{name}:{value}");
            if !names.is_empty() {
                names.push(';');
            }
            names.push_str(name);
        }
        let Signed {
            method,
            path,
            query,
            hash,
            ..
        } = request;
        let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{hash}");
        let day = self.time.strftime("%Y%m%d").to_string();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            self.date(),
            hash_of(&[canonical.into()])
        );
        let key = format!("AWS4{}", self.login.secret);
        let key = [&day, self.region, "s3", "aws4_request"]
            .iter()
            .fold(key.into_bytes(), |key, part| hmac(&key, part));
        let signature = hex(&hmac(&key, &text));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.login.user
        )
    }
}

/// Returns the hash of a content.
pub(super) fn hash_of(content: &[Bytes]) -> String {
    let mut hash = Sha256::new();
    for piece in content {
        hash.update(piece);
    }
    hex(&hash.finalize())
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // It takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Encodes a part of a path or query.
pub(super) fn encode(text: &str, and_slashes: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            b'/' if !and_slashes => encoded.push('/'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
    #[test]
    fn requests_are_signed_as_in_the_examples_of_the_documentation() {
        let login = Login {
            user: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        let signer = Signer {
            login: &login,
            region: "us-east-1",
            time: "2013-05-24T00:00:00Z".parse().unwrap(),
        };
        let empty = hash_of(&[]);
        let host = ("host", "examplebucket.s3.amazonaws.com".to_owned());
        let hash = ("x-amz-content-sha256", empty.clone());
        let date = ("x-amz-date", "20130524T000000Z".to_owned());
        assert_eq!(signer.date(), date.1);
        let range = ("range", "bytes=0-9".to_owned());
        let signature = |path, query, headers: &[_]| {
            let header = signer.authorization(&Signed {
                method: &Method::GET,
                path,
                query,
                headers,
                hash: &empty,
            });
            header.rsplit_once('=').unwrap().1.to_owned()
        };
        let get = [host.clone(), range, hash.clone(), date.clone()];
        assert_eq!(
            signature("/test.txt", "", &get),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let list = [host, hash, date];
        assert_eq!(
            signature("/", "max-keys=2&prefix=J", &list),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn names_are_encoded_as_the_signature_has_them() {
        assert_eq!(encode("a b/ü~", false), "a%20b/%C3%BC~");
        assert_eq!(encode("a/b+", true), "a%2Fb%2B");
    }
}
