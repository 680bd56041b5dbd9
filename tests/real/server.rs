//! The program under test.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::counters::Counters;
use super::interface::stack_v4;
use super::process::{Launch, Outcome, Program, launch};

/// The program: the one that `TUNSTACK_BIN` names, else the one built with this test, so that it is
/// never an old one (`cargo test --release` tests the release build).
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("TUNSTACK_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_tunstack").into(), PathBuf::from)
}

/// The program with these arguments. `TUNSTACK_TEST_OFFLOAD` says which kind of device it uses where
/// they do not.
pub(crate) fn tunstack(arguments: &[&str]) -> Launch {
    let (command, rest) = arguments.split_at(arguments.len().min(1));
    let program = launch([binary()]).and(command);
    let runs = matches!(command, ["serve" | "connect"]) && !rest.contains(&"--offload");
    let program = match std::env::var("TUNSTACK_TEST_OFFLOAD") {
        Ok(offload) if runs => program.and(["--offload", offload.as_str()]),
        _ => program,
    };
    program.and(rest)
}

/// `tunstack serve`, accepting connections.
pub(crate) struct Server {
    program: Program,
}

impl Server {
    /// Starts it with these arguments after `serve`, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let all: Vec<&str> = ["serve"].iter().chain(arguments).copied().collect();
        Self::ready(tunstack(&all))
    }

    /// The same with a log of this level among its errors.
    pub(crate) fn start_logging(level: &str, arguments: &[&str]) -> Self {
        let program = launch(["env"]).and([format!("RUST_LOG={level}")]).and([binary()]);
        Self::ready(program.and(["serve"]).and(arguments))
    }

    fn ready(launch: Launch) -> Self {
        let mut program = launch.start();
        program.wait_for_output("a line that starts with `ready`", |output| {
            output.starts_with("ready") && output.ends_with('\n')
        });
        Self { program }
    }

    /// Its counters, over IPv4 and the default port.
    pub(crate) fn counters(&self) -> Counters {
        Counters::open(stack_v4(80))
    }

    /// Bytes of its memory that are resident.
    pub(crate) fn resident_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.program.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
        kibibytes.parse::<u64>().unwrap() * 1024
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Outcome {
        self.program.finish()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.program.has_ended()
    }

    /// Insists that it still runs.
    pub(crate) fn assert_alive(&mut self) {
        let ended = self.has_ended();
        assert!(!ended, "the server has ended; {}", self.program.printed());
    }
}
