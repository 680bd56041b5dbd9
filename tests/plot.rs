//! Pictures of connections: out of a run on a virtual clock, out of captures by the program, and what the
//! program refuses.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use proptest::prelude::*;
use tunstack::plot::{
    Capture, Connections, Follower, IN_FLIGHT, ROUND_TRIPS, SentKind, Side, Trace, draw,
};
use tunstack::time::{Duration, Instant};
use tunstack::wire::{Frame, codec};
use tunstack::{Config, Event, Stack};

// A run on a virtual clock.

/// The time a packet is under way.
const DELAY: Duration = Duration::from_millis(10);
/// The time that a segment takes to pass.
const PER_SEGMENT: Duration = Duration::from_micros(200);
/// How much is sent.
const TOTAL: usize = 600_000;

/// What was seen at one end of the wire.
#[derive(Default)]
struct Tap(Vec<(Instant, Side, Vec<u8>)>);

impl Tap {
    fn trace(&self) -> Trace {
        let mut follower = Follower::default();
        for (at, side, packet) in &self.0 {
            let seen = codec::observe(packet, packet.len()).unwrap();
            follower.on_segment(*at, *side, &seen.segment);
        }
        assert_eq!((follower.strays(), follower.left_out()), (0, 0));
        follower.finish()
    }

