//! `tunstack serve`: answers connections until a signal ends it.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use log::info;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tunstack::apps::{Chargen, Discard, Echo, Http};
use tunstack::device::{Device, Pcap};
use tunstack::runtime::{App, Runtime};
use tunstack::{Config, Stack};

use super::arguments::{self, Serve};
use super::{Failure, link, signals};

/// Serves until it is told to end.
pub(super) fn run(arguments: &Serve) -> Result<(), Failure> {
    let http = http(&arguments.http)?;
    let (tun, mut config) =
        link::open(&arguments.tun, &arguments.addresses, arguments.mtu, arguments.offload)?;
    config.time_wait = Duration::from_secs(arguments.time_wait.into());
    config.max_buffer_memory = arguments.memory << 20;
    config.tcp.congestion = arguments.congestion.into();
    config.tcp.ecn = arguments.ecn.into();
    let addresses = config.addresses.clone();
    let apps: [Box<dyn App>; 4] = [
        Box::new(http),
        Box::new(Echo::default()),
        Box::new(Discard),
        Box::new(Chargen::default()),
    ];
    match &arguments.pcap {
        None => serve(tun, config, &addresses, arguments, apps),
        Some(path) => {
            let tap = Pcap::create(tun, path).map_err(|error| {
                Failure::new(format!(
                    "cannot write the capture file {}: {error}: give another with `--pcap FILE`",
                    path.display()
                ))
            })?;
            serve(tap, config, &addresses, arguments, apps)
        }
    }
}

fn serve<D: Device>(
    device: D,
    config: Config,
    addresses: &[IpAddr],
    arguments: &Serve,
    apps: [Box<dyn App>; 4],
) -> Result<(), Failure> {
    let stack = link::new_stack(config)?;
    let mut runtime = Runtime::new(stack, device).map_err(Failure::new)?;
    runtime.set_spin(arguments.spin);
    let any = any_address(addresses);
    for ((name, port), app) in arguments.ports().into_iter().zip(apps) {
        let on = SocketAddr::new(any, port.get());
        let listener = runtime.stack().listen(on).map_err(|error| {
            Failure::new(format!("cannot listen for {name} on port {port}: {error}"))
        })?;
        runtime.serve(listener, app);
    }
    signals::end(&mut runtime)?;
    announce(arguments, addresses)
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))?;
    let result = runtime.run().map_err(Failure::new);
    log_counters(&mut runtime);
    result
}

fn http(arguments: &arguments::Http) -> Result<Http, Failure> {
    let Some(directory) = &arguments.directory else {
        return Ok(Http::status_page());
    };
    allow_many_files();
    Http::directory(directory).map_err(|error| {
        Failure::new(format!(
            "cannot serve the directory {}: {error}: give another with `--http PORT,DIR`",
            directory.display()
        ))
    })
}

/// Every download that waits for its client holds a file open, so as many are allowed as may be
/// without privilege. Where that fails the limit stays, and a client beyond it gets 503.
fn allow_many_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// What stands for all addresses: `[::]` takes in IPv4 as well.
fn any_address(addresses: &[IpAddr]) -> IpAddr {
    if addresses.iter().any(IpAddr::is_ipv6) {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

/// The one line that says that connections are accepted from now on.
fn announce(arguments: &Serve, addresses: &[IpAddr]) -> io::Result<()> {
    let mut line = format!("ready {}", arguments.tun);
    for address in addresses {
        line += &format!(" {address}");
    }
    for (name, port) in arguments.ports() {
        line += &format!(" {name} {port}");
    }
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

fn log_counters<D: Device>(runtime: &mut Runtime<D>) {
    for (name, value) in runtime.device().losses().iter() {
        info!("{name} {value}");
    }
    let stack: &Stack = runtime.stack();
    for (name, value) in stack.counters().iter() {
        info!("{name} {value}");
    }
}
