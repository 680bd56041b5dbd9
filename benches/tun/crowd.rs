//! A ping-pong on one of very many connections, the others idle: beside the same with a server that
//! has no other.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use nix::libc::linger;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket, sockopt,
};

use super::client::Work;
use super::measure::{is_quick, verdict};
use super::network;
use super::process::Server;
use super::rows::{Pairs, Plan, median, place, sample};
use super::side::{CROWD, offload, parsed, this_program, tunstack};

/// Its name on the command line.
pub(crate) const NAME: &str = "crowd";
/// At least this much of the rate without the others.
const GOAL: f64 = 0.95;
/// Interfaces of the server with the crowd and of that without, with the second byte of their
/// addresses.
const CROWDED: (&str, u8) = ("tun4", 208);
const ALONE: (&str, u8) = ("tun5", 209);
/// Connections that one process holds: few enough for what a process may have open by default.
const HELD: u16 = 10_000;
const HOLDERS: u8 = 10;
/// The first port of each.
const FIRST_PORT: u16 = 20_000;

/// Measures, and prints the table.
///
/// # Errors
/// When something is missing for it.
pub(crate) fn measure(plan: Plan, processors: &[usize]) -> Result<(), String> {
    let (holders, held) = if is_quick() { (1, 1_000) } else { (HOLDERS, HELD) };
    let crowded = start(CROWDED)?;
    let alone = start(ALONE)?;
    let work = Work::PingPong;
    let processor = place(work, &crowded, processors)?;
    place(work, &alone, processors)?;
    // Gone before the server is: what they reset then has somebody to hear it.
    let mut crowd = Vec::new();
    for holder in 0..holders {
        let source = Ipv4Addr::new(10, CROWDED.1, 0, 100 + holder);
        network::add_address(CROWDED.0, source)?;
        let mut command = this_program();
        let server = SocketAddrV4::new(address(CROWDED), work.port());
        command.args([CROWD, &server.to_string(), &source.to_string(), &held.to_string()]);
        crowd.push(Server::start(&mut command)?);
    }
    let run = |net, server| sample(work, address(net), server, plan.seconds, processor);
    // Warms up the caches.
    run(CROWDED, &crowded)?;
    run(ALONE, &alone)?;
    let pairs = Pairs::in_turns(plan, || run(CROWDED, &crowded), || run(ALONE, &alone))?;
    let (rates, costs) = (pairs.rate_ratios(), pairs.cost_ratios());
    let rate = |samples: &[_]| median(samples, |sample| sample.rate);
    let cost = |samples: &[_]| 1e6 * median(samples, |sample| sample.cost);
    println!(
        "Ping-pong of 1 B, one core, --offload {}, beside so many idle connections of the same \
         server. Instructions are counted in memory, by the bench packet_path.\n\n\
         | idle | rate | without them | ratio | CPU | without them | ratio | bytes resident, of each |\n\
         |---|---|---|---|---|---|---|---|",
        offload(),
    );
    let idle = usize::from(holders) * usize::from(held);
    // As times, which are to be small.
    let met = verdict(rates.median.recip(), GOAL.recip());
    println!(
        "| {idle} | {:.0} /s | {:.0} /s | {rates}, goal {GOAL}: {met} | {:.1} us | {:.1} us | {costs} | \
         {:.0} |\n",
        rate(&pairs.first),
        rate(&pairs.second),
        cost(&pairs.first),
        cost(&pairs.second),
        (crowded.resident()? - alone.resident()?) / idle as f64
    );
    drop(crowd);
    Ok(())
}

fn start(net: (&str, u8)) -> Result<Server, String> {
    network::make_tun(net.0, net.1)?;
    Server::start(&mut tunstack(net.0, address(net), &offload()))
}

fn address((_, net): (&str, u8)) -> Ipv4Addr {
    Ipv4Addr::new(10, net, 0, 2)
}

/// Holds connections until the process is killed.
///
/// # Errors
/// When one of them cannot be had.
pub(crate) fn run_client(arguments: &[&str]) -> Result<(), String> {
    let [server, source, count] = arguments else {
        return Err(format!("{CROWD} ADDRESS:PORT SOURCE COUNT"));
    };
    hold(parsed(server)?, parsed(source)?, parsed(count)?).map_err(|error| error.to_string())
}

fn hold(server: SocketAddrV4, source: Ipv4Addr, count: u16) -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let server = SockaddrIn::from(server);
    let mut connections: Vec<OwnedFd> = Vec::with_capacity(count.into());
    for port in (FIRST_PORT..).take(count.into()) {
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)?;
        // When the process ends a reset goes out for each, and nothing is left behind.
        setsockopt(&socket, sockopt::Linger, &linger { l_onoff: 1, l_linger: 0 })?;
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, port)))?;
        connect(socket.as_raw_fd(), &server)?;
        connections.push(socket);
    }
    println!("ready");
    io::stdout().flush()?;
    loop {
        thread::park();
    }
}
