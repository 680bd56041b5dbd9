//! RFC 9293, appendix B.

use super::Requirement as R;
use super::Standing::{Declined, Done};

/// How many are open.
pub(crate) const OPEN: usize = 0;

pub(crate) const TABLE: &[R] = &[
    R(
        "MUST-1",
        "the window is an unsigned number",
        Done(&[
            "the_peers_window_is_scaled_but_that_of_its_syn_is_not",
            "a_window_of_more_than_32_kib_is_no_negative_number",
        ]),
    ),
    R(
        "MUST-2",
        "the sender computes the checksum",
        Done(&[
            "a_known_syn_over_ipv4",
            "a_known_data_segment_over_ipv6",
            "what_is_emitted_is_parsed",
        ]),
    ),
    R(
        "MUST-3",
        "the receiver checks the checksum",
        Done(&["a_flipped_bit_is_noticed", "damaged_packets_are_dropped_by_reason"]),
    ),
    R(
        "MUST-4",
        "end of options, no-operation and MSS are supported",
        Done(&["any_options_fit_into_a_header", "behind_the_end_nothing_counts"]),
    ),
    R(
        "MUST-5",
        "options may come in any segment",
        Done(&[
            "every_segment_echoes_the_newest_timestamp_in_order",
            "malformed_and_unknown_options_are_skipped",
        ]),
    ),
    R(
        "MUST-6",
        "unknown options are ignored",
        Done(&[
            "unknown_options_and_padding_change_nothing",
            "malformed_and_unknown_options_are_skipped",
        ]),
    ),
    R(
        "MUST-7",
        "illegal option lengths are coped with",
        Done(&[
            "at_an_impossible_length_reading_ends",
            "a_known_option_of_another_length_is_skipped",
            "malformed_and_unknown_options_are_skipped",
        ]),
    ),
    R(
        "MUST-8",
        "sequence numbers start from a clock",
        Done(&["a_flow_s_sequence_numbers_follow_a_clock_of_four_microseconds"]),
    ),
    R(
        "MUST-9",
        "and from a function nobody outside can compute",
        Done(&[
            "without_a_fixed_number_two_connections_start_far_apart",
            "the_same_seed_gives_the_same_keys_and_another_gives_others",
        ]),
    ),
    R(
        "MUST-10",
        "simultaneous open",
        Done(&["two_syns_that_cross_make_one_connection", "two_stacks_that_call_each_other_meet"]),
    ),
    R(
        "MUST-11",
        "SYN-RECEIVED remembers where it came from",
        Done(&[
            "an_exact_reset_of_a_half_open_entry_returns_to_listen",
            "a_reset_of_a_simultaneous_open_refuses",
        ]),
    ),
    R(
        "MUST-12",
        "the application learns whether a connection closed or was aborted",
        Done(&[
            "an_exact_reset_ends_a_connection_in_every_synchronized_state",
            "text_that_came_before_the_fin_is_read_before_the_end",
        ]),
    ),
    R(
        "MUST-13",
        "TIME-WAIT lasts for 2 MSL",
        Done(&["time_wait_lasts_as_long_as_is_set", "time_wait_timeout"]),
    ),
    R(
        "MUST-14",
        "the MSS option is sent and received",
        Done(&[
            "the_announced_segment_size_follows_the_link",
            "segments_are_as_large_as_the_peer_and_the_link_allow",
        ]),
    ),
    R(
        "MUST-15",
        "without one 536 bytes are sent, over IPv6 1220",
        Done(&[
            "segments_are_as_large_as_the_peer_and_the_link_allow",
            "over_ipv6_the_default_segment_is_1220",
        ]),
    ),
    R(
        "MUST-16",
        "the effective send MSS is calculated",
        Done(&["segments_are_as_large_as_the_peer_and_the_link_allow"]),
    ),
    R(
        "MUST-17",
        "Nagle's algorithm can be turned off",
        Done(&["with_no_delay_small_writes_go_at_once"]),
    ),
    R(
        "MUST-18",
        "Karn's algorithm",
        Done(&[
            "an_acknowledgment_of_a_retransmission_is_no_sample",
            "a_segment_sent_twice_gives_no_sample",
        ]),
    ),
    R(
        "MUST-19",
        "backoff, slow start, congestion avoidance",
        Done(&[
            "unacknowledged_text_is_sent_again_and_the_time_doubles",
            "slow_start_doubles_in_a_round_trip_and_avoidance_adds_one_segment",
            "recovery_halves_the_window",
        ]),
    ),
    R(
        "MUST-20",
        "excessive retransmissions: R1 and R2",
        Done(&[
            "after_three_retransmissions_the_application_is_told",
            "at_r1_the_ip_layer_forgets_what_it_knew_of_the_path",
            "by_default_data_is_not_given_up_for_at_least_100_seconds",
        ]),
    ),
    R(
        "MUST-21",
        "the application can set R2 for a connection",
        Done(&[
            "the_user_timeout_can_be_set_while_a_connection_lives",
            "the_user_timeout_ends_a_connection_whose_data_is_not_acknowledged",
        ]),
    ),
    R(
        "MUST-22",
        "SYNs are given up in the same way",
        Done(&[
            "syns_are_sent_again_and_then_the_connect_times_out",
            "a_lost_syn_ack_is_sent_again_and_in_the_end_the_entry_is_forgotten",
            "a_syn_that_is_sent_again_and_again_is_reported_in_the_same_way",
        ]),
    ),
    R(
        "MUST-23",
        "a SYN is sent again for at least three minutes",
        Done(&["by_default_a_connect_is_not_given_up_for_at_least_three_minutes"]),
    ),
    R(
        "MUST-24",
        "the application can turn keep-alives on and off",
        Done(&["keep_alives_can_be_turned_on_and_off_while_a_connection_lives"]),
    ),
    R(
        "MUST-25",
        "keep-alives are off by default",
        Done(&["by_default_an_idle_connection_is_left_alone"]),
    ),
    R(
        "MUST-26",
        "they go out only when nothing else has passed",
        Done(&[
            "an_idle_peer_is_asked_and_a_dead_one_given_up",
            "anything_that_arrives_puts_the_probe_off",
            "while_data_is_unacknowledged_its_retransmissions_are_the_probes",
        ]),
    ),
    R(
        "MUST-27",
        "their interval can be set",
        Done(&["an_idle_peer_is_asked_and_a_dead_one_given_up"]),
    ),
    R(
        "MUST-28",
        "by default it is at least two hours",
        Done(&["by_default_keep_alives_wait_for_two_hours"]),
    ),
    R(
        "MUST-29",
        "one lost answer does not end a connection",
        Done(&["a_peer_that_answers_keeps_its_connection"]),
    ),
    R(
        "MUST-30",
        "the urgent mechanism is supported",
        Done(&[
            "urgent_text_goes_out_marked_and_does_not_wait",
            "urgent_data_is_reported_once_and_stays_in_line",
        ]),
    ),
    R(
        "MUST-31",
        "urgent text may have any length",
        Done(&[
            "urgent_text_may_be_longer_than_a_segment_and_than_the_pointer_can_say",
            "urgent_text_goes_out_marked_and_does_not_wait",
            "urgent_data_is_reported_once_and_stays_in_line",
        ]),
    ),
    R(
        "MUST-32",
        "the application is told of urgent text when it is announced",
        Done(&["a_mark_beyond_what_has_arrived_is_reported_before_the_text_comes"]),
    ),
    R(
        "MUST-33",
        "it can learn how much of it is to come",
        Done(&["the_application_can_ask_how_far_the_urgent_text_reaches"]),
    ),
    R("MUST-34", "a window that shrinks is borne", Done(&["a_window_that_shrinks_is_borne"])),
    R(
        "MUST-35",
        "zero windows are probed by the standard logic",
        Done(&["a_closed_window_is_probed_for_as_long_as_the_peer_answers"]),
    ),
    R(
        "MUST-36",
        "a zero window is probed",
        Done(&[
            "a_closed_window_is_probed_for_as_long_as_the_peer_answers",
            "a_lost_window_update_does_not_stop_a_transfer",
        ]),
    ),
    R(
        "MUST-37",
        "it may stay so for ever while the peer answers",
        Done(&["a_closed_window_is_probed_for_as_long_as_the_peer_answers"]),
    ),
    R(
        "MUST-38",
        "the sender avoids silly windows",
        Done(&["no_more_is_sent_than_the_peers_window_takes"]),
    ),
    R(
        "MUST-39",
        "the receiver avoids silly windows",
        Done(&["a_window_is_not_reopened_by_crumbs"]),
    ),
    R(
        "MUST-40",
        "an ACK is delayed by less than half a second",
        Done(&["later_a_small_segment_is_acknowledged_after_40_ms"]),
    ),
    R(
        "MUST-41",
        "a passive OPEN leaves other connections alone",
        Done(&["a_listener_may_share_its_port_with_connections"]),
    ),
    R(
        "MUST-42",
        "one may LISTEN on the port of a connection that is opening",
        Done(&["a_listener_may_share_its_port_with_connections"]),
    ),
    R(
        "MUST-43",
        "OPEN takes a local address",
        Done(&[
            "an_open_that_cannot_be_is_refused_with_the_reason",
            "a_listener_may_share_its_port_with_connections",
            "a_connection_keeps_the_local_address_that_it_began_with",
        ]),
    ),
    R(
        "MUST-44",
        "without one a local address is chosen",
        Done(&[
            "an_active_open_sends_a_syn_and_acknowledges_the_answer",
            "an_active_open_works_over_ipv6",
        ]),
    ),
    R(
        "MUST-45",
        "which the connection keeps",
        Done(&["a_connection_keeps_the_local_address_that_it_began_with"]),
    ),
    R(
        "MUST-46",
        "an OPEN to an address that is no host's is refused",
        Done(&["an_open_that_cannot_be_is_refused_with_the_reason"]),
    ),
    R(
        "MUST-47",
        "soft errors are reported",
        Done(&[
            "the_application_is_told_of_icmp_errors_about_what_is_in_flight",
            "the_same_goes_for_icmp_of_ipv6",
            "after_three_retransmissions_the_application_is_told",
            "a_mark_beyond_what_has_arrived_is_reported_before_the_text_comes",
        ]),
    ),
    R(
        "MUST-48",
        "the application can choose the Diffserv field",
        Done(&[
            "every_packet_of_a_stack_carries_the_fields_that_were_set",
            "both_fields_can_be_changed_while_a_connection_lives",
        ]),
    ),
    R(
        "MUST-49",
        "the TTL can be set",
        Done(&[
            "every_packet_of_a_stack_carries_the_fields_that_were_set",
            "both_fields_can_be_changed_while_a_connection_lives",
            "a_time_to_live_of_zero_is_refused",
        ]),
    ),
    R(
        "MUST-50",
        "IP options are passed over",
        Done(&[
            "ip_options_and_extension_headers_are_stepped_over",
            "ipv4_options_are_skipped_but_for_source_routes",
        ]),
    ),
    R(
        "MUST-51",
        "the application can give a source route",
        Declined(
            "RFC 7126 section 4.3 and 4.4: packets with source routes are dropped; Linux does the same (accept_source_route = 0)",
        ),
    ),
    R(
        "MUST-52",
        "which overrides that of a packet",
        Declined("RFC 7126 section 4.3 and 4.4: no source route is ever used"),
    ),
    R(
        "MUST-53",
        "the return route follows a received one",
        Declined("RFC 7126 section 4.3 and 4.4: no source route is ever used"),
    ),
    R(
        "MUST-54",
        "ICMP errors reach the connection they are about",
        Done(&[
            "a_connect_that_meets_unreachable_ends_at_once",
            "a_segment_that_did_not_fit_is_sent_again_in_smaller_ones",
            "an_error_about_what_is_not_in_flight_is_ignored",
        ]),
    ),
    R("MUST-55", "a source quench is ignored", Done(&["a_source_quench_changes_nothing"])),
    R(
        "MUST-56",
        "soft errors abort nothing that is established; before, an unreachable does (RFC 5461 4)",
        Done(&[
            "an_unreachable_does_not_end_a_connection_that_is_established",
            "no_error_message_harms_a_stack_in_any_state",
            "a_connect_that_meets_unreachable_ends_at_once",
        ]),
    ),
    R(
        "MUST-57",
        "segments to groups and to everybody are dropped in silence",
        Done(&[
            "a_syn_that_nobody_may_send_is_dropped",
            "the_same_holds_over_ipv6",
            "destinations_that_are_more_than_one_host",
        ]),
    ),
    R("MUST-58", "ACKs are aggregated", Done(&["segments_of_one_batch_share_an_acknowledgment"])),
    R(
        "MUST-59",
        "what is queued is processed before an ACK is sent",
        Done(&[
            "segments_of_one_batch_share_an_acknowledgment",
            "what_is_not_owed_at_once_waits_for_the_end_of_the_batch",
        ]),
    ),
    R(
        "MUST-60",
        "the sender buffers nothing for ever",
        Done(&[
            "the_last_segment_of_a_write_is_pushed",
            "small_writes_wait_while_something_is_unacknowledged",
        ]),
    ),
    R(
        "MUST-61",
        "the last segment of what is queued carries PSH",
        Done(&["the_last_segment_of_a_write_is_pushed"]),
    ),
    R(
        "MUST-62",
        "the urgent pointer is that of the first octet behind",
        Done(&[
            "urgent_text_goes_out_marked_and_does_not_wait",
            "urgent_data_is_reported_once_and_stays_in_line",
        ]),
    ),
    R(
        "MUST-63",
        "a SYN from an address that is no host's is dropped",
        Done(&[
            "a_syn_that_nobody_may_send_is_dropped",
            "the_same_holds_over_ipv6",
            "sources_that_no_host_has",
        ]),
    ),
    R("MUST-64", "options may start at any byte", Done(&["options_may_start_at_any_byte"])),
    R(
        "MUST-65",
        "the MSS is sent on SYN segments only",
        Done(&["whatever_the_wire_does_streams_arrive_whole_and_everything_ends"]),
    ),
    R(
        "MUST-66",
        "RST and URG count while the window is closed",
        Done(&["resets_and_urgent_marks_count_while_our_window_is_closed"]),
    ),
    R(
        "MUST-67",
        "the MSS follows from what the link can receive",
        Done(&["the_announced_segment_size_follows_the_link"]),
    ),
    R(
        "MUST-68",
        "all options but two have a length",
        Done(&["any_options_fit_into_a_header", "a_syn_is_laid_out_as_linux_does_it"]),
    ),
    R(
        "MUST-69",
        "the header is padded with zeros behind the last option",
        Done(&["any_options_fit_into_a_header", "a_syn_is_laid_out_as_linux_does_it"]),
    ),
    R(
        "SHLD-1",
        "the generator of sequence numbers is secure",
        Done(&[
            "without_a_fixed_number_two_connections_start_far_apart",
            "the_same_seed_gives_the_same_keys_and_another_gives_others",
        ]),
    ),
    R("SHLD-2", "a reset may contain data", Done(&["a_reset_may_carry_text"])),
    R(
        "SHLD-3",
        "a close that loses data sends a reset",
        Done(&[
            "closing_with_unread_text_resets",
            "text_for_a_connection_that_was_closed_for_good_resets_it",
        ]),
    ),
    R(
        "SHLD-4",
        "timestamps shorten TIME-WAIT",
        Done(&["a_new_syn_with_a_newer_timestamp_reopens_whatever_its_sequence_number"]),
    ),
    R(
        "SHLD-5",
        "the MSS option is sent unless it is the default",
        Done(&["the_announced_segment_size_follows_the_link"]),
    ),
    R(
        "SHLD-6",
        "the MSS follows an MTU that varies",
        Done(&[
            "a_segment_that_did_not_fit_is_sent_again_in_smaller_ones",
            "a_later_connection_to_the_same_host_starts_with_the_known_mtu",
        ]),
    ),
    R(
        "SHLD-7",
        "Nagle's algorithm",
        Done(&["small_writes_wait_while_something_is_unacknowledged"]),
    ),
    R(
        "SHLD-8",
        "ECN",
        Done(&[
            "a_peer_that_asks_for_ecn_gets_it",
            "a_connect_that_asks_for_ecn_gets_it_from_a_peer_that_agrees",
            "new_text_and_nothing_else_lets_routers_mark_it",
            "an_echo_of_congestion_halves_the_window_once_and_is_answered_once",
            "a_mark_is_echoed_until_the_sender_has_reduced_its_window",
            "a_path_that_marks_is_used_without_a_single_loss",
        ]),
    ),
    R(
        "SHLD-9",
        "the application is told at R1",
        Done(&["after_three_retransmissions_the_application_is_told", "r1_can_be_set"]),
    ),
    R(
        "SHLD-10",
        "R1 is at least three retransmissions",
        Done(&["after_three_retransmissions_the_application_is_told"]),
    ),
    R(
        "SHLD-11",
        "R2 is at least 100 seconds",
        Done(&["by_default_data_is_not_given_up_for_at_least_100_seconds"]),
    ),
    R(
        "SHLD-12",
        "a keep-alive carries no data",
        Done(&["an_idle_peer_is_asked_and_a_dead_one_given_up"]),
    ),
    R(
        "SHLD-13",
        "new applications do not use the urgent mechanism",
        Done(&["no_program_of_ours_sends_urgent_text"]),
    ),
    R(
        "SHLD-14",
        "the right edge of the window does not move left",
        Done(&[
            "whatever_the_wire_does_streams_arrive_whole_and_everything_ends",
            "our_window_closes_as_text_waits_and_opens_as_it_is_read",
        ]),
    ),
    R(
        "SHLD-15",
        "into a window that has shrunk no new data is sent",
        Done(&["a_window_that_shrinks_is_borne"]),
    ),
    R(
        "SHLD-16",
        "but old data is sent again",
        Done(&["what_a_window_has_shrunk_below_is_sent_again_and_not_given_up"]),
    ),
    R(
        "SHLD-17",
        "and data beyond its edge does not time out",
        Done(&["what_a_window_has_shrunk_below_is_sent_again_and_not_given_up"]),
    ),
    R("SHLD-18", "ACKs are delayed", Done(&["later_a_small_segment_is_acknowledged_after_40_ms"])),
    R(
        "SHLD-19",
        "every second full-sized segment is acknowledged",
        Done(&["every_second_full_sized_segment_is_acknowledged_at_once"]),
    ),
    R(
        "SHLD-20",
        "error reports can be turned off",
        Done(&["reports_can_be_turned_off_for_a_stack_and_for_a_connection"]),
    ),
    R(
        "SHLD-21",
        "the Diffserv field can be changed while a connection lives",
        Done(&["both_fields_can_be_changed_while_a_connection_lives"]),
    ),
    R(
        "SHLD-22",
        "it is passed to IP unchanged",
        Done(&[
            "every_packet_of_a_stack_carries_the_fields_that_were_set",
            "a_template_agrees_with_the_general_way",
            "a_connection_in_time_wait_keeps_its_traffic_class",
        ]),
    ),
    R(
        "SHLD-23",
        "applications do not change it in mid-connection",
        Done(&["no_program_of_ours_changes_the_diffserv_field_in_mid_connection"]),
    ),
    R(
        "SHLD-24",
        "a later source route overrides an earlier one",
        Declined("RFC 7126 section 4.3 and 4.4: no source route is ever used"),
    ),
    R(
        "SHLD-25",
        "soft errors are made known",
        Done(&[
            "the_application_is_told_of_icmp_errors_about_what_is_in_flight",
            "while_a_connect_is_under_way_soft_errors_are_reported_too",
        ]),
    ),
    R(
        "SHLD-26",
        "hard errors abort",
        Declined(
            "RFC 5927: on a synchronized connection they count as soft, as section 3.9.2.2 grants and Linux does; a connect is ended by any of them",
        ),
    ),
    R(
        "SHLD-27",
        "successive PSH bits are collapsed",
        Done(&[
            "small_writes_wait_while_something_is_unacknowledged",
            "the_last_segment_of_a_write_is_pushed",
        ]),
    ),
    R(
        "SHLD-28",
        "segments are as large as can be",
        Done(&[
            "segments_are_as_large_as_the_peer_and_the_link_allow",
            "small_writes_wait_while_something_is_unacknowledged",
        ]),
    ),
    R(
        "SHLD-29",
        "the first probe of a zero window comes after one RTO",
        Done(&["a_closed_window_is_probed_for_as_long_as_the_peer_answers"]),
    ),
    R(
        "SHLD-30",
        "the interval of the probes grows exponentially",
        Done(&["a_closed_window_is_probed_for_as_long_as_the_peer_answers"]),
    ),
    R(
        "SHLD-31",
        "segments out of order are kept",
        Done(&["text_out_of_order_waits_for_the_hole_to_fill", "agrees_with_a_set_of_bytes"]),
    ),
    R("MAY-1", "a half-duplex close", Done(&["closing_with_unread_text_resets"])),
    R(
        "MAY-2",
        "a SYN may end TIME-WAIT",
        Done(&[
            "a_new_syn_with_a_higher_sequence_number_reopens",
            "a_syn_that_might_be_old_does_not_reopen",
        ]),
    ),
    R(
        "MAY-3",
        "the MSS option is sent always",
        Done(&["the_announced_segment_size_follows_the_link"]),
    ),
    R(
        "MAY-4",
        "a retransmission has the same IP identification",
        Declined(
            "RFC 6864 section 4.1: the field means nothing in a packet that cannot be fragmented, and is zero",
        ),
    ),
    R("MAY-5", "keep-alives", Done(&["an_idle_peer_is_asked_and_a_dead_one_given_up"])),
    R(
        "MAY-6",
        "keep-alives with an octet of garbage",
        Declined("for hosts of the 1980s; Linux sends none either"),
    ),
    R(
        "MAY-7",
        "data beyond a window that has shrunk is sent again",
        Done(&["what_a_window_has_shrunk_below_is_sent_again_and_not_given_up"]),
    ),
    R(
        "MAY-8",
        "a receiver may keep its window closed for ever",
        Done(&["without_a_reader_no_more_is_buffered_than_the_window_offered"]),
    ),
    R(
        "MAY-9",
        "the received Diffserv field is passed up",
        Declined("nobody has asked for it; Linux does it on request only"),
    ),
    R(
        "MAY-10",
        "the IP timestamp option",
        Declined("RFC 7126: filtered nearly everywhere; it is passed over"),
    ),
    R(
        "MAY-11",
        "the IP record route option",
        Declined("RFC 7126: filtered nearly everywhere; it is passed over"),
    ),
    R(
        "MAY-12",
        "protection against injected data (RFC 5961 section 5)",
        Done(&["what_acknowledges_the_unsent_or_the_ancient_is_answered_and_dropped"]),
    ),
    R(
        "MAY-13",
        "an ACK at once for a segment out of order",
        Done(&["every_segment_beyond_a_hole_gets_a_duplicate_ack_of_its_own"]),
    ),
    R("MAY-14", "a FLUSH call", Declined("no interface that programs use has one")),
    R(
        "MAY-15",
        "SEND can ask for PSH",
        Declined("there is no such flag: the end of what is queued is always pushed"),
    ),
    R(
        "MAY-16",
        "the receiver queues text without PSH",
        Declined("what has arrived in order is handed over at once"),
    ),
    R(
        "MAY-17",
        "the application is told of PSH",
        Declined("the stream has no records, and no interface that programs use tells"),
    ),
    R(
        "MAY-18",
        "another congestion control",
        Done(&[
            "after_a_loss_the_window_follows_the_curve_through_its_plateau",
            "with_cubic_recovery_takes_three_tenths_of_the_window",
            "a_program_may_bring_a_congestion_control_of_its_own",
        ]),
    ),
    R(
        "REC-1",
        "windows are numbers of 32 bits",
        Done(&["the_peers_window_is_scaled_but_that_of_its_syn_is_not"]),
    ),
];
