//! Where a request goes to: Uri-Path and Uri-Query.

use dots::path::Resource;
use dots::query::Content;

/// Segments between slashes, then, behind a question mark, queries between ampersands.
pub fn uri(text: &[u8]) {
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    match Resource::parse(path.split('/')) {
        Ok(resource) => {
            let segments = resource.segments();
            assert!(segments.iter().all(|segment| !segment.is_empty()));
            let again = Resource::parse(segments.iter().map(String::as_str));
            assert_eq!(again.as_ref(), Ok(&resource));
        }
        Err(error) => assert_is_diagnostic(&error.to_string()),
    }
    match Content::parse(query.split('&')) {
        Ok(content) => assert_eq!(Content::parse([content.query()]), Ok(content)),
        Err(error) => assert_is_diagnostic(&error.to_string()),
    }
}

/// Whether a peer may be told this (RFC 7252 §5.5.2): short, and without what the peer wrote.
pub(crate) fn assert_is_diagnostic(text: &str) {
    assert!(!text.is_empty() && text.len() <= dots::limits::DIAGNOSTIC_BYTES);
    assert!(
        text.bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    );
}
