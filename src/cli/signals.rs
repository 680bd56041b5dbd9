//! SIGINT and SIGTERM end the program: the first in order, the second at once.

use nix::sys::signal::Signal;
use tunstack::device::Device;
use tunstack::runtime::Runtime;

use super::Failure;

/// From now on both signals end the loop, which has to run in this thread.
pub(super) fn end<D: Device>(runtime: &mut Runtime<D>) -> Result<(), Failure> {
    let signals = [Signal::SIGINT, Signal::SIGTERM].map(|signal| signal as i32);
    runtime
        .end_on_signals(&signals)
        .map_err(|error| Failure::new(format!("cannot receive signals: {error}")))
}
