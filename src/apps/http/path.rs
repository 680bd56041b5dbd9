//! What the target of a request says: a path, and by its end a type.

/// The path of a target in its origin form (`/path?query`) or absolute form (`http://host/path`),
/// percent-decoded and without the query (RFC 9112 section 3.2). `None` when it is malformed.
pub(super) fn decode(target: &str) -> Option<Vec<u8>> {
    let path = if target.starts_with('/') {
        target
    } else {
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let path = rest.get(end..)?;
        if path.starts_with('/') { path } else { "/" }
    };
    let path = path.split(['?', '#']).next()?;
    percent_decode(path.as_bytes())
}

/// Replaces every `%XX` by its byte; `None` when a percent sign is followed by anything else
/// (RFC 3986 section 2.1), or when a zero byte results, which no path can hold.
fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        if byte == 0 {
            return None;
        }
        decoded.push(byte);
    }
    Some(decoded)
}

/// The media type that a file's name suggests (RFC 9110 section 8.3).
pub(super) fn content_type(path: &[u8]) -> &'static str {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let (_, extension) = name.split_at(name.iter().rposition(|&byte| byte == b'.').unwrap_or(0));
    match str::from_utf8(&extension.to_ascii_lowercase()).unwrap_or_default() {
        ".html" | ".htm" => "text/html; charset=utf-8",
        ".txt" | ".md" | ".log" => "text/plain; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" | ".mjs" => "text/javascript; charset=utf-8",
        ".json" => "application/json",
        ".xml" => "application/xml",
        ".csv" => "text/csv; charset=utf-8",
        ".png" => "image/png",
        ".jpg" | ".jpeg" => "image/jpeg",
        ".gif" => "image/gif",
        ".svg" => "image/svg+xml",
        ".webp" => "image/webp",
        ".ico" => "image/vnd.microsoft.icon",
        ".pdf" => "application/pdf",
        ".wasm" => "application/wasm",
        ".woff2" => "font/woff2",
        ".mp3" => "audio/mpeg",
        ".mp4" => "video/mp4",
        ".webm" => "video/webm",
        ".zip" => "application/zip",
        ".gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Option<String> {
        decode(target).map(|path| String::from_utf8_lossy(&path).into_owned())
    }

    #[test]
    fn both_forms_of_a_target_give_its_path() {
        for (target, expected) in [
            ("/", "/"),
            ("/a/b?c=/../d", "/a/b"),
            ("/a#b?c", "/a"),
            ("/%41%2e%2F?%41", "/A./"),
            ("/a%20b+c", "/a b+c"),
            ("http://stack/index.html", "/index.html"),
            ("HTTP://stack", "/"),
            ("http://stack?q", "/"),
            ("http://[fd74::2]:80/a?b", "/a"),
        ] {
            assert_eq!(path(target).as_deref(), Some(expected), "{target}");
        }
    }

    #[test]
    fn malformed_targets_have_none() {
        for target in ["/%", "/%2", "/%zz", "/%+1", "/%00", "*", "host:443", "ftp://x/", ""] {
            assert_eq!(decode(target), None, "{target}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass_through() {
        assert_eq!(decode("/%ff%FE"), Some(vec![b'/', 0xff, 0xfe]));
    }

    #[test]
    fn the_extension_gives_the_type() {
        assert_eq!(content_type(b"/a/B.HTML"), "text/html; charset=utf-8");
        assert_eq!(content_type(b"/x.tar.gz"), "application/gzip");
        assert_eq!(content_type(b"/a.html/README"), "application/octet-stream");
        assert_eq!(content_type(b"/a.\xff"), "application/octet-stream");
        assert_eq!(content_type(b""), "application/octet-stream");
    }
}
