//! Connections of this process's own, each read, write and wait with the guard against hanging.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::GUARD;

/// Connects.
pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap_or_else(|error| panic!("{server}: {error}"));
    guarded(stream)
}

/// Waits for the next connection to the listener.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    super::wait_until("somebody connects", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    guarded(stream)
}

fn guarded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.set_write_timeout(Some(GUARD)).unwrap();
    stream
}

/// Sends the text to an echo server and insists on getting it back.
pub(crate) fn exchange(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut echoed = vec![0; text.len()];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(echoed, text);
}