    /// A capture, with packets cut to this many bytes.
    fn pcap(&self, kept: usize) -> Vec<u8> {
        let header = PcapHeader {
            datalink: DataLink::RAW,
            snaplen: 1 << 16,
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
        for (at, _, packet) in &self.0 {
            let data = &packet[..packet.len().min(kept)];
            let at = Duration::from_nanos(at.as_nanos());
            writer.write_packet(&PcapPacket::new(at, packet.len() as u32, data)).unwrap();
        }
        writer.into_writer()
    }
}

/// A transfer of which these packets with text are lost.
struct Run {
    near_sender: Tap,
    near_receiver: Tap,
    /// What the sender says it has sent again.
    retransmitted: u64,
}

fn run(lost: &[u32]) -> Run {
    let config = |ip: [u8; 4]| Config::with_addresses([ip.into()]);
    let mut sender = Stack::new(config([10, 0, 0, 1]), [1; 32]).unwrap();
    let mut receiver = Stack::new(config([10, 0, 0, 2]), [2; 32]).unwrap();
    let port = receiver.listen(([10, 0, 0, 2], 80).into()).unwrap();
    let id = sender.connect(None, ([10, 0, 0, 2], 80).into()).unwrap();
    let mut peer = None;
    let mut run =
        Run { near_sender: Tap::default(), near_receiver: Tap::default(), retransmitted: 0 };
    // What is under way, by its arrival and an order.
    let mut wire: BTreeMap<(Instant, u32), (Side, Vec<u8>)> = BTreeMap::new();
    let (mut now, mut free, mut order, mut texts) = (Instant::from_millis(5), Instant::ZERO, 0, 0);
    let (mut written, mut read, mut buffer) = (0, 0, vec![0; 1 << 16]);
    loop {
        if let Ok(count) = sender.write(id, &vec![7; (TOTAL - written).min(1 << 16)]) {
            written += count;
            if written == TOTAL && count > 0 {
                sender.shutdown(id);
            }
        }
        while let Some(event) = receiver.poll_event() {
            if let Event::Incoming(_) = event {
                peer = receiver.accept(port);
            }
        }
        if let Some(peer) = peer {
            read += receiver.read(peer, &mut buffer).unwrap_or(0);
            if read == TOTAL {
                receiver.shutdown(peer);
            }
        }
        while let Some(packet) = sender.poll_transmit(now) {
            let bytes = packet.to_vec();
            run.near_sender.0.push((now, Side::Sender, bytes.clone()));
            texts += u32::from(bytes.len() > 100);
            if bytes.len() <= 100 || !lost.contains(&texts) {
                free = free.max(now) + PER_SEGMENT;
                order += 1;
                wire.insert((free + DELAY, order), (Side::Receiver, bytes));
            }
        }
        while let Some(packet) = receiver.poll_transmit(now) {
            let bytes = packet.to_vec();
            run.near_receiver.0.push((now, Side::Receiver, bytes.clone()));
            order += 1;
            wire.insert((now + DELAY, order), (Side::Sender, bytes));
        }
        if read == TOTAL && wire.is_empty() {
            break;
        }
        let arrival = wire.first_key_value().map(|(&(at, _), _)| at);
        let timeouts = [sender.poll_timeout(), receiver.poll_timeout()];
        let next = timeouts.into_iter().flatten().chain(arrival).min();
        now = now.max(next.expect("something happens until the end"));
        while let Some(entry) = wire.first_entry()
            && entry.key().0 <= now
        {
            let (to, bytes) = entry.remove();
            let frame = Frame::plain(&bytes);
            if to == Side::Sender {
                run.near_sender.0.push((now, Side::Receiver, bytes.clone()));
                sender.on_packet_stored(now, frame);
            } else {
                run.near_receiver.0.push((now, Side::Sender, bytes.clone()));
                receiver.on_packet_stored(now, frame);
            }
        }
        sender.on_timeout(now);
        receiver.on_timeout(now);
    }
    let counters = sender.counters();
    run.retransmitted = counters.iter().find(|(name, _)| *name == "TcpRetransSegs").unwrap().1;
    run
}

fn count(trace: &Trace, kind: SentKind) -> u64 {
    trace.sent.iter().filter(|sent| sent.kind == kind).count() as u64
}

/// The values of a series.
fn values(trace: &Trace, panel: &str, name: &str) -> Vec<f64> {
    let panel = trace.panels.iter().find(|known| known.title == panel).unwrap();
    let series = panel.series.iter().find(|series| series.name == name).unwrap();
    series.points.iter().map(|point| point.1).collect()
}

const LOST: [u32; 4] = [30, 100, 101, 250];

#[test]
fn beside_the_sender_what_was_sent_again_is_what_the_stack_has_counted() {
    let run = run(&LOST);
    let trace = run.near_sender.trace();
    assert!(run.retransmitted >= LOST.len() as u64, "{}", run.retransmitted);
    assert_eq!(count(&trace, SentKind::Again), run.retransmitted);
    assert_eq!(count(&trace, SentKind::OutOfOrder), 0);
    let new: u64 = trace
        .sent
        .iter()
        .filter(|sent| sent.kind == SentKind::New)
        .map(|sent| u64::from(sent.len))
        .sum();
    assert_eq!(new, TOTAL as u64);
    assert!(!trace.sacks.is_empty() && trace.sacks.iter().all(|sack| !sack.duplicate));
    for name in ["by acknowledgement", "by timestamp"] {
        let times = values(&trace, ROUND_TRIPS, name);
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        // There and back, and a segment's time on the wire.
        assert!((0.020..0.022).contains(&least), "{name}: {least}");
    }
    let flight = values(&trace, IN_FLIGHT, "in flight");
    assert_eq!(flight.last(), Some(&0.0));
    let most = flight.iter().copied().fold(0.0, f64::max);
    assert!((40_000.0..60_000.0).contains(&most), "slow start goes on for a while: {most}");
}

#[test]
fn beside_the_receiver_what_was_lost_shows_as_a_gap_that_is_filled_late() {
    let run = run(&LOST);
    let trace = run.near_receiver.trace();
    // Of what was sent again, that which had been lost fills gaps; none was overtaken.
    assert_eq!(count(&trace, SentKind::Again), run.retransmitted);
    assert_eq!(count(&trace, SentKind::OutOfOrder), 0);
    let flight = values(&trace, IN_FLIGHT, "in flight");
    let most = flight.iter().copied().fold(0.0, f64::max);
    assert!(most < 20_000.0, "what arrives is acknowledged at once: {most}");
}

#[test]
fn without_losses_nothing_is_sent_again() {
    let run = run(&[]);
    for trace in [run.near_sender.trace(), run.near_receiver.trace()] {
        assert_eq!(count(&trace, SentKind::Again), 0);
        assert!(trace.sacks.is_empty());
    }
    assert_eq!(run.retransmitted, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A capture with damage, all the way to its picture.
    #[test]
    fn no_damage_to_a_capture_makes_a_panic(
        damage in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 0..200),
        cut: prop::sample::Index,
    ) {
        static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| run(&LOST).near_sender.pcap(96));
        let mut capture = WHOLE.clone();
        // Mostly behind the head of the file, or nothing is left of it.
        for (at, value) in damage {
            let at = at.index(capture.len());
            capture[at] = value;
        }
        capture.truncate(capture.len() - cut.index(capture.len() / 4));
        let mut connections = Connections::default();
        let mut followers: Vec<Follower> = Vec::new();
        if let Ok(capture) = Capture::open(&capture[..]) {
            let _ = capture.for_each(|at, bytes, wire_len| {
                let Some(seen) = codec::observe(bytes, wire_len) else { return };
                let Some(place) = connections.add(at, &seen) else { return };
                followers.resize_with(connections.list().len(), Follower::default);
                let side = connections.list()[place].side(&seen);
                followers[place].on_header(at, side, &seen.segment, seen.text_len);
            });
        }
        for follower in followers {
            prop_assert!(draw(&follower.finish()).unwrap().ends_with("</svg>\n"));
        }
    }
}

