//! The entry of the table about what has come twice (RFC 2883). Linux leaves some of it unreported: ours
//! may report it there, and nowhere else, if it is true and all else is the same.

use tunstack::wire::Flags;

use super::acknowledging::acknowledged;
use super::deliberate::{Resume, View, crossed};
use super::segment::Field;
use super::transcript::{Arrival, Difference, Line, Named, Number, Said};

/// Our line reports what has come twice, and Linux's is the same without.
pub(crate) fn report_of_twice(view: &View<'_>) -> Option<Resume> {
    let Difference::Line(_, place) = *view.difference else { return None };
    let (theirs, own) = view.lines();
    let own = own?;
    let report = Report::of(own)?;
    if !came_twice(&view.ours.arrivals, own.step, report.twice) {
        return None;
    }
    let same = theirs.is_some_and(|theirs| {
        theirs.step == own.step && theirs.said == report.rest && theirs.same_time(own)
    });
    let ack = acknowledged(own)?;
    if report.twice.1 > ack {
        let unseen = is_appended(view.ours.arrivals.iter(), own.step, ack, report.twice);
        return (same && unseen && report.is_within_second()).then(|| view.behind(1, 1))?;
    }
    let earlier = &view.ours.lines[..place];
    let takes_fin = Some(ack) == view.ours.behind_fin
        && earlier.iter().all(|line| acknowledged(line) < Some(ack));
    if !takes_fin || report.others > 0 {
        return None;
    }
    if same {
        return view.behind(1, 1);
    }
    // Without a report the ACK of the FIN may wait, and differs for that from then on.
    let waits = view.is_behind(own, theirs) && own.said.len == 0;
    (waits && view.is_made_up_for(own, view.kernel)).then(|| view.behind(0, 1))?
}

/// Linux's line reports the SYN, which has come again as a SYN,ACK and completes a simultaneous open
/// (tcp_validate_incoming lets it pass to where text is looked at), and ours is the same without.
pub(crate) fn report_of_syn(view: &View<'_>) -> Option<Resume> {
    let (Some(theirs), Some(own)) = view.lines() else { return None };
    let report = Report::of(theirs)?;
    let same = theirs.step == own.step && own.said == report.rest && theirs.same_time(own);
    let syn_ack =
        view.stimulus(own).is_some_and(|shape| shape.flags.contains(Flags::SYN | Flags::ACK));
    let of_syn = report.twice == (0, 1) && report.others == 0;
    (same && syn_ack && of_syn && crossed(view)).then(|| view.behind(1, 1))?
}

/// A line's first SACK block, which tells of what has come twice, and what else it says.
struct Report {
    twice: (i64, i64),
    /// The block behind it, and how many there are.
    second: Option<(i64, i64)>,
    others: usize,
    /// The same without the report.
    rest: Said,
}

impl Report {
    fn of(line: &Line) -> Option<Self> {
        let mut rest = line.said.clone();
        let at = rest.options.iter().position(|option| matches!(option, Named::Sack(_)))?;
        let Named::Sack(blocks) = &mut rest.options[at] else { return None };
        let twice = bounds(blocks.remove(0))?;
        let (second, others) = (blocks.first().copied().and_then(bounds), blocks.len());
        if others == 0 {
            // With the padding before it.
            let padding = |option: &Named| matches!(option, Named::Plain(Field::Nop));
            let from =
                at - rest.options[..at].iter().rev().take_while(|o| padding(o)).count().min(2);
            rest.options.drain(from..=at);
        }
        Some(Self { twice, second, others, rest })
    }

    /// RFC 2883 section 4, fourth rule: what has come twice beyond a hole is in the second block.
    fn is_within_second(&self) -> bool {
        self.second.is_some_and(|(start, end)| start <= self.twice.0 && self.twice.1 <= end)
    }
}

fn bounds((start, end): (Number, Number)) -> Option<(i64, i64)> {
    match (start, end) {
        (Number::From(start), Number::From(end)) => Some((start, end)),
        _ => None,
    }
}

/// Whether every number of the range had come at least twice by the end of this step, the last time
/// in it. What lies before the peer's SYN is taken for old by both stacks, as all before RCV.NXT.
fn came_twice(arrivals: &[Arrival], step: usize, (start, end): (i64, i64)) -> bool {
    let come: Vec<Arrival> = arrivals.iter().copied().filter(|a| a.step <= step).collect();
    let brings = |a: &Arrival| a.start < end && a.end > start;
    let last = come.last().is_some_and(|a| a.step == step && brings(a));
    let times = |number: i64| {
        let holding = come.iter().filter(|a| (a.start..a.end).contains(&number));
        holding.count() + usize::from(number < 0)
    };
    // How often a number has come changes only where a segment begins or ends.
    let edges = come.iter().flat_map(|a| [a.start, a.end]);
    let mut looked_at = edges.filter(|edge| (start..end).contains(edge)).chain([start]);
    last && looked_at.all(|number| times(number) >= 2)
}

