//! What can go wrong, one type for each audience.

use core::fmt;

pub use crate::wire::icmp::Unreachable;

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both sides closed in order and all data arrived.
    Finished,
    /// The peer reset the connection.
    Reset,
    /// The peer answered our SYN with a reset: nobody listens there.
    Refused,
    /// The peer stopped answering: retransmissions, keep-alives or the user timeout ran out.
    TimedOut,
    /// The network says the peer cannot be reached, and a connect has failed by it or the peer has
    /// stopped answering.
    Unreachable(Unreachable),
    /// The application aborted.
    Aborted,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("connection closed"),
            Self::Reset => f.write_str("connection reset by peer"),
            Self::Refused => f.write_str("connection refused"),
            Self::TimedOut => f.write_str("connection timed out"),
            Self::Unreachable(what) => what.fmt(f),
            Self::Aborted => f.write_str("connection aborted"),
        }
    }
}

/// Why a read gave no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The id names no connection: it was closed.
    NoSuchConnection,
    /// Nothing has arrived; an event tells when something has.
    WouldBlock,
    /// The connection is over and everything that had arrived has been read.
    Closed(CloseReason),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchConnection => f.write_str("no such connection"),
            Self::WouldBlock => f.write_str("nothing to read yet"),
            Self::Closed(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// Why a write took no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The id names no connection: it was closed.
    NoSuchConnection,
    /// This side has been shut down (RFC 9293 section 3.10.2: "connection closing").
    Closing,
    /// The connection is over.
    Closed(CloseReason),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchConnection => f.write_str("no such connection"),
            Self::Closing => f.write_str("connection closing"),
            Self::Closed(reason) => reason.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {}
