//! Google's own scripts (the folder gtests/net/tcp of its repository packetdrill, as of 2c4001c):
//! which of them do not pass, and what is missing. What is not named here passes.

/// Folders of scripts for something that other TCPs do not have, or that is not there as a whole.
pub(crate) const BEYOND: &[(&str, &str)] = &[
    ("cubic", "the HyStart of Linux, where this is HyStart++, and the sizes of its socket buffers"),
    ("eor", "MSG_EOR, which keeps Linux from merging two writes"),
    ("epoll", "the edge of EPOLLOUT at the sizes of Linux's socket buffers"),
    ("fastopen", "TCP Fast Open (RFC 7413)"),
    ("gro", "the segment size of a frame that the interface has merged"),
    ("md5", "TCP MD5 signatures, and /proc/net/tcp"),
    ("mtu_probe", "path MTU discovery by probes (RFC 4821), and routes of Linux"),
    ("notsent_lowat", "the sizes of Linux's socket buffers"),
    ("sendfile", "sendfile(2)"),
    ("splice", "splice(2), pipes"),
    ("tcp_info", "the times for which a sender was limited"),
    ("timestamping", "SO_TIMESTAMPING"),
    ("zerocopy", "the notifications of MSG_ZEROCOPY"),
];

/// Scripts that pass with packetdrill's usual tolerance only, and why that says nothing against us.
pub(crate) const LOOSE: &[(&str, &str)] =
    &[("fast_retransmit/fr-4pkt-sack.pkt", LATE), ("fast_retransmit/fr-4pkt.pkt", LATE)];

const LATE: &str = "it wants the last ACK, which is sent at once, a millisecond later";

/// The scripts of the other folders that do not pass.
pub(crate) const MISSING: &[(&str, &str)] = &[
    (
        "cwnd_moderation/cwnd-moderation-ecn-enter-cwr-no-moderation-700.pkt",
        "proportional rate reduction (RFC 9937) for an echoed mark",
    ),
    ("fast_recovery/prr-ss-30pkt-lost-1_4-11_16.pkt", PRR),
    ("fast_recovery/prr-ss-30pkt-lost1_4.pkt", PRR),
    ("fast_recovery/prr-ss-ack-below-snd_una-cubic.pkt", PRR),
    ("fast_retransmit/fr-4pkt-fack-last-mss.pkt", RACK),
    ("sack/sack-route-refresh-ip-tos.pkt", SACK),
    ("sack/sack-shift-sacked-2-6-8-3-9-nofack.pkt", SACK),
    ("sack/sack-shift-sacked-7-3-4-8-9-fack.pkt", RACK),
    ("sack/sack-shift-sacked-7-5-6-8-9-fack.pkt", RACK),
    ("slow_start/slow-start-fq-ack-per-2pkt.pkt", "pacing, and the fq queue of Linux"),
    ("syscall_bad_arg/fastopen-invalid-buf-ptr.pkt", "TCP Fast Open (RFC 7413)"),
    (
        "ts_recent/invalid_ack.pkt",
        "nothing: it wants silence where RFC 9293 section 3.10.7.4 and RFC 5961 section 5.2 have an \
         ACK sent; Linux 6.18 sends it, too, and fails",
    ),
    ("user_timeout/user-timeout-probe.pkt", "a queue of Linux that drops all packets"),
];

const PRR: &str = "a scoreboard of SACK blocks (RFC 6675), proportional rate reduction (RFC 9937)";
const RACK: &str = "a scoreboard of SACK blocks (RFC 6675), RACK's reordering timer (RFC 8985)";
const SACK: &str = "a scoreboard of SACK blocks (RFC 6675)";
