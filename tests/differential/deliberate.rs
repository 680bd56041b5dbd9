//! Where this stack differs from Linux on purpose: each entry with its reason and the clause, and
//! as narrow a description of what may differ as there is.

use std::time::Duration;

use tunstack::wire::Flags;

use super::acknowledging::{DELAY, acknowledged, delayed_ack, has_sack, sack_blocks, stamp};
use super::case::{Action, Base, Call, Case, Open, Pause, Place, Shape, Step};
use super::duplicates::{report_of_syn, report_of_twice};
use super::segment::Field;
use super::transcript::{Answer, Cursor, Difference, Line, Named, Said, Transcript, step_of};

pub(crate) const TIMESTAMPS: &str = "timestamps";
pub(crate) const DELAYED_ACK: &str = "when an ACK is delayed";

/// An entry of the table.
pub(crate) struct Deliberate {
    pub(crate) name: &'static str,
    /// Why, and by which clause. Nobody suffers from it for the reason given here.
    pub(crate) reason: &'static str,
    pub(crate) explains: fn(&View<'_>) -> Option<Resume>,
}

/// Two transcripts and where they part.
pub(crate) struct View<'a> {
    pub(crate) case: &'a Case,
    pub(crate) kernel: &'a Transcript,
    pub(crate) ours: &'a Transcript,
    pub(crate) difference: &'a Difference,
    /// The entries that have explained something before.
    pub(crate) before: &'a [&'static str],
}

/// How the comparison goes on behind a difference that is explained.
pub(crate) enum Resume {
    /// From there.
    At(Cursor),
    /// It does not: the two are in different states from here on.
    Never,
}

