//! A request head becomes a [`Request`] here, or a reason to refuse it (RFC 9112).

use httparse::Header;

/// Bytes of a request head, at most.
pub(super) const MAX_HEAD: usize = 16 << 10;

/// Fields of a request head, at most.
const MAX_FIELDS: usize = 64;

/// Bytes of a request's body that are read and thrown away so that the connection can be used
/// again; after a longer one it is closed.
const MAX_SKIPPED_BODY: u64 = 1 << 20;

/// A request, as far as the server cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'h> {
    pub(super) method: Method,
    /// The path and query, as sent (RFC 9112 section 3.2).
    pub(super) target: &'h str,
    /// The client speaks HTTP/1.0.
    pub(super) is_old: bool,
    /// The connection ends after the response.
    pub(super) closes: bool,
    /// Bytes of body that follow the head.
    pub(super) body: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// Why a request is refused; the connection cannot be used any more, because it is not clear
/// where the next request starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400: it is no HTTP request.
    BadRequest,
    /// 411: a body whose length is not said in advance.
    LengthRequired,
    /// 431: too many bytes or fields.
    HeadTooLarge,
    /// 505: not HTTP/1.
    VersionNotSupported,
}

/// Parses the head at the front of `bytes`. Gives the request and the length of its head, or
/// `None` when more bytes are needed.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request<'_>, usize)>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(httparse::Error::Version) if names_another_version(bytes) => {
            return Err(Refusal::VersionNotSupported);
        }
        Err(_) => return Err(Refusal::BadRequest),
    };
    let (Some(method), Some(target), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(Refusal::BadRequest);
    };
    let is_old = minor == 0;
    let facts = Facts::gather(head.headers)?;
    // RFC 9112 section 3.2: a request of HTTP/1.1 without exactly one Host is answered with 400.
    if facts.hosts > 1 || (facts.hosts == 0 && !is_old) {
        return Err(Refusal::BadRequest);
    }
    let body = facts.content_length.unwrap_or(0);
    // RFC 9110 section 10.1.1: a client that waits for 100 and gets its answer instead may leave
    // the body out, so that what comes next is either.
    let unclear_end = facts.expects_continue && body > 0;
    let wants_close = facts.says_close || (is_old && !facts.says_keep_alive);
    let request = Request {
        method: match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        },
        target,
        is_old,
        closes: wants_close || unclear_end || body > MAX_SKIPPED_BODY,
        body,
    };
    Ok(Some((request, len)))
}

/// What the fields say that matters here.
#[derive(Default)]
struct Facts {
    hosts: usize,
    content_length: Option<u64>,
    says_close: bool,
    says_keep_alive: bool,
    expects_continue: bool,
}

impl Facts {
    fn gather(fields: &[Header<'_>]) -> Result<Self, Refusal> {
        let mut facts = Self::default();
        let mut transfer_coding = false;
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is("Host") {
                facts.hosts += 1;
            } else if is("Content-Length") {
                let length = content_length(field.value).ok_or(Refusal::BadRequest)?;
                // RFC 9112 section 6.3: differing lengths are an error that cannot be mended.
                if facts.content_length.is_some_and(|other| other != length) {
                    return Err(Refusal::BadRequest);
                }
                facts.content_length = Some(length);
            } else if is("Transfer-Encoding") {
                transfer_coding = true;
            } else if is("Connection") {
                facts.says_close |= has_token(field.value, "close");
                facts.says_keep_alive |= has_token(field.value, "keep-alive");
            } else if is("Expect") {
                facts.expects_continue |= has_token(field.value, "100-continue");
            }
        }
        match (transfer_coding, facts.content_length) {
            // RFC 9112 section 6.1: both together may be an attempt to smuggle a request.
            (true, Some(_)) => Err(Refusal::BadRequest),
            // RFC 9112 section 6.3 allows to ask for a length.
            (true, None) => Err(Refusal::LengthRequired),
            (false, _) => Ok(facts),
        }
    }
}

