//! The table of C functions, and what they take and give.
//!
//! Each function gets back the `userdata` that [`init`] put into the table, and answers as POSIX
//! does: a value, or -1 and `errno`.

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_long, c_longlong, c_uint, c_ulong, c_void};
use core::{ptr, slice};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::errno::Errno;
use nix::libc::{self, sockaddr, socklen_t};

use super::arguments::{MOST_BYTES, address_at, bytes_at, gather, parts_at, put_address, put_left};
use super::world::{EPOCH_SECONDS, World};
use crate::time::Duration;

/// The worlds of this process, for a `getsockopt` that is given no `userdata`.
static WORLDS: Mutex<Vec<Weak<World>>> = Mutex::new(Vec::new());

macro_rules! interface {
    ($($(#[$doc:meta])* $name:ident($($argument:ty),*) -> $result:ty = $function:ident;)*) => {
        /// packetdrill's `struct packetdrill_interface`.
        #[repr(C)]
        #[derive(Debug)]
        pub struct Interface {
            /// What every function is given first.
            pub userdata: *mut c_void,
            $($(#[$doc])* pub $name: unsafe extern "C" fn(*mut c_void, $($argument),*) -> $result,)*
        }

        impl Interface {
            fn new(userdata: *mut c_void) -> Self {
                Self { userdata, $($name: $function,)* }
            }
        }
    };
}

interface! {
    /// Ends the world. Packets that nobody has looked at are told of.
    free() -> () = free;
    /// `socket(2)`.
    socket(c_int, c_int, c_int) -> c_int = socket;
    /// `bind(2)`.
    bind(c_int, *const sockaddr, socklen_t) -> c_int = bind;
    /// `listen(2)`.
    listen(c_int, c_int) -> c_int = listen;
    /// `accept(2)`.
    accept(c_int, *mut sockaddr, *mut socklen_t) -> c_int = accept;
    /// `connect(2)`.
    connect(c_int, *const sockaddr, socklen_t) -> c_int = connect;
    /// `read(2)`.
    read(c_int, *mut c_void, usize) -> isize = read;
    /// `readv(2)`.
    readv(c_int, *const libc::iovec, c_int) -> isize = readv;
    /// `recv(2)`.
    recv(c_int, *mut c_void, usize, c_int) -> isize = recv;
    /// `recvfrom(2)`.
    recvfrom(c_int, *mut c_void, usize, c_int, *mut sockaddr, *mut socklen_t) -> isize = recvfrom;
    /// `recvmsg(2)`.
    recvmsg(c_int, *mut libc::msghdr, c_int) -> isize = recvmsg;
    /// `write(2)`.
    write(c_int, *const c_void, usize) -> isize = write;
    /// `writev(2)`.
    writev(c_int, *const libc::iovec, c_int) -> isize = writev;
    /// `send(2)`.
    send(c_int, *const c_void, usize, c_int) -> isize = send;
    /// `sendto(2)`.
    sendto(c_int, *const c_void, usize, c_int, *const sockaddr, socklen_t) -> isize = sendto;
    /// `sendmsg(2)`.
    sendmsg(c_int, *const libc::msghdr, c_int) -> isize = sendmsg;
    /// `fcntl(2)`: the flags of the descriptor. It is variadic in C; on the platforms of Linux that
    /// this crate runs on the third argument comes the same way.
    fcntl(c_int, c_int, c_long) -> c_int = fcntl;
    /// `ioctl(2)`: FIONBIO and the lengths of queues.
    ioctl(c_int, c_ulong, *mut c_int) -> c_int = ioctl;
    /// `close(2)`.
    close(c_int) -> c_int = close;
    /// `shutdown(2)`.
    shutdown(c_int, c_int) -> c_int = shutdown;
    /// `getsockopt(2)`.
    getsockopt(c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int = getsockopt;
    /// `setsockopt(2)`.
    setsockopt(c_int, c_int, c_int, *const c_void, socklen_t) -> c_int = setsockopt;
    /// `poll(2)`.
    poll(*mut libc::pollfd, libc::nfds_t, c_int) -> c_int = poll;
    /// Injects a packet.
    netdev_send(*const c_void, usize) -> c_int = netdev_send;
    /// Sniffs the next packet: its bytes, their number, and when it came out, in microseconds.
    netdev_receive(*mut c_void, *mut usize, *mut c_longlong) -> c_int = netdev_receive;
    /// Lets time pass.
    usleep(c_uint) -> c_int = usleep;
    /// Reads the clock.
    gettimeofday(*mut libc::timeval, *mut c_void) -> c_int = gettimeofday;
    /// `epoll_create(2)`.
    epoll_create(c_int) -> c_int = epoll_create;
    /// `epoll_ctl(2)`.
    epoll_ctl(c_int, c_int, c_int, *mut libc::epoll_event) -> c_int = epoll_ctl;
    /// `epoll_wait(2)`.
    epoll_wait(c_int, *mut libc::epoll_event, c_int, c_int) -> c_int = epoll_wait;
    /// `pipe(2)`: there is none here.
    pipe(*mut c_int) -> c_int = pipe;
    /// `splice(2)`: there is none here.
    splice(c_int, *mut i64, c_int, *mut i64, usize, c_uint) -> isize = splice;
}

/// Makes a world and fills the table with functions that work on it. `flags` is packetdrill's
/// `--so_flags`.
///
/// # Errors
/// One line, when a flag is not understood.
///
/// # Safety
/// `flags` is null or a string that ends with a zero byte.
pub unsafe fn init(flags: *const c_char) -> Result<Interface, String> {
    let flags = if flags.is_null() {
        String::new()
    } else {
        // SAFETY: the caller promises a string.
        unsafe { CStr::from_ptr(flags) }.to_string_lossy().into_owned()
    };
    let world = Arc::new(World::new(&flags)?);
    worlds().push(Arc::downgrade(&world));
    Ok(Interface::new(Arc::into_raw(world).cast_mut().cast()))
}

/// `getsockopt(2)` for whatever world `fd` belongs to; `None` if it belongs to none.
///
/// # Safety
/// As for `getsockopt(2)`.
pub unsafe fn get_option(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> Option<c_int> {
    let world = worlds().iter().filter_map(Weak::upgrade).find(|world| world.has_socket(fd))?;
    // SAFETY: the caller's promise.
    Some(unsafe { option_of(&world, fd, level, name, value, len) })
}

fn worlds() -> std::sync::MutexGuard<'static, Vec<Weak<World>>> {
    WORLDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// `userdata` is what [`init`] put into the table, and `free` has not been called.
unsafe fn world<'w>(userdata: *mut c_void) -> &'w World {
    // SAFETY: it came from `Arc::into_raw`.
    unsafe { &*userdata.cast::<World>() }
}

/// A value, or -1 and `errno`.
trait Answer {
    const FAILED: Self;
}

impl Answer for c_int {
    const FAILED: Self = -1;
}

impl Answer for isize {
    const FAILED: Self = -1;
}

fn answer<T: Answer>(result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|errno| {
        errno.set();
        T::FAILED
    })
}

fn done<T>(result: Result<T, Errno>) -> c_int {
    answer(result.map(|_| 0))
}

fn count(result: Result<usize, Errno>) -> isize {
    answer(result.and_then(|n| isize::try_from(n).map_err(|_| Errno::EINVAL)))
}

unsafe extern "C" fn free(userdata: *mut c_void) {
    // SAFETY: it came from `Arc::into_raw`, and this is the last that is done with it.
    let world = unsafe { Arc::from_raw(userdata.cast_const().cast::<World>()) };
    let failed = world.end();
    worlds().retain(|other| !ptr::eq(other.as_ptr(), Arc::as_ptr(&world)));
    if failed {
        std::process::exit(1);
    }
}

unsafe extern "C" fn socket(u: *mut c_void, family: c_int, kind: c_int, protocol: c_int) -> c_int {
    // SAFETY: `u` is that of the table.
    answer(unsafe { world(u) }.socket(family, kind, protocol))
}

unsafe extern "C" fn bind(
    u: *mut c_void,
    fd: c_int,
    address: *const sockaddr,
    len: socklen_t,
) -> c_int {
    // SAFETY: `u` is that of the table, and `address` as for bind(2).
    let (world, address) = unsafe { (world(u), address_at(address, len)) };
    done(address.and_then(|address| world.bind(fd, address)))
}

unsafe extern "C" fn listen(u: *mut c_void, fd: c_int, backlog: c_int) -> c_int {
    // SAFETY: `u` is that of the table.
    done(unsafe { world(u) }.listen(fd, backlog))
}

unsafe extern "C" fn accept(
    u: *mut c_void,
    fd: c_int,
    address: *mut sockaddr,
    len: *mut socklen_t,
) -> c_int {
    // SAFETY: `u` is that of the table.
    answer(unsafe { world(u) }.accept(fd).map(|(fd, peer)| {
        // SAFETY: as for accept(2).
        unsafe { put_address(peer, address, len) };
        fd
    }))
}

unsafe extern "C" fn connect(
    u: *mut c_void,
    fd: c_int,
    address: *const sockaddr,
    len: socklen_t,
) -> c_int {
    // SAFETY: `u` is that of the table, and `address` as for connect(2).
    let (world, address) = unsafe { (world(u), address_at(address, len)) };
    done(address.and_then(|address| world.connect(fd, address)))
}

unsafe extern "C" fn read(u: *mut c_void, fd: c_int, buffer: *mut c_void, len: usize) -> isize {
    // SAFETY: as for read(2).
    unsafe { recv(u, fd, buffer, len, 0) }
}

unsafe extern "C" fn readv(
    u: *mut c_void,
    fd: c_int,
    parts: *const libc::iovec,
    n: c_int,
) -> isize {
    // SAFETY: `u` is that of the table, and `parts` as for readv(2).
    let (world, parts) = unsafe { (world(u), parts_at(parts, n as usize)) };
    count(parts.and_then(|parts| {
        // SAFETY: as for readv(2).
        unsafe { scatter(world, fd, parts, 0) }.map(|(n, _)| n)
    }))
}

unsafe extern "C" fn recv(
    u: *mut c_void,
    fd: c_int,
    buffer: *mut c_void,
    len: usize,
    flags: c_int,
) -> isize {
    let part = libc::iovec { iov_base: buffer, iov_len: len };
    // SAFETY: `u` is that of the table, and the buffer as for recv(2).
    count(unsafe { scatter(world(u), fd, &[part], flags) }.map(|(n, _)| n))
}

unsafe extern "C" fn recvfrom(
    u: *mut c_void,
    fd: c_int,
    buffer: *mut c_void,
    len: usize,
    flags: c_int,
    _from: *mut sockaddr,
    from_len: *mut socklen_t,
) -> isize {
    if !from_len.is_null() {
        // A stream tells no address.
        // SAFETY: as for recvfrom(2).
        unsafe { *from_len = 0 };
    }
    // SAFETY: as for recvfrom(2).
    unsafe { recv(u, fd, buffer, len, flags) }
}

unsafe extern "C" fn recvmsg(
    u: *mut c_void,
    fd: c_int,
    message: *mut libc::msghdr,
    flags: c_int,
) -> isize {
    // SAFETY: as for recvmsg(2).
    let Some(message) = (unsafe { message.as_mut() }) else {
        return answer(Err(Errno::EFAULT));
    };
    // SAFETY: as for recvmsg(2).
    let parts = unsafe { parts_at(message.msg_iov, message.msg_iovlen) };
    let received = parts.and_then(|parts| {
        // SAFETY: as for recvmsg(2).
        unsafe { scatter(world(u), fd, parts, flags) }
    });
    count(received.map(|(n, left)| {
        message.msg_namelen = 0;
        message.msg_flags = 0;
        // SAFETY: as for recvmsg(2).
        unsafe { put_left(message, left) };
        n
    }))
}

unsafe extern "C" fn write(u: *mut c_void, fd: c_int, data: *const c_void, len: usize) -> isize {
    // SAFETY: as for write(2).
    unsafe { send(u, fd, data, len, 0) }
}

unsafe extern "C" fn writev(
    u: *mut c_void,
    fd: c_int,
    parts: *const libc::iovec,
    n: c_int,
) -> isize {
    // SAFETY: `u` is that of the table, and `parts` as for writev(2).
    let (world, data) = unsafe { (world(u), gather(parts, n as usize)) };
    count(data.and_then(|data| world.send(fd, data, 0)))
}

unsafe extern "C" fn send(
    u: *mut c_void,
    fd: c_int,
    data: *const c_void,
    len: usize,
    flags: c_int,
) -> isize {
    let part = libc::iovec { iov_base: data.cast_mut(), iov_len: len };
    // SAFETY: `u` is that of the table, and the data as for send(2).
    let (world, data) = unsafe { (world(u), gather(&part, 1)) };
    count(data.and_then(|data| world.send(fd, data, flags)))
}

unsafe extern "C" fn sendto(
    u: *mut c_void,
    fd: c_int,
    data: *const c_void,
    len: usize,
    flags: c_int,
    _to: *const sockaddr,
    _to_len: socklen_t,
) -> isize {
    // A stream has its peer already.
    // SAFETY: as for sendto(2).
    unsafe { send(u, fd, data, len, flags) }
}

unsafe extern "C" fn sendmsg(
    u: *mut c_void,
    fd: c_int,
    message: *const libc::msghdr,
    flags: c_int,
) -> isize {
    // SAFETY: as for sendmsg(2).
    let Some(message) = (unsafe { message.as_ref() }) else {
        return answer(Err(Errno::EFAULT));
    };
    // SAFETY: as for sendmsg(2).
    let data = unsafe { gather(message.msg_iov, message.msg_iovlen) };
    // SAFETY: `u` is that of the table.
    count(data.and_then(|data| unsafe { world(u) }.send(fd, data, flags)))
}

unsafe extern "C" fn fcntl(u: *mut c_void, fd: c_int, command: c_int, argument: c_long) -> c_int {
    // SAFETY: `u` is that of the table.
    let world = unsafe { world(u) };
    match command {
        libc::F_GETFL => answer(
            world
                .is_nonblocking(fd)
                .map(|nonblocking| libc::O_RDWR | if nonblocking { libc::O_NONBLOCK } else { 0 }),
        ),
        libc::F_SETFL => {
            done(world.set_nonblocking(fd, argument & c_long::from(libc::O_NONBLOCK) != 0))
        }
        _ => answer(Err(Errno::EINVAL)),
    }
}

unsafe extern "C" fn ioctl(
    u: *mut c_void,
    fd: c_int,
    request: c_ulong,
    argument: *mut c_int,
) -> c_int {
    // SAFETY: `u` is that of the table, and the argument as for ioctl(2).
    let (world, Some(argument)) = (unsafe { (world(u), argument.as_mut()) }) else {
        return answer(Err(Errno::EFAULT));
    };
    if request == libc::FIONBIO {
        return done(world.set_nonblocking(fd, *argument != 0));
    }
    done(world.queue_length(fd, request).map(|length| *argument = length))
}

unsafe extern "C" fn close(u: *mut c_void, fd: c_int) -> c_int {
    // SAFETY: `u` is that of the table.
    done(unsafe { world(u) }.close(fd))
}

unsafe extern "C" fn shutdown(u: *mut c_void, fd: c_int, how: c_int) -> c_int {
    // SAFETY: `u` is that of the table.
    done(unsafe { world(u) }.shutdown(fd, how))
}

unsafe extern "C" fn getsockopt(
    u: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    // SAFETY: `u` is that of the table, and the rest as for getsockopt(2).
    unsafe { option_of(world(u), fd, level, name, value, len) }
}

/// # Safety
/// As for getsockopt(2).
unsafe fn option_of(
    world: &World,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    if value.is_null() || len.is_null() {
        return answer(Err(Errno::EFAULT));
    }
    done(world.get_option(fd, level, name).map(|bytes| {
        // SAFETY: the caller's buffer holds `len` bytes.
        unsafe {
            let n = bytes.len().min(*len as usize);
            ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), n);
            *len = n as socklen_t;
        }
    }))
}

unsafe extern "C" fn setsockopt(
    u: *mut c_void,
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> c_int {
    // SAFETY: `u` is that of the table, and the value as for setsockopt(2).
    let (world, value) = unsafe { (world(u), bytes_at(value, len as usize)) };
    done(value.and_then(|value| world.set_option(fd, level, name, value)))
}

unsafe extern "C" fn poll(
    u: *mut c_void,
    fds: *mut libc::pollfd,
    n: libc::nfds_t,
    timeout: c_int,
) -> c_int {
    if fds.is_null() || n > 1_024 {
        return answer(Err(Errno::EINVAL));
    }
    // SAFETY: `u` is that of the table, and the array as for poll(2).
    let (world, fds) = unsafe { (world(u), slice::from_raw_parts_mut(fds, n as usize)) };
    let asked = fds.iter().map(|fd| (fd.fd, fd.events)).collect();
    answer(world.poll(asked, timeout).map(|ready| {
        for (fd, revents) in fds.iter_mut().zip(&ready) {
            fd.revents = *revents;
        }
        ready.iter().filter(|&&revents| revents != 0).count() as c_int
    }))
}

unsafe extern "C" fn netdev_send(u: *mut c_void, packet: *const c_void, len: usize) -> c_int {
    // SAFETY: `u` is that of the table, and the packet holds `len` bytes.
    let (world, packet) = unsafe { (world(u), bytes_at(packet, len)) };
    done(packet.map(|packet| world.inject(packet)))
}

unsafe extern "C" fn netdev_receive(
    u: *mut c_void,
    buffer: *mut c_void,
    len: *mut usize,
    at: *mut c_longlong,
) -> c_int {
    // SAFETY: `u` is that of the table, and the pointers are packetdrill's own variables.
    unsafe {
        let Some((then, packet)) = world(u).sniff() else {
            // To fail would be asked again for ever; an empty packet ends the script.
            *len = 0;
            return 0;
        };
        let n = packet.len().min(*len);
        ptr::copy_nonoverlapping(packet.as_ptr(), buffer.cast(), n);
        *len = n;
        *at = (EPOCH_SECONDS * 1_000_000 + then.as_micros()) as c_longlong;
    }
    0
}

unsafe extern "C" fn usleep(u: *mut c_void, micros: c_uint) -> c_int {
    // SAFETY: `u` is that of the table.
    unsafe { world(u) }.sleep(Duration::from_micros(micros.into()));
    0
}

unsafe extern "C" fn gettimeofday(
    u: *mut c_void,
    time: *mut libc::timeval,
    _zone: *mut c_void,
) -> c_int {
    // SAFETY: `u` is that of the table.
    let micros = unsafe { world(u) }.look_at_clock().as_micros();
    // SAFETY: as for gettimeofday(2).
    if let Some(time) = unsafe { time.as_mut() } {
        time.tv_sec = (EPOCH_SECONDS + micros / 1_000_000) as libc::time_t;
        time.tv_usec = (micros % 1_000_000) as libc::suseconds_t;
    }
    0
}

unsafe extern "C" fn epoll_create(u: *mut c_void, _size: c_int) -> c_int {
    // SAFETY: `u` is that of the table.
    answer(unsafe { world(u) }.epoll_create())
}

unsafe extern "C" fn epoll_ctl(
    u: *mut c_void,
    fd: c_int,
    operation: c_int,
    of: c_int,
    event: *mut libc::epoll_event,
) -> c_int {
    // SAFETY: `u` is that of the table, and the event as for epoll_ctl(2).
    let (world, event) = unsafe { (world(u), event.as_ref()) };
    done(world.epoll_ctl(fd, operation, of, event.map(|event| (event.events, event.u64))))
}

unsafe extern "C" fn epoll_wait(
    u: *mut c_void,
    fd: c_int,
    events: *mut libc::epoll_event,
    most: c_int,
    timeout: c_int,
) -> c_int {
    let Ok(most @ 1..) = usize::try_from(most) else {
        return answer(Err(Errno::EINVAL));
    };
    // SAFETY: `u` is that of the table.
    let ready = unsafe { world(u) }.epoll_wait(fd, most, timeout);
    answer(ready.map(|ready| {
        for (n, &(bits, data)) in ready.iter().enumerate() {
            // SAFETY: as for epoll_wait(2): there is room for `most`.
            unsafe { events.add(n).write(libc::epoll_event { events: bits, u64: data }) };
        }
        ready.len() as c_int
    }))
}

unsafe extern "C" fn pipe(_u: *mut c_void, _fds: *mut c_int) -> c_int {
    answer(Err(Errno::ENOSYS))
}

unsafe extern "C" fn splice(
    _u: *mut c_void,
    _from: c_int,
    _from_at: *mut i64,
    _to: c_int,
    _to_at: *mut i64,
    _len: usize,
    _flags: c_uint,
) -> isize {
    answer(Err(Errno::ENOSYS))
}

/// Receives into the parts; answers how much, and how much is left if the reader wants to know.
///
/// # Safety
/// As for readv(2).
unsafe fn scatter(
    world: &World,
    fd: c_int,
    parts: &[libc::iovec],
    flags: c_int,
) -> Result<(usize, Option<usize>), Errno> {
    let len = parts.iter().map(|part| part.iov_len).fold(0, usize::saturating_add);
    if parts.iter().any(|part| part.iov_base.is_null() && part.iov_len > 0) {
        return Err(Errno::EFAULT);
    }
    let (bytes, left) = world.receive(fd, len.min(MOST_BYTES), flags)?;
    let mut rest = bytes.as_slice();
    for part in parts {
        let (now, later) = rest.split_at(part.iov_len.min(rest.len()));
        // SAFETY: the part holds at least as many bytes.
        unsafe { ptr::copy_nonoverlapping(now.as_ptr(), part.iov_base.cast(), now.len()) };
        rest = later;
    }
    Ok((bytes.len(), left))
}
