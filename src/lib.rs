//! A userspace TCP/IP stack over a Linux TUN interface.

pub mod ip;
pub mod manual;
pub mod stack;
pub mod tcp;
pub mod time;
pub mod wire;

pub use stack::{Config, ConnId, Event, ListenerId, Received, Stack};
