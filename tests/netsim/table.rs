//! What the controllers do in the scenarios, as a table.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::scenarios::{CONTROLLERS, Flows, Length, Named, Scenario, scenarios};
use crate::sim::link::Counts;
use crate::sim::{Plan, Simulation};

/// What came out of one run, or for one of the two controllers in a mixed one.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    /// The controller; of a mixed scenario `this/other`.
    pub(crate) controller: String,
    /// Text carried since measuring began, as a share of what full segments would fill the link with:
    /// thousandths.
    pub(crate) goodput: u64,
    /// The same in bytes per second.
    pub(crate) carried: u64,
    /// Segments sent again of all that were sent: ten thousandths.
    pub(crate) resent: u64,
    /// Those that were sent again without need, of all that were sent: ten thousandths.
    pub(crate) spurious: u64,
    /// Retransmission timeouts.
    pub(crate) timeouts: u64,
    /// The time that packets waited in the queue since measuring began, in microseconds: half of them
    /// no longer, and 99 in a hundred no longer.
    pub(crate) waits: [u64; 2],
    /// Packets marked.
    pub(crate) marked: u64,
    /// Jain's index of all flows' goodputs since measuring began, in thousandths, where there are
    /// several.
    pub(crate) jain: Option<u64>,
    /// Segments sent.
    pub(crate) segments: u64,
    /// What has become of the packets on their way to the receivers.
    pub(crate) counts: Counts,
}

/// Jain's index of fairness ("A quantitative measure of fairness and discrimination for resource
/// allocation in shared computer systems", 1984), in thousandths.
pub(crate) fn jain(shares: &[u64]) -> u64 {
    let sum: u128 = shares.iter().copied().map(u128::from).sum();
    let squares: u128 = shares.iter().copied().map(|share| u128::from(share).pow(2)).sum();
    let index = (sum * sum * 1_000).checked_div(shares.len() as u128 * squares);
    index.unwrap_or(0) as u64
}

/// `part` of `whole`, in parts of `unit`, rounded down.
fn share(part: u64, whole: u64, unit: u64) -> u64 {
    (part * unit).checked_div(whole).unwrap_or(0)
}

/// Runs a scenario.
pub(crate) fn run(scenario: &Scenario, seed: u64, controllers: [Named; 2]) -> Simulation {
    run_plan(scenario.plan(seed, controllers.map(|(_, which)| which)), scenario)
}

/// Runs a plan for a scenario.
pub(crate) fn run_plan(plan: Plan, scenario: &Scenario) -> Simulation {
    let mut simulation = Simulation::new(plan);
    simulation.run_to(scenario.times.0);
    simulation.measure_from_now();
    simulation.run_to(scenario.times.1);
    simulation
}

/// What came of it: one row, or of a mixed scenario two.
pub(crate) fn rows(scenario: &Scenario, seed: u64, controllers: [Named; 2]) -> Vec<Row> {
    let simulation = run(scenario, seed, controllers);
    let all: Vec<u64> = (0..simulation.flows.len()).map(|n| simulation.goodput(n)).collect();
    let row = |name: String, flows: &[usize]| {
        let sum = |of: fn(&Simulation, usize) -> u64| -> u64 {
            flows.iter().map(|&flow| of(&simulation, flow)).sum()
        };
        let segments = sum(|simulation, flow| simulation.flows[flow].account.segments);
        let resent = sum(|simulation, flow| simulation.flows[flow].account.resent);
        let spurious = sum(|simulation, flow| simulation.flows[flow].account.spurious);
        let forward = simulation.forward();
        Row {
            scenario: scenario.name,
            controller: name,
            goodput: share(sum(Simulation::goodput), scenario.capacity(), 1_000),
            carried: sum(Simulation::goodput),
            resent: share(resent, segments, 10_000),
            spurious: share(spurious, segments, 10_000),
            timeouts: sum(|simulation, flow| simulation.flows[flow].account.timeouts),
            waits: [50, 99].map(|per_cent| forward.delays.percentile(per_cent)),
            marked: forward.marked(),
            jain: (all.len() > 1).then(|| jain(&all)),
            segments,
            counts: forward.counts,
        }
    };
    let [(first, _), (second, _)] = controllers;
    let every =
        |from: usize, step: usize| -> Vec<usize> { (from..all.len()).step_by(step).collect() };
    match scenario.flows {
        Flows::Mixed(_) => vec![
            row(format!("{first}/{second}"), &every(0, 2)),
            row(format!("{second}/{first}"), &every(1, 2)),
        ],
        _ => vec![row(first.to_owned(), &every(0, 1))],
    }
}

/// All that there is to run: each scenario with each controller, or each pair of different ones.
fn runs(length: Length) -> Vec<(Scenario, [Named; 2])> {
    let mut runs = Vec::new();
    for scenario in scenarios(length) {
        for (n, &first) in CONTROLLERS.iter().enumerate() {
            if let Flows::Mixed(_) = scenario.flows {
                let others = CONTROLLERS[n + 1..].iter();
                runs.extend(others.map(|&second| (scenario, [first, second])));
            } else {
                runs.push((scenario, [first; 2]));
            }
        }
    }
    runs
}

