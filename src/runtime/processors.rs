//! What the kernel says of the processors that this thread runs on: whether there are several, and
//! whether another thread has needed the one it has.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use crate::time::Instant;

/// For so long what was seen is taken to hold: a thread may be bound at any time, and to look costs
/// as much as to look for a packet.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// What was seen last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Processors {
    seen: Option<Seen>,
    /// How often this thread had lost its processor to another.
    preemptions: i64,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    several: bool,
    at: Instant,
}

impl Processors {
    /// Whether there are several processors in the mask of the calling thread (sched_getaffinity),
    /// as it was a second ago or later. Not known counts as no.
    pub(super) fn are_several(&mut self, now: Instant) -> bool {
        match self.seen {
            Some(seen) if now < seen.at + GOOD_FOR => seen.several,
            _ => {
                let several = count() > 1;
                self.seen = Some(Seen { several, at: now });
                several
            }
        }
    }

    /// Whether the calling thread has lost its processor to another since this was last asked: it was
    /// made to wait, though it was ready to go on. Not known counts as no.
    pub(super) fn were_needed(&mut self) -> bool {
        let before = self.preemptions;
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) {
            self.preemptions = usage.involuntary_context_switches();
        }
        self.preemptions != before
    }
}

/// How many processors the calling thread may run on.
fn count() -> usize {
    let this_thread = Pid::from_raw(0);
    let Ok(mask) = sched_getaffinity(this_thread) else { return 0 };
    (0..CpuSet::count()).filter(|&n| mask.is_set(n).unwrap_or(false)).count()
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::sched::sched_setaffinity;

    use super::super::clock::Clock;
    use super::*;

    /// Runs the body in a thread that is bound to one processor; it is given the mask from before.
    pub(in super::super) fn on_one_processor(body: impl FnOnce(CpuSet) + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let this_thread = Pid::from_raw(0);
                let before = sched_getaffinity(this_thread).expect("the mask can be read");
                let mut one = CpuSet::new();
                let first = (0..CpuSet::count()).find(|&n| before.is_set(n) == Ok(true));
                one.set(first.expect("it runs somewhere")).expect("it is a processor's number");
                sched_setaffinity(this_thread, &one).expect("a subset of the mask is allowed");
                body(before);
            });
        });
    }

    #[test]
    fn one_processor_is_not_several_and_the_mask_is_looked_at_again_after_a_second() {
        on_one_processor(|before| {
            let start = Instant::from_millis(5);
            let mut processors = Processors::default();
            assert!(!processors.are_several(start));
            sched_setaffinity(Pid::from_raw(0), &before).expect("it was allowed before");
            let several = count() > 1;
            assert!(!processors.are_several(start + GOOD_FOR - Duration::from_nanos(1)));
            assert_eq!(processors.are_several(start + GOOD_FOR), several);
        });
    }

    /// After this long a test has hung.
    const HANG: Duration = Duration::from_secs(60);

    #[test]
    fn it_is_told_when_another_thread_takes_the_processor() {
        on_one_processor(|_| {
            let (done, start) = (AtomicBool::new(false), Clock::start());
            let hangs = || start.now() > Instant::ZERO + HANG;
            let mut processors = Processors::default();
            std::thread::scope(|scope| {
                // Bound to the same one.
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
                processors.were_needed();
                while !processors.were_needed() && !hangs() {}
                done.store(true, Ordering::Relaxed);
            });
            assert!(!hangs());
            // Others may need it at any time, but not all the time.
            while processors.were_needed() && !hangs() {}
            assert!(!hangs());
        });
    }
}
