//! Rows of the table: one kind of work, tunstack and another side in turns.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::Choice;
use super::client::{AT_A_TIME, Work};
use super::measure::{Quartiles, interleave, output_within, verdict};
use super::network;
use super::process::Server;
use super::side::{CLIENT, Side, this_program};

/// How much longer than asked a client may take.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) pairs: usize,
    pub(crate) seconds: f64,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Bytes, round trips or connections in a second.
    pub(crate) rate: f64,
    /// Seconds of a processor for each of them.
    pub(crate) cost: f64,
    /// The same with the client's.
    both: f64,
    /// The share of the time for which the server waited for a processor.
    waited: f64,
}

/// Runs of two sides in turns.
pub(crate) struct Pairs {
    pub(crate) first: Vec<Sample>,
    pub(crate) second: Vec<Sample>,
}

/// Measures one kind of work, and prints its rows.
pub(crate) fn rows(
    work: Work,
    choice: &Choice,
    plan: Plan,
    processors: &[usize],
) -> Result<(), String> {
    let mut others = Side::beside(work);
    others.retain(|other| choice.has_side(&other.name(work)));
    if others.is_empty() {
        return Ok(());
    }
    let ours = Server::start(&mut Side::Tunstack.command(work))?;
    let client_processor = place(work, &ours, processors)?;
    let run_ours = || sample(work, Side::Tunstack.address(), &ours, plan.seconds, client_processor);
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
        let run_theirs = || sample(work, other.address(), &theirs, plan.seconds, client_processor);
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
        if other == Side::Smoltcp { verdict(costs.median, 1.0) } else { "-" },
        100.0 * waited(first).max(waited(second)),
    );
}

/// Says who runs where: a ping-pong on one processor, or it would measure how long a processor
/// takes to wake up; all else on two. Answers the client's processor.
pub(crate) fn place(work: Work, server: &Server, processors: &[usize]) -> Result<usize, String> {
    let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
        return Err("no processor to run on".to_owned());
    };
    network::bind(server.id(), last)?;
    Ok(if work == Work::PingPong { last } else { first })
}

/// One run of the client against a server.
pub(crate) fn sample(
    work: Work,
    address: Ipv4Addr,
    server: &Server,
    seconds: f64,
    processor: usize,
) -> Result<Sample, String> {
    let to = SocketAddrV4::new(address, work.port());
    let mut command = this_program();
    command.args([CLIENT, work.name(), &to.to_string()]);
    command.arg(seconds.to_string());
    // The child inherits it; this process does nothing meanwhile.
    network::bind(0, processor)?;
    let before = server.times()?;
    let limit = Duration::from_secs_f64(seconds) + GRACE;
    let output = output_within(&mut command, limit)
        .map_err(|error| format!("{} with {address}: {error}", work.name()))?;
    let after = server.times()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
    let (true, [moved, took, ran]) = (output.status.success(), numbers.as_slice()) else {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} with {address}: {}", work.name(), message.trim()));
    };
    Ok(Sample {
        rate: moved / took,
        cost: (after.ran - before.ran) / moved,
        both: (after.ran - before.ran + ran) / moved,
        waited: (after.waited - before.waited) / took,
    })
}

impl Pairs {
    pub(crate) fn in_turns(
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

    pub(crate) fn rate_ratios(&self) -> Quartiles {
        self.ratios(|sample| sample.rate)
    }

    pub(crate) fn cost_ratios(&self) -> Quartiles {
        self.ratios(|sample| sample.cost)
    }
}

pub(crate) fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
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
