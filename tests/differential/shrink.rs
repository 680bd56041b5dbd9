//! Smaller cases that may show the same difference.

use std::time::Duration;

use super::case::{Action, Base, Call, Case, Choice, Fault, Offer, Pause, Place, Shape, Step};

/// Long enough for what comes at once, and for delayed ACKs.
const SHORT_TAIL: Duration = Duration::from_millis(300);

/// Cases that are simpler than this one, the much simpler ones first.
pub(crate) fn candidates(case: &Case) -> Vec<Case> {
    let mut smaller = Vec::new();
    let len = case.steps.len();
    let mut run = len / 2;
    while run > 0 {
        for start in (0..len).step_by(run) {
            let mut steps = case.steps.clone();
            steps.drain(start..(start + run).min(len));
            smaller.push(Case { steps, ..case.clone() });
        }
        run /= 2;
    }
    if case.tail > SHORT_TAIL {
        smaller.push(Case { tail: SHORT_TAIL, ..case.clone() });
    }
    if case.offer != Offer::PLAIN {
        smaller.push(Case { offer: Offer::PLAIN, ..case.clone() });
        let Offer { mss, window_scale, sack, timestamps } = case.offer;
        let plain = Offer::PLAIN;
        for offer in [
            Offer { mss: plain.mss, window_scale, sack, timestamps },
            Offer { mss, window_scale: None, sack, timestamps },
            Offer { mss, window_scale, sack: false, timestamps },
            Offer { mss, window_scale, sack, timestamps: false },
        ] {
            if offer != case.offer {
                smaller.push(Case { offer, ..case.clone() });
            }
        }
    }
    for (number, step) in case.steps.iter().enumerate() {
        for simpler in simpler_steps(step) {
            let mut steps = case.steps.clone();
            steps[number] = simpler;
            smaller.push(Case { steps, ..case.clone() });
        }
    }
    smaller
}

fn simpler_steps(step: &Step) -> Vec<Step> {
    let mut simpler = Vec::new();
    if step.pause != Pause::Quiet {
        simpler.push(Step { pause: Pause::Quiet, ..step.clone() });
    }
    match &step.action {
        Action::App(Call::Write(len)) if *len > 100 => {
            simpler.push(Step { action: Action::App(Call::Write(100)), ..step.clone() });
        }
        Action::App(_) => {}
        Action::Segment(shape) => {
            let shapes = simpler_shapes(shape).into_iter().filter(|simple| simple != shape);
            simpler.extend(
                shapes.map(|shape| Step { action: Action::Segment(shape), ..step.clone() }),
            );
        }
    }
    simpler
}

fn simpler_shapes(shape: &Shape) -> Vec<Shape> {
    let next = Place { base: Base::Next, offset: 0 };
    let mut shapes = vec![
        Shape::ack(),
        Shape { fault: Fault::None, ..shape.clone() },
        Shape { options: Choice::Usual, ..shape.clone() },
        Shape { urgent: 0, ..shape.clone() },
        Shape { window: None, ..shape.clone() },
        Shape { ack: next, ..shape.clone() },
        Shape { seq: next, ..shape.clone() },
        Shape { len: 0, ..shape.clone() },
    ];
    if shape.len > 10 {
        shapes.push(Shape { len: 10, ..shape.clone() });
    }
    for flag in shape.flags.iter() {
        shapes.push(Shape { flags: shape.flags - flag, ..shape.clone() });
    }
    shapes
}
