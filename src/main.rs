//! The program `tunstack`: the stack over a TUN interface, from the command line.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
