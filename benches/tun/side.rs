//! What is compared: tunstack, and those beside it.

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{self, Command};

use super::client::{AT_A_TIME, Work};
use super::floor::Settings;

/// The flags by which this program is started as one of the other parts.
pub(crate) const SERVE: &str = "--serve-smoltcp";
pub(crate) const SERVE_TUNSTACK: &str = "--serve-tunstack";
pub(crate) const SERVE_FLOOR: &str = "--serve-floor";
pub(crate) const SERVE_KERNEL: &str = "--serve-kernel";
pub(crate) const CLIENT: &str = "--client";
pub(crate) const CROWD: &str = "--crowd";
pub(crate) const MIXTURE: &str = "--mixture";
pub(crate) const ROUTE: &str = "--route";

/// Whether tunstack leaves segmentation and checksums to the kernel: what `--offload` is given.
pub(crate) fn offload() -> String {
    env::var("TUNSTACK_BENCH_OFFLOAD").unwrap_or_else(|_| "off".to_owned())
}

/// Tunstack's congestion controller: what `--congestion` is given.
pub(crate) fn congestion() -> String {
    env::var("TUNSTACK_BENCH_CONGESTION").unwrap_or_else(|_| "cubic".to_owned())
}

/// Bytes of smoltcp's buffers for bulk data, and of ours where they are the same for both.
const BULK_BUFFER: usize = 1 << 20;
/// The bytes to which our send buffer grows otherwise.
const GROWN_BUFFER: usize = 4 << 20;
/// Bytes of smoltcp's buffers for short connections.
const SMALL_BUFFER: usize = 16 << 10;

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Tunstack,
    Smoltcp,
    Floor(Floor),
    /// The kernel's own TCP in a second namespace, joined to the client's by a veth pair.
    Veth,
    /// The same in the client's namespace.
    Loopback,
}

/// A kind of the do-nothing responder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    vnet: bool,
    ack_every: u32,
    copies: bool,
}

impl Side {
    /// Those beside which tunstack is measured at `work`; only the kinds of the floor that differ
    /// in it.
    pub(crate) fn beside(work: Work) -> Vec<Self> {
        let mut sides = vec![Self::Smoltcp];
        for vnet in [false, true] {
            let kinds: &[(u32, bool)] = match work {
                Work::Send => &[(2, false), (32, false)],
                Work::Receive | Work::ReceiveDefault => &[(2, false), (2, true)],
                Work::PingPong | Work::Transactions => &[(2, false)],
            };
            sides.extend(
                kinds
                    .iter()
                    .map(|&(ack_every, copies)| Self::Floor(Floor { vnet, ack_every, copies })),
            );
        }
        sides.extend([Self::Veth, Self::Loopback]);
        sides
    }

    /// Its name in tables and on the command line.
    pub(crate) fn name(self, work: Work) -> String {
        match self {
            Self::Tunstack => "tunstack".to_owned(),
            Self::Smoltcp => "smoltcp".to_owned(),
            Self::Veth => "kernel-veth".to_owned(),
            Self::Loopback => "kernel-loopback".to_owned(),
            Self::Floor(floor) => {
                let link = if floor.vnet { "vnet" } else { "plain" };
                match work {
                    Work::Send => format!("floor-{link}-ack{}", floor.ack_every),
                    Work::Receive | Work::ReceiveDefault => {
                        format!("floor-{link}-{}", if floor.copies { "copy" } else { "bare" })
                    }
                    Work::PingPong | Work::Transactions => format!("floor-{link}"),
                }
            }
        }
    }

