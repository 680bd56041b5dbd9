//! What theory says of the rate at a given loss.

use tunstack::time::Duration;

/// Bytes of text in a full segment.
pub(crate) const MSS: f64 = 1_448.0;

fn rate(segments: f64, rtt: Duration) -> f64 {
    segments * MSS * 8.0 / rtt.as_secs_f64()
}

/// Bits per second of a sender that adds a segment each round trip and halves with each loss, of
/// which there are `loss` to a packet: Mathis, Semke, Mahdavi and Ott, "The macroscopic behavior of
/// the TCP congestion avoidance algorithm", 1997, with the constant for losses at even distances,
/// sqrt(3/2) = 1.22.
pub(crate) fn mathis(rtt: Duration, loss: f64) -> f64 {
    rate((1.5 / loss).sqrt(), rtt)
}

/// Bits per second of CUBIC: the larger one of the average windows of RFC 9438 section 5.1 and of
/// section 4.3, whose Reno-friendly region has the response of Reno.
pub(crate) fn cubic(rtt: Duration, loss: f64) -> f64 {
    const C: f64 = 0.4;
    const BETA: f64 = 0.7;
    let constant = (C * (3.0 + BETA) / (4.0 * (1.0 - BETA))).powf(0.25);
    let window = constant * rtt.as_secs_f64().powf(0.75) / loss.powf(0.75);
    rate(window, rtt).max(mathis(rtt, loss))
}

#[test]
fn the_models_agree_with_their_papers() {
    // RFC 9438 section 5.1: "AVG_W_cubic = 1.054 * (RTT^(3/4)) / (p^(3/4))".
    let window = |rate: f64, rtt: f64| rate * rtt / 8.0 / MSS;
    let of_cubic = window(cubic(Duration::from_millis(100), 1e-6), 0.1);
    assert!((of_cubic / (1.054 * 0.1f64.powf(0.75) / 1e-6f64.powf(0.75)) - 1.0).abs() < 1e-3);
    // RFC 9438 section 5.1, table 1: at a loss of 1e-2 Reno has an average window of 12.
    let of_reno = window(mathis(Duration::from_millis(100), 1e-2), 0.1);
    assert!((of_reno - 12.2).abs() < 0.1, "{of_reno}");
    // Both are as good at short round trips.
    assert!(cubic(Duration::from_millis(1), 1e-2) >= mathis(Duration::from_millis(1), 1e-2));
}
