//! Looks a network interface up before anything is opened: is it there, is it a TUN, is it up,
//! which addresses and which MTU has it.
//!
//! Opening a TUN by a name that does not exist would *make* an interface for whoever is root, one
//! without address or route that vanishes with the process. So nothing is opened that was not
//! found first. All questions go through system calls and none through `/sys`, which shows the
//! network namespace it was mounted in and not the one the process is in.

use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::libc;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, socket};

/// Bytes of an interface's name, at most (IFNAMSIZ less its final zero).
const MAX_NAME: usize = 15;

/// The hardware type of a TUN: it has no link layer (ARPHRD_NONE).
const NO_LINK_LAYER: u16 = 0xfffe;

/// A TUN interface as it was found.
#[derive(Clone, Debug)]
pub struct Interface {
    name: String,
    index: u32,
    mtu: usize,
    networks: Vec<Network>,
}

/// One address of the interface and the networks that it makes reachable.
#[derive(Clone, Copy, Debug)]
struct Network {
    /// The host's own address.
    host: IpAddr,
    /// The peer's address of a point-to-point assignment; else `host` again.
    base: IpAddr,
    mask: IpAddr,
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, self.mask, address) {
            (IpAddr::V4(base), IpAddr::V4(mask), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()) & mask.to_bits() == 0
            }
            (IpAddr::V6(base), IpAddr::V6(mask), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()) & mask.to_bits() == 0
            }
            _ => false,
        }
    }

    /// Whether the kernel takes an address of this network for all its hosts: the first and the
    /// last one, unless the network is a mere pair (RFC 1122 section 3.2.1.3, RFC 3021).
    fn broadcasts_to(&self, address: IpAddr) -> bool {
        let (IpAddr::V4(mask), IpAddr::V4(address)) = (self.mask, address) else {
            return false;
        };
        let host_part = !mask.to_bits();
        let host = address.to_bits() & host_part;
        host_part > 1 && (host == 0 || host == host_part)
    }

    fn prefix_len(&self) -> u32 {
        match self.mask {
            IpAddr::V4(mask) => mask.to_bits().leading_ones(),
            IpAddr::V6(mask) => mask.to_bits().leading_ones(),
        }
    }
}

impl Interface {
    /// Finds the interface of this name and checks that it is a TUN and up.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn look_up(name: &str) -> Result<Self, InterfaceError> {
        let error = |problem| InterfaceError { interface: name.to_owned(), problem };
        if !is_possible_name(name) {
            return Err(error(Problem::Name));
        }
        let index = if_nametoindex(name).map_err(|errno| match errno {
            Errno::ENODEV | Errno::ENXIO | Errno::ENOENT => error(Problem::Absent),
            errno => error(Problem::LookUp(errno)),
        })?;
        let link = Link::of(name).map_err(|errno| error(Problem::LookUp(errno)))?;
        let mut is_up = false;
        let mut networks = Vec::new();
        let all = getifaddrs().map_err(|errno| error(Problem::LookUp(errno)))?;
        for entry in all.filter(|entry| entry.interface_name == name) {
            is_up |= entry.flags.contains(InterfaceFlags::IFF_UP);
            networks.extend(network(&entry));
        }
        if link.hardware != NO_LINK_LAYER {
            return Err(error(Problem::NotTun));
        }
        if !is_up {
            return Err(error(Problem::Down));
        }
        Ok(Self { mtu: link.mtu, name: name.to_owned(), index, networks })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number for it, which no other interface gets while it exists.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Bytes of the largest IP packet it carries.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// Whether the kernel sends packets for this address into the interface because one of the
    /// interface's own addresses is in the same network.
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Checks that a stack behind the interface can have this address.
    ///
    /// # Errors
    /// When the address is the host's own, stands for all hosts, or is in none of the interface's
    /// networks.
    pub fn check_address(&self, address: IpAddr) -> Result<(), InterfaceError> {
        let problem = if self.networks.iter().any(|network| network.host == address) {
            Problem::HostAddress(address)
        } else if self
            .networks
            .iter()
            .any(|net| net.contains(address) && net.broadcasts_to(address))
        {
            Problem::Broadcast(address)
        } else if !self.reaches(address) {
            let has = self
                .networks
                .iter()
                .filter(|network| network.host.is_ipv4() == address.is_ipv4())
                .map(|network| format!("{}/{}", network.host, network.prefix_len()))
                .collect();
            Problem::NotReached { address, has }
        } else {
            return Ok(());
        };
        Err(InterfaceError { interface: self.name.clone(), problem })
    }
}

/// What the kernel takes as a name (`dev_valid_name`), less what only confuses people.
fn is_possible_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !matches!(name, "." | "..")
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%'))
}

