//! What belongs to IP rather than to one transport.

pub mod path_mtu;
