//! Interfaces and addresses in the private network, made with `ip`.

use std::net::{IpAddr, SocketAddr};

use super::process::launch;

/// The interface that the stack is attached to.
pub(crate) const TUN: &str = "tun0";
/// The host's IPv4 address on it.
pub(crate) const HOST_V4: &str = "10.203.0.1";
/// The stack's IPv4 address.
pub(crate) const STACK_V4: &str = "10.203.0.2";
/// The host's IPv6 address on it.
pub(crate) const HOST_V6: &str = "fd74:756e:7374::1";
/// The stack's IPv6 address.
pub(crate) const STACK_V6: &str = "fd74:756e:7374::2";

/// Runs `ip` with the arguments in one string.
pub(crate) fn ip(arguments: &str) -> String {
    launch(["ip"].into_iter().chain(arguments.split_whitespace())).succeed()
}

/// Makes the TUN interface with the host's addresses, as `setup.sh up` does.
pub(crate) fn make_tun() {
    ip(&format!("tuntap add dev {TUN} mode tun"));
    configure_tun();
}

/// Gives the TUN interface the host's addresses and sets it up.
pub(crate) fn configure_tun() {
    ip(&format!("address replace {HOST_V4}/24 dev {TUN}"));
    ip(&format!("address replace {HOST_V6}/64 dev {TUN} nodad"));
    ip(&format!("link set dev {TUN} txqueuelen 5000 up"));
}

/// A port of the stack's IPv4 address.
pub(crate) fn stack_v4(port: u16) -> SocketAddr {
    socket_address(STACK_V4, port)
}

/// A port of the stack's IPv6 address.
pub(crate) fn stack_v6(port: u16) -> SocketAddr {
    socket_address(STACK_V6, port)
}

/// An address and a port.
pub(crate) fn socket_address(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().unwrap(), port)
}

/// Waits until a program in this network listens on the TCP port.
pub(crate) fn wait_for_listener(port: u16) {
    super::wait_until(&format!("somebody listens on port {port}"), || {
        launch(["ss", "-Hltn"]).succeed().lines().any(|line| line.contains(&format!(":{port} ")))
    });
}

/// One of the kernel's TCP counters in this network, by its name in /proc/net/snmp.
pub(crate) fn kernel_tcp_counter(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
    let names = lines.next().unwrap().split_whitespace();
    let values = lines.next().unwrap().split_whitespace();
    let (_, value) = names.zip(values).find(|&(each, _)| each == name).unwrap();
    value.parse().unwrap()
}
