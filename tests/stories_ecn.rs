//! Explicit congestion notification, RFC 3168 section 6.1.

mod common;

use common::link::Faults;
use common::pair::{Plan, Side};
use common::peer::{Isns, Peer, with_each_isn};
use common::{ms, secs};
use tunstack::Config;
use tunstack::tcp::congestion::{AckSample, Congestion, Controller, Loss, NewReno};
use tunstack::tcp::{Ecn, Info, KeepAlive, Phase, State};
use tunstack::wire::{EcnField, Flags};

const PLAIN: Isns = Isns { stack: 1_000_000, peer: 2_000_000 };
const MSS: u32 = 1_460;

/// A connection that the peer has opened and that has agreed to ECN.
fn agreed(isns: Isns) -> Peer {
    agreed_with(isns, |_| {})
}

fn agreed_with(isns: Isns, change: impl FnOnce(&mut Config)) -> Peer {
    let mut peer = Peer::with(isns, change);
    peer.listens();
    peer.opens(["SEW 0:0(0) <mss 1460>", "[noecn] SE. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
    peer.events();
    peer
}

/// A stack that has asked for ECN and waits for the answer.
fn asking(isns: Isns) -> Peer {
    let mut peer = Peer::with(isns, |config| config.tcp.ecn = Ecn::Request);
    peer.connects();
    peer.hears("[noecn] SEW 0:0(0)");
    peer
}

fn info(peer: &Peer) -> Info {
    peer.stack.info(peer.id).expect("it is there")
}

fn cwnd(peer: &Peer) -> u32 {
    info(peer).cwnd
}

/// Whether new text of the connection, which has sent none yet, lets routers mark it.
#[track_caller]
fn marks_its_text(peer: &mut Peer) -> bool {
    peer.ignores_the_rest();
    peer.writes(10);
    let packet = peer.next();
    assert_eq!((packet.seq, packet.text.len()), (peer.iss + 1, 10));
    packet.ecn() == EcnField::Ect0
}

/// Whether marks that the peer's first text carries are echoed.
#[track_caller]
fn answers_marks(peer: &mut Peer) -> bool {
    peer.sends("[ce] . 1:11(10) ack 1");
    peer.next().has(Flags::ECE)
}

// Setting up: section 6.1.1.

#[test]
fn a_peer_that_asks_for_ecn_gets_it() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        assert!(marks_its_text(&mut peer));
        let mut peer = agreed(isns);
        assert!(answers_marks(&mut peer));
    });
}

#[test]
fn what_is_no_ecn_setup_syn_gets_none() {
    with_each_isn(|isns| {
        let off: fn(&mut Config) = |config| config.tcp.ecn = Ecn::Off;
        for (syn, change) in [
            ("S 0:0(0) <mss 1460>", None),
            ("SE 0:0(0) <mss 1460>", None),
            ("SW 0:0(0) <mss 1460>", None),
            // Section 6.1.1: "A host MUST NOT set ECT on SYN"; so a router does, on every packet.
            ("[ect0] SEW 0:0(0) <mss 1460>", None),
            ("[ce] SEW 0:0(0) <mss 1460>", None),
            ("SEW 0:0(0) <mss 1460>", Some(off)),
        ] {
            let mut peer = Peer::with(isns, change.unwrap_or(|_| {}));
            peer.listens();
            peer.opens([syn, "[noecn] S. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
            assert!(!answers_marks(&mut peer), "{syn}");
            assert!(!marks_its_text(&mut peer), "{syn}");
        }
    });
}

#[test]
fn by_default_a_connect_does_not_ask_for_ecn() {
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        // Nor does it take it unasked: the peer reflects what it does not know.
        peer.sends("SE. 0:0(0) ack 1 <mss 1460>");
        assert!(!marks_its_text(&mut peer));
        assert!(!answers_marks(&mut peer));
    });
}

#[test]
fn a_connect_that_asks_for_ecn_gets_it_from_a_peer_that_agrees() {
    with_each_isn(|isns| {
        for (answer, agrees) in [
            ("SE. 0:0(0) ack 1 <mss 1460>", true),
            ("S. 0:0(0) ack 1 <mss 1460>", false),
            // Section 6.1.1.2: a mirror.
            ("SEW. 0:0(0) ack 1 <mss 1460>", false),
            ("SW. 0:0(0) ack 1 <mss 1460>", false),
        ] {
            let mut peer = asking(isns);
            peer.sends(answer);
            peer.hears("[noecn] . 1:1(0) ack 1");
            assert_eq!(answers_marks(&mut peer), agrees, "{answer}");
            assert_eq!(marks_its_text(&mut peer), agrees, "{answer}");
            let before = 10 * MSS;
            assert_eq!(cwnd(&peer), before, "the flag of a SYN-ACK is no echo: {answer}");
        }
    });
}

