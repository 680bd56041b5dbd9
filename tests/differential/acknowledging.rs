//! Entries of the table that are about acknowledging: when an ACK goes out, and what its SACK blocks
//! and timestamps tell.

use std::time::Duration;

use tunstack::wire::Flags;

use super::case::{Action, Base, Call, Choice, Shape, Step};
use super::deliberate::{DELAYED_ACK, Resume, TIMESTAMPS, View, bare_of_options, closes};
use super::transcript::{Difference, Line, Named, Number, Transcript, step_of};

/// The longest that an ACK may be delayed (RFC 9293 section 3.8.6.3, MUST-40).
const MOST_DELAY: Duration = Duration::from_millis(500);

/// How long Linux delays an ACK, and a grain of its clock.
pub(crate) const DELAY: Duration = Duration::from_millis(50);

/// A bare ACK that one side sends by itself: the other acknowledges as much a little earlier or
/// later, alone or with something else.
pub(crate) fn delayed_ack(view: &View<'_>) -> Option<Resume> {
    let (Difference::Line(theirs, own) | Difference::Time(theirs, own)) = *view.difference else {
        return None;
    };
    let kernel = ack_at(view, (view.kernel, theirs), view.ours);
    let ours = ack_at(view, (view.ours, own), view.kernel);
    if is_repeated(view.ours, own, view.kernel, theirs) {
        return view.behind(0, 1);
    }
    if is_repeated(view.kernel, theirs, view.ours, own) {
        return view.behind(1, 0);
    }
    match (kernel, ours) {
        (Some(kernel), Some(ours)) if kernel.at < ours.at => view.behind(1, 0),
        (_, Some(_)) => view.behind(0, 1),
        (Some(_), None) => view.behind(1, 0),
        (None, None) => None,
    }
}

/// A bare ACK at this place that the other side is not far from.
fn ack_at<'t>(
    view: &View<'_>,
    (side, place): (&'t Transcript, usize),
    other: &Transcript,
) -> Option<&'t Line> {
    let line = side.lines.get(place)?;
    let new = acknowledged(line)?;
    let last = side.lines[..place].iter().rev().find_map(acknowledged)?;
    let bare = line.said.flags == Flags::ACK && line.said.len == 0 && !has_sack(line);
    // An old segment is answered by a side that has acknowledged what lies behind it; for Linux it
    // lies in the window until then.
    let mut before = other.lines.iter().take_while(|other| other.at < line.at);
    let other_waits = !before.any(|other| acknowledged(other) >= Some(new));
    (bare && (new > last || other_waits) && view.is_made_up_for(line, other)).then_some(line)
}

/// What a line acknowledges.
pub(crate) fn acknowledged(line: &Line) -> Option<i64> {
    match line.said.ack {
        Number::From(ack) => Some(ack),
        Number::Zero | Number::Edge(_) => None,
    }
}

/// Whether the ACK says the same as the one before it, which was taken for what the other side said
/// only now: that side's ACK of something new has become one with the answer to this step.
fn is_repeated(side: &Transcript, place: usize, other: &Transcript, other_place: usize) -> bool {
    let before = |side: &Transcript, place: usize| {
        place.checked_sub(1).and_then(|before| side.lines.get(before)).cloned()
    };
    let (Some(line), Some(line_before)) = (side.lines.get(place), before(side, place)) else {
        return false;
    };
    let Some(other_before) = before(other, other_place) else { return false };
    let bare = line.said.flags == Flags::ACK && line.said.len == 0;
    let same = line.said == line_before.said && line.said == other_before.said;
    bare && same && other_before.step == line.step && line_before.step < line.step
}

pub(crate) fn has_sack(line: &Line) -> bool {
    !sacks(line).is_empty()
}

fn sacks(line: &Line) -> Vec<&Named> {
    line.said.options.iter().filter(|option| matches!(option, Named::Sack(_))).collect()
}

impl View<'_> {
    /// Whether the other side acknowledges as much within the time that an ACK may be delayed, or
    /// had no occasion to, because the connection ended.
    pub(crate) fn is_made_up_for(&self, line: &Line, other: &Transcript) -> bool {
        let as_much = |other: &Line| acknowledged(other) >= acknowledged(line);
        let near = |other: &&Line| other.at.abs_diff(line.at) < MOST_DELAY;
        other.lines.iter().filter(near).any(as_much) || self.is_cut_short(line)
    }

    /// Whether something that ends the connection, or its open window, follows so soon that a
    /// delayed ACK is never sent.
    fn is_cut_short(&self, line: &Line) -> bool {
        let ends = |step: &Step| match &step.action {
            Action::Segment(shape) => shape.flags.intersects(Flags::RST | Flags::SYN),
            Action::App(call) => matches!(call, Call::Abort | Call::Close | Call::Unlisten),
        };
        let steps = self.case.steps.iter().zip(&self.kernel.times);
        steps
            .skip(line.step + 1)
            .any(|(step, &at)| ends(step) && at.saturating_sub(line.at) < DELAY)
    }
}

