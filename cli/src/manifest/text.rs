//! The text of a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::ManifestError;
use super::places::STDIN;
use super::yaml::limits;

/// Returns the text of a file or of standard input. It is UTF-8, or UTF-16 with a byte order mark,
/// which some programs on Windows write.
pub(super) fn read(path: &Path) -> Result<String, ManifestError> {
    let file = path.display().to_string();
    let unreadable = |why: String| ManifestError::Read {
        file: file.clone(),
        why,
    };
    let bytes = bytes(path).map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::NotFound && file.contains(['*', '?']) {
            "; patterns are not expanded: remove the quotes, so that the shell does it, or use the folder"
        } else {
            ""
        };
        unreadable(format!("{error}{hint}"))
    })?;
    if bytes.len() as u64 > limits::FILE {
        return Err(unreadable(format!(
            "it has more than {} MiB; split it into several files",
            limits::FILE >> 20
        )));
    }
    decode(bytes).ok_or_else(|| unreadable("it is not UTF-8; save it as UTF-8".to_owned()))
}

/// Reads at most one byte more than the limit, because a device may never end.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limits::FILE + 1;
    if path.as_os_str() == STDIN {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn decode(bytes: Vec<u8>) -> Option<String> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .chunks(2)
            .map(|pair| Some(unit(pair.try_into().ok()?)))
            .collect::<Option<_>>()?;
        String::from_utf16(&units).ok()
    };
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_byte_order_mark_sets_the_encoding() {
        let wide = |unit: fn(u16) -> [u8; 2]| {
            let units = "\u{feff}kind: \u{e4}".encode_utf16();
            decode(units.flat_map(unit).collect())
        };
        for text in [
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
            decode("\u{feff}kind: \u{e4}".into()),
            decode("kind: \u{e4}".into()),
        ] {
            assert_eq!(text.as_deref(), Some("kind: \u{e4}"));
        }
        assert_eq!(decode(vec![0xff, 0xfe, 0x41]), None);
        assert_eq!(decode(vec![0xe4, 0x41]), None);
    }
}