    /// Its own, as what one server has set of it stays when another opens it.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Self::Tunstack => "tun0",
            Self::Smoltcp => "tun1",
            Self::Floor(Floor { vnet: false, .. }) => "tun2",
            Self::Floor(Floor { vnet: true, .. }) => "tun3",
            Self::Veth => "veth0",
            Self::Loopback => "lo",
        }
    }

    /// Every TUN, with the second byte of its addresses.
    pub(crate) const TUNS: [(&str, u8); 4] =
        [("tun0", 203), ("tun1", 204), ("tun2", 205), ("tun3", 206)];

    pub(crate) fn address(self) -> Ipv4Addr {
        let net = match self {
            Self::Tunstack => 203,
            Self::Smoltcp => 204,
            Self::Floor(Floor { vnet: false, .. }) => 205,
            Self::Floor(Floor { vnet: true, .. }) => 206,
            Self::Veth => 207,
            Self::Loopback => return Ipv4Addr::LOCALHOST,
        };
        Ipv4Addr::new(10, net, 0, 2)
    }

    /// The command that serves what `work` needs.
    pub(crate) fn command(self, work: Work) -> Command {
        self.command_behind(work, process::id())
    }

    /// The same, with the kernel's TCP joined to the network of this process.
    pub(crate) fn command_behind(self, work: Work, peer: u32) -> Command {
        let address = self.address().to_string();
        let buffer = if work == Work::ReceiveDefault { GROWN_BUFFER } else { BULK_BUFFER };
        let mut command = this_program();
        match self {
            Self::Tunstack if work == Work::Receive => {
                command.args([SERVE_TUNSTACK, self.interface(), &address]);
                command.args([BULK_BUFFER.to_string(), offload()]);
            }
            Self::Tunstack => {
                command = tunstack(self.interface(), self.address(), &offload());
            }
            Self::Smoltcp => {
                // Those that are closing are not free yet, hence twice as many as are in use.
                let (sockets, buffer) = match work {
                    Work::Transactions => (2 * AT_A_TIME, SMALL_BUFFER),
                    _ => (2, BULK_BUFFER),
                };
                command.args([SERVE, self.interface(), &address]);
                command.args([work.port() as usize, sockets, buffer].map(|n| n.to_string()));
            }
            Self::Floor(floor) => {
                command.args([SERVE_FLOOR, self.interface(), &work.port().to_string()]);
                command.args([floor.vnet, floor.copies].map(|is| is.to_string()));
                command.args([floor.ack_every.to_string(), buffer.to_string()]);
            }
            Self::Veth | Self::Loopback => {
                let buffer = if work == Work::Receive { BULK_BUFFER } else { 0 };
                command.args([SERVE_KERNEL, self.interface(), work.name(), &address]);
                command.args([buffer.to_string(), peer.to_string()]);
            }
        }
        command
    }
}

/// The settings of the floor from the arguments of its command, behind the interface.
///
/// # Errors
/// When they are others.
pub(crate) fn floor_settings(arguments: &[&str]) -> Result<Settings, String> {
    let [port, vnet, copies, ack_every, buffer] = arguments else {
        return Err(format!("{SERVE_FLOOR} TUN PORT VNET COPIES ACK-EVERY BUFFER"));
    };
    Ok(Settings {
        port: parsed(port)?,
        vnet: parsed(vnet)?,
        copies: parsed(copies)?,
        ack_every: parsed(ack_every)?,
        buffer: parsed(buffer)?,
    })
}

/// # Errors
/// When the text is no such value.
pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not what it should be"))
}

/// The command that has `tunstack` serve everything it can, with `--offload` as given.
pub(crate) fn tunstack(interface: &str, address: Ipv4Addr, offload: &str) -> Command {
    let mut command = Command::new(program());
    command.args(["serve", "--tun", interface, "--address", &address.to_string()]);
    command.args(["--offload", offload, "--congestion", &congestion()]);
    command
}

/// The `tunstack` that is measured.
fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_tunstack");
    env::var_os("TUNSTACK_BENCH_PROGRAM").map_or_else(|| built.into(), PathBuf::from)
}

pub(crate) fn this_program() -> Command {
    Command::new(env::current_exe().expect("this program has a path"))
}