pub(crate) fn sack_blocks(view: &View<'_>) -> Option<Resume> {
    let (Some(theirs), Some(own)) = view.lines() else { return None };
    let blocks = |line: &Line| {
        let counts = line.said.options.iter().filter_map(|option| match option {
            Named::Sack(blocks) => Some(blocks.len()),
            _ => None,
        });
        counts.sum::<usize>()
    };
    // Linux forgets what does not fit, and tells of fewer until it is heard again.
    let many = view.ours.lines.iter().any(|line| line.at <= own.at && blocks(line) >= 3);
    // The FIN's ACK, from a side that has closed: Linux sends it before it clears its list.
    let fin_ends = acknowledged(theirs) == view.kernel.behind_fin
        && view.case.steps[..theirs.step].iter().any(closes);
    let stale = fin_ends
        && theirs.said.options.iter().any(|option| match (option, theirs.said.ack) {
            (Named::Sack(blocks), Number::From(ack)) => {
                blocks.iter().all(|block| matches!(block.1, Number::From(end) if end <= ack))
            }
            _ => false,
        });
    let sack = has_sack(theirs) || has_sack(own);
    let same = theirs.step == own.step && bare_of_options(theirs) == bare_of_options(own);
    if (many || stale) && sack && same && sacks(theirs) != sacks(own) {
        return view.behind(1, 1);
    }
    let other_size = theirs.said.len != own.said.len && blocks(theirs) != blocks(own);
    (many && other_size).then_some(Resume::Never)
}

pub(crate) fn stamp(view: &View<'_>) -> Option<Resume> {
    let step = step_of(view.difference, view.kernel, view.ours);
    let is_old = |shape: &Shape| matches!(shape.options, Choice::Old(_));
    let old_reset = view.case.steps[..=step].iter().any(|step| match &step.action {
        Action::Segment(shape) => is_old(shape) && shape.flags.contains(Flags::RST),
        Action::App(_) => false,
    });
    let (theirs, own) = view.lines_at();
    let old_ack = own.is_some_and(|own| {
        let bare = own.said.flags == Flags::ACK && own.said.len == 0;
        bare && view.stimulus(own).is_some_and(is_old) && view.is_behind(own, theirs)
    });
    if old_reset || old_ack {
        return Some(Resume::Never);
    }
    let (Some(theirs), Some(own)) = (theirs, own) else { return None };
    let closed = view.case.steps[..own.step].iter().any(closes);
    let never_agreed = view.ours.lines.iter().all(|line| said_stamps(line).is_empty());
    let stamped = theirs.step == own.step && !said_stamps(theirs).is_empty();
    if never_agreed && stamped && closed && bare_of_options(theirs) == bare_of_options(own) {
        return view.behind(1, 1);
    }
    let unstamped = |line: &Line| {
        let mut said = line.said.clone();
        said.options.retain(|option| !matches!(option, Named::Timestamps { .. }));
        (said, said_stamps(line))
    };
    let ((kernel, stamps), (ours, own_stamps)) = (unstamped(theirs), unstamped(own));
    let odd = view.case.steps[..=own.step].iter().any(|step| match &step.action {
        Action::Segment(shape) => {
            let odd_ack = shape.ack.offset != 0 || shape.ack.base != Base::Next;
            odd_ack || shape.flags.contains(Flags::FIN)
        }
        Action::App(_) => false,
    });
    let Difference::Line(..) = *view.difference else { return None };
    let delayed_before = view.before.contains(&DELAYED_ACK);
    // Text that is all old, and ends where the window begins.
    let repeated = view.stimulus(own).is_some_and(|shape| shape.len > 0)
        && before(view.ours, own).is_some_and(|line| line.said.ack == own.said.ack);
    let again = view.before.contains(&TIMESTAMPS);
    let why = odd || delayed_before || closed || repeated || again;
    let why = why && theirs.step == own.step;
    (why && kernel == ours && stamps == own_stamps).then(|| view.behind(1, 1))?
}

/// The last line before this one.
fn before<'t>(side: &'t Transcript, line: &Line) -> Option<&'t Line> {
    side.lines.iter().rev().find(|before| before.at < line.at)
}

/// How many timestamps there are, and whether they grow.
fn said_stamps(line: &Line) -> Vec<bool> {
    let stamps = line.said.options.iter().filter_map(|option| match option {
        Named::Timestamps { grows, .. } => Some(*grows),
        _ => None,
    });
    stamps.collect()
}
