//! The interface through which packetdrill, the conformance tester, drives a stack of this crate
//! on a virtual clock.
//!
//! packetdrill loads a shared object, calls its `packetdrill_interface_init` and gets a table of
//! functions: the socket calls of POSIX, a way to inject packets and to sniff those that come out,
//! and a clock. Here each call turns into verbs of a [`Stack`](crate::Stack).
//!
//! - `world`: the stack, its clock, what has come out, and the calls that are blocked.
//! - `sockets`: the socket calls.
//! - `options`: `getsockopt` and `setsockopt`; `tcp_info`: the layout of TCP_INFO.
//! - `readiness`: `poll` and `epoll`.
//! - `sysctl`: what scripts set in the network namespace that they run in.
//! - `abi`: the table of C functions; `arguments`: what the pointers mean that they are given.
//!
//! The exported symbols live in a target of their own, `tunstack_packetdrill`, so that they never
//! enter another program.
//!
//! # Time
//!
//! The clock stands still but for this: each look at it takes a microsecond, so that a caller that
//! spins gets somewhere; `usleep` lets as much pass as it says, and whatever is due happens on the
//! way at its own time; and to wait for a packet is to let pass what it takes. A call that was
//! blocked sees, when its thread first looks at the clock, the moment at which it was answered.

mod abi;
mod arguments;
mod options;
mod readiness;
mod sockets;
mod sysctl;
mod tcp_info;
mod world;

pub use abi::{Interface, get_option, init};
pub use world::EPOCH_SECONDS;
