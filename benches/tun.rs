//! Over a TUN of the kernel: `tunstack serve` beside a server on smoltcp, with a client on the kernel's
//! own TCP, in a network namespace that this makes for itself.
//!
//! ```text
//! cargo bench --bench tun          as root, or where user namespaces and /dev/net/tun are allowed
//! TUNSTACK_BENCH_PROGRAM=PATH ...  another `tunstack` than the one just built
//! TUNSTACK_BENCH_WORK=NAME ...     one kind of work only
//! ```
//!
//! For each kind of work the two servers are measured against themselves first, which tells how far
//! rates go apart by themselves, and then in turns against each other. What decides is the time
//! that the server's process runs on a processor; what the kernel does on its behalf, inside its
//! reads and writes, counts.
//!
//! Receiving is measured twice: with send buffers of the same size on both sides, for which this
//! program serves on tunstack's library, and with the default one, which may grow to four times that.

#![allow(clippy::expect_used)]

#[path = "tun/client.rs"]
mod client;
mod measure;
#[path = "tun/network.rs"]
mod network;
#[path = "tun/process.rs"]
mod process;
#[path = "tun/smoltcp_server.rs"]
mod smoltcp_server;
#[path = "tun/tunstack_server.rs"]
mod tunstack_server;

use std::env;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use client::{AT_A_TIME, CONGESTION, Work};
use measure::{Quartiles, interleave, is_quick, output_within};
use process::Server;

/// The flags by which this program is started as one of the other parts.
const SERVE: &str = "--serve-smoltcp";
const SERVE_TUNSTACK: &str = "--serve-tunstack";
const CLIENT: &str = "--client";

/// Bytes of smoltcp's buffers for bulk data, and of ours where they are the same for both.
const BULK_BUFFER: usize = 1 << 20;
/// Bytes of smoltcp's buffers for short connections.
const SMALL_BUFFER: usize = 16 << 10;
/// How much longer than asked a client may take.
const GRACE: Duration = Duration::from_secs(20);

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Tunstack,
    Smoltcp,
}

impl Side {
    fn interface(self) -> &'static str {
        match self {
            Self::Tunstack => "tun0",
            Self::Smoltcp => "tun1",
        }
    }

    /// The second byte of its addresses.
    fn net(self) -> u8 {
        match self {
            Self::Tunstack => 203,
            Self::Smoltcp => 204,
        }
    }

    fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.net(), 0, 2)
    }

    /// The command that serves what `work` needs.
    fn command(self, work: Work) -> Command {
        let mut command;
        match self {
            Self::Tunstack if work == Work::Receive => {
                command = this_program();
                command.args([SERVE_TUNSTACK, self.interface(), &self.address().to_string()]);
                command.arg(BULK_BUFFER.to_string());
            }
            Self::Tunstack => {
                command = Command::new(program());
                command.args(["serve", "--tun", self.interface(), "--address"]);
                command.arg(self.address().to_string());
            }
            Self::Smoltcp => {
                // Those that are closing are not free yet, hence twice as many as are in use.
                let (sockets, buffer) = match work {
                    Work::Transactions => (2 * AT_A_TIME, SMALL_BUFFER),
                    _ => (2, BULK_BUFFER),
                };
                command = this_program();
                command.args([SERVE, self.interface(), &self.address().to_string()]);
                command.args([work.port() as usize, sockets, buffer].map(|n| n.to_string()));
            }
        }
        command
    }
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
struct Plan {
    pairs: usize,
    seconds: f64,
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Bytes, round trips or connections in a second.
    rate: f64,
    /// Seconds of a processor for each of them.
    cost: f64,
    /// The share of the time for which the server waited for a processor.
    waited: f64,
}

