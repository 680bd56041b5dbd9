//! The kernel's own TCP for a server, over loopback or a veth pair: a process with plain sockets.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};

use super::client::{AT_A_TIME, CONGESTION, Work};

/// Bytes written or read at a time in bulk, as the client does it.
const CHUNK: usize = 256 << 10;

/// Serves what `work` needs until the process is killed. The send buffer grows as the kernel likes
/// if `buffer` is 0.
///
/// # Errors
/// When there is no such address, or a setting is refused.
pub(crate) fn serve(work: Work, address: SocketAddrV4, buffer: usize) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    // Accepted sockets have it from the listener.
    setsockopt(&listener, sockopt::TcpCongestion, &OsString::from(CONGESTION))?;
    if buffer > 0 {
        setsockopt(&listener, sockopt::SndBufForce, &buffer)?;
    }
    println!("ready");
    io::stdout().flush()?;
    if work == Work::Transactions {
        return many(&listener);
    }
    let mut chunk = vec![b'x'; CHUNK];
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        // The client ends a connection as it likes, with a reset too.
        let _ = match work {
            Work::Send => throw_away(&mut stream, &mut chunk),
            Work::Receive | Work::ReceiveDefault => generate(&mut stream, &chunk),
            Work::PingPong | Work::Transactions => echo(&mut stream, &mut chunk),
        };
    }
}

fn throw_away(stream: &mut TcpStream, chunk: &mut [u8]) -> io::Result<()> {
    while stream.read(chunk)? > 0 {}
    Ok(())
}

fn generate(stream: &mut TcpStream, chunk: &[u8]) -> io::Result<()> {
    loop {
        stream.write_all(chunk)?;
    }
}

fn echo(stream: &mut TcpStream, chunk: &mut [u8]) -> io::Result<()> {
    loop {
        match stream.read(chunk)? {
            0 => return Ok(()),
            len => stream.write_all(&chunk[..len])?,
        }
    }
}

/// Echo for many short connections at a time.
fn many(listener: &TcpListener) -> io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let readable = |fd: RawFd| EpollEvent::new(EpollFlags::EPOLLIN, fd as u64);
    listener.set_nonblocking(true)?;
    epoll.add(listener.as_fd(), readable(listener.as_raw_fd()))?;
    let mut streams: HashMap<RawFd, TcpStream> = HashMap::new();
    let mut events = [EpollEvent::empty(); 2 * AT_A_TIME];
    let mut text = [0; 2_048];
    loop {
        let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..ready] {
            let fd = event.data() as RawFd;
            if let Some(stream) = streams.get_mut(&fd) {
                match stream.read(&mut text) {
                    Ok(len) if len > 0 && stream.write(&text[..len]).is_ok() => {}
                    // Closing takes it out of the epoll as well.
                    _ => drop(streams.remove(&fd)),
                }
                continue;
            }
            loop {
                match listener.accept() {
                    Ok((stream, _)) => {
                        // It is only read when there is something to read.
                        epoll.add(stream.as_fd(), readable(stream.as_raw_fd()))?;
                        streams.insert(stream.as_raw_fd(), stream);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
