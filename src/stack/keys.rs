//! The secrets of a stack, all derived from one seed: what an attacker must not foresee.

use core::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::{SipHasher13, SipHasher24};

use crate::time::Instant;
use crate::wire::{Flow, SeqNum};

/// A SipHash key for each use, so that what one of them shows to a peer says nothing of another.
pub(super) struct Keys {
    table: [u8; 16],
    isn: [u8; 16],
    ports: [u8; 16],
    timestamps: [u8; 16],
}

impl Keys {
    /// The keys of this seed: the same seed gives the same keys.
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let (low, high) = seed.split_at(16);
        let derive = |label: u8| {
            let mut key = [0; 16];
            for (half, part) in [low, high].into_iter().enumerate() {
                let mut secret = [0; 16];
                secret.copy_from_slice(part);
                let mut hasher = SipHasher24::new_with_key(&secret);
                hasher.write(&[label]);
                hasher.write(if half == 0 { high } else { low });
                key[half * 8..][..8].copy_from_slice(&hasher.finish().to_le_bytes());
            }
            key
        };
        Self { table: derive(1), isn: derive(2), ports: derive(3), timestamps: derive(4) }
    }

    /// Where a connection lies in the table. A peer chooses its four-tuple, so the hash is keyed;
    /// it is never shown, so one round less will do.
    pub(super) fn hash(&self, flow: &Flow) -> u64 {
        SipHasher13::new_with_key(&self.table).hash(&flow.bytes())
    }

    /// The initial sequence number (RFC 9293 section 3.4.1, MUST-8, SHLD-1; RFC 6528): a clock of
    /// 4 microseconds, plus a secret function of the four-tuple.
    pub(super) fn initial_sequence_number(&self, now: Instant, flow: &Flow) -> SeqNum {
        let mut hasher = SipHasher24::new_with_key(&self.isn);
        write_address(&mut hasher, flow.local());
        write_address(&mut hasher, flow.remote());
        hasher.write_u16(flow.local_port());
        hasher.write_u16(flow.remote_port());
        // The clock is meant to wrap, after 4.55 hours.
        let clock = (now.as_nanos() / 4_000) as u32;
        SeqNum(clock.wrapping_add(hasher.finish() as u32))
    }

    /// Where the search for an ephemeral port starts for this destination (RFC 6056 section
    /// 3.3.3).
    pub(super) fn port_offset(&self, local: IpAddr, remote: IpAddr, remote_port: u16) -> u32 {
        let mut hasher = SipHasher24::new_with_key(&self.ports);
        write_address(&mut hasher, local);
        write_address(&mut hasher, remote);
        hasher.write_u16(remote_port);
        hasher.finish() as u32
    }

    /// What is added to the timestamp clock towards this peer (RFC 7323 sections 5.4 and 7.1): the
    /// same for all connections between two addresses, so that TSval grows from each to the next.
    pub(super) fn timestamp_offset(&self, flow: &Flow) -> u32 {
        let mut hasher = SipHasher24::new_with_key(&self.timestamps);
        write_address(&mut hasher, flow.local());
        write_address(&mut hasher, flow.remote());
        hasher.finish() as u32
    }
}

fn write_address(hasher: &mut impl Hasher, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => hasher.write_u32(u32::from(v4)),
        IpAddr::V6(v6) => hasher.write(&v6.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn flow(remote_port: u16) -> Flow {
        Flow::new(([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], remote_port).into())
    }

    #[test]
    fn the_same_seed_gives_the_same_keys_and_another_gives_others() {
        let (a, b, c) = (Keys::new(&[1; 32]), Keys::new(&[1; 32]), Keys::new(&[2; 32]));
        assert_eq!(a.hash(&flow(1)), b.hash(&flow(1)));
        assert_ne!(a.hash(&flow(1)), c.hash(&flow(1)));
        assert_ne!(a.hash(&flow(1)), a.hash(&flow(2)));
        assert_eq!(a.timestamp_offset(&flow(1)), a.timestamp_offset(&flow(2)));
    }

    #[test]
    fn timestamps_start_from_an_offset_that_only_we_know() {
        let to = |host: u8| Flow::new(([10, 0, 0, 1], 80).into(), ([10, 0, 0, host], 4_000).into());
        let (ours, theirs) = (Keys::new(&[1; 32]), Keys::new(&[2; 32]));
        assert_ne!(ours.timestamp_offset(&to(2)), theirs.timestamp_offset(&to(2)));
        assert_ne!(ours.timestamp_offset(&to(2)), ours.timestamp_offset(&to(3)));
    }

    #[test]
    fn a_flow_s_sequence_numbers_follow_a_clock_of_four_microseconds() {
        let keys = Keys::new(&[7; 32]);
        let t = Instant::from_millis(5_000);
        let first = keys.initial_sequence_number(t, &flow(1));
        let second = keys.initial_sequence_number(t + Duration::from_millis(1), &flow(1));
        assert_eq!(first.distance_to(second), 250);
        assert_ne!(first, keys.initial_sequence_number(t, &flow(2)));
        assert_ne!(first, Keys::new(&[8; 32]).initial_sequence_number(t, &flow(1)));
    }
}
