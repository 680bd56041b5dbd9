//! RFC 5961, blind attacks.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "5961 1.1 (1) SHOULD",
        "the mitigations are there where connections live long",
        Done(&[
            "a_reset_inside_the_window_but_not_exact_is_challenged",
            "a_syn_in_a_synchronized_state_is_challenged_wherever_it_lies",
            "what_acknowledges_the_unsent_or_the_ancient_is_answered_and_dropped",
        ]),
    ),
    R(
        "5961 1.1 (2) MAY",
        "and elsewhere: they are never off",
        Done(&[
            "a_reset_inside_the_window_but_not_exact_is_challenged",
            "a_guessed_reset_does_not_end_a_half_open_entry",
        ]),
    ),
    R(
        "5961 3.2 (1) SHOULD",
        "resets are judged by three rules: outside the window, exact, elsewhere in it",
        Done(&[
            "a_reset_outside_the_window_is_dropped_in_silence",
            "an_exact_reset_ends_a_connection_in_every_synchronized_state",
            "a_reset_inside_the_window_but_not_exact_is_challenged",
        ]),
    ),
    R(
        "5961 3.2 (2) MUST",
        "a reset at RCV.NXT resets the connection (but no TIME-WAIT: RFC 1337 section 3, F1)",
        Done(&["an_exact_reset_ends_a_connection_in_every_synchronized_state"]),
    ),
    R(
        "5961 3.2 (3) MUST",
        "a reset elsewhere in the window is challenged (with the same exception)",
        Done(&[
            "a_reset_inside_the_window_but_not_exact_is_challenged",
            "a_guessed_reset_does_not_end_a_half_open_entry",
        ]),
    ),
    R(
        "5961 3.2 (4) MUST",
        "and dropped",
        Done(&["a_reset_inside_the_window_but_not_exact_is_challenged"]),
    ),
    R(
        "5961 3.2 (5) MUST",
        "a reset outside the window is dropped in silence",
        Done(&[
            "a_reset_outside_the_window_is_dropped_in_silence",
            "a_reset_inside_the_window_but_not_exact_is_challenged",
            "a_reset_with_the_number_of_the_fin_before_it_counts",
        ]),
    ),
    R(
        "5961 3.2 (6) MUST",
        "in SYN-SENT a reset counts only if it acknowledges the SYN",
        Done(&[
            "a_reset_refuses_only_with_an_acceptable_acknowledgment",
            "a_syn_sent_rejects_an_acknowledgment_of_what_was_not_sent",
        ]),
    ),
    R(
        "5961 4.2 (1) SHOULD",
        "SYNs in a synchronized state are treated as follows (in TIME-WAIT one may reopen it: RFC 6191)",
        Done(&[
            "a_syn_in_a_synchronized_state_is_challenged_wherever_it_lies",
            "a_syn_that_might_be_old_does_not_reopen",
        ]),
    ),
    R(
        "5961 4.2 (2) MUST",
        "a SYN is challenged, whatever its sequence number",
        Done(&["a_syn_in_a_synchronized_state_is_challenged_wherever_it_lies"]),
    ),
    R(
        "5961 4.2 (3) MUST",
        "and dropped",
        Done(&["a_syn_in_a_synchronized_state_is_challenged_wherever_it_lies"]),
    ),
    R(
        "5961 4.2 (4) MUST",
        "the reset that answers the challenge ends the connection",
        Done(&["a_peer_that_lost_its_memory_resets_us_after_the_challenge_and_can_connect"]),
    ),
    R(
        "5961 5.2 (1) MAY",
        "injected text is told by its ACK",
        Done(&["what_acknowledges_the_unsent_or_the_ancient_is_answered_and_dropped"]),
    ),
    R(
        "5961 5.2 (2) MUST",
        "an ACK is acceptable from SND.UNA - MAX.SND.WND to SND.NXT",
        Done(&[
            "what_acknowledges_the_unsent_or_the_ancient_is_answered_and_dropped",
            "how_old_an_acknowledgment_may_be_follows_the_largest_window_of_the_peer",
        ]),
    ),
    R(
        "5961 5.2 (3) MUST",
        "with any other a segment is discarded and acknowledged",
        Done(&["what_acknowledges_the_unsent_or_the_ancient_is_answered_and_dropped"]),
    ),
    R(
        "5961 7 (1) SHOULD",
        "both how many ACKs go out and in what time can be tuned",
        Declined(
            "it is always one in the time that is set, as with Linux's tcp_invalid_ratelimit: the time alone makes any rate",
        ),
    ),
    R(
        "5961 7 (2) SHOULD",
        "ACKs are throttled",
        Done(&[
            "challenges_are_limited_in_rate",
            "a_half_open_entry_limits_its_answers_too",
            "old_segments_without_text_are_not_all_answered",
        ]),
    ),
    R(
        "5961 7 (3) SHOULD",
        "the time limit is tunable",
        Done(&["how_often_challenges_go_out_can_be_set"]),
    ),
];
