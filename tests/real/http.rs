//! A small HTTP client, for what curl cannot do: many requests one after another in one process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::socket;

/// A connection to an HTTP server.
pub(crate) struct HttpConnection {
    stream: BufReader<TcpStream>,
}

/// What the server answered.
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl HttpConnection {
    /// Connects.
    pub(crate) fn open(server: SocketAddr) -> Self {
        Self { stream: BufReader::new(socket::connect(server)) }
    }

    /// Gets a page, and leaves the connection open for the next.
    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.request(path, "keep-alive");
        let (status, length) = self.head();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Reply { status, body }
    }

    /// Gets a page and has the server close the connection, which it must do after as many bytes as
    /// it announced.
    pub(crate) fn get_and_close(mut self, path: &str) -> Reply {
        self.request(path, "close");
        let (status, length) = self.head();
        let mut body = Vec::with_capacity(length);
        self.stream.read_to_end(&mut body).unwrap();
        assert_eq!(body.len(), length, "the announced length");
        Reply { status, body }
    }

    fn request(&mut self, path: &str, connection: &str) {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: stack\r\nConnection: {connection}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// Reads the head: status code and length of the body.
    fn head(&mut self) -> (u16, usize) {
        let status_line = self.line();
        let status = status_line.split_whitespace().nth(1);
        let status = status
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let mut length = None;
        loop {
            let line = self.line();
            if line.is_empty() {
                return (status, length.unwrap());
            }
            let (name, value) = line.split_once(':').unwrap();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse().unwrap());
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
