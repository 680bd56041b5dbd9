//! RFC 6298, the retransmission timeout.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "6298 1 (1) MUST",
        "nothing is sent again sooner than the rules allow (of which 2.4, a SHOULD, is declined below; probes of the tail are RFC 8985's)",
        Done(&[
            "unacknowledged_text_is_sent_again_and_the_time_doubles",
            "the_timer_starts_over_when_something_new_is_acknowledged",
            "an_acknowledgment_of_a_retransmission_is_no_sample",
            "a_steady_path_keeps_the_margin",
        ]),
    ),
    R(
        "6298 2 (1) SHOULD",
        "before the first sample the RTO is one second",
        Done(&[
            "the_first_sample_sets_the_variance_to_half_of_it",
            "syns_are_sent_again_and_then_the_connect_times_out",
        ]),
    ),
    R(
        "6298 2 (2) MAY",
        "or three, or anything above one",
        Declined("one second is what the sentence before asks for"),
    ),
    R(
        "6298 2 (3) MUST",
        "the first sample: SRTT is R, RTTVAR is R / 2",
        Done(&[
            "the_first_sample_sets_the_variance_to_half_of_it",
            "unacknowledged_text_is_sent_again_and_the_time_doubles",
        ]),
    ),
    R(
        "6298 2 (4) MUST",
        "later ones: RTTVAR and SRTT follow the formulas",
        Done(&[
            "later_samples_follow_the_formula",
            "the_timer_starts_over_when_something_new_is_acknowledged",
        ]),
    ),
    R(
        "6298 2 (5) MUST",
        "RTTVAR first, then SRTT",
        Done(&[
            "later_samples_follow_the_formula",
            "the_timer_starts_over_when_something_new_is_acknowledged",
        ]),
    ),
    R(
        "6298 2 (6) SHOULD",
        "alpha is 1/8 and beta 1/4",
        Done(&["later_samples_follow_the_formula", "every_round_trip_gives_a_sample"]),
    ),
    R(
        "6298 2 (7) MUST",
        "the RTO is SRTT + max (G, K * RTTVAR)",
        Done(&["later_samples_follow_the_formula", "a_steady_path_keeps_the_margin"]),
    ),
    R(
        "6298 2 (8) SHOULD",
        "it is at least one second",
        Declined(
            "at least SRTT + 200 ms, as Linux: that outlasts a peer's delayed ACK, and every recovery is five times as quick",
        ),
    ),
    R(
        "6298 2 (9) MAY",
        "it is at most a value of 60 seconds or more",
        Done(&["backing_off_doubles_up_to_two_minutes_and_a_sample_ends_it"]),
    ),
    R(
        "6298 3 (1) MUST",
        "Karn's algorithm",
        Done(&[
            "an_acknowledgment_of_a_retransmission_is_no_sample",
            "timestamps_tell_the_round_trip_of_a_retransmission_too",
        ]),
    ),
    R(
        "6298 3 (2) MUST",
        "no sample from a segment that was sent again",
        Done(&[
            "an_acknowledgment_of_a_retransmission_is_no_sample",
            "a_segment_sent_twice_gives_no_sample",
            "a_syn_ack_that_was_sent_twice_measures_no_round_trip",
        ]),
    ),
    R(
        "6298 3 (3) MUST",
        "at least one sample in a round trip",
        Done(&["every_round_trip_gives_a_sample"]),
    ),
    R(
        "6298 4 (1) MUST",
        "a variance of zero is rounded up to the granularity",
        Done(&["a_steady_path_keeps_the_margin"]),
    ),
    R(
        "6298 5 (1) MUST",
        "the timer sends no segment again before one RTO has passed",
        Done(&[
            "unacknowledged_text_is_sent_again_and_the_time_doubles",
            "the_timer_starts_over_when_something_new_is_acknowledged",
        ]),
    ),
    R(
        "6298 5 (2) SHOULD",
        "it starts with what is sent, starts over with what is acknowledged, ends with the last of it, and sends the earliest segment (rules 5.1 to 5.6)",
        Done(&[
            "unacknowledged_text_is_sent_again_and_the_time_doubles",
            "the_timer_starts_over_when_something_new_is_acknowledged",
            "after_a_timeout_the_oldest_segment_goes_out_whatever_the_peer_has_reported",
        ]),
    ),
    R(
        "6298 5 (3) MUST",
        "the RTO is doubled when it has passed",
        Done(&[
            "unacknowledged_text_is_sent_again_and_the_time_doubles",
            "backing_off_doubles_up_to_two_minutes_and_a_sample_ends_it",
        ]),
    ),
    R(
        "6298 5 (4) MUST",
        "if the timer of a SYN ran out, data starts with three seconds (or with a sample that timestamps give, appendix A)",
        Done(&[
            "a_first_timeout_without_a_sample_comes_after_a_second",
            "a_connect_whose_syn_was_sent_again_starts_its_data_at_three_seconds",
            "a_lost_syn_starts_the_data_at_three_seconds",
        ]),
    ),
    R(
        "6298 5 (5) MAY",
        "after several timeouts SRTT and RTTVAR may be forgotten",
        Declined(
            "they are kept, as Linux keeps them: the first valid sample corrects them, and until then the back-off counts",
        ),
    ),
];
