//! The server over a pair of loops.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Http;
use crate::device::MemoryDevice;
use crate::runtime::testing::{
    CLIENT, Conversation, End, SERVER, World, converse, exchange, new_loop,
};

const PORT: u16 = 80;

const SMALL: World = World { capacity: 16, buffer: 32 << 10 };

/// What a client says on one connection, and closes its half or not.
fn says(text: impl AsRef<[u8]>, half_close: bool) -> Conversation {
    Conversation { port: PORT, say: text.as_ref().to_vec(), half_close, ..Conversation::default() }
}

/// Runs clients against a server; gives what each got. Every one must get the server's FIN.
fn ask_all(
    http: impl FnOnce() -> Http + Send + 'static,
    conversations: &[Conversation],
) -> Vec<Vec<u8>> {
    let report = converse(
        SMALL,
        |runtime| {
            let on = SocketAddr::new(SERVER, PORT);
            let listener = runtime.stack().listen(on).unwrap();
            runtime.serve(listener, Box::new(http()));
        },
        conversations,
        |_| {},
    );
    assert_eq!(report.totals.connections, 0, "a connection was left over");
    let of = |heard: crate::runtime::testing::Heard| {
        assert_eq!(heard.end, Some(End::PeerClosed));
        heard.bytes
    };
    report.heard.into_iter().map(of).collect()
}

fn ask(http: impl FnOnce() -> Http + Send + 'static, request: impl AsRef<[u8]>) -> Vec<Answer> {
    let answers = ask_all(http, &[says(&request, true)]);
    split(&answers[0], &[])
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }
}

/// Splits a stream into responses; those whose index is in `without_body` answer a HEAD.
fn split(mut bytes: &[u8], without_body: &[usize]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        bytes = &bytes[end..];
        assert!(httpdate::parse_http_date(answer.field("Date").unwrap()).is_ok());
        let length = answer.field("Content-Length").unwrap().parse().unwrap();
        if !without_body.contains(&answers.len()) {
            answer.body = bytes[..length].to_vec();
            bytes = &bytes[length..];
        }
        answers.push(answer);
    }
    answers
}

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(files: &[(&str, &[u8])]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tunstack-http-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        for (name, bytes) in files {
            fs::write(path.join(name), bytes).unwrap();
        }
        Self(path)
    }

    fn server(&self) -> impl FnOnce() -> Http + Send + 'static {
        let path = self.0.clone();
        move || Http::directory(&path).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 131 + n / 65_521) as u8).collect()
}

#[test]
fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let big = pattern(2 << 20);
    let directory = Directory::new(&[("a.txt", b"first"), ("big", &big), ("z.css", b"last")]);
    let requests = "GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n\
                    HEAD /big HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /big HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /none HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /z.css HTTP/1.1\r\nHost: x\r\n\r\n";
    let streams = ask_all(directory.server(), &[says(requests, true)]);
    let answers = split(&streams[0], &[1]);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 404, 200]);
    assert_eq!(answers[0].body, b"first");
    assert_eq!(answers[0].field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answers[0].field("Connection"), None);
    assert_eq!(answers[1].field("Content-Length"), Some("2097152"));
    assert!(answers[2].body == big);
    assert_eq!(answers[4].body, b"last");
}

#[test]
fn a_thousand_pipelined_requests_need_no_more_memory_than_one() {
    let directory = Directory::new(&[("f", &pattern(3_000))]);
    let request = "GET /f HTTP/1.1\r\nHost: x\r\n\r\n";
    let late = Conversation { deaf_until: 25_000, ..says(request.repeat(1_000), true) };
    let streams = ask_all(directory.server(), &[late]);
    let answers = split(&streams[0], &[]);
    assert_eq!(answers.len(), 1_000);
    assert!(answers.iter().all(|answer| answer.body == pattern(3_000)));
}

#[test]
fn many_downloads_at_once_are_whole() {
    let big = pattern(300_000);
    let directory = Directory::new(&[("big", &big)]);
    let request = "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let streams = ask_all(directory.server(), &vec![says(request, false); 50]);
    for stream in streams {
        let answers = split(&stream, &[]);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].body == big);
        assert_eq!(answers[0].field("Connection"), Some("close"));
    }
}

