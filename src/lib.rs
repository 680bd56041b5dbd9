//! A userspace TCP/IP stack over a Linux TUN interface.

pub mod tcp;
pub mod time;
pub mod wire;
