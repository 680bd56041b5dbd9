//! Chargen on tunstack, with a send buffer of a given size: what `tunstack serve` does, but for the
//! size.

use std::io::{self, Write};
use std::net::Ipv4Addr;

use tunstack::apps::Chargen;
use tunstack::device::{Device, Interface, OffloadTun, Tun};
use tunstack::runtime::Runtime;
use tunstack::{Config, Stack};

/// Serves chargen on `address` until the process is killed.
///
/// # Errors
/// When the interface cannot be opened.
pub(crate) fn serve(tun: &str, address: Ipv4Addr, buffer: u32, offload: bool) -> io::Result<()> {
    let interface = Interface::look_up(tun).map_err(io::Error::other)?;
    let tun: Box<dyn Device> = if offload {
        Box::new(OffloadTun::open(&interface, None).map_err(io::Error::other)?)
    } else {
        Box::new(Tun::open(&interface, None).map_err(io::Error::other)?)
    };
    let mut config = Config::with_addresses([address.into()]);
    config.mtu = tun.mtu();
    config.tcp.max_send_buffer = buffer;
    let stack = Stack::new(config, [7; 32]).map_err(io::Error::other)?;
    let mut runtime = Runtime::new(stack, tun)?;
    let listener = runtime.stack().listen((address, 19).into()).map_err(io::Error::other)?;
    runtime.serve(listener, Box::new(Chargen::default()));
    println!("ready");
    io::stdout().flush()?;
    runtime.run()
}
