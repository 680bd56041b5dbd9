//! RFC 9768, accurate ECN, section 3; its text by draft-ietf-tcpm-accurate-ecn-34, which became that. What
//! it asks of middleboxes, of other specifications and in examples is left out.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "9768 3.1.1 (1) MUST",
        "a SYN that asks has all three flags",
        Done(&[
            "each_answer_to_a_connect_that_asks_is_understood",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "9768 3.1.1 (2) MUST",
        "who is asked speaks accurate ECN both ways",
        Done(&["the_syn_ack_tells_how_the_syn_has_arrived"]),
    ),
    R(
        "9768 3.1.1 (3) MUST",
        "the SYN-ACK tells the ECN field of the SYN",
        Done(&["the_syn_ack_tells_how_the_syn_has_arrived"]),
    ),
    R(
        "9768 3.1.1 (4) MUST",
        "and only to who has asked",
        Done(&["what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all"]),
    ),
    R(
        "9768 3.1.1 (5) MUST",
        "who is answered so speaks it both ways",
        Done(&["each_answer_to_a_connect_that_asks_is_understood"]),
    ),
    R(
        "9768 3.1.1 (6) MUST",
        "and not before",
        Done(&[
            "syns_that_cross_agree_as_if_each_had_been_answered",
            "each_answer_to_a_connect_that_asks_is_understood",
        ]),
    ),
    R(
        "9768 3.1.1 (7) SHOULD",
        "SACK is there as well",
        Done(&["every_ack_below_a_hole_reports_what_has_arrived_beyond_it_newest_first"]),
    ),
    R(
        "9768 3.1.1 (8) MUST",
        "and D-SACK with it",
        Done(&["a_segment_that_comes_again_puts_its_block_first"]),
    ),
    R(
        "9768 3.1.2 (1) MUST",
        "each answer leads to the mode of table 2",
        Done(&[
            "each_answer_to_a_connect_that_asks_is_understood",
            "each_answer_to_a_syn_that_asks_for_accurate_ecn_has_its_meaning",
        ]),
    ),
    R(
        "9768 3.1.2 (2) MUST",
        "that of RFC 3168 is RFC 3168",
        Done(&[
            "each_answer_to_a_connect_that_asks_is_understood",
            "a_mark_is_echoed_until_the_sender_has_reduced_its_window",
        ]),
    ),
    R(
        "9768 3.1.2 (3) MUST",
        "who asks for RFC 3168 gets that or nothing",
        Done(&["what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all"]),
    ),
    R(
        "9768 3.1.2 (4) MUST",
        "and then it is RFC 3168",
        Done(&["what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all"]),
    ),
    R(
        "9768 3.1.2 (5) MUST",
        "who asks for nothing gets nothing",
        Done(&["what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all"]),
    ),
    R(
        "9768 3.1.2 (6) MUST",
        "who reflects our flags is without ECN",
        Done(&["each_answer_to_a_connect_that_asks_is_understood"]),
    ),
    R(
        "9768 3.1.2 (7) MUST",
        "a SYN that crosses ours counts as one that is answered",
        Done(&["syns_that_cross_agree_as_if_each_had_been_answered"]),
    ),
    R(
        "9768 3.1.2 (8) MUST",
        "and the SYN-ACK is the same",
        Done(&["syns_that_cross_agree_as_if_each_had_been_answered"]),
    ),
    R(
        "9768 3.1.3 (1) MUST",
        "a SYN with other flags asks for accurate ECN",
        Done(&[
            "what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all",
            "each_syn_has_its_meaning",
        ]),
    ),
    R(
        "9768 3.1.3 (2) MUST",
        "none of ours has others",
        Done(&[
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
            "the_third_syn_no_longer_asks_and_the_first_answer_counts",
        ]),
    ),
    R(
        "9768 3.1.3 (3) MUST",
        "a SYN-ACK with the reserved flags agrees",
        Done(&["each_answer_to_a_connect_that_asks_is_understood"]),
    ),
    R(
        "9768 3.1.3 (4) MUST",
        "none of ours has those",
        Done(&[
            "the_syn_ack_tells_how_the_syn_has_arrived",
            "each_answer_to_a_syn_that_asks_for_accurate_ecn_has_its_meaning",
        ]),
    ),
    R(
        "9768 3.1.4.1 (1) SHOULD",
        "the second SYN asks as well",
        Done(&["the_third_syn_no_longer_asks_and_the_first_answer_counts"]),
    ),
    R(
        "9768 3.1.4.1 (2) SHOULD",
        "those after it do not",
        Done(&["the_third_syn_no_longer_asks_and_the_first_answer_counts"]),
    ),
    R(
        "9768 3.1.4.1 (3) MUST",
        "they have the same sequence number",
        Done(&["the_third_syn_no_longer_asks_and_the_first_answer_counts"]),
    ),
    R("9768 3.1.4.1 (4) MAY", "other ways to fall back", Declined("that of the text is the one")),
    R(
        "9768 3.1.4.1 (5) SHOULD",
        "what was in vain is remembered",
        Declined(
            "nothing is kept of peers between connections in this respect: accurate ECN is off unless it is set, and in vain it costs two timeouts of a SYN",
        ),
    ),
    R(
        "9768 3.1.4.1 (6) SHOULD",
        "but not for good",
        Declined("nothing is remembered, so nothing is given up for the next connection"),
    ),
    R(
        "9768 3.1.5 (1) MUST",
        "the first mode remains",
        Done(&[
            "a_syn_that_comes_again_is_told_how_it_has_arrived_this_time",
            "a_syn_ack_that_goes_unanswered_says_less_and_less",
            "who_has_agreed_to_less_does_not_go_over_to_more",
            "syns_that_cross_agree_as_if_each_had_been_answered",
        ]),
    ),
    R(
        "9768 3.1.5 (2) SHOULD",
        "flags of SYNs count for nothing once established",
        Done(&["what_a_second_syn_ack_says_of_ecn_is_ignored"]),
    ),
    R(
        "9768 3.1.5 (3) MUST",
        "no connection asks in both ways",
        Done(&[
            "the_third_syn_no_longer_asks_and_the_first_answer_counts",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "9768 3.1.5 (4) MUST",
        "nor agrees in both ways",
        Done(&[
            "a_syn_that_comes_again_is_told_how_it_has_arrived_this_time",
            "who_has_agreed_to_less_does_not_go_over_to_more",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "9768 3.1.5 (5) MUST",
        "a peer that asks in both ways is reset",
        Done(&["a_peer_that_asks_for_both_kinds_is_reset"]),
    ),
    R(
        "9768 3.1.5 (6) MUST",
        "so is one that agrees in both ways while the handshake lasts; here the first SYN-ACK ends it",
        Done(&["what_a_second_syn_ack_says_of_ecn_is_ignored"]),
    ),
    R(
        "9768 3.1.5 (7) MUST",
        "the ECN field of the latest SYN or SYN-ACK is told",
        Done(&[
            "a_syn_that_comes_again_is_told_how_it_has_arrived_this_time",
            "syns_that_cross_agree_as_if_each_had_been_answered",
            "the_ack_of_a_syn_ack_tells_how_that_has_arrived",
        ]),
    ),
    R(
        "9768 3.1.5 (8) SHOULD",
        "a SYN that then asks for nothing is answered as before",
        Done(&["a_syn_that_comes_again_is_told_how_it_has_arrived_this_time"]),
    ),
    R("9768 3.1.5 (9) MAY", "or without ECN", Declined("the other way is recommended, and taken")),
    R(
        "9768 3.1.5 (10) SHOULD",
        "without ECN every SYN is answered without it",
        Done(&["who_has_agreed_to_less_does_not_go_over_to_more"]),
    ),
    R(
        "9768 3.1.5 (11) SHOULD",
        "who does not want it says so",
        Done(&[
            "by_default_accurate_ecn_is_neither_asked_for_nor_known",
            "one_that_only_accepts_accurate_ecn_does_not_ask_for_it",
        ]),
    ),
    R(
        "9768 3.1.5 (12) MUST",
        "without ECN there is no ECT",
        Done(&[
            "each_answer_to_a_connect_that_asks_is_understood",
            "what_asks_for_less_gets_less_and_what_is_reserved_asks_for_all",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "9768 3.1.5 (13) SHOULD",
        "with it there is",
        Done(&[
            "each_answer_to_a_connect_that_asks_is_understood",
            "marks_reduce_the_window_once_for_a_window_of_data",
        ]),
    ),
    R(
        "9768 3.1.5 (14) MAY",
        "but need not be",
        Done(&["what_else_is_sent_carries_the_counter_too"]),
    ),
    R(
        "9768 3.1.5 (15) MUST",
        "nor is there where a server has had or sent a SYN without",
        Done(&[
            "a_syn_that_comes_again_is_told_how_it_has_arrived_this_time",
            "a_syn_ack_that_goes_unanswered_says_less_and_less",
            "syns_that_cross_agree_as_if_each_had_been_answered",
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
        ]),
    ),
    R(
        "9768 3.1.5 (16) MUST",
        "CWR does not tell of a reduction",
        Done(&[
            "what_else_is_sent_carries_the_counter_too",
            "marks_reduce_the_window_once_for_a_window_of_data",
        ]),
    ),
    R(
        "9768 3.1.5 (17) MUST",
        "marks are told as section 3.2 says",
        Done(&[
            "every_mark_is_counted_and_the_counter_wraps",
            "over_a_path_that_marks_both_sides_count_the_same",
        ]),
    ),
    R(
        "9768 3.1.5 (18) MUST",
        "ECT on what comes is no agreement",
        Done(&["what_is_no_ecn_setup_syn_gets_none"]),
    ),
    R(
        "9768 3.2 (1) MUST",
        "every acceptable packet with CE counts",
        Done(&[
            "every_mark_is_counted_and_the_counter_wraps",
            "marks_are_counted_on_acks_and_on_text_that_comes_twice_in_part_but_not_on_what_is_not_acceptable",
            "marks_on_acks_are_told_with_every_third",
            "a_super_segment_counts_as_its_segments",
        ]),
    ),
    R(
        "9768 3.2 (2) MUST",
        "and the bytes of text that come with a mark",
        Done(&[
            "counters_of_bytes_come_with_every_ack_of_text_that_moves_them",
            "over_a_path_that_marks_both_sides_count_the_same",
            "an_option_on_a_syn_means_nothing",
        ]),
    ),
    R(
        "9768 3.2 (3) MUST",
        "what is told is the newest count",
        Done(&["what_else_is_sent_carries_the_counter_too"]),
    ),
    R(
        "9768 3.2.2 (1) MUST",
        "the three flags are a counter",
        Done(&[
            "marks_reduce_the_window_once_for_a_window_of_data",
            "the_counter_is_followed_exactly_where_it_cannot_wrap",
        ]),
    ),
    R(
        "9768 3.2.2 (2) MUST",
        "of the packets that came with CE",
        Done(&["every_mark_is_counted_and_the_counter_wraps", "three_flags_count_to_seven"]),
    ),
    R(
        "9768 3.2.2 (3) MUST",
        "but not on a SYN or SYN-ACK",
        Done(&[
            "syns_that_cross_agree_as_if_each_had_been_answered",
            "each_answer_to_a_connect_that_asks_is_understood",
        ]),
    ),
    R(
        "9768 3.2.2.1 (1) MUST",
        "the ACK of the SYN-ACK tells its ECN field",
        Done(&["the_ack_of_a_syn_ack_tells_how_that_has_arrived"]),
    ),
    R(
        "9768 3.2.2.1 (2) SHOULD",
        "on a pure ACK, ahead of text",
        Done(&["the_ack_of_a_syn_ack_goes_ahead_of_text_and_both_carry_an_option"]),
    ),
    R(
        "9768 3.2.2.1 (3) MAY",
        "unless nothing mangles it",
        Declined("who knows that is not asked: the pure ACK goes out in any case"),
    ),
    R(
        "9768 3.2.2.1 (4) MUST",
        "and again if the SYN-ACK comes again",
        Done(&["the_ack_of_a_syn_ack_tells_how_that_has_arrived"]),
    ),
    R(
        "9768 3.2.2.1 (5) MUST",
        "in SYN-RECEIVED it is read so, by table 4",
        Done(&[
            "the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived",
            "an_ack_with_text_or_blocks_does_not_tell_how_a_syn_ack_has_arrived",
        ]),
    ),
    R(
        "9768 3.2.2.1 (6) MUST",
        "zero there ends ECT, and marks are not answered",
        Done(&["the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived"]),
    ),
    R(
        "9768 3.2.2.1 (7) MUST",
        "but are still told",
        Done(&["the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived"]),
    ),
    R(
        "9768 3.2.2.2 (1) MUST",
        "all else without SYN carries the counter",
        Done(&[
            "what_else_is_sent_carries_the_counter_too",
            "what_answers_in_syn_received_carries_the_counter_as_it_starts",
        ]),
    ),
    R(
        "9768 3.2.2.2 (2) MUST",
        "CE on a SYN is not counted",
        Done(&["the_syn_ack_tells_how_the_syn_has_arrived"]),
    ),
    R(
        "9768 3.2.2.2 (3) MUST",
        "nor is what the SYN-ACK says of it",
        Done(&["each_answer_to_a_connect_that_asks_is_understood"]),
    ),
    R(
        "9768 3.2.2.2 (4) MUST",
        "CE on SYN-ACKs is counted once",
        Done(&[
            "the_ack_of_a_syn_ack_tells_how_that_has_arrived",
            "syns_that_cross_agree_as_if_each_had_been_answered",
        ]),
    ),
    R(
        "9768 3.2.2.2 (5) MUST",
        "and when the ACK of it says so",
        Done(&["the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived"]),
    ),
    R(
        "9768 3.2.2.2 (6) MAY",
        "a later ACK like that is looked for",
        Declined(
            "it is not required: once established the field is a counter, and what an error does passes",
        ),
    ),
    R(
        "9768 3.2.2.3 (1) MUST",
        "who finds that its SYN was mangled stays in the mode and tells of marks",
        Done(&["each_answer_to_a_connect_that_asks_is_understood"]),
    ),
    R(
        "9768 3.2.2.3 (2) MUST",
        "so does who finds that of its SYN-ACK",
        Done(&["the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived"]),
    ),
    R(
        "9768 3.2.2.4 (1) MAY",
        "the first count is tested for zero",
        Done(&["a_path_that_clears_the_counter_is_not_marked_for_and_not_listened_to"]),
    ),
    R(
        "9768 3.2.2.4 (2) MUST",
        "marks are told also where nothing of ours has ECT",
        Done(&[
            "a_path_that_clears_the_counter_is_not_marked_for_and_not_listened_to",
            "the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived",
        ]),
    ),
    R(
        "9768 3.2.2.4 (3) MAY",
        "or it is not tested",
        Done(&["later_a_zero_is_a_count_like_any_other"]),
    ),
    R(
        "9768 3.2.2.4 (4) MUST",
        "it is not tested for any other number",
        Done(&[
            "the_last_ack_of_a_handshake_tells_how_our_syn_ack_has_arrived",
            "marks_reduce_the_window_once_for_a_window_of_data",
        ]),
    ),
    R(
        "9768 3.2.2.5.1 (1) SHOULD",
        "the first text with CE is acknowledged at once",
        Done(&["the_first_mark_and_every_second_after_it_are_acknowledged_at_once"]),
    ),
    R(
        "9768 3.2.2.5.1 (2) MUST",
        "an ACK tells of every few marks",
        Done(&[
            "the_first_mark_and_every_second_after_it_are_acknowledged_at_once",
            "marks_on_acks_are_told_with_every_third",
        ]),
    ),
    R(
        "9768 3.2.2.5.1 (3) SHOULD",
        "of every second where text waits for its ACK",
        Done(&["the_first_mark_and_every_second_after_it_are_acknowledged_at_once"]),
    ),
    R(
        "9768 3.2.2.5.1 (4) MUST",
        "of every third, and no fewer, where none does",
        Done(&["marks_on_acks_are_told_with_every_third"]),
    ),
    R(
        "9768 3.2.2.5.1 (5) MUST",
        "of every seventh at the latest",
        Done(&[
            "of_a_batch_no_more_marks_go_untold_than_three_bits_can_tell",
            "marks_are_told_before_they_are_too_many_for_three_bits",
        ]),
    ),
    R(
        "9768 3.2.2.5.1 (6) SHOULD",
        "for what comes together several ACKs go back to back",
        Declined(
            "the next sentence lets one do at the end of it, and so it is: of packets that are read in a batch at least every seventh mark has an ACK, of a super-segment all have one",
        ),
    ),
    R(
        "9768 3.2.2.5.1 (7) MUST",
        "ACKs of ACKs have no SACK blocks",
        Done(&["an_ack_of_acks_has_no_blocks"]),
    ),
    R(
        "9768 3.2.2.5.2 (1) SHOULD",
        "where the counter may have wrapped the safest likely case is taken",
        Done(&[
            "an_ack_of_many_segments_may_have_wrapped_unless_an_option_says_that_it_has_not",
            "without_options_the_examples_of_the_appendix",
            "where_it_may_have_wrapped_the_safer_count_is_taken",
        ]),
    ),
    R(
        "9768 3.2.2.5.2 (2) MAY",
        "by another algorithm than that of the appendix",
        Done(&["where_acks_are_thinned_out_none_is_held_to_be_missing"]),
    ),
    R(
        "9768 3.2.2.5.2 (3) MAY",
        "what it was taken for is put right later",
        Declined(
            "a reduction by a count that was too safe stays: once in a round trip the window grows back anyway",
        ),
    ),
    R(
        "9768 3.2.2.5.2 (4) SHOULD",
        "more marks than segments are believed",
        Done(&["without_options_the_examples_of_the_appendix"]),
    ),
    R(
        "9768 3.2.3 (1) MUST",
        "172 and 174 are the kinds",
        Done(&["counters_of_marks_are_aligned_and_leave_less_room_for_blocks"]),
    ),
    R(
        "9768 3.2.3 (2) MUST",
        "the length tells which fields there are",
        Done(&[
            "the_counters_stand_in_the_order_of_the_option",
            "counters_of_marks_are_aligned_and_leave_less_room_for_blocks",
        ]),
    ),
    R(
        "9768 3.2.3 (3) MUST",
        "all lengths are read",
        Done(&["options_of_any_length_are_read", "the_counters_stand_in_the_order_of_the_option"]),
    ),
    R(
        "9768 3.2.3 (4) MUST",
        "of other lengths the whole fields count",
        Done(&["of_another_length_the_whole_fields_count"]),
    ),
    R(
        "9768 3.2.3 (5) SHOULD",
        "options are sent and read",
        Done(&["over_a_path_that_marks_both_sides_count_the_same"]),
    ),
    R(
        "9768 3.2.3 (6) SHOULD",
        "and sent in any case",
        Done(&["counters_of_bytes_come_with_every_ack_of_text_that_moves_them"]),
    ),
    R(
        "9768 3.2.3 (7) SHOULD",
        "whether they pass is tested",
        Done(&[
            "the_ack_of_a_syn_ack_goes_ahead_of_text_and_both_carry_an_option",
            "the_syn_ack_tells_how_the_syn_has_arrived",
        ]),
    ),
    R(
        "9768 3.2.3.1 (1) MUST",
        "a field has 24 bits of the counter",
        Done(&["a_counter_wraps_at_24_bits", "a_counter_of_bytes_is_followed_beyond_24_bits"]),
    ),
    R(
        "9768 3.2.3.2.1 (1) MUST",
        "a SYN has no option",
        Done(&["the_ack_of_a_syn_ack_tells_how_that_has_arrived"]),
    ),
    R(
        "9768 3.2.3.2.1 (2) MUST",
        "one that does is read as if it had none",
        Done(&["an_option_on_a_syn_means_nothing"]),
    ),
    R(
        "9768 3.2.3.2.1 (3) SHOULD",
        "a SYN-ACK has one",
        Done(&["the_syn_ack_tells_how_the_syn_has_arrived"]),
    ),
    R(
        "9768 3.2.3.2.1 (4) SHOULD",
        "so has the ACK of it",
        Done(&["the_ack_of_a_syn_ack_tells_how_that_has_arrived"]),
    ),
    R(
        "9768 3.2.3.2.1 (5) SHOULD",
        "and the first text behind that",
        Done(&["the_ack_of_a_syn_ack_goes_ahead_of_text_and_both_carry_an_option"]),
    ),
    R(
        "9768 3.2.3.2.1 (6) MAY",
        "for want of room none has one",
        Declined("there is room in these three"),
    ),
    R(
        "9768 3.2.3.2.2 (1) SHOULD",
        "a SYN-ACK that is sent again has none",
        Done(&[
            "a_syn_ack_that_goes_unanswered_says_less_and_less",
            "a_syn_that_comes_again_is_told_how_it_has_arrived_this_time",
        ]),
    ),
    R(
        "9768 3.2.3.2.2 (2) SHOULD",
        "and the third says nothing of ECN",
        Done(&["a_syn_ack_that_goes_unanswered_says_less_and_less"]),
    ),
    R(
        "9768 3.2.3.2.2 (3) MAY",
        "another option may be tried later",
        Declined(
            "where the SYN-ACK had to be sent again none is, so that there is nothing to be watched",
        ),
    ),
    R("9768 3.2.3.2.2 (4) MAY", "other ways to fall back", Declined("that of the text is the one")),
    R(
        "9768 3.2.3.2.2 (5) SHOULD",
        "the first text has none when it is sent again",
        Done(&[
            "the_ack_of_a_syn_ack_goes_ahead_of_text_and_both_carry_an_option",
            "what_is_sent_again_has_no_option_even_if_one_is_owed",
        ]),
    ),
    R(
        "9768 3.2.3.2.2 (6) MAY",
        "or has, once more",
        Declined("nothing that is sent again has an option"),
    ),
    R(
        "9768 3.2.3.2.2 (7) MAY",
        "text that always comes again tells that ACKs with options are lost",
        Done(&["a_peer_whose_text_keeps_coming_again_is_sent_no_options_any_more"]),
    ),
    R(
        "9768 3.2.3.2.2 (8) SHOULD",
        "and then there are no options any more",
        Done(&[
            "a_peer_whose_text_keeps_coming_again_is_sent_no_options_any_more",
            "a_path_that_loses_every_ack_with_an_option_gets_none",
        ]),
    ),
    R(
        "9768 3.2.3.2.2 (9) MAY",
        "later they are tried again",
        Declined(
            "what has stopped them once may do so again, and three flags tell of marks as well",
        ),
    ),
    R(
        "9768 3.2.3.2.2 (10) MAY",
        "the losses of segments with an option and without are compared",
        Declined("it takes more to remember than it may win"),
    ),
    R(
        "9768 3.2.3.2.3 (1) MUST",
        "without options the count is the safe one",
        Done(&[
            "without_options_the_examples_of_the_appendix",
            "an_ack_of_many_segments_may_have_wrapped_unless_an_option_says_that_it_has_not",
        ]),
    ),
    R(
        "9768 3.2.3.2.3 (2) SHOULD",
        "but ours are sent",
        Done(&["options_that_the_path_takes_away_are_not_waited_for_and_spoilt_ones_not_believed"]),
    ),
    R(
        "9768 3.2.3.2.3 (3) MAY",
        "they may come back",
        Done(&["options_that_the_path_takes_away_are_not_waited_for_and_spoilt_ones_not_believed"]),
    ),
    R(
        "9768 3.2.3.2.4 (1) MAY",
        "a server tests the first option for zeros",
        Done(&["options_that_the_path_takes_away_are_not_waited_for_and_spoilt_ones_not_believed"]),
    ),
    R(
        "9768 3.2.3.2.4 (2) MAY",
        "so does a client",
        Done(&["options_that_the_path_takes_away_are_not_waited_for_and_spoilt_ones_not_believed"]),
    ),
    R(
        "9768 3.2.3.2.4 (3) MUST",
        "where they are not believed the count is the safe one",
        Done(&["an_option_that_begins_with_zero_is_not_believed"]),
    ),
    R(
        "9768 3.2.3.2.4 (4) MUST",
        "other numbers are believed",
        Done(&["options_that_the_path_takes_away_are_not_waited_for_and_spoilt_ones_not_believed"]),
    ),
    R(
        "9768 3.2.3.2.5 (1) MUST",
        "the three flags count also where options come",
        Done(&[
            "with_options_full_sized_segments_are_counted_exactly",
            "with_options_the_examples_of_the_appendix",
        ]),
    ),
    R(
        "9768 3.2.3.2.5 (2) MUST",
        "bytes with CE and no packet with CE end ECT",
        Done(&[
            "bytes_that_were_marked_and_no_packet_end_the_marking",
            "bytes_that_were_marked_without_a_packet_are_a_contradiction",
        ]),
    ),
    R(
        "9768 3.2.3.3 (1) SHOULD",
        "an option goes before others where room is short",
        Done(&["two_blocks_are_worth_more_than_an_option_and_an_option_more_than_the_third"]),
    ),
    R(
        "9768 3.2.3.3 (2) MUST",
        "but not before two SACK blocks",
        Done(&["two_blocks_are_worth_more_than_an_option_and_an_option_more_than_the_third"]),
    ),
    R(
        "9768 3.2.3.3 (3) SHOULD",
        "an option goes with every ACK if a counter has moved",
        Done(&["counters_of_bytes_come_with_every_ack_of_text_that_moves_them"]),
    ),
    R(
        "9768 3.2.3.3 (4) SHOULD",
        "with each field that has ever moved",
        Done(&[
            "counters_of_bytes_come_with_every_ack_of_text_that_moves_them",
            "an_option_has_what_has_ever_moved_in_the_shorter_order",
        ]),
    ),
    R(
        "9768 3.2.3.3 (5) MAY",
        "where room is short with those that have moved since the last one",
        Done(&[
            "two_blocks_are_worth_more_than_an_option_and_an_option_more_than_the_third",
            "what_has_moved_since_the_last_option_is_not_left_out",
        ]),
    ),
    R(
        "9768 3.2.3.3 (6) MUST",
        "and not without one of them",
        Done(&["what_has_moved_since_the_last_option_is_not_left_out"]),
    ),
    R(
        "9768 3.2.3.3 (7) SHOULD",
        "text with another mark than that before is told with the next ACK",
        Done(&["counters_of_bytes_come_with_every_ack_of_text_that_moves_them"]),
    ),
    R(
        "9768 3.2.3.3 (8) SHOULD",
        "and so is what comes next with the same",
        Done(&["counters_of_bytes_come_with_every_ack_of_text_that_moves_them"]),
    ),
    R(
        "9768 3.2.3.3 (9) SHOULD",
        "and after that in every few",
        Done(&["counters_of_bytes_come_with_every_ack_of_text_that_moves_them"]),
    ),
    R(
        "9768 3.2.3.3 (10) SHOULD",
        "always while CE comes",
        Done(&["every_mark_is_counted_and_the_counter_wraps"]),
    ),
    R(
        "9768 3.2.3.3 (11) MAY",
        "and while ECT does",
        Done(&["counters_of_bytes_come_with_every_ack_of_text_that_moves_them"]),
    ),
    R(
        "9768 3.2.3.3 (12) SHOULD",
        "each counter before it can wrap",
        Done(&["over_a_path_that_marks_both_sides_count_the_same"]),
    ),
];
