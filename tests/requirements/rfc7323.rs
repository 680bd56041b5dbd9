//! RFC 7323, timestamps, PAWS and window scale.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "7323 2.2 (1) MUST",
        "windows are scaled only if both SYNs have the option",
        Done(&[
            "without_a_scale_of_the_peers_no_window_is_scaled",
            "a_connect_scales_only_with_a_peer_that_does",
        ]),
    ),
    R(
        "7323 2.2 (2) MAY",
        "a SYN may have it, and a SYN-ACK if the SYN had it",
        Done(&[
            "a_syn_is_laid_out_as_linux_does_it",
            "the_syn_ack_has_the_options_that_the_syn_offered_and_no_other",
        ]),
    ),
    R(
        "7323 2.2 (3) MUST",
        "without SYN it is ignored",
        Done(&[
            "what_negotiates_means_nothing_without_syn",
            "without_a_scale_of_the_peers_no_window_is_scaled",
        ]),
    ),
    R(
        "7323 2.2 (4) MUST",
        "the window of a SYN is not scaled",
        Done(&[
            "the_peers_window_is_scaled_but_that_of_its_syn_is_not",
            "the_window_of_a_syn_ack_is_not_scaled_either",
            "the_window_that_we_announce_is_scaled_but_that_of_our_syn_is_not",
        ]),
    ),
    R(
        "7323 2.3 (1) MUST",
        "a shift of more than 14 counts as 14",
        Done(&["a_scale_of_more_than_14_counts_as_14", "values_that_cannot_be_meant"]),
    ),
    R(
        "7323 2.3 (2) SHOULD",
        "and is logged",
        Declined(
            "a peer could fill a log with it; the segment's line at level debug shows the option as it is taken",
        ),
    ),
    R(
        "7323 2.3 (3) MUST",
        "the shifts are those of the SYNs, or both zero",
        Done(&[
            "without_a_scale_of_the_peers_no_window_is_scaled",
            "a_connect_scales_only_with_a_peer_that_does",
        ]),
    ),
    R(
        "7323 2.3 (4) MUST",
        "the window field of the peer is shifted left",
        Done(&["the_peers_window_is_scaled_but_that_of_its_syn_is_not"]),
    ),
    R(
        "7323 2.3 (5) MUST",
        "our window is shifted right",
        Done(&["the_window_that_we_announce_is_scaled_but_that_of_our_syn_is_not"]),
    ),
    R(
        "7323 2.4 (1) MUST",
        "a window that shrinks is borne",
        Done(&["a_window_that_shrinks_is_borne"]),
    ),
    R(
        "7323 2.4 (2) MUST",
        "a receiver takes what any of its ACKs has had in the window",
        Done(&["whatever_was_once_within_the_window_is_taken"]),
    ),
    R(
        "7323 2.4 (3) SHOULD",
        "it tracks the furthest edge",
        Done(&["whatever_was_once_within_the_window_is_taken"]),
    ),
    R(
        "7323 2.4 (4) MUST",
        "what is sent first lies within the window of the last ACK",
        Done(&[
            "no_more_is_sent_than_the_peers_window_takes",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "7323 2.4 (5) MAY",
        "after the first time only what lies within it is sent again",
        Declined(
            "RFC 9293 section 3.8.6 (SHLD-16, MAY-7): what was sent is sent again as long as the peer answers, also beyond a window that has shrunk; Linux does the same with the oldest segment",
        ),
    ),
    R(
        "7323 3.2 (1) MUST",
        "a segment with ACK echoes a recent TSval",
        Done(&["every_segment_echoes_the_newest_timestamp_in_order"]),
    ),
    R(
        "7323 3.2 (2) SHOULD",
        "one without ACK echoes zero",
        Done(&["the_echo_of_a_segment_without_ack_is_zero_and_that_of_the_peers_is_ignored"]),
    ),
    R(
        "7323 3.2 (3) MUST",
        "the echo of a segment without ACK is ignored",
        Done(&["the_echo_of_a_segment_without_ack_is_zero_and_that_of_the_peers_is_ignored"]),
    ),
    R(
        "7323 3.2 (4) MAY",
        "a SYN may have the option, and a SYN-ACK if the SYN had it",
        Done(&[
            "a_syn_is_laid_out_as_linux_does_it",
            "the_syn_ack_has_the_options_that_the_syn_offered_and_no_other",
        ]),
    ),
    R(
        "7323 3.2 (5) MUST",
        "once agreed on it is in every segment but resets",
        Done(&[
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
            "the_answers_of_time_wait_carry_timestamps_if_the_connection_did",
        ]),
    ),
    R(
        "7323 3.2 (6) SHOULD",
        "and in resets",
        Done(&["a_reset_of_ours_carries_a_timestamp_where_they_were_agreed_on"]),
    ),
    R(
        "7323 3.2 (7) SHOULD",
        "a segment without it is dropped",
        Declined(
            "as Linux: some hosts and middleboxes lose the option on the way, and the connection would hang",
        ),
    ),
    R(
        "7323 3.2 (8) MUST",
        "but no connection is aborted by it",
        Done(&["a_segment_without_the_agreed_timestamps_is_borne"]),
    ),
    R(
        "7323 3.2 (9) MUST",
        "where it was not agreed on it is ignored",
        Done(&["a_timestamp_that_was_not_agreed_on_is_ignored"]),
    ),
    R(
        "7323 3.2 (10) MAY",
        "SYNs that cross, one with it and one without, may be answered with it",
        Declined("it is sent once both SYNs have it, in whatever order they come"),
    ),
    R(
        "7323 4.1 (1) MAY",
        "an echo measures the path only if SND.UNA advances",
        Done(&[
            "timestamps_tell_the_round_trip_of_a_retransmission_too",
            "an_echo_that_cannot_be_ours_measures_nothing",
        ]),
    ),
    R(
        "7323 4.2 (1) SHOULD",
        "many samples in a round trip make the history no shorter",
        Declined(
            "the gains are those of RFC 6298 for every sample, as Linux has them for SRTT; the margin of 200 ms outlasts what a longer history would know",
        ),
    ),
    R(
        "7323 4.3 (1) MUST",
        "TS.Recent is that of the segment at or before Last.ACK.sent",
        Done(&[
            "every_segment_echoes_the_newest_timestamp_in_order",
            "only_segments_up_to_the_last_ack_move_the_recent_value",
        ]),
    ),
    R(
        "7323 5.2 (1) MUST",
        "a reset is not subject to PAWS",
        Done(&["a_reset_is_not_subject_to_paws"]),
    ),
    R(
        "7323 5.2 (2) MUST",
        "its timestamp changes nothing",
        Done(&["a_reset_does_not_move_the_timestamp_that_is_echoed"]),
    ),
    R(
        "7323 5.2 (3) MAY",
        "its echo may be checked",
        Declined("the sequence number has to match exactly as it is (RFC 5961 section 3.2)"),
    ),
    R(
        "7323 5.3 (1) MUST",
        "an old timestamp makes a segment unacceptable: an ACK, and it is dropped",
        Done(&["an_old_duplicate_is_told_by_its_timestamp", "timestamps_are_compared_on_a_circle"]),
    ),
    R(
        "7323 5.4 (1) MUST",
        "the clock ticks once in 2^31 bytes, and wraps in more than an MSL",
        Done(&["our_timestamps_follow_a_clock_of_one_millisecond"]),
    ),
    R(
        "7323 5.5 (1) MUST",
        "after 24 idle days TS.Recent is void",
        Done(&["after_24_days_anything_goes"]),
    ),
    R(
        "7323 7.1 (1) SHOULD",
        "the clock starts from a secret offset",
        Done(&["timestamps_start_from_an_offset_that_only_we_know"]),
    ),
];