/// Digits and nothing else (RFC 9110 section 8.6); `u64::parse` alone would take a plus sign.
fn content_length(value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Whether a comma-separated list has this token (RFC 9110 section 5.6.1).
fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether the request line ends in a well-formed version (RFC 9112 section 2.3), which is then
/// one that is not spoken here.
fn names_another_version(bytes: &[u8]) -> bool {
    let line = bytes
        .trim_ascii_start()
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    matches!(
        version,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn complete(text: &str) -> Request<'_> {
        let (request, len) = parse(text.as_bytes()).unwrap().unwrap();
        let head = text.find("\r\n\r\n").unwrap() + 4;
        assert_eq!(len, head);
        request
    }

    fn refused(text: &str) -> Refusal {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_plain_request() {
        let request = complete("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nGET /next");
        let expected =
            Request { method: Method::Get, target: "/a?b", is_old: false, closes: false, body: 0 };
        assert_eq!(request, expected);
        assert_eq!(complete("HEAD / HTTP/1.1\r\nhost:\r\n\r\n").method, Method::Head);
        assert_eq!(complete("get / HTTP/1.1\r\nHost: x\r\n\r\n").method, Method::Other);
        assert_eq!(complete("POST / HTTP/1.1\r\nHost: x\r\n\r\n").method, Method::Other);
    }

    #[test]
    fn every_prefix_of_a_head_asks_for_more() {
        let text = b"GET /index.html HTTP/1.1\r\nHost: a.b:80\r\nAccept: */*\r\n\r\n";
        for len in 0..text.len() {
            assert_eq!(parse(&text[..len]), Ok(None), "{len}");
        }
        assert!(parse(text).unwrap().is_some());
    }

    #[test]
    fn the_connection_persists_by_version_and_field() {
        let closes = |version: &str, fields: &str| {
            complete(&format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n")).closes
        };
        assert!(!closes("1.1", ""));
        assert!(closes("1.1", "Connection: close\r\n"));
        assert!(closes("1.1", "connection: Upgrade , CLOSE\r\n"));
        assert!(!closes("1.1", "Connection: closed\r\n"));
        assert!(closes("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
        assert!(closes("1.0", ""));
        assert!(!closes("1.0", "Connection: Keep-Alive\r\n"));
        assert!(closes("1.0", "Connection: keep-alive, close\r\n"));
    }

    #[test]
    fn a_host_is_needed_once() {
        assert_eq!(refused("GET / HTTP/1.1\r\n\r\n"), Refusal::BadRequest);
        let twice = "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n";
        assert_eq!(refused(twice), Refusal::BadRequest);
        assert!(complete("GET / HTTP/1.0\r\n\r\n").is_old);
    }

    #[test]
    fn bodies_are_measured() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let request = with("Content-Length: 17\r\nContent-Length: 17\r\n");
        assert_eq!((complete(&request).body, complete(&request).closes), (17, false));
        let request = with("Content-Length: 1048577\r\n");
        assert!(complete(&request).closes, "too much to skip");
        let request = with("Content-Length: 5\r\nExpect: 100-continue\r\n");
        assert!(complete(&request).closes);
        for bad in ["+5", "-5", "", "5 5", "0x5", "99999999999999999999", "5, 6"] {
            let request = with(&format!("Content-Length: {bad}\r\n"));
            assert_eq!(refused(&request), Refusal::BadRequest, "{bad:?}");
        }
        let differing = with("Content-Length: 5\r\nContent-Length: 6\r\n");
        assert_eq!(refused(&differing), Refusal::BadRequest);
        let chunked = with("Transfer-Encoding: chunked\r\n");
        assert_eq!(refused(&chunked), Refusal::LengthRequired);
        let smuggled = with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
        assert_eq!(refused(&smuggled), Refusal::BadRequest);
    }

    #[test]
    fn what_is_not_http_is_a_bad_request() {
        for text in [
            "\x16\x03\x01\x02\0",
            "SSH-2.0-x\r\n",
            "GET\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP\r\n\r\n",
            "GET / HTTX/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        ] {
            assert_eq!(refused(text), Refusal::BadRequest, "{text:?}");
        }
    }

    #[test]
    fn other_versions_are_named() {
        for text in
            ["GET / HTTP/2.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.2\r\n\r\n"]
        {
            assert_eq!(refused(text), Refusal::VersionNotSupported, "{text:?}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        let head = |len: usize| {
            let start = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
            format!("{start}{}\r\n\r\n", "a".repeat(len - start.len() - 4))
        };
        assert!(parse(head(MAX_HEAD).as_bytes()).unwrap().is_some());
        assert_eq!(refused(&head(MAX_HEAD + 1)), Refusal::HeadTooLarge);
        let endless = "GET /".to_owned() + &"a".repeat(MAX_HEAD);
        assert_eq!(parse(&endless.as_bytes()[..MAX_HEAD - 1]), Ok(None));
        assert_eq!(refused(&endless), Refusal::HeadTooLarge);

        let fields = |count: usize| {
            let others: String = (1..count).map(|n| format!("F{n}: v\r\n")).collect();
            format!("GET / HTTP/1.1\r\nHost: x\r\n{others}\r\n")
        };
        assert!(parse(fields(MAX_FIELDS).as_bytes()).unwrap().is_some());
        assert_eq!(refused(&fields(MAX_FIELDS + 1)), Refusal::HeadTooLarge);
    }
}