/// Does `work` for each of `items` on all processors; what came out is in their order.
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(items.len()) {
            scope.spawn(|| {
                while let n = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(item) = items.get(n)
                {
                    let result = work(item);
                    *done[n].lock().unwrap() = Some(result);
                }
            });
        }
    });
    done.into_iter().map(|slot| slot.into_inner().unwrap().expect("it was done")).collect()
}

/// The rows of all runs.
pub(crate) fn all_rows(length: Length) -> Vec<Row> {
    let runs = runs(length);
    let results = in_parallel(&runs, |(scenario, controllers)| rows(scenario, 1, *controllers));
    results.into_iter().flatten().collect()
}

/// What the table says of itself.
const HEAD: &str = "\
# What each congestion controller does in each scenario of tests/netsim/scenarios.rs, in simulated
# time; written by TUNSTACK_NETSIM_WRITE=1 cargo test --test netsim.
#
# goodput   text read after a warm-up, of what full segments would fill the link with (per mille);
#           more than that is text which had arrived before, behind a hole
# resent    segments sent again, of all that were sent (per mille)
# timeouts  retransmission timers that ran out
# p50 p99   time in the queue after the warm-up, of half the packets and of 99 in 100 (ms)
# marked    packets marked instead of dropped
# jain      Jain's index of the flows' goodputs after the warm-up (per mille)
#
# this/other: what the flows with this controller do beside as many flows with the other one
#
";

/// The table as text.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    text += "# scenario         controller        goodput  resent timeouts    p50    p99 marked  jain\n";
    for row in rows {
        let Row { scenario, controller, goodput, resent, timeouts, waits, marked, .. } = row;
        let resent = format!("{}.{}", resent / 10, resent % 10);
        let [p50, p99] = waits.map(|micros| format!("{}.{}", micros / 1_000, micros / 100 % 10));
        let jain = row.jain.map_or("-".to_owned(), |index| index.to_string());
        writeln!(
            text,
            "{scenario:<18} {controller:<17} {goodput:>7} {resent:>7} {timeouts:>8} {p50:>6} {p99:>6} \
             {marked:>6} {jain:>5}"
        )
        .unwrap();
    }
    text
}

/// What else is known of the rows.
pub(crate) fn details(rows: &[Row]) -> String {
    let mut text = String::from(
        "scenario           controller         segments spurious  overflow     aqm policed    lost\n",
    );
    for row in rows {
        let Row { scenario, controller, segments, spurious, counts, .. } = row;
        let spurious = format!("{}.{}", spurious / 10, spurious % 10);
        let Counts { overflowed, aqm_dropped, policed, lost, .. } = counts;
        writeln!(
            text,
            "{scenario:<18} {controller:<17} {segments:>9} {spurious:>8} {overflowed:>9} \
             {aqm_dropped:>7} {policed:>7} {lost:>7}"
        )
        .unwrap();
    }
    text
}

/// Lines that are in one text and not in the same place of the other, as a reader wants them: what
/// was, what is.
pub(crate) fn difference(was: &str, is: &str) -> String {
    let key =
        |line: &str| -> String { line.split_whitespace().take(2).collect::<Vec<_>>().join(" ") };
    let mut text = String::new();
    for line in was.lines().filter(|line| !is.lines().any(|other| other == *line)) {
        writeln!(text, "- {line}").unwrap();
        let now = is.lines().find(|other| key(other) == key(line));
        now.into_iter().for_each(|now| writeln!(text, "+ {now}").unwrap());
    }
    let is_new = |line: &&str| !was.lines().any(|other| key(other) == key(line));
    for line in is.lines().filter(is_new) {
        writeln!(text, "+ {line}").unwrap();
    }
    text
}

#[test]
fn the_index_of_jain_is_one_for_equal_shares_and_one_in_n_for_one_who_has_all() {
    assert_eq!(jain(&[5, 5, 5, 5]), 1_000);
    assert_eq!(jain(&[9, 0, 0, 0]), 250);
    // (1 + 2 + 3)^2 / (3 * (1 + 4 + 9)) = 36 / 42.
    assert_eq!(jain(&[1, 2, 3]), 857);
    assert_eq!(jain(&[0, 0]), 0);
}

#[test]
fn a_difference_shows_what_was_and_what_is_of_each_line() {
    let was = "# head\nwan newreno 1\nlan newreno 2\ngone newreno 3\n";
    let is = "# head\nwan newreno 1\nlan newreno 4\nlan cubic 5\n";
    let expected = "- lan newreno 2\n+ lan newreno 4\n- gone newreno 3\n+ lan cubic 5\n";
    assert_eq!(difference(was, is), expected);
    assert_eq!(difference(is, is), "");
}
