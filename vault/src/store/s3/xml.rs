//! Reads the answers of S3: XML of a few elements, written by programs.

/// Returns the text of the first element with a name.
pub(super) fn text(xml: &str, name: &str) -> Option<String> {
    elements(xml, name).next().map(unescape)
}

/// Returns what is between the tags of each element with a name. No element has one of its own name in it.
pub(super) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once(&begin)?;
            rest = after;
            // Not an element whose name only begins like it; it may have attributes.
            let (attributes, after) = after.split_at_checked(after.find('>')?)?;
            if !attributes.is_empty() && !attributes.starts_with([' ', '/', '\n', '\t', '\r']) {
                continue;
            }
            let after = after.strip_prefix('>').unwrap_or(after);
            if attributes.ends_with('/') {
                rest = after;
                return Some("");
            }
            let (inner, after) = after.split_once(&end)?;
            rest = after;
            return Some(inner);
        }
    })
}

fn unescape(text: &str) -> String {
    // The last one is the one that the others are written with.
    [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.trim().to_owned(), |text, (from, to)| {
        text.replace(from, to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_names() {
        let xml = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3"><KeyCount>2</KeyCount>
            <Contents><Key>a&amp;lt;b</Key><Size>7</Size></Contents>
            <Contents><Key>c</Key><Size>8</Size><Owner/></Contents>
            <IsTruncated>false</IsTruncated></ListBucketResult>"#;
        assert_eq!(text(xml, "Key").as_deref(), Some("a&lt;b"));
        let sizes: Vec<_> = elements(xml, "Contents").map(|c| text(c, "Size")).collect();
        assert_eq!(sizes, [Some("7".to_owned()), Some("8".to_owned())]);
        assert_eq!(text(xml, "Owner"), Some(String::new()));
        assert_eq!(text(xml, "IsTruncated").as_deref(), Some("false"));
        for broken in ["", "<", "<Key", "<Key>", "<Key>a", "not xml", "<Key/"] {
            assert_eq!(text(broken, "Key"), None, "{broken}");
        }
    }
}