pub(crate) const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        name: "PSH inside a long write",
        reason: "Linux pushes at least once in half a window; MUST-61 (RFC 9293 section 3.9.1.2) \
                 asks for PSH where nothing queued is left behind, which both do",
        explains: pushed_inside,
    },
    Deliberate {
        name: "a segment without ACK outside the window",
        reason: "RFC 9293 section 3.10.7.4, first step: it is answered with an ACK; Linux looks \
                 for the ACK bit first and drops it",
        explains: no_ack_outside_window,
    },
    Deliberate {
        name: "the SYN,ACK and the FIN of a simultaneous open",
        reason: "RFC 7323 sections 2.2 and 3.2, RFC 2018 section 2: the options are those that the peer \
                 has offered, where Linux repeats all of its own SYN's; RFC 9293 section 3.10.4: a FIN \
                 waits until the connection is established, where Linux sends it before; RFC 6298 \
                 section 3: the RTT counts from the SYN, where Linux counts from the SYN,ACK; and \
                 Linux scales windows that it should not",
        explains: simultaneous_open,
    },
    Deliberate {
        name: "a report of what has come twice",
        reason: "RFC 2883 section 4: \"the first block of the SACK option should be a D-SACK block\", and \
                 a FIN is no exception: Linux forgets it when it takes the FIN in, with all other \
                 blocks. It does not see what has come twice in a segment beyond a hole that begins \
                 where another ends, for it appends before it compares. First rule: it is of data; \
                 Linux also tells of the SYN, when that of a simultaneous open comes again as SYN,ACK",
        explains: |view| report_of_twice(view).or_else(|| report_of_syn(view)),
    },
    Deliberate {
        name: "what SACK blocks tell",
        reason: "RFC 2018 section 4: as many blocks as fit, the most recent first; Linux remembers \
                 four, here all are known, and tells of blocks that it acknowledges in the same \
                 segment when a FIN ends FIN-WAIT-2",
        explains: sack_blocks,
    },
    Deliberate {
        name: TIMESTAMPS,
        reason: "RFC 7323 section 4.3: TS.Recent moves for segments at or before Last.ACK.sent, which \
                 depends on the ACKs that are delayed; not for a segment that RFC 5961 section 5.2 \
                 discards for its ACK, nor for one that is all old (section 5.3, R2 before R3). Section \
                 5.3: an old one is acknowledged, also if it is bare, and a reset is never too old. \
                 Linux differs in these, and once closed has timestamps that were never agreed on",
        explains: stamp,
    },
    Deliberate {
        name: DELAYED_ACK,
        reason: "RFC 9293 section 3.8.6.3 lets an ACK wait for half a second, for text or a FIN to go \
                 with. Linux lets that of a FIN wait, here it goes out at the end of the batch; and \
                 Linux's quick ACKs are counted otherwise",
        explains: delayed_ack,
    },
    Deliberate {
        name: "an ACK inside a segment",
        reason: "RFC 6298 section 5.3: an ACK of anything new restarts the timer; Linux waits for the \
                 end of a segment",
        explains: ack_inside_segment,
    },
    Deliberate {
        name: "a SYN or an ACK that was never right",
        reason: "RFC 9293 section 3.10.7.4: in SYN-RECEIVED a second SYN leads back to LISTEN without \
                 a word, where Linux resets; the sequence number is looked at before the ACK, and a \
                 wrong ACK is answered with a reset; RFC 5961 section 5.2: one from before our first \
                 byte is challenged. Linux looks at the ACK first while half open, drops an old one \
                 in a simultaneous open, and takes one of before its first byte for old when the \
                 text that comes with it is in order",
        explains: |view| second_syn(view).or_else(|| wrong_ack(view)),
    },
    Deliberate {
        name: "a reset when both have closed",
        reason: "RFC 9293 section 3.10.7.4, second step: in CLOSING and LAST-ACK the user is not told, \
                 and loses nothing when all text has been acknowledged; Linux tells of a reset",
        explains: reset_after_both,
    },
    Deliberate {
        name: "text or a reset at the right edge of the window",
        reason: "RFC 9293 section 3.10.7.4: what lies beyond the window is cut off, and a reset beyond \
                 it dropped; Linux takes all of the segment, or nothing, by what waits to be read, \
                 and where its window is not scaled means a wider one than it can say",
        explains: across_the_edge,
    },
    Deliberate {
        name: "an orphan in FIN-WAIT-2",
        reason: "RFC 5961 sections 4.2 and 5.2: challenges, as in every synchronized state; Linux keeps \
                 no more of an orphan than of TIME-WAIT, resets it by a SYN, looks at no ACK and \
                 forgets what to say in SACK blocks",
        explains: orphan,
    },
    Deliberate {
        name: "how much goes out at once",
        reason: "RFC 5681 counts bytes (section 3.1), waits for three duplicate ACKs (section 3.2) and \
                 starts anew after a pause of one RTO (section 4.1); Linux counts segments, of \
                 whatever size, waits for one duplicate ACK without SACK after it has had one for a \
                 single segment, and halves for each RTO. RFC 9293 section 3.8.6.2.1: the largest \
                 window was that of the SYN; Linux counts from the ACK of it on, and fills half of \
                 that",
        explains: congestion_window,
    },
    Deliberate {
        name: "the first probe of a closed window after a timeout",
        reason: "RFC 9293 section 3.8.6.1 (SHLD-29): after one RTO, backed off as it is; Linux backs \
                 off twice",
        explains: first_probe,
    },
    Deliberate {
        name: "text or FIN of a SYN",
        reason: "RFC 9293 section 3.10.7.2: they are queued; Linux throws them away without Fast \
                 Open, the SYN with them if it has a FIN, and the peer sends them again",
        explains: text_of_syn,
    },
    Deliberate {
        name: "text beyond the peer's FIN",
        reason: "RFC 9293 section 3.10.7.4, seventh step: \"Ignore the segment text\"; Linux takes it \
                 while something is missing before the FIN, and resets when part of it is old. Only a \
                 peer that contradicts itself sends it",
        explains: text_beyond_fin,
    },
];

