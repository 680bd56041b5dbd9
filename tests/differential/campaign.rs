//! Many sequences on both sides: compared, tried again where they differ, made smaller where they
//! go on differing.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Case;
use super::deliberate::{DELIBERATE, Resume, View};
use super::kernel::{Job, Kernel, Ran};
use super::transcript::{
    Cursor, Difference, Transcript, compare, kind_of, side_by_side, step_of, time_of,
};
use super::{ours, shrink};

/// By how many percent the pauses are stretched when a sequence is tried again: a difference that
/// only showed because a timer fell together with a step is gone then.
const STRETCHES: [u64; 5] = [0, 13, 31, 53, 79];

/// How often a sequence is tried at most. A difference behind a place where the kernel's side was late
/// counts for nothing while there are tries left: it may have come of that. A machine that is never
/// quiet cannot put off the verdict for ever, and one that differs each time does differ.
const MOST_TRIES: usize = 4 * STRETCHES.len();

/// Rounds of making a case smaller.
const ROUNDS: usize = 12;

/// What has been seen.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) sequences: usize,
    /// Segments of the kernel that were compared.
    pub(crate) segments: usize,
    /// Sequences that agreed only when they were tried again.
    pub(crate) tried_again: usize,
    /// Differences that did not count, because the kernel's side had been late.
    pub(crate) late: usize,
    pub(crate) states: BTreeSet<&'static str>,
    /// The sequences in which an entry of the table explained a difference, by its name.
    pub(crate) explained: BTreeMap<&'static str, BTreeSet<u64>>,
    pub(crate) failures: Vec<Failure>,
    /// Both transcripts of the sequence, if there was only one.
    pub(crate) only: Option<String>,
}

/// A sequence that differs for no reason in the table.
pub(crate) struct Failure {
    pub(crate) case: Case,
    pub(crate) difference: Shown,
}

/// A difference in words.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    /// What kind of difference it is: the two segments or answers without their numbers.
    pub(crate) kind: String,
    /// Where it shows, and both transcripts.
    pub(crate) story: String,
}

/// How a sequence went.
struct Outcome {
    segments: usize,
    states: BTreeSet<&'static str>,
    explained: Vec<&'static str>,
    difference: Option<Shown>,
    /// The kernel's side was late before the difference shows.
    late: bool,
    both: Transcripts,
}

/// How often a sequence has differed.
#[derive(Clone, Copy, Default)]
struct Tries {
    all: usize,
    /// Those that count.
    in_time: usize,
}

impl Tries {
    /// By how much the pauses are stretched in the next one.
    fn stretch(self) -> u64 {
        STRETCHES[self.in_time]
    }

    /// It has differed again; whether that is enough.
    fn note(&mut self, late: bool) -> bool {
        self.all += 1;
        self.in_time += usize::from(!late);
        self.in_time == STRETCHES.len() || self.all == MOST_TRIES
    }
}

/// The kernel's and ours.
type Transcripts = (Transcript, Transcript);

/// Runs the cases and reports on them.
pub(crate) fn run(kernel: &mut Kernel, cases: Vec<Case>) -> Report {
    let mut report = Report { sequences: cases.len(), ..Report::default() };
    let mut left: Vec<(Case, Tries)> =
        cases.into_iter().map(|case| (case, Tries::default())).collect();
    while !left.is_empty() {
        let jobs = left.iter().map(|(case, tries)| Job { case, stretch: tries.stretch() });
        let outcomes = outcomes(kernel, &jobs.collect::<Vec<_>>());
        let mut differing = Vec::new();
        for ((case, mut tries), outcome) in left.into_iter().zip(outcomes) {
            if report.sequences == 1 {
                let (kernel, ours) = &outcome.both;
                report.only = Some(format!("{case}\n{}", side_by_side(kernel, ours)));
            }
            let Some(difference) = outcome.difference else {
                report.segments += outcome.segments;
                report.tried_again += usize::from(tries.all > 0);
                report.states.extend(outcome.states);
                for name in outcome.explained {
                    report.explained.entry(name).or_default().insert(case.seed);
                }
                continue;
            };
            report.late += usize::from(outcome.late);
            if tries.note(outcome.late) {
                report.failures.push(Failure { case, difference });
            } else {
                differing.push((case, tries));
            }
        }
        left = differing;
    }
    report
}

fn outcomes(kernel: &mut Kernel, jobs: &[Job<'_>]) -> Vec<Outcome> {
    let ran = kernel.run(jobs);
    jobs.iter().zip(ran).map(|(job, ran)| judge(job.case, ran)).collect()
}

/// The same stretch for all.
fn stretched(cases: &[Case], stretch: u64) -> Vec<Job<'_>> {
    cases.iter().map(|case| Job { case, stretch }).collect()
}

