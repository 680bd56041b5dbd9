//! Bytes to values and back. No connection lives here: every function is a pure one of its
//! arguments.
//!
//! [`codec`] is the only place that names etherparse, and [`checksum`] the only one that sums;
//! the rest of the stack speaks in [`Segment`], [`SeqNum`] and [`Flow`].

pub mod checksum;
pub mod codec;
mod ecn_counters;
mod flow;
mod frame;
pub mod icmp;
mod segment;
mod seq;

pub use ecn_counters::{EcnCounters, EcnOrder};
pub use flow::Flow;
pub use frame::{Checksum, Frame, Offload, Transmit};
pub use segment::{
    EcnField, Flags, MAX_SACK_BLOCKS, Options, SackBlocks, Segment, Timestamps, WindowScale,
};
pub use seq::{SeqNum, SeqRange};