impl View<'_> {
    /// The two segments where the transcripts part.
    pub(crate) fn lines(&self) -> (Option<&Line>, Option<&Line>) {
        match *self.difference {
            Difference::Line(theirs, own) => {
                (self.kernel.lines.get(theirs), self.ours.lines.get(own))
            }
            _ => (None, None),
        }
    }

    /// The same, also where only the times differ.
    pub(crate) fn lines_at(&self) -> (Option<&Line>, Option<&Line>) {
        match *self.difference {
            Difference::Line(theirs, own) | Difference::Time(theirs, own) => {
                (self.kernel.lines.get(theirs), self.ours.lines.get(own))
            }
            Difference::Answer(_) => (None, None),
        }
    }

    /// Whether the other side says nothing in the step of this line.
    pub(crate) fn is_behind(&self, line: &Line, other: Option<&Line>) -> bool {
        other.is_none_or(|other| other.step > line.step)
    }

    /// Behind so many segments of each side.
    pub(crate) fn behind(&self, theirs: usize, own: usize) -> Option<Resume> {
        match *self.difference {
            Difference::Line(a, b) | Difference::Time(a, b) => {
                Some(Resume::At(Cursor { kernel: a + theirs, ours: b + own, answers: 0 }))
            }
            Difference::Answer(_) => None,
        }
    }

    /// The segment of the peer that the line answers.
    pub(crate) fn stimulus(&self, line: &Line) -> Option<&Shape> {
        match &self.case.steps.get(line.step)?.action {
            Action::Segment(shape) => Some(shape),
            Action::App(_) => None,
        }
    }

    /// That one and the others that came without a pause between them: which of them is answered
    /// is not to be seen.
    fn stimuli(&self, line: &Line) -> impl Iterator<Item = &Shape> {
        let steps = &self.case.steps;
        let is_first = |step: &usize| steps[*step].pause != Pause::None;
        let from = (0..=line.step).rev().find(is_first).unwrap_or(0);
        let until = (line.step + 1..steps.len()).find(is_first).unwrap_or(steps.len());
        steps[from..until].iter().filter_map(|step| match &step.action {
            Action::Segment(shape) => Some(shape),
            Action::App(_) => None,
        })
    }
}

fn pushed_inside(view: &View<'_>) -> Option<Resume> {
    let (Some(theirs), Some(own)) = view.lines() else { return None };
    let unpushed = Said { flags: theirs.said.flags - Flags::PSH, ..bare_of_options(theirs) };
    let more_behind = own.said.flags == Flags::ACK && own.said.len > 0;
    (more_behind && unpushed == bare_of_options(own)).then(|| view.behind(1, 1))?
}

/// What a line says, without the options that have entries of their own.
pub(crate) fn bare_of_options(line: &Line) -> Said {
    let mut said = line.said.clone();
    said.options.retain(|option| {
        let padding = matches!(option, Named::Plain(Field::Nop));
        !padding && !matches!(option, Named::Sack(_) | Named::Timestamps { .. })
    });
    said
}

fn no_ack_outside_window(view: &View<'_>) -> Option<Resume> {
    let (_, own) = view.lines_at();
    let own = own?;
    let without = view
        .stimuli(own)
        .any(|shape| !shape.flags.intersects(Flags::ACK | Flags::RST | Flags::SYN));
    let bare = own.said.flags == Flags::ACK && own.said.len == 0;
    // It counts for the limit of such answers: others that both would give are left out.
    (without && bare).then_some(Resume::Never)
}

fn simultaneous_open(view: &View<'_>) -> Option<Resume> {
    if scales_without_agreement(view) {
        return Some(Resume::Never);
    }
    let (theirs, own) = view.lines_at();
    let by_a_timer = [theirs, own].into_iter().flatten().any(|line| line.repeats > 0);
    if by_a_timer && crossed(view) {
        return Some(Resume::Never);
    }
    let theirs = theirs?;
    let closed = view.case.steps.get(theirs.step)?.action == Action::App(Call::Close);
    let waits = own.is_none_or(|line| line.step > theirs.step);
    let early = theirs.said.flags.contains(Flags::FIN) && view.case.open == Open::Active;
    if closed && waits && early {
        return Some(Resume::Never);
    }
    let own = own.filter(|_| matches!(view.difference, Difference::Line(..)))?;
    let same = Said { options: own.said.options.clone(), ..theirs.said.clone() } == own.said;
    let syn_ack = own.said.flags == Flags::SYN | Flags::ACK && view.case.open == Open::Active;
    (same && syn_ack).then(|| view.behind(1, 1))?
}