/// Takes our side through the same, and compares.
fn judge(case: &Case, ran: Ran) -> Outcome {
    let Ran { transcript: kernel, end, late } = ran;
    let (own, states) = ours::run(case, &kernel.times, end);
    let mut explained = Vec::new();
    let unexplained = unexplained(case, &kernel, &own, &mut explained);
    let late = late
        .zip(unexplained.as_ref())
        .is_some_and(|(since, difference)| since <= time_of(difference, &kernel, &own));
    let difference = unexplained.map(|difference| {
        let step = step_of(&difference, &kernel, &own);
        let kind = kind_of(&difference, &kernel, &own);
        let both = side_by_side(&kernel, &own);
        Shown { story: format!("{difference:?} after step {step}: {kind}\n{both}"), kind }
    });
    let segments = kernel.lines.len();
    Outcome { segments, states, explained, difference, late, both: (kernel, own) }
}

/// The first difference that no entry of the table explains.
pub(crate) fn unexplained(
    case: &Case,
    kernel: &Transcript,
    ours: &Transcript,
    explained: &mut Vec<&'static str>,
) -> Option<Difference> {
    let mut from = Cursor::default();
    while let Some(difference) = compare(kernel, ours, from) {
        let view = View { case, kernel, ours, difference: &difference, before: explained };
        let found = DELIBERATE
            .iter()
            .find_map(|entry| (entry.explains)(&view).map(|resume| (entry.name, resume)));
        let Some((name, resume)) = found else { return Some(difference) };
        explained.push(name);
        match resume {
            Resume::At(place) => from = place,
            Resume::Never => return None,
        }
    }
    None
}

/// Makes the cases smaller as long as they differ; many candidates are tried at once.
pub(crate) fn shrink(kernel: &mut Kernel, mut cases: Vec<Case>) -> Vec<Failure> {
    let mut settled = vec![false; cases.len()];
    for _ in 0..ROUNDS {
        let mut owners = Vec::new();
        let mut tries = Vec::new();
        for (owner, case) in cases.iter().enumerate().filter(|&(owner, _)| !settled[owner]) {
            for candidate in shrink::candidates(case) {
                owners.push(owner);
                tries.push(candidate);
            }
        }
        if tries.is_empty() {
            break;
        }
        let differ = differing(kernel, &tries);
        settled.fill(true);
        for ((owner, candidate), differs) in owners.into_iter().zip(tries).zip(differ) {
            // The first that differs is the simplest.
            if differs && settled[owner] {
                settled[owner] = false;
                cases[owner] = candidate;
            }
        }
    }
    let outcomes = outcomes(kernel, &stretched(&cases, STRETCHES[STRETCHES.len() - 1]));
    let shown = outcomes.into_iter().map(|outcome| outcome.difference.unwrap_or_default());
    cases.into_iter().zip(shown).map(|(case, difference)| Failure { case, difference }).collect()
}

/// Which of the cases differ each time, and not because the kernel's side was late.
fn differing(kernel: &mut Kernel, cases: &[Case]) -> Vec<bool> {
    let mut differ: Vec<bool> = vec![true; cases.len()];
    for stretch in [STRETCHES[0], STRETCHES[2]] {
        let left: Vec<usize> = (0..cases.len()).filter(|&at| differ[at]).collect();
        let tries: Vec<Case> = left.iter().map(|&at| cases[at].clone()).collect();
        for (at, outcome) in left.into_iter().zip(outcomes(kernel, &stretched(&tries, stretch))) {
            differ[at] = outcome.difference.is_some() && !outcome.late;
        }
    }
    differ
}

#[test]
fn a_difference_counts_when_nothing_was_late_or_when_it_shows_each_time() {
    let mut in_time = Tries::default();
    let verdicts = STRETCHES.map(|stretch| {
        assert_eq!(in_time.stretch(), stretch, "each stretch has its turn");
        in_time.note(false)
    });
    assert_eq!(verdicts, [false, false, false, false, true]);
    let mut late = Tries::default();
    let tries = (1..).find(|_| late.note(true));
    assert_eq!(tries, Some(MOST_TRIES), "what differs each time is not put off for ever");
    let mut mixed = Tries::default();
    assert!(
        ![true, false, true, false, false, true, false]
            .map(|late| mixed.note(late))
            .contains(&true)
    );
    assert!(mixed.note(false), "late ones in between change nothing");
}
