//! The command line. Whatever goes wrong becomes one line on standard error that names the cause
//! and what mends it, and exit status 1.

mod arguments;
mod connect;
mod link;
mod plot;
mod serve;
mod signals;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use env_logger::Env;

use self::arguments::Command;

/// Runs the program with the arguments of the process.
pub(crate) fn run() -> ExitCode {
    let command = match arguments::parse(std::env::args_os()) {
        Ok(command) => command,
        Err(arguments::NotRun::Shown(text)) => return show(&text),
        Err(arguments::NotRun::Refused(failure)) => return fail(&failure),
    };
    env_logger::Builder::from_env(Env::default().default_filter_or("warn")).init();
    let result = match &command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Connect(arguments) => connect::run(arguments),
        Command::Plot(arguments) => plot::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

/// Prints what `--help` and `--version` asked for.
fn show(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(failure: &Failure) -> ExitCode {
    // When standard error is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "tunstack: {failure}");
    ExitCode::FAILURE
}

/// What went wrong, in one line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

impl Failure {
    /// The text, whose line ends become spaces.
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        let text = what.to_string();
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
