//! TCP_INFO in the layout of Linux's `struct tcp_info`.

use core::time::Duration;

use crate::stack::Info;
use crate::tcp::{Phase, State};
use crate::time::Instant;

/// Bytes of the structure, that of Linux 6.18.
const SIZE: usize = 280;

/// `tcpi_options`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WINDOW_SCALE: u8 = 4;

/// What Linux says of an `ssthresh` that has never been set.
const INFINITE: u32 = 0x7fff_ffff;

/// The number that Linux has for a state.
pub(super) fn state_number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

/// The structure of a socket that has no connection.
pub(super) fn without_connection(state: State) -> Vec<u8> {
    let mut out = vec![0; SIZE];
    out[0] = state_number(state);
    out
}

/// What is known of a connection; the rest is zero.
pub(super) fn encode(info: &Info, now: Instant) -> Vec<u8> {
    let mut out = vec![0; SIZE];
    out[0] = state_number(info.state);
    out[1] = match info.phase {
        Phase::Open => 0,
        Phase::Disorder => 1,
        Phase::Reduced => 2,
        Phase::Recovery => 3,
        Phase::Loss => 4,
    };
    out[2] = info.retries;
    out[3] = info.probes;
    out[4] = info.backoff;
    out[5] = (u8::from(info.timestamps) * TIMESTAMPS)
        | (u8::from(info.sack) * SACK)
        | (u8::from(info.scales.is_some()) * WINDOW_SCALE);
    if let Some((send, recv)) = info.scales {
        out[6] = send.shift() | (recv.shift() << 4);
    }
    let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let ago = |then: Instant| u32::try_from(now.since(then).as_millis()).unwrap_or(u32::MAX);
    let segments = |bytes: u32| if bytes == u32::MAX { INFINITE } else { bytes / info.mss.max(1) };
    let rtt = info.rtt.map_or(0, micros);
    // What is lost is lost for Linux until it is acknowledged, also when it has been sent again.
    let repairs = matches!(info.phase, Phase::Recovery | Phase::Loss);
    let repaired = if repairs { info.segments_resent } else { 0 };
    let words = [
        (8, micros(info.rto)),
        (16, info.mss),
        (20, info.recv_mss),
        (24, info.segments_out),
        (28, info.segments_sacked),
        (32, info.segments_lost + repaired),
        (36, info.segments_resent),
        (44, ago(info.last_sent)),
        (52, ago(info.last_text)),
        (56, ago(info.last_heard)),
        (60, u32::try_from(info.path_mtu).unwrap_or(u32::MAX)),
        (64, info.recv_limit),
        (68, rtt),
        (72, micros(info.rtt_var)),
        (76, segments(info.ssthresh)),
        (80, segments(info.cwnd)),
        (84, info.announced_mss),
        // Linux's dupthresh, which follows what it sees.
        (88, info.reordering.max(3)),
        (96, info.recv_limit),
        (100, u32::try_from(info.retransmissions).unwrap_or(u32::MAX)),
        (144, info.unsent),
        // "~0U" before there is one.
        (148, info.min_rtt.map_or(u32::MAX, micros)),
        (228, info.send_window),
        (232, info.recv_window),
    ];
    for (offset, word) in words {
        out[offset..offset + 4].copy_from_slice(&word.to_ne_bytes());
    }
    let longs =
        [(104, info.pacing_rate.unwrap_or(0)), (120, info.bytes_acked), (128, info.bytes_received)];
    for (offset, long) in longs {
        out[offset..offset + 8].copy_from_slice(&long.to_ne_bytes());
    }
    out
}