#[test]
fn a_syn_that_is_sent_again_does_not_ask_for_ecn() {
    // Section 6.1.1.1; and 6.1.1: who has sent such a SYN "MUST NOT set ECT on data packets", but
    // the commitment to answer marks remains.
    with_each_isn(|isns| {
        let mut peer = asking(isns);
        peer.hears_within(secs(1)..=secs(1), "[noecn] S 0:0(0)");
        peer.sends("SE. 0:0(0) ack 1 <mss 1460>");
        peer.hears(". 1:1(0) ack 1");
        assert!(answers_marks(&mut peer));
        assert!(!marks_its_text(&mut peer));
        // A path that marks it all the same is heard of: it was promised to answer "by reducing the
        // congestion window and setting CWR", and without the flag the echoes would never end.
        peer.sends("E. 11:11(0) ack 11");
        peer.writes(20);
        peer.hears("[noecn] EW. 11:31(20) ack 11");
        peer.sends(". 11:11(0) ack 31");
        peer.writes(10);
        peer.hears("[noecn] E. 31:41(10) ack 11");
    });
}

#[test]
fn a_peer_that_asks_again_without_ecn_gets_none() {
    // Section 6.1.1.1, the example: "Host B: Sends a non-ECN-setup SYN/ACK".
    with_each_isn(|isns| {
        let mut peer = Peer::new(isns);
        peer.listens();
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("SE. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("SE. 0:0(0) ack 1");
        peer.passes(ms(600));
        peer.opens(["S 0:0(0) <mss 1460>", "S. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
        assert!(!answers_marks(&mut peer));
        assert!(!marks_its_text(&mut peer));
    });
}

#[test]
fn syns_that_cross_agree_if_both_ask() {
    with_each_isn(|isns| {
        for (syn, syn_ack, answer, agrees) in [
            ("SEW 0:0(0) <mss 1460>", "SE. 0:0(0) ack 1 <mss 1460>", "SE. 0:0(0) ack 1", true),
            ("SEW 0:0(0) <mss 1460>", "S. 0:0(0) ack 1 <mss 1460>", "SE. 0:0(0) ack 1", false),
            ("S 0:0(0) <mss 1460>", "S. 0:0(0) ack 1 <mss 1460>", "S. 0:0(0) ack 1", false),
        ] {
            let mut peer = asking(isns);
            peer.sends(syn);
            peer.hears(answer);
            peer.sends(syn_ack);
            peer.is_in(State::Established);
            assert_eq!(cwnd(&peer), 10 * MSS, "the flag of a SYN-ACK is no echo");
            assert_eq!(marks_its_text(&mut peer), agrees, "{syn}");
        }
        // One that has not asked does not agree to a SYN that crosses its own.
        let mut peer = Peer::new(isns);
        peer.connects();
        peer.hears("S 0:0(0)");
        peer.sends("SEW 0:0(0) <mss 1460>");
        peer.hears("S. 0:0(0) ack 1");
    });
}

#[test]
fn over_ipv6_it_is_the_same() {
    with_each_isn(|isns| {
        let mut peer = Peer::over_ipv6(isns, |_| {});
        peer.listens();
        peer.opens(["SEW 0:0(0) <mss 1440>", "[noecn] SE. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
        peer.stack.set_traffic_class(peer.id, 46 << 2);
        peer.writes(10);
        assert_eq!(peer.hears("[ect0] . 1:11(10)").traffic_class, 46 << 2 | 2);
        peer.sends("[ce] . 1:11(10) ack 11");
        assert_eq!(peer.hears("[noecn] E. 11:11(0) ack 11").traffic_class, 46 << 2);
    });
}

// Sending: sections 6.1.2 and 6.1.4 to 6.1.6.

#[test]
fn new_text_and_nothing_else_lets_routers_mark_it() {
    with_each_isn(|isns| {
        let mut peer = agreed_with(isns, |config| {
            config.tcp.keep_alive =
                Some(KeepAlive { idle: secs(60), interval: secs(60), count: 9 });
        });
        peer.writes(100);
        peer.hears("[ect0] . 1:101(100) ack 1");
        peer.hears_within(ms(200)..=secs(2), "[noecn] . 1:101(100) ack 1");
        peer.sends(". 1:101(100) ack 101 win 0");
        peer.hears("[noecn] . 101:101(0) ack 101");
        peer.writes(100);
        peer.hears_within(ms(200)..=secs(2), "[noecn] . 100:100(0) ack 101");
        peer.sends(". 101:101(0) ack 101 win 65535");
        // The window was reduced by the timeout above.
        peer.hears("[ect0] W. 101:201(100) ack 101");
        peer.sends(". 101:101(0) ack 201");
        peer.hears_within(secs(50)..=secs(61), "[noecn] . 200:200(0) ack 101");
        peer.sends(". 101:101(0) ack 201");
        peer.shuts_down();
        peer.hears("[noecn] F. 201:201(0) ack 101");
        peer.aborts();
        peer.hears("[noecn] R. 202:202(0) ack 101");
    });
}

#[test]
fn a_fin_with_text_counts_as_text() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.stack.write(peer.id, &[7; 10]).expect("there is room");
        peer.stack.shutdown(peer.id);
        let packet = peer.next();
        assert!(packet.has(Flags::FIN) && packet.text.len() == 10);
        assert_eq!(packet.ecn(), EcnField::Ect0);
    });
}

/// Ten segments of text are on their way.
fn with_ten_segments(isns: Isns) -> Peer {
    let mut peer = agreed(isns);
    peer.writes(40 * MSS as usize);
    assert_eq!(peer.ignores_the_rest(), 10);
    assert_eq!(cwnd(&peer), 10 * MSS);
    peer
}

#[test]
fn an_echo_of_congestion_halves_the_window_once_and_is_answered_once() {
    // In slow start, with NewReno; the other reductions are the controllers' own.
    with_each_isn(|isns| {
        let mut peer = agreed_with(isns, |config| config.tcp.congestion = Congestion::NewReno);
        peer.writes(40 * MSS as usize);
        assert_eq!(peer.ignores_the_rest(), 10);
        // Half of what each ACK of this window delivers goes out, until what is in the network has come
        // down to five segments (RFC 9937 section 6.2).
        let mut sent = 0;
        for (n, in_all) in (1..).zip([1, 1, 2, 2, 3, 3, 4, 4, 4, 5]) {
            peer.sends(&format!("E. 1:1(0) ack {}", n * MSS + 1));
            assert_eq!(info(&peer).phase, Phase::Reduced);
            let packets = peer.all();
            sent += packets.len() as u32;
            assert_eq!(sent, in_all, "{n}");
            assert_eq!(cwnd(&peer), (10 - n + sent) * MSS);
            for packet in packets {
                assert_eq!(packet.ecn(), EcnField::Ect0);
                assert_eq!(packet.has(Flags::CWR), n == 1, "one reduction for a window of data");
            }
        }
        // The receiver has seen CWR, and what was sent after the reduction has arrived.
        peer.sends(&format!(". 1:1(0) ack {}", 11 * MSS + 1));
        assert_eq!(info(&peer).phase, Phase::Open);
        assert!(cwnd(&peer) >= 5 * MSS);
        peer.ignores_the_rest();
        // And then there is congestion again.
        let before = cwnd(&peer);
        peer.sends(&format!("E. 1:1(0) ack {}", 12 * MSS + 1));
        assert!(info(&peer).ssthresh < before);
        let mut sent = peer.all();
        peer.sends(&format!(". 1:1(0) ack {}", 15 * MSS + 1));
        sent.extend(peer.all());
        let reduced = sent.iter().filter(|packet| packet.has(Flags::CWR)).count();
        assert!(sent.len() > 1 && reduced == 1 && sent[0].has(Flags::CWR), "{reduced}");
    });
}

#[test]
fn an_echo_on_the_ack_of_a_syn_ack_takes_a_part_of_the_first_window() {
    with_each_isn(|isns| {
        for (congestion, reduced) in [(Congestion::Cubic, 7 * MSS), (Congestion::NewReno, 5 * MSS)]
        {
            let mut peer = Peer::with(isns, |config| config.tcp.congestion = congestion);
            peer.listens();
            peer.opens(["SEW 0:0(0) <mss 1460>", "SE. 0:0(0) ack 1", "E. 1:1(0) ack 1"]);
            assert_eq!(cwnd(&peer), reduced);
        }
    });
}

#[test]
fn an_echo_takes_less_in_congestion_avoidance() {
    // RFC 8511 section 3; the first one ends slow start.
    for (congestion, first, second) in
        [(Congestion::Cubic, 7 * MSS, 7 * MSS * 17 / 20), (Congestion::NewReno, 5 * MSS, 4 * MSS)]
    {
        with_each_isn(|isns| {
            let mut peer = agreed_with(isns, |config| config.tcp.congestion = congestion);
            peer.writes(80 * MSS as usize);
            assert_eq!(peer.ignores_the_rest(), 10);
            let mut sent = 10;
            for n in 1..=10 {
                peer.sends(&format!("E. 1:1(0) ack {}", n * MSS + 1));
                sent += peer.ignores_the_rest() as u32;
            }
            assert_eq!((sent - 10) * MSS, first, "what is in the network now");
            assert_eq!(cwnd(&peer), first);
            // The next window of data echoes again, of which a part is let out.
            for n in 11..=sent {
                peer.sends(&format!("E. 1:1(0) ack {}", n * MSS + 1));
                peer.ignores_the_rest();
            }
            // No more than the threshold is to be out in the end (RFC 9937 section 6.2).
            let in_whole_segments = second / MSS * MSS;
            assert_eq!(cwnd(&peer), in_whole_segments, "{congestion:?}");
        });
    }
}

#[test]
fn a_small_flight_is_not_followed_by_a_burst_while_congestion_is_echoed() {
    // RFC 9937 section 6.2: what is delivered is what may go out, as long as the ACKs echo (RFC 3168
    // section 6.1.2); one that does not may be followed by a segment more.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.writes(4 * MSS as usize);
        assert_eq!(peer.ignores_the_rest(), 4);
        // Nothing goes out for an ACK that delivers nothing.
        peer.sends("E. 1:1(0) ack 1");
        assert_eq!((info(&peer).ssthresh, cwnd(&peer)), (7 * MSS, 4 * MSS));
        peer.sends("E. 1:1(0) ack 1461");
        assert_eq!((info(&peer).ssthresh, cwnd(&peer)), (7 * MSS, 4 * MSS));
        peer.writes(20 * MSS as usize);
        peer.hears("[ect0] W. 5841:7301(1460) ack 1");
        peer.hears_nothing();
        peer.sends("E. 1:1(0) ack 2921");
        peer.hears("[ect0] . 7301:8761(1460) ack 1");
        peer.hears_nothing();
        peer.sends(". 1:1(0) ack 4381");
        peer.hears("[ect0] . 8761:10221(1460) ack 1");
        peer.hears("[ect0] . 10221:11681(1460) ack 1");
        peer.hears_nothing();
    });
}