/// Runs of two sides in turns.
struct Pairs {
    first: Vec<Sample>,
    second: Vec<Sample>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [SERVE, tun, rest @ ..] => serve(tun, rest),
        [SERVE_TUNSTACK, tun, rest @ ..] => serve_tunstack(tun, rest),
        [CLIENT, rest @ ..] => run_client(rest),
        _ => compare(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tun bench: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(tun: &str, arguments: &[&str]) -> Result<(), String> {
    let [address, port, sockets, buffer] = arguments else {
        return Err(format!("{SERVE} TUN ADDRESS PORT SOCKETS BUFFER"));
    };
    smoltcp_server::serve(tun, parsed(address)?, parsed(port)?, parsed(sockets)?, parsed(buffer)?)
        .map_err(|error| error.to_string())
}

fn serve_tunstack(tun: &str, arguments: &[&str]) -> Result<(), String> {
    let [address, buffer] = arguments else {
        return Err(format!("{SERVE_TUNSTACK} TUN ADDRESS BUFFER"));
    };
    tunstack_server::serve(tun, parsed(address)?, parsed(buffer)?)
        .map_err(|error| error.to_string())
}

fn run_client(arguments: &[&str]) -> Result<(), String> {
    let [work, server, seconds] = arguments else {
        return Err(format!("{CLIENT} WORK ADDRESS:PORT SECONDS"));
    };
    let work = Work::ALL.into_iter().find(|each| each.name() == *work);
    let work = work.ok_or("no such work")?;
    client::run(work, parsed(server)?, parsed(seconds)?).map_err(|error| error.to_string())
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not what it should be"))
}

/// The `tunstack` that is measured.
fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_tunstack");
    env::var_os("TUNSTACK_BENCH_PROGRAM").map_or_else(|| built.into(), PathBuf::from)
}

fn this_program() -> Command {
    Command::new(env::current_exe().expect("this program has a path"))
}

fn compare() -> Result<(), String> {
    if env::var_os("TUNSTACK_SKIP_REAL").is_some_and(|value| value == "1") {
        println!("SKIPPED: the bench over a TUN, for TUNSTACK_SKIP_REAL=1 is set.");
        return Ok(());
    }
    let plan =
        if is_quick() { Plan { pairs: 3, seconds: 0.2 } } else { Plan { pairs: 15, seconds: 1.0 } };
    network::enter()?;
    for side in [Side::Tunstack, Side::Smoltcp] {
        network::make_tun(side.interface(), side.net())?;
    }
    println!(
        "Over a TUN in a namespace, MTU 1500, no offload; client: the kernel's TCP, {CONGESTION}. \
         {} interleaved pairs of {} s; medians, ratios of the pairs with quartiles. \"Itself\" is a \
         side against itself: how far rates go apart by themselves. \"Waited\" is the share of the time \
         for which the servers were ready but had no processor: where it is high (but for the \
         ping-pong, where client and server share one), rates tell of the machine.\n",
        plan.pairs, plan.seconds
    );
    println!(
        "| | tunstack | smoltcp | ratio of rates | smoltcp / itself | tunstack / itself | \
         CPU tunstack | CPU smoltcp | ratio of CPU | rate | CPU | waited |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let processors = network::processors();
    let only = env::var("TUNSTACK_BENCH_WORK").ok();
    for work in Work::ALL {
        if only.as_ref().is_none_or(|only| only == work.name()) {
            row(work, plan, &processors)?;
        }
    }
    Ok(())
}

/// Measures one kind of work, and prints its row.
fn row(work: Work, plan: Plan, processors: &[usize]) -> Result<(), String> {
    let ours = Server::start(&mut Side::Tunstack.command(work))?;
    let theirs = Server::start(&mut Side::Smoltcp.command(work))?;
    let client_processor = place(work, [&ours, &theirs], processors)?;
    let run = |side: Side| {
        let server = if side == Side::Tunstack { &ours } else { &theirs };
        sample(work, side, server, plan.seconds, client_processor)
    };
    // Warms up the caches, and what grows on demand.
    run(Side::Tunstack)?;
    run(Side::Smoltcp)?;
    let in_turns = |one, other| -> Result<Pairs, String> {
        let (first, second) = interleave(plan.pairs, || run(one), || run(other))?;
        Ok(Pairs { first, second })
    };
    let theirs_alone = in_turns(Side::Smoltcp, Side::Smoltcp)?.rate_ratios();
    let ours_alone = in_turns(Side::Tunstack, Side::Tunstack)?.rate_ratios();
    let pairs = in_turns(Side::Tunstack, Side::Smoltcp)?;
    let (rates, costs) = (pairs.rate_ratios(), pairs.cost_ratios());
    println!(
        "| {} | {} | {} | {rates} | {theirs_alone} | {ours_alone} | {} | {} | {costs} | {} | {} | {:.0} % |",
        title(work),
        shown_rate(work, median(&pairs.first, |sample| sample.rate)),
        shown_rate(work, median(&pairs.second, |sample| sample.rate)),
        shown_cost(work, median(&pairs.first, |sample| sample.cost)),
        shown_cost(work, median(&pairs.second, |sample| sample.cost)),
        if rates.median >= theirs_alone.lower { "met" } else { "missed" },
        measure::verdict(costs.median, 1.0),
        100.0
            * median(&pairs.first, |sample| sample.waited)
                .max(median(&pairs.second, |sample| sample.waited)),
    );
    Ok(())
}

/// Says who runs where: a ping-pong on one processor, or it would measure how long a processor
/// takes to wake up; all else on two. Answers the client's processor.
fn place(work: Work, servers: [&Server; 2], processors: &[usize]) -> Result<usize, String> {
    let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
        return Err("no processor to run on".to_owned());
    };
    for server in servers {
        network::bind(server.id(), last)?;
    }
    Ok(if work == Work::PingPong { last } else { first })
}

/// One run of the client against a server.
fn sample(
    work: Work,
    side: Side,
    server: &Server,
    seconds: f64,
    processor: usize,
) -> Result<Sample, String> {
    let address = SocketAddrV4::new(side.address(), work.port());
    let mut command = this_program();
    command.args([CLIENT, work.name(), &address.to_string()]);
    command.arg(seconds.to_string());
    // The child inherits it; this process does nothing meanwhile.
    network::bind(0, processor)?;
    let before = server.times()?;
    let limit = Duration::from_secs_f64(seconds) + GRACE;
    let output = output_within(&mut command, limit)
        .map_err(|error| format!("{} with {side:?}: {error}", work.name()))?;
    let after = server.times()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
    let (true, [moved, took]) = (output.status.success(), numbers.as_slice()) else {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} with {side:?}: {}", work.name(), message.trim()));
    };
    Ok(Sample {
        rate: moved / took,
        cost: (after.ran - before.ran) / moved,
        waited: (after.waited - before.waited) / took,
    })
}