// The program.

/// A folder of the test's own, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("plot-{}-{name}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plot(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_tunstack");
    Command::new(program).arg("plot").args(arguments).env_remove("RUST_LOG").output().unwrap()
}

/// What it prints when it succeeds; no word of complaint, that is.
fn plotted(arguments: &[&str]) -> String {
    let output = plot(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that it prints when it refuses, with exit status 1 and nothing written.
fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let before = folder.names();
    let output = plot(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty());
    assert_eq!(folder.names(), before, "{arguments:?} leaves nothing behind");
    errors
}

/// Strokes and lines of a colour, without the one in the legend.
fn strokes(svg: &str, color: &str) -> usize {
    let stroke = format!("stroke=\"{color}\"");
    // Dots have round ends.
    let is_stroke = |line: &&str| {
        line.starts_with("<path") && line.contains(&stroke) && !line.contains("linecap")
    };
    let paths = svg.lines().filter(is_stroke).filter_map(|line| line.split_once(" d=\""));
    let all: usize = paths.map(|(_, data)| data.matches('m').count()).sum();
    all.saturating_sub(1)
}

#[test]
fn a_capture_becomes_a_picture_beside_it() {
    let folder = Folder::new("picture");
    let run = run(&LOST);
    let file = folder.file("run.pcap", &run.near_sender.pcap(usize::MAX));
    let said = plotted(&[&file]);
    let svg = fs::read_to_string(folder.path("run.svg")).unwrap();
    assert!(said.contains("run.svg: connection 1, 10.0.0.1:"), "{said}");
    assert!(said.contains(" to 10.0.0.2:80, "), "{said}");
    assert_eq!(folder.names().len(), 2);
    for text in [
        "10.0.0.1:",
        " to 10.0.0.2:80",
        "sequence number (KiB)",
        "time (ms)",
        "in flight (KiB)",
        "round-trip time (ms)",
        "SYN",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.contains(&format!("{} segments sent again", run.retransmitted)), "{said}");
    // Lost ones lie a round trip apart, so no two of those sent again share a column, but for the
    // two that were lost in a row, and whatever went with a timeout.
    assert!((3..=run.retransmitted as usize).contains(&strokes(&svg, "#CC3311")));
    // One line of acknowledgements, one of the window; many strokes of text and of SACK blocks.
    assert_eq!(strokes(&svg, "#009988"), 1);
    assert!(strokes(&svg, "#777777") >= 1);
    assert!(strokes(&svg, "#0077BB") > 100 && strokes(&svg, "#EE3377") > 20);

    // The same with another name, and out of a capture of headers alone.
    let headers = folder.file("headers.pcap", &run.near_sender.pcap(96));
    let other = folder.path("other.svg");
    plotted(&[&headers, "--connection", "1", "--output", &other]);
    assert_eq!(fs::read_to_string(other).unwrap(), svg);
    // It is that of the library, under another headline.
    let picture = draw(&run.near_sender.trace()).unwrap();
    assert_eq!(strokes(&picture, "#EE3377"), strokes(&svg, "#EE3377"));
}

#[test]
fn the_list_has_a_line_for_each_connection() {
    let folder = Folder::new("list");
    let mut tap = run(&[]).near_sender;
    let packets = tap.0.len();
    // The same packets between other ends, only the first ten.
    let first = tap.0[..10].to_vec();
    for (at, side, packet) in first {
        let mut packet = packet;
        packet[15] ^= 9;
        packet[19] ^= 9;
        tap.0.push((at, side, packet));
    }
    let file = folder.file("two.pcap", &tap.pcap(100));
    let listed = plotted(&[&file, "--list"]);
    let rows: Vec<Vec<&str>> =
        listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["number", "sender", "receiver", "packets", "bytes", "seconds"]);
    assert_eq!(rows.len(), 3, "{listed}");
    assert_eq!((rows[1][0], rows[1][2]), ("1", "10.0.0.2:80"));
    assert_eq!(rows[1][3..5], [packets.to_string(), TOTAL.to_string()]);
    assert_eq!((rows[2][0], rows[2][2], rows[2][3]), ("2", "10.0.0.11:80", "10"));
    assert!(rows[1][5].parse::<f64>().unwrap() > 0.1);
    assert_eq!(folder.names().len(), 1, "no picture");

    assert!(plotted(&[&file]).contains("connection 1,"));
    let output = folder.path("second.svg");
    assert!(plotted(&[&file, "--connection", "2", "--output", &output]).contains("connection 2,"));
    assert!(fs::read_to_string(output).unwrap().contains(" to 10.0.0.11:80"));
    let line = refused(&folder, &[&file, "--connection", "3"]);
    assert!(line.contains("--connection 3") && line.contains("1 to 2") && line.contains("--list"));
}

