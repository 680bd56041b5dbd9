//! What the benches share: quartiles, interleaved samples, verdicts, a clock, and children with
//! a time limit.

// Each bench is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::fmt;
use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Whether to run just enough to show that the bench works: with `TUNSTACK_BENCH_QUICK=1`, or when
/// it is not `cargo bench` that runs it (`cargo test --all-targets` builds and runs benches too).
pub(crate) fn is_quick() -> bool {
    let asked = std::env::var_os("TUNSTACK_BENCH_QUICK").is_some_and(|value| value != "0");
    asked || !std::env::args().any(|argument| argument == "--bench")
}

/// The median of some samples and the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quartiles {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Quartiles {
    /// Of at least one sample.
    pub(crate) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |fraction| at_fraction(&sorted, fraction);
        Self { lower: at(0.25), median: at(0.5), upper: at(0.75) }
    }

    /// Of the ratios of each pair of samples.
    pub(crate) fn of_ratios(ours: &[f64], theirs: &[f64]) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Self::of(&ratios)
    }
}

/// The value below which this fraction lies of some values in order, at least one.
pub(crate) fn at_fraction(sorted: &[f64], fraction: f64) -> f64 {
    let place = fraction * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// How long this thread has been on a processor: what other programs do meanwhile does not count.
pub(crate) fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has that clock").into()
}

/// `median (lower to upper)`, with the precision asked for.
impl fmt::Display for Quartiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { lower, median, upper } = self;
        write!(f, "{median:.digits$} ({lower:.digits$} to {upper:.digits$})")
    }
}

/// Runs `first` and `second` in turns, each as often as the other and each as often ahead of it, so
/// that what else the machine does falls on both.
///
/// # Errors
/// The first there is.
pub(crate) fn interleave<T, E>(
    pairs: usize,
    mut first: impl FnMut() -> Result<T, E>,
    mut second: impl FnMut() -> Result<T, E>,
) -> Result<(Vec<T>, Vec<T>), E> {
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        if pair % 2 == 0 {
            firsts.push(first()?);
            seconds.push(second()?);
        } else {
            seconds.push(second()?);
            firsts.push(first()?);
        }
    }
    Ok((firsts, seconds))
}

/// Bytes in memory of the process whose /proc/PID/status this is; `None` when it has ended.
pub(crate) fn resident_in(status: &str) -> Option<usize> {
    let status = fs::read_to_string(status).ok()?;
    // VmRSS:	    1234 kB
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<usize>().ok()? << 10)
}

/// Whether a figure that should be small is small enough.
pub(crate) fn verdict(value: f64, goal: f64) -> &'static str {
    if value <= goal { "met" } else { "missed" }
}

/// Runs a command to its end, at most `limit` long; what it prints comes back.
///
/// # Errors
/// When it cannot be started, or had to be killed because its time was up.
pub(crate) fn output_within(command: &mut Command, limit: Duration) -> io::Result<Output> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Both pipes are drained beside the wait, or a child that prints much would never end.
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdout = thread::spawn(move || read_all(stdout));
    let stderr = thread::spawn(move || read_all(stderr));
    let status = wait_within(&mut child, limit);
    let (stdout, stderr) = (stdout.join(), stderr.join());
    Ok(Output {
        status: status?,
        stdout: stdout.unwrap_or_default(),
        stderr: stderr.unwrap_or_default(),
    })
}

fn read_all(pipe: Option<impl io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What could not be read is missing from a message only.
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// Waits for a child, and kills it when its time is up.
///
/// # Errors
/// When it had to be killed.
pub(crate) fn wait_within(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            let message = format!("not done after {limit:?}, killed");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        thread::sleep(Duration::from_millis(5));
    }
}
