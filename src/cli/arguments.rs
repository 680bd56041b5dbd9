//! What may be asked for on the command line.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tunstack::runtime::MAX_SPIN;

use super::Failure;

/// A userspace TCP/IP stack over a Linux TUN interface.
#[derive(Debug, Parser)]
#[command(name = "tunstack", version, arg_required_else_help = false)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Answer connections: HTTP, echo, discard and character generator
    Serve(Serve),
    /// Connect standard input and output with a peer, as nc does
    Connect(Connect),
    /// Draw a connection of a capture: sequence numbers, windows and losses over time, as SVG
    Plot(Plot),
}

#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The TUN interface
    #[arg(long, value_name = "NAME", default_value = "tun0")]
    pub(super) tun: String,
    /// An address of the stack; may be repeated [default: 10.203.0.2 and fd74:756e:7374::2]
    #[arg(long = "address", value_name = "ADDRESS", value_parser = address)]
    pub(super) addresses: Vec<IpAddr>,
    /// Bytes of the largest IP packet [default: the interface's MTU]
    #[arg(long, value_name = "N", value_parser = mtu)]
    pub(super) mtu: Option<usize>,
    /// Whether segments pass the interface uncut and unsummed; auto: where the kernel can
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(super) offload: Offload,
    /// What decides how much may be in the network
    #[arg(long, value_enum, value_name = "NAME", default_value = "cubic")]
    pub(super) congestion: Congestion,
    /// Whether routers may mark packets instead of dropping them, and how marks come back
    #[arg(long, value_enum, value_name = "WHICH", default_value = "accept")]
    pub(super) ecn: Ecn,
    /// How long to look out for packets before each sleep while that pays off, in microseconds; 0: never
    #[arg(long, value_name = "MICROSECONDS", default_value = "50", value_parser = spin)]
    pub(super) spin: Duration,
    /// Port of the HTTP server, and the directory it serves instead of its status page
    #[arg(long, value_name = "PORT[,DIR]", default_value = "80", value_parser = http)]
    pub(super) http: Http,
    /// Port of the echo server
    #[arg(long, value_name = "PORT", default_value = "7", value_parser = port)]
    pub(super) echo: NonZeroU16,
    /// Port of the discard server
    #[arg(long, value_name = "PORT", default_value = "9", value_parser = port)]
    pub(super) discard: NonZeroU16,
    /// Port of the character generator
    #[arg(long, value_name = "PORT", default_value = "19", value_parser = port)]
    pub(super) chargen: NonZeroU16,
    /// Record every packet in this file, for tcpdump and Wireshark
    #[arg(long, value_name = "FILE")]
    pub(super) pcap: Option<PathBuf>,
    /// How long a closed connection is remembered (2 MSL), in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = time_wait)]
    pub(super) time_wait: u32,
    /// The most memory that the buffers of all connections take together, in MiB
    #[arg(long, value_name = "MIB", default_value = "1024", value_parser = memory)]
    pub(super) memory: usize,
}

/// Which kind of device the interface is opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Offload {
    // Not documentation, which would make every help text a long one.
    // Where the kernel can.
    Auto,
    // Always, or not at all.
    On,
    // Never: every packet is one segment with its checksum.
    Off,
}

/// The congestion controller of every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Congestion {
    // RFC 9438, with the slow start of RFC 9406.
    Cubic,
    // RFC 5681 and RFC 6582. Without the hyphen that clap would put into it.
    #[value(name = "newreno")]
    NewReno,
    // draft-ietf-ccwg-bbr-05.
    Bbr,
}

impl From<Congestion> for tunstack::tcp::congestion::Congestion {
    fn from(named: Congestion) -> Self {
        match named {
            Congestion::Cubic => Self::Cubic,
            Congestion::NewReno => Self::NewReno,
            Congestion::Bbr => Self::Bbr,
        }
    }
}

/// Explicit congestion notification on every connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Ecn {
    // Never.
    Off,
    // RFC 3168, when a peer asks for it.
    Accept,
    // RFC 3168, asked for when connecting, too.
    Request,
    // RFC 9768 as well, when a peer asks for it.
    AcceptAccurate,
    // RFC 9768, asked for when connecting, too.
    Accurate,
}

