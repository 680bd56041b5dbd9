//! What paths are known to carry less than our own link (RFC 1191, RFC 8201).

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::{Duration, Instant};

/// The most destinations remembered; beyond it the one that would be forgotten first goes.
const MOST: usize = 1_024;

/// A path may have grown again after this time (RFC 1191 section 6.3, RFC 8201 section 4: ten
/// minutes).
const LIFETIME: Duration = Duration::from_secs(600);

/// The least that a router is believed, so that a forged message cannot make segments tiny: 552
/// bytes as Linux's `min_pmtu`; IPv6 links carry 1280 (RFC 8201 section 4).
const FLOOR_V4: usize = 552;
const FLOOR_V6: usize = 1_280;

/// The sizes that links usually have (RFC 1191 section 7), for routers that do not say theirs.
const PLATEAUS: [usize; 9] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 576, 552];

/// The path MTU towards each destination where it is known to be small.
#[derive(Debug, Default)]
pub struct PathMtus(BTreeMap<IpAddr, (usize, Instant)>);

impl PathMtus {
    /// What the path to `remote` carries, if less than the link was ever reported.
    pub fn get(&self, remote: IpAddr, now: Instant) -> Option<usize> {
        self.0.get(&remote).filter(|(_, until)| now < *until).map(|&(mtu, _)| mtu)
    }

    /// The MTU that a report of `reported` bytes (0: the router did not say) means for a path that
    /// was held to carry `current`.
    pub fn believed(remote: IpAddr, reported: usize, current: usize) -> usize {
        let floor = if remote.is_ipv6() { FLOOR_V6 } else { FLOOR_V4 };
        let mtu = if reported > 0 {
            reported
        } else {
            PLATEAUS.into_iter().find(|&plateau| plateau < current).unwrap_or(floor)
        };
        mtu.max(floor).min(current)
    }

    /// Remembers that the path to `remote` carries `mtu`.
    pub fn learn(&mut self, remote: IpAddr, mtu: usize, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&remote) {
            let oldest = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(&ip, _)| ip);
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(remote, (mtu, now + LIFETIME));
    }

    /// Forgets what was learnt about the path to `remote`.
    pub fn forget(&mut self, remote: IpAddr) {
        self.0.remove(&remote);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_held_to_the_floor_and_to_what_was_known() {
        let v4 = IpAddr::from([10, 0, 0, 1]);
        let v6 = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(PathMtus::believed(v4, 1_400, 1_500), 1_400);
        assert_eq!(PathMtus::believed(v4, 68, 1_500), 552);
        assert_eq!(PathMtus::believed(v6, 68, 1_500), 1_280);
        assert_eq!(PathMtus::believed(v4, 9_000, 1_500), 1_500, "a report never raises the MTU");
        assert_eq!(PathMtus::believed(v4, 0, 1_500), 1_492, "the next plateau");
        assert_eq!(PathMtus::believed(v4, 0, 552), 552);
    }

    #[test]
    fn what_is_known_is_forgotten_after_ten_minutes_and_is_bounded() {
        let mut paths = PathMtus::default();
        let remote = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..2_000 {
            paths.learn(remote(n), 1_000, Instant::from_millis(u64::from(n)));
        }
        assert_eq!(paths.0.len(), MOST);
        let now = Instant::from_millis(2_000);
        assert_eq!(paths.get(remote(0), now), None, "the oldest made room");
        assert_eq!(paths.get(remote(1_999), now), Some(1_000));
        assert_eq!(paths.get(remote(1_999), now + LIFETIME), None);
    }
}