#[test]
fn a_client_of_the_old_version_is_closed_on_unless_it_asks() {
    let directory = Directory::new(&[("index.html", b"<p>")]);
    let old = ask_all(directory.server(), &[says("GET / HTTP/1.0\r\n\r\n", false)]);
    let answers = split(&old[0], &[]);
    assert_eq!(answers[0].field("Connection"), Some("close"));
    assert_eq!(answers[0].body, b"<p>");

    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2);
    let answers = ask(directory.server(), kept);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].field("Connection"), Some("keep-alive"));
}

#[test]
fn requests_may_come_byte_by_byte() {
    let (here, there) = MemoryDevice::pair(1500, SMALL.capacity);
    let mut client = new_loop(CLIENT, here, SMALL);
    let mut server = new_loop(SERVER, there, SMALL);
    let on = SocketAddr::new(SERVER, PORT);
    let listener = server.stack().listen(on).unwrap();
    server.serve(listener, Box::new(Http::status_page()));
    let id = client.stack().connect(None, on).unwrap();
    client.stack().set_no_delay(id, true);
    exchange(&mut client, &mut server);
    let mut heard = vec![0; 100_000];
    let mut len = 0;
    for byte in b"\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2) {
        client.stack().write(id, &[byte]).unwrap();
        exchange(&mut client, &mut server);
        len += client.stack().read(id, &mut heard[len..]).unwrap_or(0);
    }
    let answers = split(&heard[..len], &[0, 1]);
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[test]
fn what_cannot_be_served_is_answered_with_its_status() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("GET / HTTP/2.0\r\n\r\n", 505),
    ] {
        let directory = Directory::new(&[]);
        let answers = ask(directory.server(), request);
        assert_eq!(answers.len(), 1, "{request}");
        assert_eq!(answers[0].status, status, "{request}");
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(answers[0].field("Allow"), allow, "{request}");
    }
}

#[test]
fn an_answer_is_seen_whole_although_the_client_goes_on_sending() {
    let endless = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(500_000));
    let answers = ask(Http::status_page, endless);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].status, 431);
    assert_eq!(answers[0].field("Connection"), Some("close"));

    let body = "b".repeat(700_000);
    let post = format!(
        "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 700000\r\nConnection: close\r\n\r\n{body}"
    );
    let answers = ask(Http::status_page, post);
    assert_eq!(answers[0].status, 405);
}

#[test]
fn a_body_is_passed_over_to_the_next_request() {
    let requests = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{}GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n".repeat(3_750)
    );
    let statuses: Vec<_> =
        ask(Http::status_page, requests).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [405, 200]);
}

#[test]
fn the_page_shows_the_connection_that_asks_and_the_counters_are_lines() {
    let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /.tunstack/counters HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /other HTTP/1.1\r\nHost: x\r\n\r\n";
    let answers = ask(Http::status_page, requests);
    let page = String::from_utf8(answers[0].body.clone()).unwrap();
    assert_eq!(answers[0].field("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(page.contains("<td>10.0.0.2:80</td><td>"), "{page}");
    assert!(page.contains("Connections: 1. "), "{page}");
    let counters = String::from_utf8(answers[1].body.clone()).unwrap();
    let mut lines = counters.lines().map(|line| line.split_once(' ').unwrap());
    assert_eq!(lines.next(), Some(("connections", "1")));
    assert!(lines.all(|(_, value)| value.parse::<u64>().is_ok()));
    assert_eq!(answers[2].status, 404);
}

#[test]
fn counters_are_there_beside_a_directory_too() {
    let directory = Directory::new(&[]);
    let request = "GET /.tunstack/counters HTTP/1.1\r\nHost: x\r\n\r\n";
    let answers = ask(directory.server(), request);
    assert!(answers[0].body.starts_with(b"connections 1\n"));
}

#[test]
fn a_server_needs_a_directory() {
    let directory = Directory::new(&[("file", b"")]);
    assert!(Http::directory(&directory.0.join("file")).is_err());
    assert!(Http::directory(&directory.0.join("none")).is_err());
}
