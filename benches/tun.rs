//! Over a TUN of the kernel: `tunstack serve` beside a server on smoltcp and a responder that does
//! nothing (the floor), and beside the kernel's own TCP over a veth pair and loopback; with a client
//! on the kernel's TCP, in network namespaces that this makes for itself.
//!
//! ```text
//! cargo bench --bench tun          as root, or where user namespaces and /dev/net/tun are allowed
//! cargo bench --bench tun -- send floor
//!                                  only the kinds of work with one of these names (send, receive,
//!                                  receive-default, ping-pong, transactions), and beside those with
//!                                  one of these in theirs (floor, vnet, copy, smoltcp, veth, ...)
//! TUNSTACK_BENCH_OFFLOAD=on ...    tunstack with the virtio-net header; without it is `off`
//! TUNSTACK_BENCH_PROGRAM=PATH ...  another `tunstack` than the one just built
//! TUNSTACK_BENCH_QUICK=1 ...       one short pair of each
//! ```
//!
//! For each kind of work the servers are measured against themselves first, which tells how far
//! rates go apart by themselves, and then in turns against tunstack. What decides is the time
//! that the server's process runs on a processor; what the kernel does on its behalf, inside its
//! reads and writes, counts. Where the server is the kernel itself that says little, as much of its
//! work is done in the client's system calls: there the time of both processes is to be compared.
//!
//! Receiving is measured twice: with send buffers of the same size on both sides, for which this
//! program serves on tunstack's library, and with the default one, which may grow to four times that.

#![allow(clippy::expect_used)]

#[path = "tun/client.rs"]
mod client;
#[path = "tun/floor.rs"]
mod floor;
#[path = "tun/floor_link.rs"]
mod floor_link;
#[path = "tun/kernel_server.rs"]
mod kernel_server;
mod measure;
#[path = "tun/network.rs"]
mod network;
#[path = "tun/process.rs"]
mod process;
#[path = "tun/side.rs"]
mod side;
#[path = "tun/smoltcp_server.rs"]
mod smoltcp_server;
#[path = "tun/tunstack_server.rs"]
mod tunstack_server;

use std::env;
use std::net::SocketAddrV4;
use std::os::unix::process::parent_id;
use std::process::ExitCode;
use std::time::Duration;

use client::{AT_A_TIME, CONGESTION, Work};
use measure::{Quartiles, interleave, is_quick, output_within};
use process::Server;
use side::{CLIENT, SERVE, SERVE_FLOOR, SERVE_KERNEL, SERVE_TUNSTACK, Side, parsed, this_program};

/// How much longer than asked a client may take.
const GRACE: Duration = Duration::from_secs(20);

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
    /// The same with the client's.
    both: f64,
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
        [SERVE_FLOOR, tun, rest @ ..] => serve_floor(tun, rest),
        [SERVE_KERNEL, interface, rest @ ..] => serve_kernel(interface, rest),
        [CLIENT, rest @ ..] => run_client(rest),
        // A test run hands its own words and flags to every bench.
        words if words.contains(&"--bench") => {
            let is_word = |word: &&&str| !word.starts_with('-');
            compare(&words.iter().filter(is_word).copied().collect::<Vec<_>>())
        }
        _ => compare(&[]),
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
    let [address, buffer, offload] = arguments else {
        return Err(format!("{SERVE_TUNSTACK} TUN ADDRESS BUFFER OFFLOAD"));
    };
    tunstack_server::serve(tun, parsed(address)?, parsed(buffer)?, *offload != "off")
        .map_err(|error| error.to_string())
}

fn serve_floor(tun: &str, arguments: &[&str]) -> Result<(), String> {
    floor::serve(tun, side::floor_settings(arguments)?).map_err(|error| error.to_string())
}