#[test]
fn a_loss_that_shows_while_the_window_is_reduced_for_a_mark_is_repaired() {
    for syn in ["SEW 0:0(0) <mss 1460>", "SEW 0:0(0) <mss 1460,nop,nop,sackOK>"] {
        with_each_isn(|isns| {
            let mut peer = Peer::with(isns, |_| {});
            peer.listens();
            peer.opens([syn, "[noecn] SE. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
            peer.writes(20 * MSS as usize);
            assert_eq!(peer.ignores_the_rest(), 10);
            peer.passes(ms(50));
            peer.sends("E. 1:1(0) ack 1461");
            assert_eq!(info(&peer).phase, Phase::Reduced);
            let all = info(&peer).ssthresh;
            let mut sent = peer.all();
            peer.passes(ms(1));
            let reports = syn.contains("sack");
            for n in 3..=5 {
                let end = n * MSS + 1;
                let block =
                    if reports { format!(" <sack 2921:{end},nop,nop>") } else { String::new() };
                peer.sends(&format!("E. 1:1(0) ack 1461{block}"));
            }
            assert_eq!(info(&peer).phase, Phase::Recovery, "{syn}");
            sent.extend(peer.all());
            let again = sent.iter().filter(|packet| packet.seq == peer.iss + 1_461);
            assert_eq!(again.count(), 1, "{syn}");
            // Section 6.1.2: "reduced only once in response to a series of dropped and/or CE packets from
            // a single window of data".
            assert_eq!(info(&peer).ssthresh, all);
            peer.sends(&format!("E. 1:1(0) ack {}", 11 * MSS + 1));
            assert!(info(&peer).phase != Phase::Reduced && info(&peer).ssthresh == all);
            // CWR tells the peer of the one reduction, and once.
            sent.extend(peer.all());
            let told = sent.iter().filter(|packet| packet.has(Flags::CWR));
            assert_eq!(told.count(), 1, "{syn}");
        });
    }
}

#[test]
fn a_timeout_or_a_probe_after_a_mark_in_the_same_window_is_no_second_reason_to_slow_down() {
    // Section 6.1.2: "reduced only once in response to a series of dropped and/or CE packets from a
    // single window of data".
    for syn in ["SEW 0:0(0) <mss 1460>", "SEW 0:0(0) <mss 1460,nop,nop,sackOK>"] {
        with_each_isn(|isns| {
            for marked in [true, false] {
                let mut peer = Peer::with(isns, |_| {});
                peer.listens();
                peer.opens([syn, "[noecn] SE. 0:0(0) ack 1", ". 1:1(0) ack 1"]);
                peer.writes(10 * MSS as usize);
                assert_eq!(peer.ignores_the_rest(), 10);
                peer.passes(ms(50));
                peer.sends(if marked { "E. 1:1(0) ack 1461" } else { ". 1:1(0) ack 1461" });
                peer.ignores_the_rest();
                let before = info(&peer).ssthresh;
                peer.passes(secs(1));
                assert_eq!((info(&peer).phase, cwnd(&peer)), (Phase::Loss, MSS));
                assert_eq!(info(&peer).ssthresh == before, marked, "{syn}");
            }
        });
    }
    // The last segment is lost, and the probe repairs it.
    with_each_isn(|isns| {
        for marked in [true, false] {
            let syn = "SEW 0:0(0) <mss 1460,nop,nop,sackOK>";
            let mut peer = over_50_ms(isns, syn, Congestion::Cubic);
            peer.writes(10 * MSS as usize);
            assert_eq!(peer.ignores_the_rest(), 10);
            peer.passes(ms(50));
            peer.sends(". 1:1(0) ack 11681");
            peer.hears_within(ms(100)..=ms(150), "[noecn] . 13141:14601(1460) ack 1");
            peer.writes(MSS as usize);
            peer.next();
            peer.passes(ms(50));
            peer.sends(if marked { "E. 1:1(0) ack 13141" } else { ". 1:1(0) ack 13141" });
            let before = info(&peer).ssthresh;
            assert_eq!(before < u32::MAX, marked);
            // Nothing has come twice, so that the first was lost.
            peer.sends(". 1:1(0) ack 16061");
            assert_eq!(info(&peer).ssthresh == before, marked);
        }
    });
}

/// A connection that the peer opens with this SYN, and that has a round-trip time of 50 ms.
fn over_50_ms(isns: Isns, syn: &str, congestion: Congestion) -> Peer {
    let mut peer = Peer::with(isns, |config| config.tcp.congestion = congestion);
    peer.listens();
    peer.sends(syn);
    peer.hears("[noecn] SE. 0:0(0) ack 1");
    peer.passes(ms(50));
    peer.sends(". 1:1(0) ack 1");
    peer.accepts();
    peer
}

/// Everything that was out when the window was reduced for a mark is acknowledged, and what has been sent
/// since is out, the segment with CWR first.
fn with_the_next_window(isns: Isns, syn: &str) -> Peer {
    let mut peer = over_50_ms(isns, syn, Congestion::Cubic);
    peer.writes(30 * MSS as usize);
    assert_eq!(peer.ignores_the_rest(), 10);
    peer.passes(ms(50));
    for n in 1..=10 {
        peer.sends(&format!("E. 1:1(0) ack {}", n * MSS + 1));
    }
    assert_eq!(info(&peer).phase, Phase::Reduced);
    let sent = peer.all();
    let told: Vec<_> = sent.iter().filter(|packet| packet.has(Flags::CWR)).collect();
    assert!(sent.len() > 4 && told.len() == 1 && told[0].seq == peer.iss + (10 * MSS + 1));
    peer
}

#[test]
fn a_loss_of_what_was_sent_after_a_mark_is_a_reason_of_its_own() {
    // Section 6.1.2, of the first segment with CWR: "If that data packet is dropped in the network, then
    // the sending TCP will have to reduce the congestion window again and retransmit the dropped packet".
    for syn in ["SEW 0:0(0) <mss 1460>", "SEW 0:0(0) <mss 1460,nop,nop,sackOK>"] {
        with_each_isn(|isns| {
            let mut peer = with_the_next_window(isns, syn);
            let before = info(&peer).ssthresh;
            peer.passes(secs(1));
            assert_eq!(info(&peer).phase, Phase::Loss);
            assert!(info(&peer).ssthresh < before, "{syn}");
        });
        with_each_isn(|isns| {
            let mut peer = with_the_next_window(isns, syn);
            let before = info(&peer).ssthresh;
            peer.passes(ms(1));
            let (acked, reports) = (10 * MSS + 1, syn.contains("sack"));
            for n in 12..=14 {
                let (start, end) = (11 * MSS + 1, n * MSS + 1);
                let block =
                    if reports { format!(" <sack {start}:{end},nop,nop>") } else { String::new() };
                peer.sends(&format!("E. 1:1(0) ack {acked}{block}"));
            }
            assert_eq!(info(&peer).phase, Phase::Recovery, "{syn}");
            assert!(info(&peer).ssthresh < before, "{syn}");
        });
    }
}

/// NewReno, for which a mark is a loss.
#[derive(Debug)]
struct Simple(NewReno);

impl Controller for Simple {
    fn cwnd(&self) -> u32 {
        self.0.cwnd()
    }

    fn ssthresh(&self) -> u32 {
        self.0.ssthresh()
    }

    fn on_ack(&mut self, ack: &AckSample) {
        self.0.on_ack(ack);
    }

    fn on_loss(&mut self, loss: &Loss) {
        self.0.on_loss(loss);
    }

    fn on_recovered(&mut self, flight_size: u32) {
        self.0.on_recovered(flight_size);
    }

    fn on_timeout(&mut self, loss: &Loss, first: bool) {
        self.0.on_timeout(loss, first);
    }

    fn undo(&mut self) {
        self.0.undo();
    }

    fn on_idle(&mut self) {
        self.0.on_idle();
    }

    fn on_mss(&mut self, mss: u32) {
        self.0.on_mss(mss);
    }

    fn on_shrunk_path(&mut self) {
        self.0.on_shrunk_path();
    }
}

#[test]
fn a_loss_that_was_none_takes_back_nothing_that_was_for_a_mark() {
    // RFC 4015 section 3.2; without the mark, what was for the loss is taken back.
    for marked in [true, false] {
        with_each_isn(|isns| {
            let simple = Congestion::Custom(|mss| Box::new(Simple(NewReno::new(mss))));
            let syn = "SEW 0:0(0) <mss 1460,nop,nop,sackOK>";
            let mut peer = over_50_ms(isns, syn, simple);
            peer.writes(10 * MSS as usize);
            assert_eq!(peer.ignores_the_rest(), 10);
            peer.passes(ms(50));
            peer.sends(if marked { "E. 1:1(0) ack 1461" } else { ". 1:1(0) ack 1461" });
            peer.passes(ms(1));
            peer.sends(". 1:1(0) ack 1461 <sack 2921:7301,nop,nop>");
            assert_eq!(info(&peer).phase, Phase::Recovery);
            let reduced = info(&peer).ssthresh;
            assert!(reduced <= 5 * MSS);
            assert_eq!(peer.all().len(), 1, "there is no more to send");
            // Both copies have come.
            peer.passes(ms(50));
            peer.sends(". 1:1(0) ack 14601 <sack 1461:2921,nop,nop>");
            assert_eq!(info(&peer).phase, Phase::Open);
            assert_eq!(info(&peer).ssthresh == reduced, marked);
        });
    }
}

#[test]
fn a_reduction_is_over_when_nothing_is_in_the_network_any_more() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.writes(10 * MSS as usize);
        assert_eq!(peer.ignores_the_rest(), 10);
        peer.sends("E. 1:1(0) ack 1461");
        assert_eq!(info(&peer).phase, Phase::Reduced);
        peer.sends("E. 1:1(0) ack 14601");
        assert_eq!((info(&peer).phase, cwnd(&peer)), (Phase::Open, 7 * MSS));
    });
}