#[test]
fn a_capture_that_was_cut_off_is_drawn_as_far_as_it_goes() {
    let folder = Folder::new("cut");
    let mut capture = run(&[]).near_sender.pcap(usize::MAX);
    capture.truncate(capture.len() / 2);
    let file = folder.file("cut.pcap", &capture);
    let output = plot(&[&file]);
    assert!(output.status.success());
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.contains("ends within a record"), "{warning}");
    assert!(fs::read_to_string(folder.path("cut.svg")).unwrap().ends_with("</svg>\n"));
}

#[test]
fn what_cannot_be_drawn_is_refused_in_one_line_that_says_how_to_mend_it() {
    let folder = Folder::new("refused");
    let capture = run(&[]).near_sender.pcap(100);
    let mut wireless = capture[..24].to_vec();
    wireless[20..24].copy_from_slice(&127u32.to_be_bytes());
    let bytes = [
        ("good.pcap", &capture[..]),
        ("empty.pcap", &[]),
        ("page.pcap", b"<!DOCTYPE html>"),
        ("packed.pcap", &[0x1f, 0x8b, 8, 0, 0, 0]),
        ("nothing.pcap", &capture[..24]),
        ("wireless.pcap", &wireless),
        ("capture.svg", &capture),
    ];
    for (name, bytes) in bytes {
        folder.file(name, bytes);
    }
    let made = Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap();
    assert!(made.success());
    let path = |name: &str| folder.path(name);
    let folder_itself = folder.path("");
    for (name, arguments, words) in [
        ("none.pcap", vec![], &["none.pcap", "No such file", "give a file"][..]),
        ("", vec![], &["read twice", "give a file"]),
        ("pipe", vec![], &["pipe", "read twice", "give a file"]),
        ("empty.pcap", vec![], &["empty.pcap", "is empty", "give a capture"]),
        ("page.pcap", vec![], &["page.pcap", "no capture", "tcpdump -w"]),
        ("packed.pcap", vec![], &["packed.pcap", "compressed", "unpack"]),
        ("nothing.pcap", vec![], &["nothing.pcap", "no TCP", "give a capture"]),
        ("nothing.pcap", vec!["--list"], &["nothing.pcap", "no TCP"]),
        ("wireless.pcap", vec![], &["wireless.pcap", "link type 127", "give a capture of"]),
        ("good.pcap", vec!["--connection", "2"], &["--connection 2", "give 1 to 1"]),
        (
            "good.pcap",
            vec!["--output", "/no/such/folder/x.svg"],
            &["/no/such/folder/x.svg", "--output"],
        ),
        ("good.pcap", vec!["--output", "/dev/full"], &["/dev/full", "No space", "--output"]),
        ("good.pcap", vec!["--output", &folder_itself], &["directory", "--output"]),
        ("capture.svg", vec![], &["overwrite", "capture.svg", "--output"]),
    ] {
        let file = path(name);
        let all: Vec<&str> = [file.as_str()].into_iter().chain(arguments).collect();
        let line = refused(&folder, &all);
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
    }
    assert_eq!(fs::read(folder.path("capture.svg")).unwrap(), capture, "it is untouched");
}