impl From<Ecn> for tunstack::tcp::Ecn {
    fn from(named: Ecn) -> Self {
        match named {
            Ecn::Off => Self::Off,
            Ecn::Accept => Self::Accept,
            Ecn::Request => Self::Request,
            Ecn::AcceptAccurate => Self::AcceptAccurate,
            Ecn::Accurate => Self::Accurate,
        }
    }
}

/// The port of the HTTP server and what it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Http {
    pub(super) port: NonZeroU16,
    pub(super) directory: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Connect {
    /// The TUN interface
    #[arg(long, value_name = "NAME", default_value = "tun0")]
    pub(super) tun: String,
    /// The address of the stack [default: 10.203.0.2 and fd74:756e:7374::2]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(super) address: Option<IpAddr>,
    /// Whether segments pass the interface uncut and unsummed; auto: where the kernel can
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(super) offload: Offload,
    /// What decides how much may be in the network
    #[arg(long, value_enum, value_name = "NAME", default_value = "cubic")]
    pub(super) congestion: Congestion,
    /// Whether routers may mark packets instead of dropping them, and how marks come back
    #[arg(long, value_enum, value_name = "WHICH", default_value = "accept")]
    pub(super) ecn: Ecn,
    /// How long to look out for packets before each sleep while that pays off, in microseconds; 0: never
    #[arg(long, value_name = "MICROSECONDS", default_value = "50", value_parser = spin)]
    pub(super) spin: Duration,
    /// The peer: an address or a name
    #[arg(value_name = "HOST")]
    pub(super) host: String,
    /// The peer's port
    #[arg(value_name = "PORT", value_parser = port)]
    pub(super) port: NonZeroU16,
}

#[derive(Args, Debug)]
pub(super) struct Plot {
    /// The capture: pcap or pcapng
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Which connection, by its number in the list [default: the one with the most data]
    #[arg(long, value_name = "N", value_parser = connection)]
    pub(super) connection: Option<NonZeroUsize>,
    /// Where the picture goes [default: beside the capture, as .svg]
    #[arg(long, value_name = "FILE.svg")]
    pub(super) output: Option<PathBuf>,
    /// What the sender knows and no segment tells, as the simulator writes it beside its captures: congestion
    /// window, slow start threshold, round-trip time, pacing rate, queue and losses
    #[arg(long, value_name = "FILE.trace")]
    pub(super) samples: Option<PathBuf>,
    /// Seconds since the connection's first packet from which on it is shown [default: all]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) from: Option<Duration>,
    /// Seconds up to which it is shown
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) to: Option<Duration>,
    /// List the connections of the capture instead
    #[arg(long, conflicts_with_all = ["connection", "output", "samples", "from", "to"])]
    pub(super) list: bool,
}

/// The longest TIME-WAIT that may be asked for: a day.
const MAX_TIME_WAIT: u32 = 86_400;

/// The most memory that may be asked for, in MiB: a TiB.
const MAX_MEMORY: usize = 1 << 20;

/// Why there is no command to run.
#[derive(Debug)]
pub(super) enum NotRun {
    /// Help or version was asked for: this is it.
    Shown(String),
    /// The arguments make no sense.
    Refused(Failure),
}

/// Understands the arguments of the process, the first of which is its name.
pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, NotRun> {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command: Command::Serve(serve) }) => {
            let serve = serve.validate().map_err(NotRun::Refused)?;
            Ok(Command::Serve(serve))
        }
        Ok(Arguments { command }) => Ok(command),
        Err(error) => Err(match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => NotRun::Shown(error.to_string()),
            _ => NotRun::Refused(one_line(&error.to_string())),
        }),
    }
}

/// The cause out of clap's paragraph: what comes before the usage, in one line.
fn one_line(error: &str) -> Failure {
    let cause = error.split("\nUsage:").next().unwrap_or_default();
    let cause = cause.split("\nFor more information").next().unwrap_or_default();
    let cause = cause.strip_prefix("error:").unwrap_or(cause).trim();
    Failure::new(format!("{cause}; see `tunstack --help`"))
}

