//! Pictures of connections: time across, sequence numbers up, as tcptrace drew them first.
//!
//! A [`Trace`] is what a picture shows, and anybody can fill one: a [`Follower`] does from the
//! segments of a connection in the order in which somebody saw them (a capture, a simulated link),
//! and a caller who knows more than segments tell, such as a congestion window, adds a [`Panel`], or
//! [`Samples`] out of a file.
//! [`draw`] makes an SVG of it.
//!
//! A capture is read by [`Capture`], which streams; [`Connections`] tells its packets apart. So the
//! whole way is: one pass to list the connections, another to follow one of them.
//!
//! ```
//! use tunstack::plot::{Follower, Look, Side, Unit, draw};
//! use tunstack::time::Instant;
//! use tunstack::wire::{Flags, Frame, codec};
//!
//! # fn packets() -> Vec<(Instant, Side, Vec<u8>)> { Vec::new() }
//! let mut follower = Follower::default();
//! for (at, side, packet) in packets() {
//!     if let Some(seen) = codec::observe(&packet, packet.len()) {
//!         follower.on_segment(at, side, &seen.segment);
//!     }
//! }
//! let mut trace = follower.finish();
//! trace.title = "a run of the simulator".into();
//! let window = trace.series("congestion window", Unit::Bytes, "cwnd", Look::Steps);
//! window.push((Instant::ZERO, 14_480.0));
//! window.push((Instant::from_millis(50), 28_960.0));
//! assert!(draw(&trace)?.starts_with("<svg "));
//! # Ok::<(), tunstack::plot::DrawError>(())
//! ```

mod capture;
mod chart;
mod compact;
mod connections;
mod coverage;
mod follower;
mod link;
mod picture;
mod round_trips;
mod samples;
mod scoreboard;
mod thin;
mod trace;
mod units;

pub use capture::{Capture, CaptureError, Ending};
pub use connections::{Connection, Connections, MAX_CONNECTIONS};
pub use follower::{Follower, MAX_SEGMENTS};
pub use link::Link;
pub use picture::{DrawError, draw};
pub use samples::{MAX_SAMPLES, Samples, SamplesError};
pub use trace::{
    Acked, IN_FLIGHT, Look, Mark, MarkKind, Panel, ROUND_TRIPS, Sacked, Sent, SentKind, Series,
    Side, Trace, Unit,
};
pub use units::quantity;
