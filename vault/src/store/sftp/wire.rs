//! The messages of SFTP, version 3: <https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02>.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

pub(super) const INIT: u8 = 1;
pub(super) const VERSION: u8 = 2;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// To open for reading.
pub(super) const TO_READ: u32 = 0x01;
/// To create a file that does not exist, for writing.
pub(super) const TO_CREATE: u32 = 0x02 | 0x08 | 0x20;
/// The size is in the attributes.
const HAS_SIZE: u32 = 0x01;
const HAS_OWNER: u32 = 0x02;
const HAS_MODE: u32 = 0x04;
const HAS_TIMES: u32 = 0x08;
const HAS_MORE: u32 = 0x8000_0000;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status(Status, String),
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<Name>),
    Attributes(Attributes),
    Extended(Bytes),
}

/// An answer without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    End,
    Missing,
    /// Everything else: no permission, a full disk, a name that exists.
    Failure,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// A name that is not text belongs to somebody else.
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
}

/// Adds a text or bytes with their length.
pub(super) fn put(into: &mut BytesMut, bytes: &[u8]) {
    into.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    into.extend_from_slice(bytes);
}

/// Takes bytes with their length; `None` if they are cut off.
pub(super) fn take(from: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(from.try_get_u32().ok()?).ok()?;
    (length <= from.len()).then(|| from.split_to(length))
}

impl Reply {
    /// Reads a message without its length and ID.
    pub(super) fn read(kind: u8, mut body: Bytes) -> Option<Self> {
        let body = &mut body;
        Some(match kind {
            STATUS => {
                let status = match body.try_get_u32().ok()? {
                    0 => Status::Ok,
                    1 => Status::End,
                    2 => Status::Missing,
                    _ => Status::Failure,
                };
                let text = take(body).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).replace(char::is_control, " ");
                Self::Status(status, text)
            }
            HANDLE => Self::Handle(take(body)?),
            DATA => Self::Data(take(body)?),
            NAME => {
                let count = body.try_get_u32().ok()?;
                let mut names = Vec::new();
                for _ in 0..count {
                    let name = take(body)?;
                    // A line as `ls -l` shows it.
                    take(body)?;
                    names.push(Name {
                        name: String::from_utf8_lossy(&name).into_owned(),
                        attributes: Attributes::read(body)?,
                    });
                }
                Self::Names(names)
            }
            ATTRS => Self::Attributes(Attributes::read(body)?),
            EXTENDED_REPLY => Self::Extended(body.clone()),
            _ => return None,
        })
    }
}

impl Attributes {
    fn read(from: &mut Bytes) -> Option<Self> {
        let has = from.try_get_u32().ok()?;
        let size = if has & HAS_SIZE == 0 {
            None
        } else {
            Some(from.try_get_u64().ok()?)
        };
        for (flag, numbers) in [(HAS_OWNER, 2), (HAS_MODE, 1), (HAS_TIMES, 2)] {
            for _ in 0..if has & flag == 0 { 0 } else { numbers } {
                from.try_get_u32().ok()?;
            }
        }
        if has & HAS_MORE != 0 {
            for _ in 0..from.try_get_u32().ok()? {
                take(from)?;
                take(from)?;
            }
        }
        Some(Self { size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_cut_ones_are_none() {
        let mut names = BytesMut::new();
        names.put_u32(1);
        put(&mut names, b"config");
        put(&mut names, b"-rw------- config");
        names.put_u32(HAS_SIZE | HAS_OWNER | HAS_MODE | HAS_TIMES | HAS_MORE);
        names.put_u64(155);
        names.put_bytes(0, 5 * 4);
        names.put_u32(1);
        put(&mut names, b"a@b");
        put(&mut names, b"c");
        let names = names.freeze();
        let config = Name {
            name: "config".to_owned(),
            attributes: Attributes { size: Some(155) },
        };
        assert_eq!(
            Reply::read(NAME, names.clone()),
            Some(Reply::Names(vec![config]))
        );
        for length in 0..names.len() {
            assert_eq!(Reply::read(NAME, names.slice(..length)), None, "{length}");
        }
        let denied = Bytes::from_static(b"\0\0\0\x03\0\0\0\x02no");
        assert_eq!(
            Reply::read(STATUS, denied),
            Some(Reply::Status(Status::Failure, "no".to_owned()))
        );
        assert_eq!(Reply::read(99, names), None);
    }
}
