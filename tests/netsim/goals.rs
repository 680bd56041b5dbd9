//! What the controllers and the recovery are to reach, and what they do. Goals, not assertions: they
//! are printed.

use std::fmt::Write as _;

use tunstack::time::Duration;

use crate::models;
use crate::scenarios::{
    CONTROLLERS, Length, Named, Scenario, controller, long_fat, scenarios, wan,
};
use crate::sim::Simulation;
use crate::sim::application::Application;
use crate::table::{self, Row, in_parallel};

/// One goal.
struct Goal {
    what: String,
    reached: String,
    /// `None`: there is no mark, it is only reported.
    met: Option<bool>,
}

impl Goal {
    fn new(what: impl Into<String>, reached: impl Into<String>, met: bool) -> Self {
        Self { what: what.into(), reached: reached.into(), met: Some(met) }
    }

    /// At least so many thousandths.
    fn at_least(what: String, reached: u64, mark: u64) -> Self {
        Self::new(what, per_mille(reached), reached >= mark)
    }
}

/// As per cent.
fn per_mille(value: u64) -> String {
    format!("{}.{} %", value / 10, value % 10)
}

/// Bytes per second as megabits.
fn megabits(bytes: u64) -> String {
    format!("{:.2} Mb/s", bytes as f64 * 8.0 / 1e6)
}

/// Runs that a mean is taken of where chance has a say.
const SEEDS: u64 = 5;

/// Goals that are worked out together.
struct Group {
    /// What they are about.
    about: &'static str,
    /// The controllers that are to reach them.
    controllers: Vec<&'static str>,
    work: fn(Named) -> Vec<Goal>,
}

fn groups() -> Vec<Group> {
    let every = || CONTROLLERS.iter().map(|(name, _)| *name).collect();
    let group = |about, controllers, work| Group { about, controllers, work };
    vec![
        group("100 Mb/s, 40 ms, 1 BDP, no random loss", vec!["cubic", "bbr"], no_loss),
        group("the same, first second", vec!["cubic"], slow_start),
        group("1 % random loss", vec!["newreno", "cubic", "bbr"], random_loss),
        group("5 % reordered", every(), reordering),
        group("3 segments lost", every(), three_losses),
        group("one queue", every(), fairness),
        group("10 Gb/s, 100 ms", vec!["cubic", "bbr"], long_and_fat),
    ]
}

/// All goals, with what is reached.
pub(crate) fn text() -> String {
    let groups = groups();
    let items: Vec<(&Group, &str)> = groups
        .iter()
        .flat_map(|group| group.controllers.iter().map(move |&name| (group, name)))
        .collect();
    let done = in_parallel(&items, |&(group, name)| match controller(name) {
        Some(named) => (group.work)(named),
        None => vec![Goal::new(format!("{name}: {}", group.about), NOT_THERE, false)],
    });
    let mut text = String::new();
    writeln!(text, "{:<72} | {:<36} | met or missed", "goal", "reached").unwrap();
    for Goal { what, reached, met } in done.into_iter().flatten().chain(beside()) {
        let verdict = match met {
            None => "reported",
            Some(true) => "met",
            Some(false) => "missed",
        };
        writeln!(text, "{what:<72} | {reached:<36} | {verdict}").unwrap();
    }
    text
}

/// What is reached without the controller that is to reach it.
const NOT_THERE: &str = "no such controller yet";

fn row(scenario: &Scenario, seed: u64, named: Named) -> Row {
    table::rows(scenario, seed, [named; 2]).swap_remove(0)
}

fn scenario(name: &str) -> Scenario {
    let all = scenarios(Length::Full);
    all.into_iter().find(|scenario| scenario.name == name).expect("it is one of them")
}

fn no_loss(named @ (name, _): Named) -> Vec<Goal> {
    let row = row(&scenario("wan"), 1, named);
    vec![
        Goal::at_least(format!("{name}: 100 Mb/s, 40 ms, 1 BDP: at least 95 %"), row.goodput, 950),
        Goal::new(
            format!("{name}: the same: no timeout"),
            format!("{} timeouts", row.timeouts),
            row.timeouts == 0,
        ),
    ]
}

/// In the first second the window of this path, 333 segments, and the queue fill up in seven round
/// trips.
fn slow_start((name, which): Named) -> Vec<Goal> {
    let mut simulation = Simulation::new(wan(Length::Full, "wan").plan(1, [which; 2]));
    simulation.run_to(Duration::from_secs(1));
    let segments = simulation.flows[0].account.segments;
    let lost = simulation.forward().counts.overflowed * 1_000 / segments.max(1);
    vec![Goal::new(
        format!("{name}: the same, first second: less than 1 % lost"),
        format!("{} of {segments} segments", per_mille(lost)),
        lost < 10,
    )]
}