impl Serve {
    /// Checks what no argument can know alone.
    fn validate(self) -> Result<Self, Failure> {
        let ports = self.ports();
        for (index, (name, port)) in ports.iter().enumerate() {
            let earlier = ports.iter().take(index).find(|(_, other)| other == port);
            if let Some((other, _)) = earlier {
                return Err(Failure::new(format!(
                    "port {port} is given twice, to --{other} and to --{name}: give each a port of its own"
                )));
            }
        }
        for (index, address) in self.addresses.iter().enumerate() {
            if self.addresses.iter().take(index).any(|other| other == address) {
                return Err(Failure::new(format!(
                    "--address {address} is given twice: give it once"
                )));
            }
        }
        Ok(self)
    }

    /// The servers and their ports, in the order in which they are named.
    pub(super) fn ports(&self) -> [(&'static str, NonZeroU16); 4] {
        [
            ("http", self.http.port),
            ("echo", self.echo),
            ("discard", self.discard),
            ("chargen", self.chargen),
        ]
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "give an IPv4 or IPv6 address such as 10.203.0.2".into())
}

fn port(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| "give a port from 1 to 65535".into())
}

fn connection(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "give a number from the list that `--list` prints".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give seconds such as 1.25".into())
}

fn mtu(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(mtu @ 576..=65_535) => Ok(mtu),
        _ => Err("give 576 to 65535 bytes, and at least 1280 with IPv6".into()),
    }
}

fn spin(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::from_micros) {
        Ok(limit) if limit <= MAX_SPIN => Ok(limit),
        _ => Err(format!("give 0 to {} whole microseconds", MAX_SPIN.as_micros())),
    }
}

fn time_wait(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds @ 0..=MAX_TIME_WAIT) => Ok(seconds),
        _ => Err(format!("give 0 to {MAX_TIME_WAIT} whole seconds")),
    }
}

fn memory(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(mib @ 1..=MAX_MEMORY) => Ok(mib),
        _ => Err(format!("give 1 to {MAX_MEMORY} whole MiB")),
    }
}

