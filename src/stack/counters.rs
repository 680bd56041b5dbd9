//! What has happened, in numbers; with the names that Linux's `nstat` has for them, where it has.

use crate::wire::codec::DropReason;

/// Declares the counters with their names, so that no list of them can miss one.
macro_rules! counters {
    ($($(#[$doc:meta])+ $field:ident => $name:literal,)+) => {
        /// Counters since the stack was made. They only grow.
        #[derive(Clone, Debug, Default)]
        pub struct Counters {
            $($(#[$doc])+ pub $field: u64,)+
            /// Packets dropped before any connection saw them, by [`DropReason`].
            pub drops: Drops,
        }

        impl Counters {
            /// The name and the value of every counter, always in the same order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                [$(($name, self.$field)),+].into_iter().chain(self.drops.iter())
            }
        }
    };
}

counters! {
    /// Packets that came in.
    packets_in => "IpInReceives",
    /// Packets that went out.
    packets_out => "IpOutRequests",
    /// Packets for an address that is not the stack's.
    not_for_us => "IpInAddrErrors",
    /// Packets of a protocol that the stack does not speak.
    unknown_protocol => "IpInUnknownProtos",
    /// Connections opened by `connect`.
    active_opens => "TcpActiveOpens",
    /// Connections opened by a peer, counted when established.
    passive_opens => "TcpPassiveOpens",
    /// Attempts, ours or a peer's, that came to nothing.
    attempt_fails => "TcpAttemptFails",
    /// Established connections that ended by a reset, a timeout or an abort.
    established_resets => "TcpEstabResets",
    /// Segments that came in.
    segments_in => "TcpInSegs",
    /// Segments that went out, those sent again left out.
    segments_out => "TcpOutSegs",
    /// Segments sent again.
    segments_retransmitted => "TcpRetransSegs",
    /// Retransmission timers that ran out, those for the SYN of a connect included and those that
    /// ended a connection not.
    retransmission_timeouts => "TcpExtTCPTimeouts",
    /// Resets sent.
    resets_out => "TcpOutRsts",
    /// SYN-ACKs sent again.
    syn_acks_retransmitted => "TcpExtTCPSynRetrans",
    /// Connections that timed out.
    timeouts => "TcpExtTCPAbortOnTimeout",
    /// Connections reset because text arrived that nobody would read.
    aborts_on_data => "TcpExtTCPAbortOnData",
    /// Connections reset because unread text was thrown away.
    aborts_on_close => "TcpExtTCPAbortOnClose",
    /// SYNs dropped, or handshakes left waiting, because an accept queue was full.
    listen_overflows => "TcpExtListenOverflows",
    /// Half-open entries that made room for newer ones.
    half_open_evicted => "TcpExtTCPReqQFullDrop",
    /// Writes of which not all was taken because the bound of buffer memory was reached.
    writes_refused => "TcpExtTCPWritesRefused",
    /// Segments whose text was not all taken in for the same reason.
    text_refused => "TcpExtTCPRcvQDrop",
    /// Connections that went into TIME-WAIT.
    time_wait_entered => "TcpExtTW",
    /// TIME-WAIT records taken over by a new connection.
    time_wait_reused => "TcpExtTWRecycled",
    /// TIME-WAIT records that made room for newer ones.
    time_wait_evicted => "TcpExtTCPTimeWaitOverflow",
    /// SYNs dropped because there were as many connections as allowed.
    too_many_connections => "TcpExtTCPTooManyConnections",
    /// Replies dropped because too many were waiting.
    replies_dropped => "RepliesDropped",
    /// Echo requests answered.
    echo_replies => "IcmpOutEchoReps",
    /// ICMP errors sent.
    unreachable_out => "IcmpOutDestUnreachs",
    /// ICMP errors not sent because of the rate limit.
    icmp_limited => "IcmpOutRateLimitHost",
    /// ICMP errors about our segments that came in.
    icmp_errors_in => "IcmpInDestUnreachs",
    /// Those of them whose quote was not of anything in flight.
    icmp_errors_ignored => "TcpExtOutOfWindowIcmps",
    /// UDP datagrams for a port that nobody serves.
    udp_no_port => "UdpNoPorts",
}

/// A counter for each [`DropReason`].
#[derive(Clone, Debug)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; DropReason::ALL.len()])
    }
}

impl Drops {
    /// How many packets were dropped for this reason.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason.index()]
    }

    pub(super) fn count(&mut self, reason: DropReason) {
        self.0[reason.index()] += 1;
    }

    /// The name and the value of every reason's counter.
    fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason.name(), self.get(reason)))
    }
}