#[test]
fn without_echoes_the_window_grows() {
    // The counterpart: without ECE these ACKs double it.
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(isns);
        for n in 1..=10 {
            peer.sends(&format!(". 1:1(0) ack {}", n * MSS + 1));
        }
        assert_eq!(cwnd(&peer), 20 * MSS);
    });
}

#[test]
fn an_echo_on_an_old_ack_or_without_ecn_changes_nothing() {
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(isns);
        peer.sends(". 1:1(0) ack 2921");
        let before = cwnd(&peer);
        peer.sends("E. 1:1(0) ack 1461");
        assert_eq!(cwnd(&peer), before);

        let mut peer = Peer::established(isns, "mss 1460");
        peer.writes(40 * MSS as usize);
        peer.ignores_the_rest();
        peer.sends("E. 1:1(0) ack 1461");
        assert_eq!(cwnd(&peer), 11 * MSS, "it is an ACK like any other");
        assert!(peer.all().iter().all(|packet| !packet.has(Flags::CWR)));
    });
}

#[test]
fn after_a_loss_the_next_new_text_says_that_the_window_was_reduced() {
    // "for any reason (because of a retransmit timeout, a Fast Retransmit, or in response to an ECN
    // Notification)"; the flag is not set on what is sent again.
    with_each_isn(|isns| {
        let mut peer = with_ten_segments(isns);
        for _ in 0..3 {
            peer.sends(". 1:1(0) ack 1");
        }
        let sent = peer.all();
        let (again, new): (Vec<_>, Vec<_>) =
            sent.iter().partition(|packet| packet.seq == peer.iss + 1);
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].ecn(), again[0].has(Flags::CWR)), (EcnField::NotEct, false));
        assert_eq!(new.len(), 2, "of limited transmit, from before the reduction");
        assert!(new.iter().all(|packet| !packet.has(Flags::CWR)));
        // An echo of a mark from before is no second reason.
        let before = cwnd(&peer);
        peer.sends("E. 1:1(0) ack 1461");
        assert_eq!(cwnd(&peer), before);
        peer.ignores_the_rest();
        peer.sends(". 1:1(0) ack 17521");
        let next = peer.next();
        assert!(next.has(Flags::CWR) && next.ecn() == EcnField::Ect0);

        let mut peer = with_ten_segments(isns);
        peer.hears_within(ms(200)..=secs(2), "[noecn] . 1:1461(1460) ack 1");
        peer.sends(". 1:1(0) ack 14601");
        peer.hears("[ect0] W. 14601:16061(1460) ack 1");
        peer.hears("[ect0] . 16061:17521(1460) ack 1");
    });
}

