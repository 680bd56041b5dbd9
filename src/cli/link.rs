//! What every command needs first: the interface, the stack's addresses on it, and a seed.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use log::warn;
use tunstack::device::{Device, Interface, OffloadTun, Tun, TunError};
use tunstack::stack::ConfigError;
use tunstack::{Config, Stack};

use super::Failure;
use super::arguments::Offload;

/// The stack's addresses unless others are given.
const DEFAULT_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 203, 0, 2));
const DEFAULT_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd74, 0x756e, 0x7374, 0, 0, 0, 0, 2));

/// The system's source of randomness.
const RANDOM: &str = "/dev/urandom";

/// Opens the interface and makes a configuration with its MTU and these addresses, or the default
/// ones if there are none.
pub(super) fn open(
    name: &str,
    addresses: &[IpAddr],
    mtu: Option<usize>,
    offload: Offload,
) -> Result<(Box<dyn Device>, Config), Failure> {
    let interface = Interface::look_up(name).map_err(Failure::new)?;
    // The default IPv6 address is left out on an interface without IPv6.
    let without_v6 = addresses.is_empty() && !interface.reaches(DEFAULT_V6);
    let addresses = match addresses {
        [] if without_v6 => vec![DEFAULT_V4],
        [] => vec![DEFAULT_V4, DEFAULT_V6],
        given => given.to_vec(),
    };
    let mut config = Config::with_addresses(addresses);
    config.mtu = mtu.unwrap_or(interface.mtu());
    config.validate().map_err(in_terms_of_arguments)?;
    for &address in &config.addresses {
        interface.check_address(address).map_err(Failure::new)?;
    }
    let device = attach(&interface, mtu, offload).map_err(Failure::new)?;
    if without_v6 {
        warn!("interface {name} has no address in the network of {DEFAULT_V6}: IPv4 only");
    }
    Ok((device, config))
}

/// Opens the interface as the kind of device that was asked for, or as the best that the kernel has.
fn attach(
    interface: &Interface,
    mtu: Option<usize>,
    offload: Offload,
) -> Result<Box<dyn Device>, TunError> {
    let plain = || -> Result<Box<dyn Device>, _> { Ok(Box::new(Tun::open(interface, mtu)?)) };
    if offload == Offload::Off {
        return plain();
    }
    match OffloadTun::open(interface, mtu) {
        Ok(tun) => Ok(Box::new(tun)),
        Err(error) if offload == Offload::Auto && error.may_be_plain() => {
            let tun = plain()?;
            warn!(
                "the kernel refuses to offload on interface {}: going on without, as with `--offload off`",
                interface.name()
            );
            Ok(tun)
        }
        Err(error) => Err(error),
    }
}

fn in_terms_of_arguments(error: ConfigError) -> Failure {
    Failure::new(match error {
        ConfigError::NotUnicast(address) => {
            format!("--address {address} is not an address a host can have: give a unicast address")
        }
        ConfigError::Mtu { mtu, least } => format!(
            "an MTU of {mtu} is out of range: give `--mtu` {least} to 65535 (IPv6 needs 1280, IPv4 alone 576)"
        ),
        other => other.to_string(),
    })
}

/// A stack with a seed of the system's.
pub(super) fn new_stack(config: Config) -> Result<Stack, Failure> {
    let mut seed = [0; 32];
    File::open(RANDOM)
        .and_then(|mut file| file.read_exact(&mut seed))
        .map_err(|error| Failure::new(format!("cannot read {RANDOM}: {error}")))?;
    Stack::new(config, seed).map_err(Failure::new)
}