impl Pairs {
    fn ratios(&self, of: impl Fn(&Sample) -> f64) -> Quartiles {
        let first: Vec<f64> = self.first.iter().map(&of).collect();
        let second: Vec<f64> = self.second.iter().map(&of).collect();
        Quartiles::of_ratios(&first, &second)
    }

    fn rate_ratios(&self) -> Quartiles {
        self.ratios(|sample| sample.rate)
    }

    fn cost_ratios(&self) -> Quartiles {
        self.ratios(|sample| sample.cost)
    }
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let values: Vec<f64> = samples.iter().map(of).collect();
    Quartiles::of(&values).median
}

fn title(work: Work) -> String {
    match work {
        Work::Send => "send (client to stack)".to_owned(),
        Work::Receive => "receive (stack to client), send buffers of 1 MiB".to_owned(),
        Work::ReceiveDefault => "receive, ours growing to 4 MiB".to_owned(),
        Work::PingPong => "ping-pong of 1 B, one core".to_owned(),
        Work::Transactions => format!("connect, echo 64 B, close; {AT_A_TIME} at a time"),
    }
}

fn shown_rate(work: Work, rate: f64) -> String {
    match work {
        Work::Send | Work::Receive | Work::ReceiveDefault => {
            format!("{:.2} Gb/s", rate * 8.0 / 1e9)
        }
        Work::PingPong | Work::Transactions => format!("{rate:.0} /s"),
    }
}

fn shown_cost(work: Work, cost: f64) -> String {
    match work {
        Work::Send | Work::Receive | Work::ReceiveDefault => format!("{:.2} s/GB", cost * 1e9),
        Work::PingPong | Work::Transactions => format!("{:.1} us", cost * 1e6),
    }
}
