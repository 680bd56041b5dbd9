//! RFC 7323, timestamps, PAWS and window scale.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "7323 2.2 (1) SHOULD",
        "who is ready to scale sends the option, even for a shift of zero",
        Done(&[
            "the_scale_that_we_offer_follows_the_buffer_and_is_offered_even_if_it_is_zero",
            "a_syn_is_laid_out_as_linux_does_it",
        ]),
    ),
    R(
        "7323 2.2 (2) MUST",
        "windows are scaled only if both SYNs have the option",
        Done(&[
            "without_a_scale_of_the_peers_no_window_is_scaled",
            "a_connect_scales_only_with_a_peer_that_does",
        ]),
    ),
    R(
        "7323 2.2 (3) MAY",
        "the shift may be zero",
        Done(&["the_scale_that_we_offer_follows_the_buffer_and_is_offered_even_if_it_is_zero"]),
    ),
    R(
        "7323 2.2 (4) MAY",
        "a SYN may have it, and a SYN-ACK if the SYN had it",
        Done(&[
            "an_active_open_sends_a_syn_and_acknowledges_the_answer",
            "the_syn_ack_has_the_options_that_the_syn_offered_and_no_other",
        ]),
    ),
    R(
        "7323 2.2 (5) MUST",
        "without SYN it is ignored",
        Done(&[
            "what_negotiates_means_nothing_without_syn",
            "without_a_scale_of_the_peers_no_window_is_scaled",
        ]),
    ),
    R(
        "7323 2.2 (6) MUST",
        "the window of a SYN is not scaled",
        Done(&[
            "the_peers_window_is_scaled_but_that_of_its_syn_is_not",
            "the_window_of_a_syn_ack_is_not_scaled_either",
            "the_window_that_we_announce_is_scaled_but_that_of_our_syn_is_not",
        ]),
    ),
    R(
        "7323 2.3 (1) SHOULD",
        "a SYN with it is answered with it",
        Done(&["the_syn_ack_has_the_options_that_the_syn_offered_and_no_other"]),
    ),
    R(
        "7323 2.3 (2) MUST",
        "it has the shift of our receive window",
        Done(&[
            "the_scale_that_we_offer_follows_the_buffer_and_is_offered_even_if_it_is_zero",
            "the_window_that_we_announce_is_scaled_but_that_of_our_syn_is_not",
        ]),
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
        "7323 2.3 (6) MUST",
        "our shift is at most 14",
        Done(&[
            "the_scale_that_we_offer_follows_the_buffer_and_is_offered_even_if_it_is_zero",
            "the_smallest_scale_that_announces_a_window",
        ]),
    ),
    R(
        "7323 2.3 (7) SHOULD",
        "one of more than 14 is logged",
        Declined(
            "a peer could fill a log with it; the segment's line at level debug shows the option as it is taken",
        ),
    ),
    R(
        "7323 2.3 (8) MUST",
        "and counts as 14",
        Done(&["a_scale_of_more_than_14_counts_as_14", "values_that_cannot_be_meant"]),
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
            "a_window_that_shrinks_is_borne",
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
        "7323 3.2 (1) SHOULD",
        "a segment without ACK echoes zero",
        Done(&["the_echo_of_a_segment_without_ack_is_zero_and_that_of_the_peers_is_ignored"]),
    ),
    R(
        "7323 3.2 (2) MUST",
        "one with ACK echoes a recent TSval, by the rules of section 4.3",
        Done(&["every_segment_echoes_the_newest_timestamp_in_order"]),
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
            "an_active_open_sends_a_syn_and_acknowledges_the_answer",
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
        "that it was agreed on is remembered",
        Done(&[
            "a_segment_without_the_agreed_timestamps_is_borne",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "7323 3.2 (8) SHOULD",
        "a segment without it is dropped",
        Declined(
            "as Linux: some hosts and middleboxes lose the option on the way, and the connection would hang",
        ),
    ),
    R(
        "7323 3.2 (9) MUST",
        "but no connection is aborted by it",
        Done(&["a_segment_without_the_agreed_timestamps_is_borne"]),
    ),
    R(
        "7323 3.2 (10) MUST",
        "where it was not agreed on it is ignored",
        Done(&["a_timestamp_that_was_not_agreed_on_is_ignored"]),
    ),
    R(
        "7323 3.2 (11) MAY",
        "SYNs that cross, one with it and one without, may be answered with it",
        Declined("it is sent once both SYNs have it, in whatever order they come"),
    ),
    R(
        "7323 4.1 (1) MUST",
        "the clock of the timestamps goes with real time",
        Done(&["our_timestamps_follow_a_clock_of_one_millisecond"]),
    ),
    R(
        "7323 4.1 (2) MAY",
        "an echo measures the path, but only if SND.UNA advances",
        Done(&[
            "timestamps_tell_the_round_trip_of_a_retransmission_too",
            "an_echo_that_comes_with_nothing_newly_acknowledged_measures_nothing",
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
        "7323 4.3 (1) SHOULD",
        "a delayed ACK echoes the earliest segment that it acknowledges",
        Done(&["a_delayed_acknowledgment_echoes_the_first_of_what_it_acknowledges"]),
    ),
    R(
        "7323 4.3 (2) SHOULD",
        "one for text beyond a hole echoes the last segment in order",
        Done(&["every_segment_echoes_the_newest_timestamp_in_order"]),
    ),
    R(
        "7323 4.3 (3) MUST",
        "one for a filled hole echoes the segment that filled it",
        Done(&[
            "every_segment_echoes_the_newest_timestamp_in_order",
            "only_segments_up_to_the_last_ack_move_the_recent_value",
        ]),
    ),
    R(
        "7323 5.2 (1) MUST",
        "TS.Recent never goes back",
        Done(&[
            "the_timestamp_that_is_kept_never_goes_back",
            "timestamps_are_compared_on_a_circle",
        ]),
    ),
    R(
        "7323 5.2 (2) SHOULD",
        "the reset that answers a segment with the option has it too",
        Declined(
            "a reset that answers a stray segment is made of its numbers alone, as Linux's; the section asks for more to enable research, and nobody checks it",
        ),
    ),
    R(
        "7323 5.2 (3) SHOULD",
        "it echoes that segment's TSval, and its own is zero",
        Declined("such a reset has no timestamps, for the reason above"),
    ),
    R(
        "7323 5.2 (4) SHOULD",
        "the reset of an abort has the option where it was agreed on",
        Done(&["a_reset_of_ours_carries_a_timestamp_where_they_were_agreed_on"]),
    ),
    R(
        "7323 5.2 (5) MUST",
        "a reset is not subject to PAWS, and its timestamp changes nothing",
        Done(&[
            "a_reset_is_not_subject_to_paws",
            "a_reset_does_not_move_the_timestamp_that_is_echoed",
        ]),
    ),
    R(
        "7323 5.2 (6) MAY",
        "its echo may be checked",
        Declined("the sequence number has to match exactly as it is (RFC 5961 section 3.2)"),
    ),
    R(
        "7323 5.3 (1) MUST",
        "by R1 to R5: what has an old timestamp gets an ACK and is dropped, and only what lies in the window moves TS.Recent",
        Done(&[
            "an_old_duplicate_is_told_by_its_timestamp",
            "timestamps_are_compared_on_a_circle",
            "the_timestamp_of_what_lies_outside_the_window_is_not_kept",
        ]),
    ),
    R(
        "7323 5.3 (2) MUST",
        "the timestamp before the sequence number",
        Done(&["an_old_duplicate_is_told_by_its_timestamp"]),
    ),
    R(
        "7323 5.3 (3) MUST",
        "and only once, when the segment arrives",
        Done(&["what_waits_beyond_a_hole_is_not_judged_again_when_the_hole_is_filled"]),
    ),
    R(
        "7323 5.4 (1) MUST",
        "the clock ticks once in 2^31 bytes",
        Done(&["our_timestamps_follow_a_clock_of_one_millisecond"]),
    ),
    R(
        "7323 5.4 (2) SHOULD",
        "once in a window",
        Declined(
            "a millisecond is the finest that the section goes on to choose, and a window may pass in less; what it is wanted for, the round-trip time, is taken to the nanosecond from what was sent once",
        ),
    ),
    R(
        "7323 5.4 (3) MUST",
        "it wraps in more than an MSL",
        Done(&["our_timestamps_follow_a_clock_of_one_millisecond"]),
    ),
    R(
        "7323 5.5 (1) MUST",
        "after 24 idle days TS.Recent is void",
        Done(&[
            "after_24_days_anything_goes",
            "after_24_days_of_silence_a_timestamp_no_longer_condemns",
        ]),
    ),
    R(
        "7323 5.5 (2) MAY",
        "it is noted when TS.Recent was set",
        Done(&["after_24_days_anything_goes"]),
    ),
    R(
        "7323 5.7 (1) MUST",
        "with PAWS comes path MTU discovery",
        Done(&[
            "a_segment_that_did_not_fit_is_sent_again_in_smaller_ones",
            "over_ipv6_packet_too_big_does_the_same",
        ]),
    ),
    R(
        "7323 7 (1) SHOULD",
        "the clock of a connection has a random offset (one for each pair of hosts, for RFC 6191)",
        Done(&["timestamps_start_from_an_offset_that_only_we_know"]),
    ),
    R(
        "7323 7.1 (1) SHOULD",
        "the same, for privacy",
        Done(&["timestamps_start_from_an_offset_that_only_we_know"]),
    ),
];
