//! RFC 2018, selective acknowledgment.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "2018 2 (1) MUST",
        "SACK-permitted is sent on SYNs only",
        Done(&[
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
            "the_syn_ack_has_the_options_that_the_syn_offered_and_no_other",
        ]),
    ),
    R(
        "2018 4 (1) MAY",
        "blocks may be sent to who has permitted them",
        Done(&["every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first"]),
    ),
    R(
        "2018 4 (2) MUST",
        "and to nobody else",
        Done(&["without_sack_permitted_there_are_no_blocks"]),
    ),
    R(
        "2018 4 (3) SHOULD",
        "if they are sent at all, then whenever it is permitted",
        Done(&[
            "every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first",
            "text_that_goes_out_below_a_hole_carries_the_blocks_too",
        ]),
    ),
    R(
        "2018 4 (4) SHOULD",
        "in every ACK that lies below the newest text",
        Done(&[
            "every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first",
            "text_that_goes_out_below_a_hole_carries_the_blocks_too",
        ]),
    ),
    R(
        "2018 4 (5) SHOULD",
        "every segment with new text beyond a hole is acknowledged",
        Done(&["every_segment_beyond_a_hole_gets_a_duplicate_ack_of_its_own"]),
    ),
    R(
        "2018 4 (6) SHOULD",
        "and each of these ACKs carries the option",
        Done(&["every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first"]),
    ),
    R(
        "2018 4 (7) MUST",
        "the first block holds the segment that brought the ACK about",
        Done(&[
            "every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first",
            "a_segment_that_comes_again_puts_its_block_first",
            "the_island_that_grew_last_comes_first",
        ]),
    ),
    R(
        "2018 4 (8) SHOULD",
        "there are as many blocks as fit",
        Done(&[
            "four_blocks_fit_and_three_beside_timestamps",
            "sack_blocks_take_the_room_there_is",
        ]),
    ),
    R(
        "2018 4 (9) SHOULD",
        "the others are those that were reported last",
        Done(&[
            "every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first",
            "four_blocks_fit_and_three_beside_timestamps",
        ]),
    ),
    R(
        "2018 5 (1) SHOULD",
        "the sender keeps what is reported",
        Done(&[
            "agrees_with_a_list_that_is_walked",
            "a_segment_counts_as_reported_only_if_all_of_it_is",
        ]),
    ),
    R(
        "2018 5 (2) SHOULD",
        "after a timeout it forgets what was reported",
        Declined(
            "as Linux it forgets only if the oldest segment is among it, which shows that the peer has \
             thrown text away; RFC 6675 section 5.1 allows that",
        ),
    ),
    R(
        "2018 5 (3) MUST",
        "the segment at the left edge is sent again after a timeout",
        Done(&["after_a_timeout_the_oldest_segment_goes_out_whatever_the_peer_has_reported"]),
    ),
    R(
        "2018 5.1 (1) MUST",
        "congestion control stays: one ACK does not start recovery",
        Declined(
            "RFC 8985 section 6.2 counts the segments that are reported, and not the ACKs, of which \
             some may be lost; congestion control stays",
        ),
    ),
    R(
        "2018 5.1 (2) MUST",
        "what was reported before a timeout does not say what is sent again",
        Declined("as (2) of section 5: it does, unless the oldest segment is among it"),
    ),
    R(
        "2018 8 (1) MAY",
        "what was reported may be thrown away",
        Declined("it is kept until it is read, or until a FIN says that it was never sent"),
    ),
    R(
        "2018 8 (2) MUST",
        "the first block is that of the newest segment, even if it is thrown away",
        Declined(
            "the text of one island too many is as good as lost on the way, and is not reported: who hears of it would not send it again; Linux drops what finds no memory in the same way",
        ),
    ),
    R(
        "2018 8 (3) MUST",
        "but for that one no block tells of what is not held any more",
        Done(&[
            "one_island_too_many_is_dropped_but_islands_may_still_grow",
            "agrees_with_a_set_of_bytes",
        ]),
    ),
    R(
        "2018 8 (4) MUST",
        "the sender keeps text until it is acknowledged, reported or not",
        Done(&["after_a_timeout_the_oldest_segment_goes_out_whatever_the_peer_has_reported"]),
    ),
];
