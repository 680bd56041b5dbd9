//! Two flows in bulk and a ping-pong at the same time, beside one flow and a ping-pong: nobody is to
//! wait much longer, and nobody to get much less than another.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::client::Work;
use super::measure::{Quartiles, interleave, output_within, verdict};
use super::mixture;
use super::network;
use super::process::Server;
use super::rows::{GRACE, Plan, place};
use super::side::{MIXTURE, parsed, this_program, tunstack};
use super::work_of;

/// Its name on the command line.
pub(crate) const NAME: &str = "fairness";
/// At most so many times the 99th percentile of the ping-pong's latencies beside one flow.
const GOAL_LATENCY: f64 = 5.0;
/// The larger flow has at most this much of the smaller one.
const GOAL_SHARES: f64 = 1.2;
/// What `--offload` is given, and the interface of each, with the second byte of its addresses.
const SERVERS: [(&str, &str, u8); 2] = [("off", "tun6", 210), ("on", "tun7", 211)];

/// One run.
struct Sample {
    /// Seconds of the ping-pong there and back.
    median: f64,
    p99: f64,
    /// Bytes in a second of each flow, the largest first.
    rates: Vec<f64>,
}

/// Measures, and prints the table.
///
/// # Errors
/// When something is missing for it.
pub(crate) fn measure(plan: Plan, processors: &[usize]) -> Result<(), String> {
    println!(
        "Two flows in bulk and a ping-pong of 1 B at the same time, beside one flow and a ping-pong, \
         all to one server; {} interleaved pairs of {} s; medians, and ratios with quartiles. The \
         client's threads share one processor.\n",
        plan.pairs, plan.seconds
    );
    println!(
        "| | offload | ping-pong beside one, median | 99th percentile | beside two, median | \
         99th percentile | ratio of the 99th | one flow | two flows, larger | smaller | larger / smaller |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (offload, interface, net) in SERVERS {
        network::make_tun(interface, net)?;
        let address = Ipv4Addr::new(10, net, 0, 2);
        let server = Server::start(&mut tunstack(interface, address, offload))?;
        for (title, work) in
            [("send (client to stack)", Work::Send), ("receive", Work::ReceiveDefault)]
        {
            let processor = place(work, &server, processors)?;
            network::bind(0, processor)?;
            let run = |flows| sample(work, address, flows, plan.seconds);
            let (one, two) = interleave(plan.pairs, || run(1), || run(2))?;
            print_row(title, offload, &one, &two);
        }
    }
    println!();
    Ok(())
}

fn print_row(title: &str, offload: &str, one: &[Sample], two: &[Sample]) {
    let each = |samples: &[Sample], of: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
        samples.iter().map(of).collect()
    };
    let micros = |samples, of: &dyn Fn(&Sample) -> f64| {
        format!("{:.0} us", 1e6 * Quartiles::of(&each(samples, of)).median)
    };
    let rate = |samples, flow: usize| {
        let rate = Quartiles::of(&each(samples, &|sample| sample.rates[flow])).median;
        format!("{:.2} Gb/s", rate * 8.0 / 1e9)
    };
    let p99 = |samples| each(samples, &|sample| sample.p99);
    let latency = Quartiles::of_ratios(&p99(two), &p99(one));
    let shares = Quartiles::of(&each(two, &|sample| sample.rates[0] / sample.rates[1]));
    println!(
        "| {title} | {offload} | {} | {} | {} | {} | {latency}, goal {GOAL_LATENCY}: {} | {} | {} | {} | \
         {shares}, goal {GOAL_SHARES}: {} |",
        micros(one, &|sample| sample.median),
        micros(one, &|sample| sample.p99),
        micros(two, &|sample| sample.median),
        micros(two, &|sample| sample.p99),
        verdict(latency.median, GOAL_LATENCY),
        rate(one, 0),
        rate(two, 0),
        rate(two, 1),
        verdict(shares.median, GOAL_SHARES),
    );
}

/// One run of the client.
fn sample(work: Work, server: Ipv4Addr, flows: usize, seconds: f64) -> Result<Sample, String> {
    let mut command = this_program();
    command.args([MIXTURE, work.name(), &server.to_string()]);
    command.args([flows.to_string(), seconds.to_string()]);
    let limit = Duration::from_secs_f64(seconds) + GRACE;
    let output = output_within(&mut command, limit)
        .map_err(|error| format!("{NAME}, {}: {error}", work.name()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
    match numbers.as_slice() {
        &[median, p99, ref rates @ ..] if output.status.success() && rates.len() == flows => {
            let mut rates = rates.to_vec();
            rates.sort_by(|a, b| b.total_cmp(a));
            Ok(Sample { median, p99, rates })
        }
        _ => {
            let message = String::from_utf8_lossy(&output.stderr);
            Err(format!("{NAME}, {}: {}", work.name(), message.trim()))
        }
    }
}

/// The client.
///
/// # Errors
/// When the server does not do its part.
pub(crate) fn run_client(arguments: &[&str]) -> Result<(), String> {
    let [work, server, flows, seconds] = arguments else {
        return Err(format!("{MIXTURE} WORK ADDRESS FLOWS SECONDS"));
    };
    mixture::run(work_of(work)?, parsed(server)?, parsed(flows)?, parsed(seconds)?)
        .map_err(|error| error.to_string())
}