fn serve_kernel(interface: &str, arguments: &[&str]) -> Result<(), String> {
    let [work, address, buffer] = arguments else {
        return Err(format!("{SERVE_KERNEL} INTERFACE WORK ADDRESS BUFFER"));
    };
    let work = work_of(work)?;
    let address = SocketAddrV4::new(parsed(address)?, work.port());
    if interface != "lo" {
        network::enter_behind_veth(interface, parent_id(), address.ip().octets()[1])?;
    }
    kernel_server::serve(work, address, parsed(buffer)?).map_err(|error| error.to_string())
}

fn work_of(name: &str) -> Result<Work, String> {
    Work::ALL.into_iter().find(|each| each.name() == name).ok_or(format!("no work is {name}"))
}

fn run_client(arguments: &[&str]) -> Result<(), String> {
    let [work, server, seconds] = arguments else {
        return Err(format!("{CLIENT} WORK ADDRESS:PORT SECONDS"));
    };
    client::run(work_of(work)?, parsed(server)?, parsed(seconds)?)
        .map_err(|error| error.to_string())
}

/// What the words on the command line leave to be measured.
struct Choice {
    works: Vec<&'static str>,
    sides: Vec<String>,
}

impl Choice {
    /// # Errors
    /// When a word is neither a kind of work nor in the name of a side.
    fn new(words: &[&str]) -> Result<Self, String> {
        let mut choice = Self { works: Vec::new(), sides: Vec::new() };
        for &word in words {
            let is_in_name = |work: Work| {
                Side::beside(work).into_iter().any(|side| side.name(work).contains(word))
            };
            if let Some(work) = Work::ALL.into_iter().find(|work| work.name() == word) {
                choice.works.push(work.name());
            } else if Work::ALL.into_iter().any(is_in_name) {
                choice.sides.push(word.to_owned());
            } else {
                return Err(format!("{word} is neither a kind of work nor in the name of a side"));
            }
        }
        Ok(choice)
    }

    fn has_work(&self, work: Work) -> bool {
        self.works.is_empty() || self.works.contains(&work.name())
    }

    fn has_side(&self, name: &str) -> bool {
        self.sides.is_empty() || self.sides.iter().any(|word| name.contains(word))
    }
}

