//! The shared object that packetdrill loads, loaded as it does that: by name, with the symbols that
//! it looks for. So that it cannot rot where there is no packetdrill.

#![allow(unsafe_code)]
#![allow(clippy::unwrap_used)]

use core::ffi::{CStr, c_char, c_int, c_void};
use std::ffi::CString;
use std::mem::{MaybeUninit, transmute};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

use nix::libc;
use tunstack::packetdrill::Interface;

type Init = unsafe extern "C" fn(*const c_char, *mut Interface);
type GetSockOpt =
    unsafe extern "C" fn(c_int, c_int, c_int, *mut c_void, *mut libc::socklen_t) -> c_int;

/// Where cargo puts it: in `examples`, beside the folder of this program.
fn path() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let profile = program.parent().and_then(|deps| deps.parent()).unwrap();
    let object = profile.join("examples/libtunstack_packetdrill.so");
    let how = "cargo build --features packetdrill --examples";
    assert!(object.exists(), "{} is missing: {how}", object.display());
    object
}

/// A symbol of the object; never one of this program.
fn symbol(object: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the object is open.
    let symbol = unsafe { libc::dlsym(object, name.as_ptr()) };
    assert!(!symbol.is_null(), "there is no {name:?} in it");
    symbol
}

#[test]
fn the_object_fills_the_table_and_answers_for_its_sockets_only() {
    let path = CString::new(path().as_os_str().as_bytes()).unwrap();
    // SAFETY: a path; what it runs when loaded is Rust's own.
    let object = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!object.is_null(), "it cannot be loaded");
    // SAFETY: the symbols have these types.
    let (init, getsockopt) = unsafe {
        (
            transmute::<*mut c_void, Init>(symbol(object, c"packetdrill_interface_init")),
            transmute::<*mut c_void, GetSockOpt>(symbol(object, c"getsockopt")),
        )
    };
    let mut table = MaybeUninit::<Interface>::zeroed();
    // SAFETY: as packetdrill calls it; the table is filled when it returns.
    let table = unsafe {
        init(ptr::null(), table.as_mut_ptr());
        table.assume_init()
    };
    // SAFETY: the functions are called as their documentation says.
    unsafe {
        let fd = (table.socket)(table.userdata, libc::AF_INET, libc::SOCK_STREAM, 0);
        assert!(fd > 2, "a descriptor of its own");
        let (mut value, mut len) = ([0u8; 280], 280);
        let into = value.as_mut_ptr().cast();
        assert_eq!(getsockopt(fd, libc::SOL_TCP, libc::TCP_INFO, into, &raw mut len), 0);
        assert_eq!((len, value[0]), (280, 7), "TCP_CLOSE");

        // A socket of the kernel goes to the kernel.
        let kernels = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut kind, mut len) = (0i32, 4);
        let into = ptr::from_mut(&mut kind).cast();
        let name = libc::SO_ACCEPTCONN;
        let got = getsockopt(kernels.as_raw_fd(), libc::SOL_SOCKET, name, into, &raw mut len);
        assert_eq!((got, kind), (0, 1));

        assert_eq!((table.close)(table.userdata, fd), 0);
        let mut len = 280;
        let into = value.as_mut_ptr().cast();
        assert_eq!(getsockopt(fd, libc::SOL_TCP, libc::TCP_INFO, into, &raw mut len), -1);
        (table.free)(table.userdata);
    }
}
