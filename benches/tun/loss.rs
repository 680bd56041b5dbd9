//! Bulk transfers over a path that loses packets, beside the kernel in the stack's place and beside
//! smoltcp: how quickly losses are repaired decides.
//!
//! The client is in one network, the servers are behind a router in another, which drops what it
//! receives, at random and in both directions, before it forwards it. (What a firewall drops on its
//! way out of the sending host is reported to that host's TCP as a local error, and is no loss.)
//! Nothing on the path carries several segments as one packet, or they would be lost as one.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::unix::process::parent_id;
use std::process;
use std::thread;
use std::time::Duration;

use super::Choice;
use super::client::{CONGESTION, Work};
use super::measure::{Quartiles, interleave};
use super::network::{self, CLIENT_SIDE, ROUTER_SIDE};
use super::process::Server;
use super::rows::{Plan, Sample, median, place, sample};
use super::side::{ROUTE, Side, congestion, parsed, this_program};

/// Its name on the command line.
pub(crate) const NAME: &str = "loss";
/// Percent of the packets that are dropped in either direction.
const LOSSES: [u32; 2] = [1, 5];
/// How many times longer than others a run is: few packets pass, and chance decides which.
const LONGER: f64 = 4.0;
/// How long the counters may take to come over a path that loses packets.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures, and prints the table.
///
/// # Errors
/// When something is missing for it.
pub(crate) fn measure(choice: &Choice, plan: Plan, processors: &[usize]) -> Result<(), String> {
    let seconds = plan.seconds * LONGER;
    println!(
        "Over a path that drops packets at random in both directions, MTU 1500, --offload off, \
         --congestion {}; both kernels' TCP: {CONGESTION}; {} interleaved pairs of {seconds} s; \
         medians, and ratios with quartiles. Timeouts are those of tunstack's retransmission timer.\n",
        congestion(),
        plan.pairs,
    );
    println!(
        "| | dropped | beside | tunstack | other | ratio of rates | sent again | timeouts, of 10,000 \
         segments |\n|---|---|---|---|---|---|---|---|"
    );
    let mut command = this_program();
    let router = Server::start(command.args([ROUTE, &process::id().to_string()]))?;
    network::join(CLIENT_SIDE, 2)?;
    for side in SIDES {
        network::route(&format!("10.{}.0.0/24", side.address().octets()[1]))?;
    }
    for (title, work) in [
        ("send (stack to client)", Work::ReceiveDefault),
        ("receive (client to stack)", Work::Send),
    ] {
        let ours = start(&router, Side::Tunstack, work)?;
        let processor = place(work, &ours, processors)?;
        let others = [Side::Veth, Side::Smoltcp];
        for other in others.into_iter().filter(|other| choice.has_side(&other.name(work))) {
            let theirs = start(&router, other, work)?;
            place(work, &theirs, processors)?;
            for percent in LOSSES {
                let run =
                    |side: Side, server| sample(work, side.address(), server, seconds, processor);
                let before = Counts::read()?;
                network::lose(router.id(), percent)?;
                let pairs =
                    interleave(plan.pairs, || run(Side::Tunstack, &ours), || run(other, &theirs));
                network::heal(router.id())?;
                let (a, b) = pairs?;
                let counts = Counts::read()?.since(before);
                let name = other.name(work);
                print_row(&format!("{title} | {percent} % | {name}"), &a, &b, counts);
            }
            drop(theirs);
            if other == Side::Veth {
                network::remove_in(router.id(), other.interface());
            }
        }
    }
    println!();
    Ok(())
}

/// Starts a server behind the router.
fn start(router: &Server, side: Side, work: Work) -> Result<Server, String> {
    if side != Side::Veth {
        return Server::start(&mut network::inside(router.id(), &side.command(work)));
    }
    let server = Server::start(&mut side.command_behind(work, router.id()))?;
    network::set_up_veth_in(router.id(), side.interface(), side.address().octets()[1])?;
    Ok(server)
}

fn print_row(title: &str, ours: &[Sample], theirs: &[Sample], counts: Counts) {
    let rates = |samples: &[Sample]| -> Vec<f64> { samples.iter().map(|s| s.rate).collect() };
    let shown = |samples| format!("{:.4} Gb/s", median(samples, |s| s.rate) * 8.0 / 1e9);
    let ratio = Quartiles::of_ratios(&rates(ours), &rates(theirs));
    let all = (counts.sent + counts.again) as f64;
    println!(
        "| {title} | {} | {} | {ratio} | {:.2} % | {:.2} |",
        shown(ours),
        shown(theirs),
        100.0 * counts.again as f64 / all,
        1e4 * counts.timeouts as f64 / all,
    );
}

/// What tunstack has counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Segments sent for the first time.
    sent: u64,
    /// Segments sent again.
    again: u64,
    /// Times that the retransmission timer ran out.
    timeouts: u64,
}

impl Counts {
    /// Asks tunstack for them.
    fn read() -> Result<Self, String> {
        let page = fetch_counters().map_err(|error| format!("tunstack's counters: {error}"))?;
        let mut counts = Self::default();
        for (name, value) in page.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "TcpOutSegs" => counts.sent = parsed(value.trim())?,
                "TcpRetransSegs" => counts.again = parsed(value.trim())?,
                "TcpExtTCPTimeouts" => counts.timeouts = parsed(value.trim())?,
                _ => {}
            }
        }
        Ok(counts)
    }

    fn since(self, before: Self) -> Self {
        Self {
            sent: self.sent - before.sent,
            again: self.again - before.again,
            timeouts: self.timeouts - before.timeouts,
        }
    }
}

fn fetch_counters() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(SocketAddrV4::new(Side::Tunstack.address(), 80))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream
        .write_all(b"GET /.tunstack/counters HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// The router, which lives as long as the process that has started it: a network of its own, joined to that of process
/// `client`, with the interfaces of the servers in it.
///
/// # Errors
/// When one of them cannot be made.
pub(crate) fn run_router(arguments: &[&str]) -> Result<(), String> {
    let [client] = arguments else {
        return Err(format!("{ROUTE} PROCESS"));
    };
    network::enter_router(parsed(client)?)?;
    network::join(ROUTER_SIDE, 1)?;
    for side in SIDES.into_iter().filter(|&side| side != Side::Veth) {
        network::make_tun(side.interface(), side.address().octets()[1])?;
    }
    println!("ready");
    let bench = parent_id();
    while parent_id() == bench {
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Those that are behind the router.
const SIDES: [Side; 3] = [Side::Tunstack, Side::Smoltcp, Side::Veth];