/// Samples of the same clock as the run's.
const SAMPLES: &str = "5000000 sent 0 1448
25000000 state 14480 - 20000000 0
90000000 lost 43440 44888
95000000 state 20272 20272 21000000 3000 12500000
";

#[test]
fn what_the_sender_knew_stands_beside_what_was_seen() {
    let folder = Folder::new("samples");
    let file = folder.file("run.pcap", &run(&LOST).near_sender.pcap(100));
    let samples = folder.file("run.trace", SAMPLES.as_bytes());
    plotted(&[&file, "--samples", &samples]);
    let svg = fs::read_to_string(folder.path("run.svg")).unwrap();
    for text in [
        "window (KiB)",
        "cwnd",
        "ssthresh",
        "smoothed",
        "pacing rate (MiB/s)",
        "queue (KiB)",
        "lost on the way",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("in flight (KiB)"), "it shares a panel with the window");

    // A stretch of it.
    let said = plotted(&[&file, "--samples", &samples, "--from", "0.05", "--to", "0.1"]);
    assert!(said.contains("connection 1,"), "{said}");
    let svg = fs::read_to_string(folder.path("run.svg")).unwrap();
    assert!(svg.contains("from 50 ms to 100 ms; ") && !svg.contains("SYN"), "{svg}");
    assert!(svg.contains(">\n60\n</text>") && !svg.contains(">\n0\n</text>\n<text x=\"150\""));
    plotted(&[&file, "--to", "0.1"]);
    assert!(fs::read_to_string(folder.path("run.svg")).unwrap().contains("the first 100 ms"));
}

#[test]
fn samples_and_stretches_that_make_no_sense_are_refused_in_one_line() {
    let folder = Folder::new("wrong-samples");
    let file = folder.file("run.pcap", &run(&[]).near_sender.pcap(100));
    let other = folder.file("other.trace", b"9000000000 state 1 - - 0\n");
    let page = folder.file("page.trace", b"<!DOCTYPE html>\n");
    let empty = folder.file("empty.trace", b"");
    let none = folder.path("none.trace");
    for (arguments, words) in [
        (vec!["--samples", &none], &["none.trace", "No such file"][..]),
        (vec!["--samples", &page], &["page.trace", "line 1 is no sample", "simulator"]),
        (vec!["--samples", &empty], &["empty.trace", "no sample in it"]),
        (vec!["--samples", &other], &["other.trace", "another time", "the same run"]),
        (vec!["--samples", &other, "--output", &other], &["overwrite the samples", "--output"]),
        (vec!["--from", "x"], &["--from", "seconds such as"]),
        (vec!["--from", "-1"], &["-1"]),
        (vec!["--to", "inf"], &["--to", "seconds such as"]),
        (vec!["--from", "0.1", "--to", "0.1"], &["--to", "--from", "later"]),
        (vec!["--to", "0"], &["--to", "--from", "later"]),
        (vec!["--from", "99"], &["--from 99", "connection 1", "give less"]),
        // Between the SYN and its answer.
        (vec!["--from", "0.001", "--to", "0.002"], &["--from", "nothing to show", "longer"]),
        (vec!["--list", "--to", "1"], &["--list", "--to"]),
    ] {
        let all: Vec<&str> = [file.as_str()].into_iter().chain(arguments).collect();
        let line = refused(&folder, &all);
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
    }
}

#[test]
fn a_picture_that_is_there_is_replaced() {
    let folder = Folder::new("replaced");
    let file = folder.file("run.pcap", &run(&[]).near_sender.pcap(100));
    let target = folder.file("target.svg", b"old");
    std::os::unix::fs::symlink(&target, folder.path("run.svg")).unwrap();
    plotted(&[&file]);
    assert!(fs::read_to_string(&target).unwrap().starts_with("<svg"));
    assert!(fs::symlink_metadata(folder.path("run.svg")).unwrap().is_symlink());
    assert_eq!(folder.names().len(), 3);
}
