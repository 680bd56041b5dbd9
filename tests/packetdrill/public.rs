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
pub(crate) const LOOSE: &[(&str, &str)] = &[
    ("fast_retransmit/fr-4pkt-sack.pkt", LATE),
    ("fast_retransmit/fr-4pkt.pkt", LATE),
    (
        "sack/sack-shift-sacked-7-3-4-8-9-fack.pkt",
        "it wants a segment with the next ACK, two milliseconds after RFC 9937 lets it out",
    ),
];

const LATE: &str = "it wants the last ACK, which is sent at once, a millisecond later; Linux 6.18 sends it after 65 us";

/// The scripts of the other folders that do not pass.
pub(crate) const MISSING: &[(&str, &str)] = &[
    (
        "fast_retransmit/fr-4pkt-fack-last-mss.pkt",
        "nothing: it wants RACK's reordering timer after 40 ms, where a quarter of the least round-trip \
         time and the grain of clocks make 27, which is what the scripts in sack/ want; Linux 6.18 makes \
         31, sends two segments, and fails",
    ),
    (
        "sack/sack-route-refresh-ip-tos.pkt",
        "a PSH on the second of two segments that are sent again: Linux keeps super-segments as they \
         first went out, and one that is lost as a whole goes out as one again, and so with PSH; here \
         what is sent again is single segments, as what is left of others is with Linux",
    ),
    ("slow_start/slow-start-fq-ack-per-2pkt.pkt", "pacing, and the fq queue of Linux"),
    ("syscall_bad_arg/fastopen-invalid-buf-ptr.pkt", "TCP Fast Open (RFC 7413)"),
    (
        "ts_recent/invalid_ack.pkt",
        "nothing: it wants silence where RFC 9293 section 3.10.7.4 and RFC 5961 section 5.2 have an \
         ACK sent; Linux 6.18 sends it, too, and fails",
    ),
    ("user_timeout/user-timeout-probe.pkt", "a queue of Linux that drops all packets"),
];