fn network(entry: &InterfaceAddress) -> Option<Network> {
    let host = ip(entry.address.as_ref()?)?;
    Some(Network {
        host,
        base: entry.destination.as_ref().and_then(ip).unwrap_or(host),
        mask: ip(entry.netmask.as_ref()?)?,
    })
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(v4.ip().into());
    }
    Some(address.as_sockaddr_in6()?.ip().into())
}

/// The calls that ask for an interface's MTU and hardware (netdevice(7)).
mod request {
    #![allow(unsafe_code, missing_docs)]
    use nix::libc::{SIOCGIFHWADDR, SIOCGIFMTU, ifreq};

    nix::ioctl_readwrite_bad!(mtu, SIOCGIFMTU, ifreq);
    nix::ioctl_readwrite_bad!(hardware, SIOCGIFHWADDR, ifreq);
}

/// What the calls about an interface take (netdevice(7)): its name, with zeros behind it.
pub(super) fn ifreq(name: &str) -> libc::ifreq {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    for (to, from) in ifr_name.iter_mut().take(MAX_NAME).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    libc::ifreq { ifr_name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_mtu: 0 } }
}

/// What the kernel tells of an interface that getifaddrs(3) does not.
struct Link {
    mtu: usize,
    hardware: u16,
}

impl Link {
    #[allow(unsafe_code)]
    fn of(name: &str) -> nix::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        let mut request = ifreq(name);
        let fd = socket.as_raw_fd();
        // SAFETY: the descriptor is open, `request` is what both calls take (a name that ends with
        // a zero), and each writes the member of the union that is read behind it.
        let (mtu, hardware) = unsafe {
            request::mtu(fd, &mut request)?;
            let mtu = request.ifr_ifru.ifru_mtu;
            request::hardware(fd, &mut request)?;
            (mtu, request.ifr_ifru.ifru_hwaddr.sa_family)
        };
        Ok(Self { mtu: usize::try_from(mtu).map_err(|_| Errno::EINVAL)?, hardware })
    }
}

/// Why an interface is of no use; displayed as one line with the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceError {
    interface: String,
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Name,
    Absent,
    NotTun,
    Down,
    HostAddress(IpAddr),
    Broadcast(IpAddr),
    NotReached { address: IpAddr, has: Vec<String> },
    LookUp(Errno),
}

impl fmt::Display for InterfaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.interface;
        match &self.problem {
            Problem::Name => write!(
                f,
                "{name:?} cannot be the name of an interface: use 1 to {MAX_NAME} letters and digits, such as tun0"
            ),
            Problem::Absent => {
                write!(f, "there is no interface {name}: make it with `./setup.sh up {name}`")
            }
            Problem::NotTun => write!(
                f,
                "{name} is not a TUN interface: make one under another name with `./setup.sh up NAME` and give `--tun NAME`"
            ),
            Problem::Down => {
                write!(f, "interface {name} is down: set it up with `sudo ip link set {name} up`")
            }
            Problem::HostAddress(address) => write!(
                f,
                "{address} is the host's own address on {name}: give the stack another one of that network with `--address`"
            ),
            Problem::Broadcast(address) => write!(
                f,
                "{address} stands for all hosts of a network on {name}: give the stack another one of that network with `--address`"
            ),
            Problem::NotReached { address, has } => {
                write!(f, "interface {name} has no address in the network of {address}")?;
                if has.is_empty() {
                    let prefix_len = if address.is_ipv4() { 24 } else { 64 };
                    let host = suggested_host(*address);
                    write!(
                        f,
                        ": give it one with `sudo ip address add {host}/{prefix_len} dev {name}`"
                    )
                } else {
                    let has = has.join(", ");
                    write!(f, " (it has {has}): give one of its networks with `--address`")
                }
            }
            Problem::LookUp(errno) => {
                write!(f, "cannot look interface {name} up: {}", errno.desc())
            }
        }
    }
}

impl std::error::Error for InterfaceError {}