#[test]
fn a_window_of_one_segment_slows_down_by_the_retransmission_timer() {
    // Section 6.1.2: "The sending TCP will then be able to send a new packet only when the
    // retransmit timer expires."
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.writes(40 * MSS as usize);
        peer.ignores_the_rest();
        // A timeout leaves one segment. The peer echoes a mark from before all the way.
        peer.hears_within(ms(200)..=secs(2), "[noecn] . 1:1461(1460) ack 1");
        peer.sends("E. 1:1(0) ack 14601");
        assert_eq!(cwnd(&peer), MSS);
        peer.hears("[ect0] W. 14601:16061(1460) ack 1");
        peer.sends("E. 1:1(0) ack 16061");
        peer.hears_within(ms(200)..=secs(3), "[ect0] W. 16061:17521(1460) ack 1");
        assert_eq!(cwnd(&peer), MSS);
        peer.sends(". 1:1(0) ack 17521");
        assert!(cwnd(&peer) > MSS);
        peer.hears("[ect0] . 17521:18981(1460) ack 1");
    });
}

// Receiving: sections 6.1.3, 6.1.5 and 6.1.6.

#[test]
fn a_mark_is_echoed_until_the_sender_has_reduced_its_window() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends("[ect0] . 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("[ce] . 101:201(100) ack 1");
        peer.hears("E. 1:1(0) ack 201");
        peer.sends("[ect0] . 201:301(100) ack 1");
        peer.hears("E. 1:1(0) ack 301");
        peer.writes(10);
        peer.hears("E. 1:11(10) ack 301");
        // Its window is reduced.
        peer.sends("[ect0] W. 301:401(100) ack 11");
        peer.hears(". 11:11(0) ack 401");
        peer.sends("[ce] W. 401:501(100) ack 11");
        peer.hears("E. 11:11(0) ack 501");
        peer.sends("[ect0] W. 501:601(100) ack 11");
        peer.hears(". 11:11(0) ack 601");
    });
}

