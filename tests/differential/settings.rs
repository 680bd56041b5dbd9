//! How the kernel's side is set: every setting of the namespace that the comparison rests on, with
//! its reason. The congestion control is set for each socket, for a new namespace refuses to.

use std::fs;

use crate::real::interface::ip;

/// The interface between the kernel and the test, which plays every peer.
pub(crate) const TUN: &str = "tun0";

/// Settings of the namespace: the file below /proc/sys/net, the value, and why.
const SETTINGS: &[(&str, &str, &str)] = &[
    // What tunstack does not have, or has turned off for the comparison.
    ("ipv4/tcp_recovery", "1", "RACK (RFC 8985)"),
    ("ipv4/tcp_early_retrans", "0", "no tail loss probe (RFC 8985)"),
    ("ipv4/tcp_frto", "2", "F-RTO (RFC 5682), also where there is no SACK"),
    ("ipv4/tcp_dsack", "1", "D-SACK (RFC 2883)"),
    ("ipv4/tcp_ecn", "0", "no ECN (RFC 3168)"),
    ("ipv4/tcp_fastopen", "0", "no TCP Fast Open (RFC 7413)"),
    // Where the kernel's habit is not what an RFC says.
    ("ipv4/tcp_syn_linear_timeouts", "0", "SYNs back off from the first on, as RFC 6298 says"),
    ("ipv4/tcp_rfc1337", "1", "a reset does not end TIME-WAIT (RFC 1337)"),
    ("ipv4/tcp_pingpong_thresh", "255", "the first ACKs are quick also after the first answer"),
    ("ipv4/tcp_comp_sack_nr", "0", "duplicate ACKs are not gathered (RFC 5681 section 4.2)"),
    ("ipv4/tcp_autocorking", "0", "small writes do not wait for the device"),
    ("ipv4/tcp_retrans_collapse", "0", "what is sent again is not put together anew"),
    ("ipv4/tcp_min_tso_segs", "1", "one segment at a time, so that each has its own PSH"),
    // So that sequences know nothing of each other.
    ("ipv4/tcp_no_metrics_save", "1", "what one connection learns does not start the next"),
    ("ipv4/tcp_syncookies", "0", "a half-open connection is one, however many there are"),
    ("ipv4/tcp_challenge_ack_limit", "2147483647", "only the limit of each connection counts"),
    ("ipv4/tcp_max_syn_backlog", "65536", "no listener runs out of half-open connections"),
    ("core/somaxconn", "65536", "nor out of established ones"),
    ("ipv4/tcp_max_tw_buckets", "1000000", "no TIME-WAIT makes room for another"),
    ("ipv4/conf/all/rp_filter", "0", "the peers' addresses are not asked for their routes"),
    ("ipv4/conf/default/rp_filter", "0", "the same"),
    // What is the default, and is relied on.
    ("ipv4/tcp_invalid_ratelimit", "500", "one answer to old segments in 500 ms"),
    ("ipv4/tcp_timestamps", "1", "with an offset for each connection"),
    ("ipv4/tcp_sack", "1", ""),
    ("ipv4/tcp_window_scaling", "1", ""),
    ("ipv4/tcp_reordering", "3", "three duplicate ACKs (RFC 5681)"),
    ("ipv4/tcp_slow_start_after_idle", "1", "RFC 5681 section 4.1"),
    ("ipv4/tcp_syn_retries", "6", ""),
    ("ipv4/tcp_synack_retries", "5", ""),
    ("ipv4/tcp_fin_timeout", "60", ""),
    ("ipv4/tcp_abort_on_overflow", "0", ""),
    ("ipv4/tcp_mtu_probing", "0", ""),
    ("ipv4/tcp_stdurg", "0", "the urgent pointer means what RFC 6093 says"),
    ("ipv4/ip_default_ttl", "64", ""),
    // Buffers. The first window comes to 65,535 or less, the scale to 7 as ours; it is not tuned.
    ("ipv4/tcp_rmem", "4096 131072 6291456", "a window of 64 KiB, a scale of 7"),
    ("ipv4/tcp_wmem", "4096 16777216 16777216", "every write of the grammar fits"),
    ("ipv4/tcp_moderate_rcvbuf", "0", "the receive buffer stays as it is"),
];

/// Sets up the namespace that the calling thread is in: the interface, to which every address of
/// 10/8 leads; the lower half of them the kernel's own, the upper half those of peers.
pub(crate) fn prepare() {
    for (file, value, _) in SETTINGS {
        let path = format!("/proc/sys/net/{file}");
        fs::write(&path, value).unwrap_or_else(|error| panic!("{path} = {value}: {error}"));
    }
    ip(&format!("link set dev {TUN} mtu 1500 txqueuelen 100000 gso_max_segs 1 up"));
    let no_ipv6 = format!("/proc/sys/net/ipv6/conf/{TUN}/disable_ipv6");
    if fs::metadata(&no_ipv6).is_ok() {
        fs::write(&no_ipv6, "1").unwrap();
    }
    ip(&format!("address add 10.0.0.1/32 dev {TUN}"));
    ip(&format!("route add 10.128.0.0/9 dev {TUN} src 10.0.0.1"));
    ip("route add local 10.0.0.0/9 dev lo");
}
