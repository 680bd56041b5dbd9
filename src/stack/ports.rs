//! Ephemeral ports (RFC 6056 section 3.3.3, the simple hash-based algorithm).

use core::ops::RangeInclusive;

/// The ports given to connections that name none; as Linux's default `ip_local_port_range`.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// Hands out ports in an order that an outsider cannot foresee, and that repeats as late as
/// possible for each destination.
#[derive(Default)]
pub(super) struct Ports {
    next: u32,
}

impl Ports {
    /// A port for which `is_free`, starting at `offset`, a secret function of the destination.
    pub(super) fn choose(&mut self, offset: u32, is_free: impl Fn(u16) -> bool) -> Option<u16> {
        let count = u32::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        for _ in 0..count {
            // The remainder is below 2^16, and so is the sum.
            let step = (self.next.wrapping_add(offset) % count) as u16;
            self.next = self.next.wrapping_add(1);
            let port = EPHEMERAL.start() + step;
            if is_free(port) {
                return Some(port);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_is_used_once_and_then_there_is_none() {
        let mut ports = Ports::default();
        let mut used = BTreeSet::new();
        while let Some(port) = ports.choose(0xdead_beef, |port| !used.contains(&port)) {
            assert!(EPHEMERAL.contains(&port));
            used.insert(port);
        }
        assert_eq!(used.len(), EPHEMERAL.count());
    }
}