fn http(text: &str) -> Result<Http, String> {
    let (number, directory) = match text.split_once(',') {
        Some((_, "")) => return Err("give a directory after the comma, or no comma".into()),
        Some((number, directory)) => (number, Some(PathBuf::from(directory))),
        None => (text, None),
    };
    Ok(Http { port: port(number)?, directory })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    fn parse_words(line: &str) -> Result<Command, NotRun> {
        let words = std::iter::once("tunstack").chain(line.split_whitespace());
        parse(words.map(OsString::from))
    }

    fn serve(line: &str) -> Serve {
        match parse_words(line).unwrap() {
            Command::Serve(serve) => serve,
            other => panic!("not serve: {other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        match parse_words(line) {
            Err(NotRun::Refused(failure)) => failure.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let serve = serve("serve");
        assert_eq!(serve.tun, "tun0");
        assert!(serve.addresses.is_empty());
        let ports = serve.ports().map(|(name, port)| (name, port.get()));
        assert_eq!(ports, [("http", 80), ("echo", 7), ("discard", 9), ("chargen", 19)]);
        assert_eq!((serve.mtu, serve.time_wait, serve.pcap), (None, 60, None));
        assert_eq!(serve.memory << 20, tunstack::Config::default().max_buffer_memory);
        assert_eq!((serve.offload, serve.spin), (Offload::Auto, MAX_SPIN));
        let default = tunstack::Config::default().tcp.congestion;
        assert!(default == serve.congestion.into());
        assert_eq!(tunstack::tcp::Ecn::default(), serve.ecn.into());
    }

    #[test]
    fn everything_can_be_given() {
        let serve = serve(
            "serve --tun t1 --address 10.0.0.2 --address fd00::2 --mtu 9000 --offload on --congestion newreno \
             --ecn accept-accurate --spin 20 --http 8080,/srv/a,b --echo 1 --discard 2 --chargen 65535 --pcap x.pcap --time-wait 2 \
             --memory 16",
        );
        let addresses: [IpAddr; 2] = ["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        assert_eq!(serve.addresses, addresses);
        assert_eq!((serve.mtu, serve.offload), (Some(9000), Offload::On));
        assert_eq!((serve.congestion, serve.ecn), (Congestion::NewReno, Ecn::AcceptAccurate));
        assert_eq!(serve.http.directory, Some(PathBuf::from("/srv/a,b")));
        assert_eq!(serve.chargen.get(), 65_535);
        assert_eq!(serve.spin, Duration::from_micros(20));
        assert_eq!((serve.time_wait, serve.memory), (2, 16));
        assert!(matches!(
            parse_words("connect --tun t1 --address 10.0.0.2 --offload off --spin 0 example 80"),
            Ok(Command::Connect(Connect { offload: Offload::Off, spin: Duration::ZERO, .. }))
        ));
    }

    #[test]
    fn every_refusal_is_one_line_that_names_value_and_remedy() {
        for (line, parts) in [
            ("serve --mtu 100", &["100", "--mtu", "576"][..]),
            ("serve --mtu many", &["many", "--mtu"]),
            ("serve --address 10.0.0", &["10.0.0", "--address", "10.203.0.2"]),
            ("serve --address 10.0.0.2 --address 10.0.0.2", &["10.0.0.2", "twice"]),
            ("serve --offload maybe", &["maybe", "--offload", "auto", "on", "off"]),
            ("serve --congestion vegas", &["vegas", "--congestion", "cubic", "newreno"]),
            (
                "connect --congestion bbr2 host 1",
                &["bbr2", "--congestion", "cubic", "newreno", "bbr"],
            ),
            ("serve --ecn 3", &["3", "--ecn", "off", "accept", "request", "accurate"]),
            ("serve --spin 51", &["51", "--spin", "0 to 50 whole microseconds"]),
            ("serve --spin 0.5", &["0.5", "--spin", "0 to 50 whole microseconds"]),
            ("connect --spin much host 1", &["much", "--spin", "0 to 50 whole microseconds"]),
            ("serve --http 0", &["0", "--http", "1 to 65535"]),
            ("serve --http 80,", &["80,", "--http", "directory"]),
            ("serve --echo 70000", &["70000", "--echo", "1 to 65535"]),
            ("serve --echo 80", &["80", "http", "echo", "twice"]),
            ("serve --chargen 9", &["9", "discard", "chargen", "twice"]),
            ("serve --time-wait -1", &["-1"]),
            ("serve --time-wait 99999999", &["99999999", "--time-wait", "86400"]),
            ("serve --memory 0", &["0", "--memory", "1 to 1048576"]),
            ("serve --echo 1 --echo 2", &["--echo"]),
            ("serve --unknown", &["--unknown"]),
            ("serve extra", &["extra"]),
            ("connect", &["<HOST>", "<PORT>"]),
            ("connect host", &["<PORT>"]),
            ("plot", &["<FILE>"]),
            ("plot x.pcap --connection 0", &["0", "--connection", "--list"]),
            ("plot x.pcap --connection one", &["one", "--connection", "--list"]),
            ("plot x.pcap --list --connection 1", &["--list", "--connection"]),
            ("connect host 0", &["0", "<PORT>", "1 to 65535"]),
            ("", &["subcommand", "serve", "connect"]),
            ("sever", &["sever", "serve"]),
        ] {
            let text = refused(line);
            assert!(!text.contains('\n'), "{line}: {text}");
            assert!(!text.contains("Usage"), "{line}: {text}");
            for part in parts {
                assert!(text.contains(part), "{line}: {text:?} lacks {part:?}");
            }
        }
    }

    #[test]
    fn help_and_version_are_shown() {
        for line in ["--help", "--version", "serve --help", "help connect", "plot --help"] {
            assert!(matches!(parse_words(line), Err(NotRun::Shown(_))), "{line}");
        }
    }
}