/// An address for the host in the network of `address`: its neighbour.
fn suggested_host(address: IpAddr) -> IpAddr {
    let neighbour = |low: u8| if low == 1 { 2 } else { 1 };
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, low] = v4.octets();
            IpAddr::from([a, b, c, neighbour(low)])
        }
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & !u128::from(u64::MAX);
            let low = u8::from(v6.to_bits() == network | 1);
            IpAddr::V6((network | u128::from(neighbour(low))).into())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn interface(networks: &[(&str, &str, &str)]) -> Interface {
        Interface {
            name: "tun0".into(),
            index: 7,
            mtu: 1500,
            networks: networks
                .iter()
                .map(|&(host, base, mask)| Network {
                    host: host.parse().unwrap(),
                    base: base.parse().unwrap(),
                    mask: mask.parse().unwrap(),
                })
                .collect(),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_must_be_in_a_network_of_the_interface() {
        let tun = interface(&[
            ("10.203.0.1", "10.203.0.1", "255.255.255.0"),
            ("fd74::1", "fd74::1", "ffff:ffff:ffff:ffff::"),
        ]);
        assert!(tun.check_address(ip("10.203.0.2")).is_ok());
        assert!(tun.check_address(ip("10.203.0.254")).is_ok());
        assert!(tun.check_address(ip("fd74::ffff:1")).is_ok());
        assert!(tun.check_address(ip("10.203.1.2")).is_err());
        assert!(tun.check_address(ip("fd74:0:0:1::2")).is_err());
        let message = tun.check_address(ip("192.168.7.2")).unwrap_err().to_string();
        assert!(message.contains("10.203.0.1/24"), "{message}");
        assert!(!message.contains("fd74"), "{message}");
    }

    #[test]
    fn the_hosts_own_address_is_refused() {
        let tun = interface(&[("10.203.0.1", "10.203.0.1", "255.255.255.0")]);
        let message = tun.check_address(ip("10.203.0.1")).unwrap_err().to_string();
        assert!(message.contains("the host's own"), "{message}");
    }

    #[test]
    fn an_address_of_all_hosts_is_refused() {
        let tun = interface(&[("10.203.0.1", "10.203.0.1", "255.255.255.0")]);
        for address in ["10.203.0.0", "10.203.0.255"] {
            let message = tun.check_address(ip(address)).unwrap_err().to_string();
            assert!(message.contains("all hosts"), "{message}");
        }
        let pair = interface(&[("10.203.0.0", "10.203.0.0", "255.255.255.254")]);
        assert!(pair.check_address(ip("10.203.0.1")).is_ok());
    }

    #[test]
    fn a_point_to_point_peer_is_reached() {
        let tun = interface(&[("10.0.0.1", "10.9.9.9", "255.255.255.255")]);
        assert!(tun.check_address(ip("10.9.9.9")).is_ok());
        assert!(tun.check_address(ip("10.0.0.2")).is_err());
    }

    #[test]
    fn a_missing_network_names_the_command_that_adds_one() {
        let tun = interface(&[]);
        for (address, command) in [
            ("10.203.0.2", "sudo ip address add 10.203.0.1/24 dev tun0"),
            ("10.203.0.1", "sudo ip address add 10.203.0.2/24 dev tun0"),
            ("fd74:7::2", "sudo ip address add fd74:7::1/64 dev tun0"),
            ("fd74:7::1", "sudo ip address add fd74:7::2/64 dev tun0"),
        ] {
            let message = tun.check_address(ip(address)).unwrap_err().to_string();
            assert!(message.contains(command), "{message}");
        }
    }

    #[test]
    fn names_the_kernel_would_not_take_are_refused_before_it_is_asked() {
        for name in
            ["", "a-name-too-long-", "tun 0", "tun/0", ".", "..", "tun%d", "t\u{fc}n", "a:b", "x\0"]
        {
            let error = Interface::look_up(name).unwrap_err();
            assert_eq!(error.problem, Problem::Name, "{name:?}");
        }
        assert!(is_possible_name("tun0"));
        assert!(is_possible_name("exactly-15-long"));
    }

    #[test]
    fn an_absent_interface_is_not_made() {
        let error = Interface::look_up("no-such-tun9").unwrap_err();
        assert_eq!(error.problem, Problem::Absent);
        assert!(error.to_string().contains("./setup.sh up no-such-tun9"));
        assert_eq!(if_nametoindex("no-such-tun9"), Err(Errno::ENODEV));
    }

    #[test]
    fn the_loopback_interface_is_no_tun() {
        assert_eq!(Interface::look_up("lo").unwrap_err().problem, Problem::NotTun);
    }

    #[test]
    fn every_message_is_one_line() {
        let problems = [
            Problem::Name,
            Problem::Absent,
            Problem::NotTun,
            Problem::Down,
            Problem::HostAddress(ip("10.0.0.1")),
            Problem::Broadcast(ip("10.0.0.0")),
            Problem::LookUp(Errno::EMFILE),
        ];
        for problem in problems {
            let interface = "tun0".to_owned();
            let message = InterfaceError { interface, problem }.to_string();
            assert!(!message.contains('\n') && message.contains("tun0"), "{message}");
        }
    }

    #[test]
    fn mtu_and_hardware_come_from_the_kernel() {
        let link = Link::of("lo").unwrap();
        assert!(link.mtu >= 1500);
        assert_eq!(link.hardware, libc::ARPHRD_LOOPBACK);
        assert!(Link::of("no-such-tun9").is_err());
    }
}
