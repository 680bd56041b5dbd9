//! What an embedder may set, with the defaults. The reason for each default is in
//! [`crate::manual`].

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::net::IpAddr;

use crate::tcp::{KeepAlive, Settings};

/// The least a buffer may be limited to: a full segment on any common link.
const LEAST_BUFFER: u32 = 2 << 10;

/// The largest window there is (RFC 7323 section 2.3); half the sequence space must stay free.
const MOST_BUFFER: u32 = 1 << 30;

/// What a connection's MSS may be limited to; as Linux's TCP_MAXSEG. Less than the floor would
/// spend most of the link on headers.
const MAX_SEGMENT: RangeInclusive<u16> = 88..=65_495;

/// An ACK must be delayed by less than this (RFC 9293 section 3.8.6.3, MUST-40).
const TOO_LATE: Duration = Duration::from_millis(500);

/// The settings of a [`Stack`](super::Stack).
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses the stack answers to; at least one.
    pub addresses: Vec<IpAddr>,
    /// Bytes of the largest IP packet the link carries: 576 to 65535, and at least 1280 when an
    /// address is IPv6.
    pub mtu: usize,
    /// What every connection starts with.
    pub tcp: Settings,
    /// How long a TIME-WAIT record is kept: 2 MSL. More than twenty days count as that.
    pub time_wait: Duration,
    /// The most TIME-WAIT records kept; beyond it the oldest goes.
    pub max_time_wait: usize,
    /// The most half-open entries of one listener; beyond it the oldest goes.
    pub max_half_open: usize,
    /// The most connections that wait for `accept` on one listener.
    pub max_accept_queue: usize,
    /// The most connections; beyond it SYNs are dropped and `connect` fails.
    pub max_connections: usize,
    /// The most bytes of memory that the buffers of all connections take together, at least 1. What
    /// happens when they are used up, and what is taken beyond, is in [`crate::manual`].
    pub max_buffer_memory: usize,
    /// For tests: every connection starts at this sequence number. It defeats RFC 6528.
    #[doc(hidden)]
    pub fixed_iss: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            mtu: 1500,
            tcp: Settings::default(),
            time_wait: Duration::from_secs(60),
            max_time_wait: 262_144,
            max_half_open: 4_096,
            max_accept_queue: 4_096,
            max_connections: 4_194_304,
            max_buffer_memory: 1 << 30,
            fixed_iss: None,
        }
    }
}

impl Config {
    /// The defaults, with these addresses.
    pub fn with_addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { addresses: addresses.into_iter().collect(), ..Self::default() }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Names the first setting that makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.addresses.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        for &address in &self.addresses {
            let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
            if address.is_unspecified() || address.is_multicast() || broadcast {
                return Err(ConfigError::NotUnicast(address));
            }
        }
        let least = if self.addresses.iter().any(IpAddr::is_ipv6) { 1280 } else { 576 };
        if !(least..=65_535).contains(&self.mtu) {
            return Err(ConfigError::Mtu { mtu: self.mtu, least });
        }
        if self.max_buffer_memory == 0 {
            return Err(ConfigError::BufferMemory);
        }
        validate(&self.tcp)
    }
}

/// Checks of the settings of connections what the types cannot.
pub(super) fn validate(settings: &Settings) -> Result<(), ConfigError> {
    for (name, bytes) in [("receive", settings.max_recv_buffer), ("send", settings.max_send_buffer)]
    {
        if !(LEAST_BUFFER..=MOST_BUFFER).contains(&bytes) {
            return Err(ConfigError::Buffer { name, bytes });
        }
    }
    if settings.not_sent_low_water == 0 {
        return Err(ConfigError::LowWater);
    }
    if let Some(mss) = settings.max_segment.filter(|mss| !MAX_SEGMENT.contains(mss)) {
        return Err(ConfigError::MaxSegment(mss));
    }
    if settings.ttl == 0 {
        return Err(ConfigError::Ttl);
    }
    let sane = |keep_alive| keep_alive == KeepAlive::clamped(keep_alive);
    if !settings.keep_alive.is_none_or(sane) {
        return Err(ConfigError::KeepAlive);
    }
    if settings.user_timeout == Some(Duration::ZERO) {
        return Err(ConfigError::UserTimeout);
    }
    if settings.delayed_ack >= TOO_LATE {
        return Err(ConfigError::DelayedAck(settings.delayed_ack));
    }
    Ok(())
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// There is no address to answer to.
    NoAddress,
    /// The address is not one a host can have.
    NotUnicast(IpAddr),
    /// The MTU is out of range.
    Mtu {
        /// What was asked for.
        mtu: usize,
        /// The least that is possible with these addresses.
        least: usize,
    },
    /// A buffer is too small to hold a segment, or too large for sequence numbers.
    Buffer {
        /// Which.
        name: &'static str,
        /// What was asked for.
        bytes: u32,
    },
    /// Without memory for buffers nothing could be sent or received.
    BufferMemory,
    /// With a low-water mark of zero nothing could ever be written.
    LowWater,
    /// The limit of the MSS is out of range.
    MaxSegment(u16),
    /// A time of the keep-alive is below a second, or there is no probe.
    KeepAlive,
    /// A packet with a time to live of zero goes nowhere.
    Ttl,
    /// A user timeout of zero would end a connection with its first write.
    UserTimeout,
    /// An ACK would be delayed for too long.
    DelayedAck(Duration),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("no address: give the stack at least one"),
            Self::NotUnicast(address) => {
                write!(f, "{address} is not an address a host can have: use a unicast address")
            }
            Self::Mtu { mtu, least } => {
                write!(f, "an MTU of {mtu} is out of range: use {least} to 65535")
            }
            Self::Buffer { name, bytes } => {
                write!(
                    f,
                    "a {name} buffer of {bytes} bytes is out of range: \
                     use {LEAST_BUFFER} to {MOST_BUFFER}"
                )
            }
            Self::BufferMemory => f.write_str(
                "buffers of 0 bytes for all connections would let nothing through: use 1 or more",
            ),
            Self::LowWater => f.write_str(
                "a low-water mark of 0 would let nothing be written: use 1 or more, or u32::MAX for none",
            ),
            Self::MaxSegment(mss) => {
                let (least, most) = (MAX_SEGMENT.start(), MAX_SEGMENT.end());
                write!(f, "an MSS of {mss} is out of range: use {least} to {most}")
            }
            Self::KeepAlive => {
                f.write_str("keep-alive wants times of a second or more, and a probe")
            }
            Self::Ttl => f.write_str("a time to live of 0 is out of range: use 1 to 255"),
            Self::UserTimeout => f.write_str(
                "a user timeout of 0 would end a connection with its first write: use None for none",
            ),
            Self::DelayedAck(delay) => {
                write!(f, "an ACK delayed by {delay:?} comes too late: use less than {TOO_LATE:?}")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
