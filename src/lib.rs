//! A userspace TCP/IP stack over a Linux TUN interface.

pub mod apps;
pub mod device;
pub mod ip;
pub mod manual;
pub mod runtime;
pub mod stack;
pub mod tcp;
pub mod time;
pub mod wire;

pub use stack::{Config, ConnId, Event, ListenerId, Received, Stack};