/// In a simultaneous open Linux goes on scaling the windows it announces though the peer's SYN did
/// not offer to: the right edge that the peer sees is not where Linux's window ends.
fn scales_without_agreement(view: &View<'_>) -> bool {
    let at_edge = view.case.steps.iter().any(|step| match &step.action {
        Action::Segment(shape) => shape.seq.base == Base::Edge,
        Action::App(_) => false,
    });
    crossed(view) && at_edge
}

/// Whether there was a simultaneous open.
pub(crate) fn crossed(view: &View<'_>) -> bool {
    let syn_ack = |line: &Line| line.said.flags == Flags::SYN | Flags::ACK;
    view.case.open == Open::Active && view.kernel.lines.iter().any(syn_ack)
}

fn second_syn(view: &View<'_>) -> Option<Resume> {
    let (Some(theirs), own) = view.lines_at() else { return None };
    let mut syns = view.stimuli(theirs).filter(|shape| shape.flags.contains(Flags::SYN));
    let shape = syns.next()?;
    let reset = theirs.said.flags.contains(Flags::RST);
    let silent = view.is_behind(theirs, own);
    if !(reset && silent && view.case.open == Open::Passive) {
        return None;
    }
    // With an ACK that is wrong as well, Linux resets for that, and stays half open.
    if shape.flags.contains(Flags::ACK) { Some(Resume::Never) } else { view.behind(1, 0) }
}

fn first_probe(view: &View<'_>) -> Option<Resume> {
    let (_, own) = view.lines_at();
    let own = own?;
    let by_a_timer = own.after > DELAY;
    let bare = own.said.flags == Flags::ACK && own.said.len == 0;
    let timed_out = view.ours.lines.iter().any(|line| line.at < own.at && line.repeats > 0);
    let probe = by_a_timer && bare && timed_out && narrow_before(view, own.step);
    probe.then_some(Resume::Never)
}

fn text_of_syn(view: &View<'_>) -> Option<Resume> {
    let step = step_of(view.difference, view.kernel, view.ours);
    let before = view.case.steps.iter().take(step + 1);
    let syn_with_text = before.filter(|step| match &step.action {
        Action::Segment(shape) => {
            let more = shape.len > 0 || shape.flags.contains(Flags::FIN);
            shape.flags.contains(Flags::SYN) && more
        }
        Action::App(_) => false,
    });
    (syn_with_text.count() > 0).then_some(Resume::Never)
}

/// The least that an RTO can be.
const AT_LEAST_AN_RTO: Duration = Duration::from_millis(200);

/// Whether the peer had narrowed its window before.
fn narrow_before(view: &View<'_>, step: usize) -> bool {
    view.case.steps[..=step].iter().any(|step| match &step.action {
        Action::Segment(shape) => shape.window.is_some(),
        Action::App(_) => false,
    })
}

/// Whether the last text, or FIN, before this was sent at different steps.
fn later_before(view: &View<'_>) -> bool {
    let (Difference::Line(theirs, own) | Difference::Time(theirs, own)) = *view.difference else {
        return false;
    };
    let before = |side: &Transcript, place: usize| {
        let line = side.lines.get(place.checked_sub(1)?)?;
        let takes = line.said.len > 0 || line.said.flags.contains(Flags::FIN);
        takes.then_some(line.step)
    };
    match (before(view.kernel, theirs), before(view.ours, own)) {
        (Some(kernel), Some(ours)) => kernel != ours,
        _ => false,
    }
}

/// Without SACK, a duplicate ACK while one segment is in flight leads Linux to take one such ACK
/// for a loss from then on.
fn is_early_repair(view: &View<'_>, theirs: Option<&Line>) -> bool {
    let is_duplicate =
        |shape: &Shape| shape.ack.base == Base::Edge && shape.len == 0 && shape.flags == Flags::ACK;
    let duplicates = |line: &Line| {
        let until = view.case.steps[..=line.step].iter();
        let segments = until.filter(|step| match &step.action {
            Action::Segment(shape) => is_duplicate(shape),
            Action::App(_) => false,
        });
        segments.count()
    };
    let repair = theirs.filter(|line| line.repeats > 0 && line.after < DELAY);
    !view.case.offer.sack
        && repair.is_some_and(|line| view.stimuli(line).any(is_duplicate) && duplicates(line) > 1)
}