#[test]
fn a_mark_on_text_beyond_a_hole_is_echoed() {
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends("[ce] . 101:201(100) ack 1");
        peer.hears("E. 1:1(0) ack 1");
        peer.sends(". 1:101(100) ack 1");
        peer.hears("E. 1:1(0) ack 201");
    });
}

#[test]
fn a_mark_on_what_is_not_in_the_window_is_ignored() {
    // Section 6.1.5: "the TCP data receiver SHOULD ignore the CE codepoint on out-of-window
    // packets"; section 6.1.4: a bare ACK is not marked by anybody in good faith.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        peer.sends(". 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("[ce] . 1:101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("[ce] . 70001:70101(100) ack 1");
        peer.hears(". 1:1(0) ack 101");
        peer.sends("[ce] . 101:101(0) ack 1");
        peer.sends(". 101:201(100) ack 1");
        peer.hears(". 1:1(0) ack 201");
    });
}

#[test]
fn a_mark_on_the_probe_of_a_closed_window_is_echoed() {
    // Section 6.1.6.
    with_each_isn(|isns| {
        let mut peer = agreed_with(isns, |config| config.tcp.max_recv_buffer = 2_048);
        peer.sends(". 1:1461(1460) ack 1");
        peer.sends(". 1461:2049(588) ack 1");
        peer.ignores_the_rest();
        peer.sends("[ce] . 2049:2050(1) ack 1");
        peer.hears("E. 1:1(0) ack 2049 win 0");
    });
}

