//! `tunstack connect`: what nc does, from the stack. Standard input goes to the peer, what the
//! peer sends to standard output.

mod pipe;
mod standard;

use std::net::{SocketAddr, ToSocketAddrs};
use std::rc::Rc;

use tunstack::runtime::Runtime;

use self::pipe::{Pipe, Verdict};
use self::standard::{Input, Output};
use super::arguments::Connect;
use super::{Failure, link, signals};

/// Connects, and runs until both directions have ended.
pub(super) fn run(arguments: &Connect) -> Result<(), Failure> {
    let peers = resolve(&arguments.host, arguments.port.get())?;
    let addresses: Vec<_> = arguments.address.into_iter().collect();
    let (tun, mut config) = link::open(&arguments.tun, &addresses, None, arguments.offload)?;
    config.tcp.congestion = arguments.congestion.into();
    config.tcp.ecn = arguments.ecn.into();
    let stack = link::new_stack(config)?;
    let mut runtime = Runtime::new(stack, tun).map_err(Failure::new)?;
    runtime.set_spin(arguments.spin);
    let waker = runtime.waker();
    signals::end(&mut runtime)?;
    let cannot_start = |error| Failure::new(format!("cannot start a thread: {error}"));
    let input = Input::start(waker.clone()).map_err(cannot_start)?;
    let output = Output::start(waker.clone()).map_err(cannot_start)?;

    let verdict = Rc::new(Verdict::default());
    let mut pipe = Pipe::new(peers, input, output, waker, Rc::clone(&verdict));
    pipe.connect_next(runtime.stack(), "it has no address");
    runtime.add(Box::new(pipe));
    runtime.run().map_err(Failure::new)?;
    // Without a verdict it was a signal that ended the loop.
    verdict.take().unwrap_or_else(|| Err(Failure::new("interrupted")))
}

/// Every address of the host, in the order of preference.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let unknown = |why: String| Failure::new(format!("cannot find the address of {host}: {why}"));
    let peers: Vec<_> =
        (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?.collect();
    if peers.is_empty() {
        return Err(unknown("it has none".into()));
    }
    Ok(peers)
}