fn random_loss(named @ (name, _): Named) -> Vec<Goal> {
    let lossy = scenario("wan-loss-1%");
    let total: u64 = (1..=SEEDS).map(|seed| row(&lossy, seed, named).carried).sum();
    let carried = total / SEEDS;
    let mathis = (models::mathis(lossy.rtt, 0.01) / 8.0) as u64;
    let cubic = (models::cubic(lossy.rtt, 0.01) / 8.0) as u64;
    let of = |bound: u64| format!("{} of {}", megabits(carried), megabits(bound));
    let what = |mark: &str| format!("{name}: the same with 1 % random loss: {mark}");
    vec![match name {
        "newreno" => {
            let is_near = (carried * 100).abs_diff(mathis * 100) <= mathis * 15;
            Goal::new(what("within 15 % of Mathis"), of(mathis), is_near)
        }
        "cubic" => Goal::new(what("at least RFC 9438 section 5.1"), of(cubic), carried >= cubic),
        _ => Goal::at_least(what("at least 85 %"), carried * 1_000 / lossy.capacity(), 850),
    }]
}

fn reordering(named @ (name, which): Named) -> Vec<Goal> {
    let without = row(&scenario("wan"), 1, named).goodput;
    let disordered = scenario("wan-reordering");
    let with = row(&disordered, 1, named).goodput;
    let ratio = with * 1_000 / without.max(1);

    let mut simulation = Simulation::new(disordered.plan(1, [which; 2]));
    simulation.run_to(disordered.rtt * 10);
    let seen = |simulation: &Simulation| {
        let account = &simulation.flows[0].account;
        (account.twice, account.segments)
    };
    let before = seen(&simulation);
    simulation.run_to(disordered.times.1);
    let after = seen(&simulation);
    let (spurious, segments) = (after.0 - before.0, after.1 - before.1);
    vec![
        Goal::new(
            format!("{name}: 5 % reordered by up to RTT/4: at least 95 % of without"),
            format!("{} ({} to {})", per_mille(ratio), per_mille(without), per_mille(with)),
            ratio >= 950,
        ),
        Goal::new(
            format!("{name}: the same, after ten round trips: spurious below 0.1 %"),
            format!("{spurious} of {segments} segments came twice"),
            spurious * 1_000 < segments,
        ),
    ]
}

/// Segments in the transfer whose every three segments are lost once: a few flights, with an end.
const SEGMENTS: u64 = 30;

/// Timeouts when these segments are lost, retransmissions counted too: those that something which had
/// arrived could have prevented, and others.
fn timeouts(which: Named, lost: &[u64]) -> (u64, u64) {
    let mut plan = wan(Length::Full, "wan").plan(1, [which.1; 2]);
    plan.links[0].lost_segments = lost.to_vec();
    plan.flows[0].application = Application::Bytes(SEGMENTS * 1_448);
    let mut simulation = Simulation::new(plan);
    let ended = simulation.run_to_the_end(Duration::from_secs(60));
    assert!(ended, "a transfer that loses {lost:?} does not end");
    let account = &simulation.flows[0].account;
    (account.timeouts - account.blind_timeouts, account.blind_timeouts)
}

fn three_losses(named @ (name, _): Named) -> Vec<Goal> {
    let most = SEGMENTS + 3;
    let (mut runs, mut bad, mut blind) = (0, 0, 0);
    for first in 1..=most {
        for second in first + 1..=most {
            for third in second + 1..=most {
                let (visible, unseen) = timeouts(named, &[first, second, third]);
                runs += 1;
                bad += u64::from(visible > 0);
                blind += u64::from(unseen > 0);
            }
        }
    }
    vec![Goal::new(
        format!("{name}: any 3 of {SEGMENTS} segments lost: no timeout that RACK-TLP can avoid"),
        format!("in {bad} of {runs} runs, unavoidable in {blind}"),
        bad == 0,
    )]
}

fn fairness(named @ (name, _): Named) -> Vec<Goal> {
    ["share-2", "share-8", "share-32"]
        .map(|shared| {
            let scenario = scenario(shared);
            let index = row(&scenario, 1, named).jain.unwrap_or(0);
            let reached = format!("{}.{:03}", index / 1_000, index % 1_000);
            let flows = scenario.flow_count();
            let what =
                format!("{name}: {flows} flows, one queue, 60 s: Jain's index at least 0.95");
            Goal::new(what, reached, index >= 950)
        })
        .into()
}

fn long_and_fat(named @ (name, _): Named) -> Vec<Goal> {
    let row = row(&long_fat(), 1, named);
    vec![Goal::at_least(
        format!("{name}: 10 Gb/s, 100 ms, after slow start: at least 90 %"),
        row.goodput,
        900,
    )]
}

/// CUBIC beside the others.
fn beside() -> Vec<Goal> {
    let report = |other: &str| {
        let what = format!("cubic beside {other}, one flow each: shares");
        let (Some(cubic), Some(other)) = (controller("cubic"), controller(other)) else {
            return Goal::new(what, NOT_THERE, false);
        };
        let rows = table::rows(&scenario("beside-1-1"), 1, [cubic, other]);
        let reached = format!("{} and {}", per_mille(rows[0].goodput), per_mille(rows[1].goodput));
        Goal { what, reached, met: None }
    };
    vec![report("newreno"), report("bbr")]
}

#[test]
fn a_lost_segment_with_others_behind_it_makes_no_timeout_and_a_lost_probe_a_blind_one() {
    let newreno = CONTROLLERS[0];
    assert_eq!(timeouts(newreno, &[4]), (0, 0));
    // The last segment, and the probe for it.
    assert_eq!(timeouts(newreno, &[SEGMENTS, SEGMENTS + 1]), (0, 1));
    assert_eq!(timeouts(newreno, &[]), (0, 0));
}