fn compare(words: &[&str]) -> Result<(), String> {
    if env::var_os("TUNSTACK_SKIP_REAL").is_some_and(|value| value == "1") {
        println!("SKIPPED: the bench over a TUN, for TUNSTACK_SKIP_REAL=1 is set.");
        return Ok(());
    }
    let choice = Choice::new(words)?;
    let plan =
        if is_quick() { Plan { pairs: 1, seconds: 0.2 } } else { Plan { pairs: 15, seconds: 1.0 } };
    network::enter()?;
    for (interface, net) in Side::TUNS {
        network::make_tun(interface, net)?;
    }
    println!(
        "Over a TUN in a namespace, MTU 1500; tunstack with --offload {}; client: the kernel's TCP, \
         {CONGESTION}. {} interleaved pairs of {} s; medians, ratios of the pairs with quartiles. \
         \"Itself\" is a side against itself: how far rates go apart by themselves. CPU is that of the \
         server's process; \"both\" is with the client's. \"Waited\" is the share of the time for \
         which the servers were ready but had no processor: where it is high (but for the \
         ping-pong, where client and server share one), rates tell of the machine.\n\n\
         The floor answers TCP with nothing but sequence numbers: on a plain TUN or with the \
         virtio-net header (vnet: frames of up to 64 KiB), with an ACK for every 2 or 32 segments, \
         sending without a copy (bare) or through a ring of the send buffer's size (copy). The \
         kernel's own TCP ({CONGESTION}) is over a veth pair with GSO, and over loopback.\n",
        side::offload(),
        plan.pairs,
        plan.seconds
    );
    println!(
        "| | beside | tunstack | other | ratio of rates | other / itself | tunstack / itself | \
         CPU tunstack | CPU other | ratio of CPU | both, tunstack | both, other | rate | CPU | waited |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let processors = network::processors();
    for work in Work::ALL {
        if choice.has_work(work) {
            rows(work, &choice, plan, &processors)?;
        }
    }
    Ok(())
}

/// Measures one kind of work, and prints its rows.
fn rows(work: Work, choice: &Choice, plan: Plan, processors: &[usize]) -> Result<(), String> {
    let mut others = Side::beside(work);
    others.retain(|other| choice.has_side(&other.name(work)));
    if others.is_empty() {
        return Ok(());
    }
    let ours = Server::start(&mut Side::Tunstack.command(work))?;
    let client_processor = place(work, &ours, processors)?;
    let run_ours = || sample(work, Side::Tunstack, &ours, plan.seconds, client_processor);
    // Warms up the caches, and what grows on demand.
    run_ours()?;
    let ours_alone = Pairs::in_turns(plan, run_ours, run_ours)?.rate_ratios();
    for other in others {
        if other == Side::Veth {
            network::remove(other.interface());
        }
        let theirs = Server::start(&mut other.command(work))?;
        if other == Side::Veth {
            network::set_up_veth(other.interface(), other.address().octets()[1])?;
        }
        place(work, &theirs, processors)?;
        let run_theirs = || sample(work, other, &theirs, plan.seconds, client_processor);
        run_theirs()?;
        let theirs_alone = Pairs::in_turns(plan, run_theirs, run_theirs)?.rate_ratios();
        let pairs = Pairs::in_turns(plan, run_ours, run_theirs)?;
        print_row(work, other, &pairs, theirs_alone, ours_alone);
    }
    Ok(())
}

fn print_row(
    work: Work,
    other: Side,
    pairs: &Pairs,
    theirs_alone: Quartiles,
    ours_alone: Quartiles,
) {
    let (rates, costs) = (pairs.rate_ratios(), pairs.cost_ratios());
    let rate = |samples: &[Sample]| shown_rate(work, median(samples, |sample| sample.rate));
    let cost = |samples: &[Sample]| shown_cost(work, median(samples, |sample| sample.cost));
    let both = |samples: &[Sample]| shown_cost(work, median(samples, |sample| sample.both));
    let waited = |samples: &[Sample]| median(samples, |sample| sample.waited);
    let (first, second) = (&pairs.first, &pairs.second);
    // The floor is no goal, and what the kernel's server costs is not told by its process alone.
    let is_goal = !matches!(other, Side::Floor(_));
    let met = if rates.median >= theirs_alone.lower { "met" } else { "missed" };
    println!(
        "| {} | {} | {} | {} | {rates} | {theirs_alone} | {ours_alone} | {} | {} | {costs} | {} | {} | \
         {} | {} | {:.0} % |",
        title(work),
        other.name(work),
        rate(first),
        rate(second),
        cost(first),
        cost(second),
        both(first),
        both(second),
        if is_goal { met } else { "-" },
        if other == Side::Smoltcp { measure::verdict(costs.median, 1.0) } else { "-" },
        100.0 * waited(first).max(waited(second)),
    );
}

/// Says who runs where: a ping-pong on one processor, or it would measure how long a processor
/// takes to wake up; all else on two. Answers the client's processor.
fn place(work: Work, server: &Server, processors: &[usize]) -> Result<usize, String> {
    let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
        return Err("no processor to run on".to_owned());
    };
    network::bind(server.id(), last)?;
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
    let (true, [moved, took, ran]) = (output.status.success(), numbers.as_slice()) else {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} with {side:?}: {}", work.name(), message.trim()));
    };
    Ok(Sample {
        rate: moved / took,
        cost: (after.ran - before.ran) / moved,
        both: (after.ran - before.ran + ran) / moved,
        waited: (after.waited - before.waited) / took,
    })
}

impl Pairs {
    fn in_turns(
        plan: Plan,
        one: impl FnMut() -> Result<Sample, String>,
        other: impl FnMut() -> Result<Sample, String>,
    ) -> Result<Self, String> {
        let (first, second) = interleave(plan.pairs, one, other)?;
        Ok(Self { first, second })
    }

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