fn congestion_window(view: &View<'_>) -> Option<Resume> {
    let (theirs, own) = view.lines_at();
    let text = |line: Option<&Line>| {
        line.is_some_and(|line| line.said.len > 0 || line.said.flags.contains(Flags::FIN))
    };
    let at = |line: Option<&Line>| line.map(|line| (line.said.seq, line.step));
    let size = |line: Option<&Line>| line.map(|line| line.said.len);
    let late = matches!(view.difference, Difference::Time(..));
    let other = late || at(theirs) != at(own) || size(theirs) != size(own);
    let one_sends_more = (text(theirs) || text(own)) && other;
    let most = view.kernel.lines.iter().map(|line| line.said.len).max().unwrap_or(0);
    let small = view.kernel.lines.iter().any(|line| (1..most).contains(&line.said.len));
    let last_text = |line: Option<&Line>| {
        let at = line?.at;
        let mut texts =
            view.kernel.lines.iter().filter(|l| l.said.len > 0 && l.at + AT_LEAST_AN_RTO < at);
        texts.next_back()
    };
    let idle = last_text(theirs.or(own)).is_some();
    let options = view.kernel.lines.iter().flat_map(|line| &line.said.options);
    let shortened = options.into_iter().any(|option| matches!(option, Named::Sack(_)));
    let narrowed = one_sends_more && narrow_before(view, theirs.or(own)?.step);
    let shifted = one_sends_more && acks_inside(view, theirs.or(own)?.step);
    if narrowed || shifted || later_before(view) || is_early_repair(view, theirs) {
        return Some(Resume::Never);
    }
    (one_sends_more && (small || idle || shortened)).then_some(Resume::Never)
}

fn ack_inside_segment(view: &View<'_>) -> Option<Resume> {
    let (theirs, own) = view.lines_at();
    let line = theirs.or(own)?;
    let late =
        |line: Option<&Line>| line.is_some_and(|line| line.after > Duration::from_millis(50));
    let by_a_timer = late(theirs) || late(own);
    (acks_inside(view, line.step) && by_a_timer).then_some(Resume::Never)
}

/// Whether the peer had acknowledged a part of a segment.
fn acks_inside(view: &View<'_>, step: usize) -> bool {
    view.case.steps[..=step].iter().any(|step| match &step.action {
        Action::Segment(shape) => match shape.ack.base {
            Base::Next => shape.ack.offset < 0,
            Base::Edge => shape.ack.offset > 0,
            Base::Start => false,
        },
        Action::App(_) => false,
    })
}

fn is_close(step: &Step) -> bool {
    step.action == Action::App(Call::Close)
}

/// Whether our side of the connection ends.
pub(crate) fn closes(step: &Step) -> bool {
    is_close(step) || step.action == Action::App(Call::Shutdown)
}

fn orphan(view: &View<'_>) -> Option<Resume> {
    let (theirs, own) = view.lines_at();
    let bare = |line: &&Line| line.said.flags == Flags::ACK && line.said.len == 0;
    let is_reset = |line: &Line| line.said.flags.contains(Flags::RST);
    if let (Some(theirs), Some(own)) = view.lines()
        && view.case.steps[..own.step].iter().any(is_close)
        && theirs.step == own.step
        && !has_sack(theirs)
        && has_sack(own)
        && bare_of_options(theirs) == bare_of_options(own)
    {
        return view.behind(1, 1);
    }
    let reset_by_syn = theirs.is_some_and(|line| {
        let mut syns = view.stimuli(line).filter(|shape| shape.flags.contains(Flags::SYN));
        let closed = view.case.steps[..line.step].iter().any(is_close);
        is_reset(line) && closed && syns.next().is_some() && view.is_behind(line, own)
    });
    if reset_by_syn {
        return Some(Resume::Never);
    }
    // A FIN with an ACK of what was never sent: Linux takes it in, here it is challenged.
    let wrong_fin = |shape: &Shape| {
        let wrong = shape.ack.base == Base::Next && shape.ack.offset > 0;
        shape.flags.contains(Flags::FIN) && wrong
    };
    if let (Some(theirs), Some(own)) = (theirs.filter(bare), own.filter(bare))
        && view.case.steps[..own.step].iter().any(is_close)
        && theirs.step == own.step
        && view.stimulus(own).is_some_and(wrong_fin)
        && acknowledged(theirs) == view.kernel.behind_fin
        && acknowledged(own) < acknowledged(theirs)
    {
        return Some(Resume::Never);
    }
    let (line, other) = match own.filter(bare) {
        Some(own) if view.is_behind(own, theirs) || theirs.is_some_and(is_reset) => (own, theirs),
        _ => (theirs.filter(bare)?, own),
    };
    view.stimulus(line)?;
    let before = &view.case.steps[..line.step];
    let closed = before.iter().any(is_close);
    let reset = other.is_some_and(|other| other.said.flags.contains(Flags::RST));
    (closed && (reset || view.is_behind(line, other))).then_some(Resume::Never)
}

