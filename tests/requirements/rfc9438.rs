//! RFC 9438, CUBIC. What it says of QUIC is left out.

use super::Requirement as R;
use super::Standing::{Declined, Done, Open};

/// How many are open.
pub(crate) const OPEN: usize = 2;

pub(crate) const TABLE: &[R] = &[
    R(
        "9438 4.2 (1) MUST",
        "t does not include periods in which the application was the limit",
        Done(&["time_in_which_the_window_was_not_needed_does_not_count"]),
    ),
    R(
        "9438 4.3 (1) SHOULD",
        "in the Reno-friendly region cwnd is W_est",
        Done(&["on_a_short_path_the_window_grows_as_that_of_reno_does"]),
    ),
    R(
        "9438 4.3 (2) SHOULD",
        "alpha_cubic is 1 once W_est has reached cwnd_prior",
        Done(&["on_a_short_path_the_window_grows_as_that_of_reno_does"]),
    ),
    R(
        "9438 4.4 (1) MUST",
        "in the concave region cwnd grows by (target - cwnd) / cwnd",
        Done(&["after_a_loss_the_window_follows_the_curve_through_its_plateau"]),
    ),
    R(
        "9438 4.5 (1) MUST",
        "and in the convex region",
        Done(&[
            "after_a_loss_the_window_follows_the_curve_through_its_plateau",
            "no_target_is_more_than_half_a_window_away",
        ]),
    ),
    R(
        "9438 4.6 (1) MUST",
        "a loss reduces cwnd and ssthresh when recovery begins",
        Done(&[
            "a_loss_takes_three_tenths_and_a_mark_in_avoidance_fifteen_hundredths",
            "with_cubic_recovery_takes_three_tenths_of_the_window",
        ]),
    ),
    R(
        "9438 4.6 (2) SHOULD",
        "beta_cubic is 0.7",
        Done(&["with_cubic_recovery_takes_three_tenths_of_the_window"]),
    ),
    R(
        "9438 4.6 (3) MUST",
        "who reduces cwnd and not flight_size keeps cwnd from growing when it is not used",
        Done(&[
            "a_full_window_counts_until_what_filled_it_is_acknowledged",
            "a_window_that_the_device_leaves_unused_does_not_grow",
        ]),
    ),
    R(
        "9438 4.6 (4) MUST",
        "echoes of congestion reduce cwnd until it is one segment",
        Done(&["marks_reduce_the_window_to_one_segment_and_losses_to_two"]),
    ),
    R(
        "9438 4.6 (5) MUST",
        "at one segment they reduce the rate of sending",
        Done(&["a_window_of_one_segment_slows_down_by_the_retransmission_timer"]),
    ),
    R(
        "9438 4.7 (1) SHOULD",
        "fast convergence",
        Done(&["a_loss_below_the_last_one_lowers_the_plateau_further"]),
    ),
    R(
        "9438 4.7 (2) SHOULD",
        "but not where there is no other flow",
        Done(&["a_loss_below_the_last_one_lowers_the_plateau_further"]),
    ),
    R(
        "9438 4.8 (1) SHOULD",
        "after a timeout W_est starts at the window with which congestion avoidance begins",
        Done(&["after_a_timeout_the_curve_begins_where_slow_start_ends"]),
    ),
    R(
        "9438 4.9.1 (1) MAY",
        "spurious timeouts are detected",
        Open("the connection detects none yet"),
    ),
    R(
        "9438 4.9.1 (2) MAY",
        "and their reduction is taken back",
        Done(&["a_timeout_for_nothing_is_taken_back"]),
    ),
    R(
        "9438 4.9.2 (1) MAY",
        "spurious losses are detected",
        Open("the connection detects none yet"),
    ),
    R(
        "9438 4.9.2 (2) MAY",
        "the state before a reduction is saved",
        Done(&["a_reduction_for_nothing_is_taken_back_with_the_curve"]),
    ),
    R(
        "9438 4.9.2 (3) MAY",
        "and restored",
        Done(&["a_reduction_for_nothing_is_taken_back_with_the_curve"]),
    ),
    R(
        "9438 4.9.2 (4) SHOULD",
        "unless the window has outgrown it",
        Done(&["a_reduction_for_nothing_is_taken_back_with_the_curve"]),
    ),
    R(
        "9438 4.10 (1) MUST",
        "slow start while cwnd is no more than ssthresh",
        Done(&[
            "the_first_slow_start_ends_without_a_loss_when_round_trips_grow",
            "after_a_timeout_the_curve_begins_where_slow_start_ends",
        ]),
    ),
    R(
        "9438 4.10 (2) SHOULD",
        "by HyStart++",
        Done(&["the_first_slow_start_ends_without_a_loss_when_round_trips_grow"]),
    ),
    R(
        "9438 4.10 (3) MAY",
        "or that of Reno where HyStart++ is not suitable",
        Declined("it is suitable: with few samples in a round trip it does nothing"),
    ),
    R("9438 5.1 (1) SHOULD", "C is not very low", Done(&["the_curve_is_that_of_the_rfc"])),
    R("9438 5.1 (2) SHOULD", "C is 0.4", Done(&["the_curve_is_that_of_the_rfc"])),
];