/// Whether the segment of this step, beyond what is acknowledged, holds the range and begins where
/// one before it has ended.
fn is_appended<'a>(
    arrivals: impl Iterator<Item = &'a Arrival> + Clone,
    step: usize,
    ack: i64,
    (start, end): (i64, i64),
) -> bool {
    let holds = |a: &&Arrival| a.step == step && a.start > ack && a.start <= start && end <= a.end;
    let before = |new: &Arrival| {
        arrivals.clone().any(|a| a.step < step && a.start > ack && a.end == new.start)
    };
    arrivals.clone().filter(holds).any(before)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::campaign::unexplained;
    use crate::case::{Action, Case, Offer, Open, Pause, Shape, Step};
    use crate::transcript::{Ip, Transcript, Window};

    /// A step, how many milliseconds behind it, what is acknowledged, and the SACK blocks.
    type Ack<'a> = (usize, u64, i64, &'a [(i64, i64)]);

    /// What comes, and in which step; the FIN's ACK; the SYN,ACK that a simultaneous open begins with.
    struct Scene<'a> {
        comes: &'a [(i64, i64)],
        behind_fin: Option<i64>,
        crossed: bool,
    }

    fn line((step, after, ack, blocks): Ack<'_>, flags: Flags) -> Line {
        let after = Duration::from_millis(after);
        let number = |&(a, b): &(i64, i64)| (Number::From(a), Number::From(b));
        let mut options = Vec::new();
        if !blocks.is_empty() {
            options.extend([Named::Plain(Field::Nop), Named::Plain(Field::Nop)]);
            options.push(Named::Sack(blocks.iter().map(number).collect()));
        }
        Line {
            at: time(step) + after,
            step,
            after,
            repeats: 0,
            since_first: Duration::ZERO,
            said: Said {
                flags,
                seq: Number::From(1),
                len: 0,
                text_is_right: true,
                ack: Number::From(ack),
                window: Window::Open,
                edge_moved_left: false,
                urgent: 0,
                options,
                ip: Ip { ttl: 64, tos: 0, dont_fragment: true },
            },
        }
    }

    fn time(step: usize) -> Duration {
        Duration::from_secs(1 + step as u64)
    }

    impl Scene<'_> {
        fn transcript(&self, acks: &[Ack<'_>]) -> Transcript {
            let arrivals = self.comes.iter().enumerate();
            let syn_ack = self.crossed.then(|| line((0, 0, 1, &[]), Flags::SYN | Flags::ACK));
            let acks = acks.iter().map(|&ack| line(ack, Flags::ACK));
            Transcript {
                lines: syn_ack.into_iter().chain(acks).collect(),
                times: (0..self.comes.len()).map(time).collect(),
                end: time(100),
                arrivals: arrivals
                    .map(|(step, &(start, end))| Arrival { step, start, end })
                    .collect(),
                behind_fin: self.behind_fin,
                ..Transcript::default()
            }
        }

        /// Whether the table explains all that differs between these ACKs of Linux's and ours.
        fn is_explained(&self, linux: &[Ack<'_>], ours: &[Ack<'_>]) -> bool {
            let flags = if self.crossed { Flags::SYN | Flags::ACK } else { Flags::ACK };
            let action = Action::Segment(Shape { flags, ..Shape::ack() });
            let step = Step { pause: Pause::Quiet, action };
            let case = Case {
                seed: 0,
                open: if self.crossed { Open::Active } else { Open::Passive },
                offer: Offer { sack: true, ..Offer::PLAIN },
                steps: vec![step; self.comes.len()],
                tail: Duration::ZERO,
            };
            let (linux, ours) = (self.transcript(linux), self.transcript(ours));
            unexplained(&case, &linux, &ours, &mut Vec::new()).is_none()
        }
    }

    fn comes(comes: &[(i64, i64)]) -> Scene<'_> {
        Scene { comes, behind_fin: None, crossed: false }
    }

    #[test]
    fn a_report_beside_a_fin_is_ours_alone_if_it_is_true() {
        // 1:101, and 51:151 with a FIN at 150.
        let again = Scene { behind_fin: Some(151), ..comes(&[(1, 101), (51, 151)]) };
        let first: Ack<'_> = (0, 0, 101, &[]);
        let ours = [first, (1, 0, 151, &[(51, 101)])];
        assert!(again.is_explained(&[first, (1, 0, 151, &[])], &ours));
        assert!(again.is_explained(&[first, (1, 45, 151, &[])], &ours), "a delayed ACK");
        assert!(!again.is_explained(&[first], &ours), "Linux never acknowledges the FIN");
        assert!(!again.is_explained(&[first, (1, 0, 141, &[])], &ours), "nor this");
        for (what, report) in [
            ("more than came twice", (50, 101)),
            ("up to where nothing had come", (51, 102)),
            ("nothing that came in this step", (1, 41)),
        ] {
            let ours = [first, (1, 0, 151, &[report])];
            assert!(!again.is_explained(&[first, (1, 0, 151, &[])], &ours), "{what}");
        }
        let two: &[(i64, i64)] = &[(51, 101), (200, 210)];
        let ours = [first, (1, 0, 151, two)];
        assert!(!again.is_explained(&[first, (1, 0, 151, &[])], &ours), "another block");

        let before_syn = Scene { behind_fin: Some(12), ..comes(&[(0, 1), (-9, 12)]) };
        let linux = [(0, 0, 1, &[][..]), (1, 0, 12, &[])];
        assert!(before_syn.is_explained(&linux, &[linux[0], (1, 0, 12, &[(-9, 1)])]));
        assert!(!before_syn.is_explained(&linux, &[linux[0], (1, 0, 12, &[(-9, 2)])]));
        assert!(!before_syn.is_explained(&linux, &[linux[0], (1, 0, 12, &[(-10, 1)])]));

        let no_fin = comes(&[(1, 101), (51, 151)]);
        let ours = [first, (1, 0, 151, &[(51, 101)])];
        assert!(!no_fin.is_explained(&[first, (1, 0, 151, &[])], &ours), "there is no FIN");
        let after = Scene { behind_fin: Some(101), ..comes(&[(1, 101), (51, 101)]) };
        let ours = [first, (1, 0, 101, &[(51, 101)])];
        assert!(!after.is_explained(&[first, (1, 0, 101, &[])], &ours), "the FIN had been taken");
    }

    #[test]
    fn what_only_linux_reports_is_no_difference_on_purpose() {
        let again = comes(&[(1, 101), (51, 151)]);
        let first: Ack<'_> = (0, 0, 101, &[]);
        assert!(
            !again.is_explained(&[first, (1, 0, 151, &[(51, 101)])], &[first, (1, 0, 151, &[])])
        );
        assert!(
            !again.is_explained(
                &[first, (1, 0, 151, &[(51, 101)])],
                &[first, (1, 0, 151, &[(51, 91)])]
            )
        );
    }

    #[test]
    fn a_report_beyond_a_hole_is_ours_alone_where_linux_appends() {
        // 11:21 and 23:24 beyond a hole, and 21:31 at the end of the first.
        let appended = comes(&[(11, 21), (23, 24), (21, 31)]);
        let (one, two): (Ack<'_>, Ack<'_>) =
            ((0, 0, 1, &[(11, 21)]), (1, 0, 1, &[(23, 24), (11, 21)]));
        let linux = [one, two, (2, 0, 1, &[(11, 31)])];
        assert!(appended.is_explained(&linux, &[one, two, (2, 0, 1, &[(23, 24), (11, 31)])]));
        for (what, blocks) in [
            ("it came once", [(22, 23), (11, 31)]),
            ("the second block does not hold it", [(23, 24), (31, 41)]),
            ("the second block differs", [(23, 24), (11, 32)]),
        ] {
            assert!(!appended.is_explained(&linux, &[one, two, (2, 0, 1, &blocks)]), "{what}");
        }
        let later = [one, two, (2, 60, 1, &[(11, 31)])];
        assert!(!appended.is_explained(&later, &[one, two, (2, 0, 1, &[(23, 24), (11, 31)])]));

        // Nothing ends where this one begins.
        let apart = comes(&[(23, 24), (22, 31)]);
        let one: Ack<'_> = (0, 0, 1, &[(23, 24)]);
        assert!(!apart.is_explained(
            &[one, (1, 0, 1, &[(22, 31)])],
            &[one, (1, 0, 1, &[(23, 24), (22, 31)])]
        ));
    }

    #[test]
    fn linux_alone_reports_the_syn_of_a_simultaneous_open() {
        let crossed = Scene { crossed: true, ..comes(&[(0, 1), (0, 1)]) };
        let ours: Ack<'_> = (1, 0, 1, &[]);
        assert!(crossed.is_explained(&[(1, 0, 1, &[(0, 1)])], &[ours]));
        assert!(!crossed.is_explained(&[(1, 0, 1, &[(0, 2)])], &[ours]));
        let not_crossed = Scene { crossed: false, ..crossed };
        assert!(!not_crossed.is_explained(&[(1, 0, 1, &[(0, 1)])], &[ours]));
    }
}
