//! What the server answers: status lines, heads, and the small bodies of errors (RFC 9110
//! section 15).

use std::io::Write;
use std::time::SystemTime;

use super::request::{Refusal, Request};
use crate::time::Instant;

/// The statuses this server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    LengthRequired,
    HeadTooLarge,
    Unavailable,
    VersionNotSupported,
}

impl Status {
    /// Code and reason phrase.
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::LengthRequired => "411 Length Required",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::BadRequest => Self::BadRequest,
            Refusal::LengthRequired => Self::LengthRequired,
            Refusal::HeadTooLarge => Self::HeadTooLarge,
            Refusal::VersionNotSupported => Self::VersionNotSupported,
        }
    }
}

/// What the `Connection` field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// Nothing, which is to say that an HTTP/1.1 connection stays open.
    Default,
    /// An HTTP/1.0 client asked to keep the connection, and is told so.
    KeepAlive,
    /// This response is the last.
    Close,
}

impl From<&Request<'_>> for Persistence {
    fn from(request: &Request<'_>) -> Self {
        match (request.closes, request.is_old) {
            (true, _) => Self::Close,
            (false, true) => Self::KeepAlive,
            (false, false) => Self::Default,
        }
    }
}

/// Writes a response head to `out`.
pub(super) fn head(
    out: &mut Vec<u8>,
    status: Status,
    persistence: Persistence,
    date: &str,
    content_type: &str,
    content_length: u64,
) {
    let status_line = status.line();
    // Writing to a Vec does not fail.
    let _ = write!(
        out,
        "HTTP/1.1 {status_line}\r\nServer: tunstack\r\nDate: {date}\r\n\
         Content-Type: {content_type}\r\nContent-Length: {content_length}\r\n"
    );
    if status == Status::MethodNotAllowed {
        out.extend_from_slice(b"Allow: GET, HEAD\r\n");
    }
    out.extend_from_slice(match persistence {
        Persistence::Default => b"\r\n",
        Persistence::KeepAlive => b"Connection: keep-alive\r\n\r\n",
        Persistence::Close => b"Connection: close\r\n\r\n",
    });
}

/// Writes the whole response to a request that failed: a line of text that says the status.
pub(super) fn error(
    out: &mut Vec<u8>,
    status: Status,
    persistence: Persistence,
    date: &str,
    with_body: bool,
) {
    let body = status.line();
    let length = body.len() as u64 + 1;
    head(out, status, persistence, date, "text/plain; charset=utf-8", length);
    if with_body {
        out.extend_from_slice(body.as_bytes());
        out.push(b'\n');
    }
}

/// The value of the `Date` field, made once a second (RFC 9110 section 6.6.1: a server with a
/// clock sends one).
#[derive(Debug, Default)]
pub(super) struct Date {
    text: String,
    /// When the next second begins, on the stack's clock.
    valid_until: Instant,
}

impl Date {
    /// The text for `now`.
    pub(super) fn at(&mut self, now: Instant) -> &str {
        if now >= self.valid_until || self.text.is_empty() {
            let wall = SystemTime::now();
            let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let into_second = std::time::Duration::from_nanos(since_epoch.subsec_nanos().into());
            self.text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since_epoch);
            self.valid_until = now + (std::time::Duration::from_secs(1) - into_second);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_head_ends_in_an_empty_line_and_says_what_follows() {
        let mut out = Vec::new();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        head(&mut out, Status::Ok, Persistence::Default, date, "text/css", 12);
        let expected = "HTTP/1.1 200 OK\r\nServer: tunstack\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                        Content-Type: text/css\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn errors_carry_their_status_and_405_the_methods() {
        let response = |status, with_body| {
            let mut out = Vec::new();
            error(&mut out, status, Persistence::Close, "D", with_body);
            String::from_utf8(out).unwrap()
        };
        let text = response(Status::MethodNotAllowed, true);
        assert!(text.contains("\r\nAllow: GET, HEAD\r\n"), "{text}");
        assert!(text.contains("\r\nConnection: close\r\n\r\n"), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "405 Method Not Allowed\n");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        let text = response(Status::NotFound, false);
        assert!(text.contains("Content-Length: 14\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(!text.contains("Allow"), "{text}");
    }

    #[test]
    fn the_date_is_made_anew_when_its_second_is_over() {
        let mut date = Date::default();
        let first = date.at(Instant::from_millis(5)).to_owned();
        assert!(httpdate::parse_http_date(&first).is_ok(), "{first}");
        assert!(date.valid_until > Instant::from_millis(5));
        assert!(date.valid_until <= Instant::from_millis(1_005));
        let until = date.valid_until;
        date.text = "kept".into();
        assert_eq!(date.at(Instant::from_nanos(until.as_nanos() - 1)), "kept");
        assert_ne!(date.at(until), "kept");
    }
}