#[test]
fn the_ack_of_a_mark_is_not_delayed() {
    // The sender should slow down now, and one that has just done so may have no second segment to
    // send.
    with_each_isn(|isns| {
        let mut peer = agreed(isns);
        // Past the quick ACKs of the start.
        for n in 0..20 {
            peer.sends(&format!(". {}:{}(100) ack 1", 1 + n * 100, 101 + n * 100));
        }
        peer.passes(ms(100));
        peer.ignores_the_rest();
        peer.sends("[ect0] . 2001:2101(100) ack 1");
        peer.hears_within(ms(30)..=ms(50), ". 1:1(0) ack 2101");
        peer.sends("[ce] . 2101:2201(100) ack 1");
        peer.hears("E. 1:1(0) ack 2201");
        peer.sends("[ect0] . 2201:2301(100) ack 1");
        peer.hears_within(ms(30)..=ms(50), "E. 1:1(0) ack 2301");
        peer.sends("[ect0] W. 2301:2401(100) ack 1");
        peer.hears(". 1:1(0) ack 2401");
    });
}

// Both together.

#[test]
fn a_path_that_marks_is_used_without_a_single_loss() {
    for ipv6 in [false, true] {
        let mut plan = Plan::new(1).both(|config| config.tcp.ecn = Ecn::Request);
        if ipv6 {
            plan = plan.over_ipv6();
        }
        plan.faults = [Faults { mark: 30, ..Faults::default() }, Faults::default()];
        let mut net = plan.build();
        let (client, server) = net.open();
        let before = net.stack(Side::Client).info(client).expect("it is there").cwnd;
        net.transfer(Side::Client, client, server, 3_000_000);
        let info = net.stack(Side::Client).info(client).expect("it is there");
        assert!(net.link_from(Side::Client).marked > 10);
        assert_eq!(info.retransmissions, 0);
        assert!(info.ssthresh < 100 * before, "the sender has slowed down: {}", info.ssthresh);
    }
}

#[test]
fn a_plain_peer_is_never_sent_marks() {
    let mut plan = Plan::new(PLAIN.stack.into()).wire(|faults| faults.mark = 1_000);
    plan.configs[0].tcp.ecn = Ecn::Request;
    plan.configs[1].tcp.ecn = Ecn::Off;
    let mut net = plan.build();
    let (client, server) = net.open();
    net.transfer(Side::Client, client, server, 100_000);
    assert_eq!(net.link_from(Side::Client).marked + net.link_from(Side::Server).marked, 0);
}
