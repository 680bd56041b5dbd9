//! Over a TUN of the kernel: `tunstack serve` beside a server on smoltcp and a responder that does
//! nothing (the floor), and beside the kernel's own TCP over a veth pair and loopback; with a client
//! on the kernel's TCP, in network namespaces that this makes for itself.
//!
//! ```text
//! cargo bench --bench tun          as root, or where user namespaces and /dev/net/tun are allowed
//! cargo bench --bench tun -- send floor
//!                                  only the kinds of work with one of these names (send, receive,
//!                                  receive-default, ping-pong, transactions, crowd, fairness, loss),
//!                                  and beside those with one of these in theirs (floor, vnet, copy,
//!                                  smoltcp, veth, ...)
//! TUNSTACK_BENCH_OFFLOAD=on ...    tunstack with the virtio-net header; without it is `off`
//! TUNSTACK_BENCH_PROGRAM=PATH ...  another `tunstack` than the one just built
//! TUNSTACK_BENCH_CONGESTION=bbr .. tunstack's congestion controller; without it is `cubic`
//! TUNSTACK_BENCH_PAIRS=5 ...       so many pairs instead of 15
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
//!
//! Two kinds of work are tunstack's alone: a ping-pong beside very many idle connections (`crowd`),
//! and one beside flows in bulk, which are to share what there is (`fairness`). And one has a network
//! of its own, in which packets are lost (`loss`).

#![allow(clippy::expect_used)]

#[path = "tun/client.rs"]
mod client;
#[path = "tun/crowd.rs"]
mod crowd;
#[path = "tun/fairness.rs"]
mod fairness;
#[path = "tun/floor.rs"]
mod floor;
#[path = "tun/floor_link.rs"]
mod floor_link;
#[path = "tun/kernel_server.rs"]
mod kernel_server;
#[path = "tun/loss.rs"]
mod loss;
mod measure;
#[path = "tun/mixture.rs"]
mod mixture;
#[path = "tun/network.rs"]
mod network;
#[path = "tun/process.rs"]
mod process;
#[path = "tun/rows.rs"]
mod rows;
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

use client::{CONGESTION, Work};
use measure::is_quick;
use rows::Plan;
use side::{
    CLIENT, CROWD, MIXTURE, ROUTE, SERVE, SERVE_FLOOR, SERVE_KERNEL, SERVE_TUNSTACK, Side, parsed,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        [SERVE, tun, rest @ ..] => serve(tun, rest),
        [SERVE_TUNSTACK, tun, rest @ ..] => serve_tunstack(tun, rest),
        [SERVE_FLOOR, tun, rest @ ..] => serve_floor(tun, rest),
        [SERVE_KERNEL, interface, rest @ ..] => serve_kernel(interface, rest),
        [CLIENT, rest @ ..] => run_client(rest),
        [CROWD, rest @ ..] => crowd::run_client(rest),
        [MIXTURE, rest @ ..] => fairness::run_client(rest),
        [ROUTE, rest @ ..] => loss::run_router(rest),
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
    let [work, address, buffer, peer] = arguments else {
        return Err(format!("{SERVE_KERNEL} INTERFACE WORK ADDRESS BUFFER PEER"));
    };
    let work = work_of(work)?;
    let address = SocketAddrV4::new(parsed(address)?, work.port());
    let (peer, net) = (parsed(peer)?, address.ip().octets()[1]);
    match interface {
        "lo" => {}
        _ if peer == parent_id() => network::enter_behind_veth(interface, peer, net)?,
        _ => network::enter_behind_router(interface, peer, net)?,
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

/// The kinds of work that are measured with no other side.
const ALONE: [&str; 3] = [crowd::NAME, fairness::NAME, loss::NAME];

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
            } else if let Some(alone) = ALONE.into_iter().find(|&name| name == word) {
                choice.works.push(alone);
            } else if Work::ALL.into_iter().any(is_in_name) {
                choice.sides.push(word.to_owned());
            } else {
                return Err(format!("{word} is neither a kind of work nor in the name of a side"));
            }
        }
        Ok(choice)
    }

    fn has_work(&self, name: &str) -> bool {
        self.works.is_empty() || self.works.contains(&name)
    }

    /// Whether to measure what is done with no other side.
    fn has_alone(&self, name: &str) -> bool {
        self.sides.is_empty() && self.has_work(name)
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
    let pairs = env::var("TUNSTACK_BENCH_PAIRS").map_or(Ok(15), |pairs| parsed(&pairs))?;
    let plan =
        if is_quick() { Plan { pairs: 1, seconds: 0.2 } } else { Plan { pairs, seconds: 1.0 } };
    network::enter()?;
    let processors = network::processors();
    if Work::ALL.into_iter().any(|work| choice.has_work(work.name())) {
        beside_others(&choice, plan, &processors)?;
    }
    if choice.has_alone(crowd::NAME) {
        crowd::measure(plan, &processors)?;
    }
    if choice.has_alone(fairness::NAME) {
        fairness::measure(plan, &processors)?;
    }
    if choice.works == [loss::NAME] || choice.has_alone(loss::NAME) {
        loss::measure(&choice, plan, &processors)?;
    }
    Ok(())
}

/// The table of tunstack beside the other sides.
fn beside_others(choice: &Choice, plan: Plan, processors: &[usize]) -> Result<(), String> {
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
    for work in Work::ALL {
        if choice.has_work(work.name()) {
            rows::rows(work, choice, plan, processors)?;
        }
    }
    println!();
    Ok(())
}
