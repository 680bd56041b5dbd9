//! The shared object that packetdrill loads: `tunstack::packetdrill` under the names that it looks
//! for.
//!
//! ```text
//! packetdrill --so_filename=target/release/examples/libtunstack_packetdrill.so script.pkt
//! ```

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use nix::libc::{self, socklen_t};
use tunstack::packetdrill::{self, Interface};

/// Called once, when packetdrill has loaded this object.
///
/// # Safety
/// `flags` is null or a string, and `interface` points to packetdrill's table.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn packetdrill_interface_init(
    flags: *const c_char,
    interface: *mut Interface,
) {
    // SAFETY: the caller's promise.
    match unsafe { packetdrill::init(flags) } {
        // SAFETY: the caller's promise.
        Ok(table) => unsafe { interface.write(table) },
        Err(error) => {
            eprintln!("tunstack: --so_flags: {error}");
            std::process::exit(1);
        }
    }
}

type GetSockOpt = unsafe extern "C" fn(c_int, c_int, c_int, *mut c_void, *mut socklen_t) -> c_int;

/// packetdrill asks for TCP_INFO by libc's own `getsockopt`, so this one must come first in the
/// order of symbols (`LD_PRELOAD`). What is no socket of ours goes to libc.
///
/// # Safety
/// As for getsockopt(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    len: *mut socklen_t,
) -> c_int {
    static LIBC: OnceLock<Option<GetSockOpt>> = OnceLock::new();
    // SAFETY: the caller's promise.
    if let Some(result) = unsafe { packetdrill::get_option(fd, level, name, value, len) } {
        return result;
    }
    let next = *LIBC.get_or_init(|| {
        const NAME: &CStr = c"getsockopt";
        // SAFETY: the symbol that comes next under this name is libc's, of this type.
        unsafe {
            let symbol = libc::dlsym(libc::RTLD_NEXT, NAME.as_ptr());
            (!symbol.is_null()).then(|| core::mem::transmute::<*mut c_void, GetSockOpt>(symbol))
        }
    });
    match next {
        // SAFETY: the caller's promise.
        Some(next) => unsafe { next(fd, level, name, value, len) },
        None => {
            nix::errno::Errno::ENOSYS.set();
            -1
        }
    }
}