fn text_beyond_fin(view: &View<'_>) -> Option<Resume> {
    let (theirs, own) = view.lines_at();
    let step = theirs.into_iter().chain(own).map(|line| line.step).max()?;
    let contradictions = [view.kernel.contradiction, view.ours.contradiction];
    let first = contradictions.into_iter().flatten().min()?;
    (first <= step).then_some(Resume::Never)
}

fn wrong_ack(view: &View<'_>) -> Option<Resume> {
    let (theirs, own) = view.lines_at();
    let step = step_of(view.difference, view.kernel, view.ours);
    let Action::Segment(shape) = &view.case.steps.get(step)?.action else { return None };
    let wrong =
        shape.flags.contains(Flags::ACK) && shape.ack != Place { base: Base::Next, offset: 0 };
    let lines = view.kernel.lines.iter().rev();
    let of_this_connection = lines.take_while(|line| !line.said.flags.contains(Flags::SYN));
    let nothing_sent =
        !of_this_connection.into_iter().any(|line| line.step < step && line.said.len > 0);
    let answer =
        |line: Option<&Line>| line.is_none_or(|line| line.step > step || line.said.len == 0);
    let ancient = view.kernel.before_first_byte.contains(&step);
    // The challenge counts for the limit of such answers.
    let limited = view.kernel.before_first_byte.iter().any(|&before| before < step)
        && theirs.is_some_and(|line| line.step == step && line.said.flags == Flags::ACK)
        && own.is_none_or(|line| line.step > step);
    let first = wrong && (nothing_sent || ancient);
    ((first || limited) && answer(theirs) && answer(own)).then_some(Resume::Never)
}

/// What Linux's window may be wider than it says: here, two segments and a little.
const MOST_WIDER: i64 = 3_000;

fn reset_after_both(view: &View<'_>) -> Option<Resume> {
    let Difference::Answer(place) = *view.difference else { return None };
    let (step, kernel) = view.kernel.answers[place];
    let ours = view.ours.answers[place].1;
    let before = &view.case.steps[..step];
    let fin_and_reset = [Flags::FIN, Flags::RST].into_iter().all(|flag| {
        before.iter().any(|step| match &step.action {
            Action::Segment(shape) => shape.flags.contains(flag),
            Action::App(_) => false,
        })
    });
    let shut = before.iter().any(|step| step.action == Action::App(Call::Shutdown));
    let told = kernel == Answer::Reset && matches!(ours, Answer::Pipe | Answer::End);
    (told && fin_and_reset && shut).then_some(Resume::Never)
}

fn across_the_edge(view: &View<'_>) -> Option<Resume> {
    let step = step_of(view.difference, view.kernel, view.ours);
    view.case.steps[..=step]
        .iter()
        .any(|step| match &step.action {
            Action::Segment(Shape {
                seq: Place { base: Base::Edge, offset }, len, flags, ..
            }) => {
                let takes = *len as i64 + i64::from(flags.contains(Flags::FIN));
                let more = takes > 0 || flags.contains(Flags::RST) || *offset > 0;
                *offset <= MOST_WIDER && offset + takes >= 0 && more
            }
            // Linux takes a reset for one in the window whose text alone reaches into it.
            Action::Segment(Shape { len, flags, .. }) => {
                let more = *len > 0 || flags.intersects(Flags::FIN | Flags::SYN);
                flags.contains(Flags::RST) && more
            }
            Action::App(_) => false,
        })
        .then_some(Resume::Never)
}
