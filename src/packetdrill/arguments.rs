//! What the pointers that C functions are given mean.

#![allow(unsafe_code)]

use core::ffi::{c_int, c_uint, c_void};
use core::{mem, ptr, slice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use nix::errno::Errno;
use nix::libc::{self, sockaddr, socklen_t};

/// Buffers longer than this are refused: no script has one, and a length may be nonsense.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// # Safety
/// `bytes` is null or points to `len` bytes.
pub(super) unsafe fn bytes_at<'b>(bytes: *const c_void, len: usize) -> Result<&'b [u8], Errno> {
    match len {
        0 => Ok(&[]),
        _ if bytes.is_null() => Err(Errno::EFAULT),
        // SAFETY: the caller's promise.
        1..=MOST_BYTES => Ok(unsafe { slice::from_raw_parts(bytes.cast(), len) }),
        _ => Err(Errno::EINVAL),
    }
}

/// # Safety
/// `parts` is null or points to `n` of them.
pub(super) unsafe fn parts_at<'p>(
    parts: *const libc::iovec,
    n: usize,
) -> Result<&'p [libc::iovec], Errno> {
    match n {
        0 => Ok(&[]),
        _ if parts.is_null() => Err(Errno::EFAULT),
        // SAFETY: the caller's promise.
        1..=1_024 => Ok(unsafe { slice::from_raw_parts(parts, n) }),
        _ => Err(Errno::EINVAL),
    }
}

/// The bytes of all parts, in order.
///
/// # Safety
/// As for writev(2).
pub(super) unsafe fn gather(parts: *const libc::iovec, n: usize) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    // SAFETY: the caller's promise.
    for part in unsafe { parts_at(parts, n) }? {
        // SAFETY: the caller's promise.
        all.extend_from_slice(unsafe { bytes_at(part.iov_base, part.iov_len) }?);
    }
    Ok(all)
}

/// Tells how much is left to read, as a control message, if there is something to tell and room.
///
/// # Safety
/// As for recvmsg(2).
pub(super) unsafe fn put_left(message: &mut libc::msghdr, left: Option<usize>) {
    let needed = unsafe { libc::CMSG_SPACE(mem::size_of::<c_int>() as c_uint) } as usize;
    let Some(left) = left.filter(|_| message.msg_controllen >= needed) else {
        message.msg_controllen = 0;
        return;
    };
    // SAFETY: the buffer has room for one control message with a number in it.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(message);
        (*control).cmsg_level = libc::SOL_TCP;
        (*control).cmsg_type = libc::TCP_INQ;
        (*control).cmsg_len = libc::CMSG_LEN(mem::size_of::<c_int>() as c_uint) as _;
        let left = c_int::try_from(left).unwrap_or(c_int::MAX);
        libc::CMSG_DATA(control).cast::<c_int>().write_unaligned(left);
    }
    message.msg_controllen = needed as _;
}

/// # Safety
/// `address` is null or points to `len` bytes.
pub(super) unsafe fn address_at(
    address: *const sockaddr,
    len: socklen_t,
) -> Result<SocketAddr, Errno> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes_at(address.cast(), len as usize) }?;
    let family = bytes.get(..2).and_then(|family| family.try_into().ok());
    let family = family.map(u16::from_ne_bytes).ok_or(Errno::EINVAL)?;
    let port = || bytes.get(2..4).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes);
    match c_int::from(family) {
        libc::AF_INET => {
            let ip: Option<[u8; 4]> = bytes.get(4..8).and_then(|ip| ip.try_into().ok());
            let (ip, port) = ip.zip(port()).ok_or(Errno::EINVAL)?;
            Ok(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let ip: Option<[u8; 16]> = bytes.get(8..24).and_then(|ip| ip.try_into().ok());
            let (ip, port) = ip.zip(port()).ok_or(Errno::EINVAL)?;
            let ip = Ipv6Addr::from(ip);
            Ok(match ip.to_ipv4_mapped() {
                Some(ip) => SocketAddrV4::new(ip, port).into(),
                None => SocketAddrV6::new(ip, port, 0, 0).into(),
            })
        }
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// # Safety
/// `to` is null or points to `*len` bytes.
pub(super) unsafe fn put_address(address: SocketAddr, to: *mut sockaddr, len: *mut socklen_t) {
    if to.is_null() || len.is_null() {
        return;
    }
    let mut bytes = Vec::with_capacity(28);
    match address {
        SocketAddr::V4(v4) => {
            bytes.extend((libc::AF_INET as u16).to_ne_bytes());
            bytes.extend(v4.port().to_be_bytes());
            bytes.extend(v4.ip().octets());
            bytes.extend([0; 8]);
        }
        SocketAddr::V6(v6) => {
            bytes.extend((libc::AF_INET6 as u16).to_ne_bytes());
            bytes.extend(v6.port().to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(v6.ip().octets());
            bytes.extend([0; 4]);
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        let n = bytes.len().min(*len as usize);
        ptr::copy_nonoverlapping(bytes.as_ptr(), to.cast(), n);
        *len = bytes.len() as socklen_t;
    }
}
