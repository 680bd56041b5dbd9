//! `poll` and `epoll`: what a descriptor is ready for, and when that has changed.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::libc;

use super::sockets::{Call, Kind, Outcome, descriptor, millis};
use super::world::{Inner, World};
use crate::stack::Readiness;
use crate::tcp::State;

bitflags::bitflags! {
    /// What has happened to a descriptor since epoll last told of it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Edges: u32 {
        const IN = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLRDNORM) as u32;
        const OUT = (libc::EPOLLOUT | libc::EPOLLWRNORM) as u32;
        const PRI = libc::EPOLLPRI as u32;
    }
}

/// What epoll was asked to watch of one descriptor.
#[derive(Debug)]
struct Interest {
    events: u32,
    data: u64,
    edges: Edges,
    /// EPOLLONESHOT has fired: silent until it is modified.
    disarmed: bool,
}

/// One `epoll` descriptor.
#[derive(Debug, Default)]
pub(super) struct Epoll(BTreeMap<i32, Interest>);

impl Epoll {
    /// Something has happened to `fd`.
    pub(super) fn note(&mut self, fd: i32, edges: Edges) {
        if let Some(interest) = self.0.get_mut(&fd) {
            interest.edges |= edges;
        }
    }

    /// `fd` is closed.
    pub(super) fn forget(&mut self, fd: i32) {
        self.0.remove(&fd);
    }
}

impl World {
    pub(super) fn epoll_create(&self) -> Result<i32, Errno> {
        let fd = descriptor()?;
        self.lock().epolls.insert(fd, Epoll::default());
        Ok(fd)
    }

    pub(super) fn epoll_ctl(
        &self,
        fd: i32,
        operation: i32,
        of: i32,
        event: Option<(u32, u64)>,
    ) -> Result<(), Errno> {
        let mut inner = self.lock();
        inner.socket(of)?;
        let epoll = inner.epolls.get_mut(&fd).ok_or(Errno::EBADF)?;
        let known = epoll.0.contains_key(&of);
        match operation {
            libc::EPOLL_CTL_ADD if known => return Err(Errno::EEXIST),
            libc::EPOLL_CTL_MOD | libc::EPOLL_CTL_DEL if !known => return Err(Errno::ENOENT),
            libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD => {
                let (events, data) = event.ok_or(Errno::EFAULT)?;
                // To ask is to want to know how things stand.
                let interest = Interest { events, data, edges: Edges::all(), disarmed: false };
                epoll.0.insert(of, interest);
            }
            libc::EPOLL_CTL_DEL => epoll.forget(of),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    pub(super) fn epoll_wait(
        &self,
        fd: i32,
        most: usize,
        timeout: i32,
    ) -> Result<Vec<(u32, u64)>, Errno> {
        match self.call(Call::EpollWait { fd, most }, true, millis(timeout))? {
            Outcome::Events(events) => Ok(events),
            _ => Err(Errno::EIO),
        }
    }

    pub(super) fn poll(&self, fds: Vec<(i32, i16)>, timeout: i32) -> Result<Vec<i16>, Errno> {
        match self.call(Call::Poll { fds }, true, millis(timeout))? {
            Outcome::Polled(revents) => Ok(revents),
            _ => Err(Errno::EIO),
        }
    }
}

/// What each descriptor is ready for, if any is.
pub(super) fn poll(inner: &mut Inner, fds: &[(i32, i16)]) -> Option<Outcome> {
    let always = libc::POLLERR | libc::POLLHUP;
    let ready = |&(fd, events): &(i32, i16)| match readiness(inner, fd) {
        _ if fd < 0 => 0,
        Some(ready) => ready as i16 & (events | always),
        None => libc::POLLNVAL,
    };
    let revents: Vec<i16> = fds.iter().map(ready).collect();
    revents.iter().any(|&revents| revents != 0).then_some(Outcome::Polled(revents))
}

/// What is ready of what an epoll descriptor watches, if anything is.
pub(super) fn epoll_wait(
    inner: &mut Inner,
    fd: i32,
    most: usize,
) -> Result<Option<Outcome>, Errno> {
    let mut epoll = inner.epolls.remove(&fd).ok_or(Errno::EBADF)?;
    let mut events = Vec::new();
    for (&of, interest) in &mut epoll.0 {
        if events.len() == most || interest.disarmed {
            continue;
        }
        let always = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        let wanted = interest.events | always;
        let ready = readiness(inner, of).unwrap_or(0) & wanted;
        let has_edge = interest.edges.bits() & ready != 0;
        if ready == 0 || (interest.events & libc::EPOLLET as u32 != 0 && !has_edge) {
            continue;
        }
        interest.edges = Edges::empty();
        interest.disarmed = interest.events & libc::EPOLLONESHOT as u32 != 0;
        events.push((ready, interest.data));
    }
    inner.epolls.insert(fd, epoll);
    Ok((!events.is_empty()).then_some(Outcome::Events(events)))
}

/// What a socket is ready for, in the bits that `poll` and `epoll` share; `None` if it is none.
fn readiness(inner: &Inner, fd: i32) -> Option<u32> {
    let socket = inner.sockets.get(&fd)?;
    let bits = |bits: i32| bits as u32;
    let (read, write) =
        (bits(libc::EPOLLIN | libc::EPOLLRDNORM), bits(libc::EPOLLOUT | libc::EPOLLWRNORM));
    Some(match socket.kind {
        Kind::Fresh => write | bits(libc::EPOLLHUP),
        Kind::Listener(listener) if inner.stack.waiting(listener) > 0 => read,
        Kind::Listener(_) => 0,
        Kind::Connection(id) => {
            let ready = inner.stack.readiness(id);
            let opening = inner.stack.state(id) == Some(State::SynSent);
            let mut mask = 0;
            if ready.contains(Readiness::READABLE) || socket.is_shut_for_reading() {
                mask |= read;
            }
            if ready.contains(Readiness::WRITABLE) && !opening {
                mask |= write;
            }
            if ready.contains(Readiness::URGENT) {
                mask |= bits(libc::EPOLLPRI);
            }
            if ready.contains(Readiness::PEER_CLOSED) || socket.is_shut_for_reading() {
                mask |= bits(libc::EPOLLRDHUP);
            }
            if ready.contains(Readiness::HANG_UP) {
                mask |= bits(libc::EPOLLHUP);
            }
            if socket.error(&inner.stack).is_some() {
                mask |= bits(libc::EPOLLERR);
            }
            mask
        }
    })
}
