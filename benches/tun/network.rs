//! The network that the bench makes for itself, and where its processes run.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::{Pid, getgid, getuid};

/// Bytes of the largest IP packet on the interfaces.
const MTU: u32 = 1_500;
/// Packets that may wait in an interface; the default of 500 drops.
const QUEUE: u32 = 5_000;

/// Settings of the network that keep one run from telling in the next.
const SYSCTLS: [(&str, &str); 2] = [
    // What was learnt of a path (its slow start threshold, say) is not kept.
    ("tcp_no_metrics_save", "1"),
    // The client closes first; its TIME-WAIT would soon have taken all its ports.
    ("tcp_max_tw_buckets", "0"),
];

/// Takes this process, and all that it starts from now on, into a network namespace of its own,
/// which ends with them. Call it before there are threads.
///
/// # Errors
/// Without root and without user namespaces, or when a setting cannot be made.
pub(crate) fn enter() -> Result<(), String> {
    let (user, group) = (getuid(), getgid());
    match unshare(CloneFlags::CLONE_NEWNET) {
        Err(Errno::EPERM) => {
            let both = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
            unshare(both).map_err(|error| {
                format!("no namespace can be made ({error}): run as root, or allow user namespaces")
            })?;
            write("/proc/self/setgroups", "deny")?;
            write("/proc/self/uid_map", &format!("0 {user} 1"))?;
            write("/proc/self/gid_map", &format!("0 {group} 1"))?;
        }
        done => done.map_err(|error| format!("no network namespace can be made: {error}"))?,
    }
    for (name, value) in SYSCTLS {
        write(&format!("/proc/sys/net/ipv4/{name}"), value)?;
    }
    ip("link set dev lo up")
}

/// Makes a TUN interface on which the host has the first address of 10.`net`.0.0/24.
///
/// # Errors
/// When /dev/net/tun may not be opened, or `ip` is missing.
pub(crate) fn make_tun(name: &str, net: u8) -> Result<(), String> {
    ip(&format!("tuntap add dev {name} mode tun"))
        .map_err(|error| format!("{error}: run as root, or allow this user /dev/net/tun"))?;
    ip(&format!("address add 10.{net}.0.1/24 dev {name}"))?;
    ip(&format!("link set dev {name} mtu {MTU} txqueuelen {QUEUE} up"))
}

/// Gives the host one more address on an interface.
///
/// # Errors
/// When there is no such interface.
pub(crate) fn add_address(name: &str, address: Ipv4Addr) -> Result<(), String> {
    ip(&format!("address add {address}/24 dev {name}"))
}

/// Takes this process into a second namespace, joined to that of process `peer` by a veth pair. There
/// the pair's end is `name`, here `name` and a `p`, with the second address of 10.`net`.0.0/24. Both
/// end with this process.
///
/// # Errors
/// When one of them cannot be made.
pub(crate) fn enter_behind_veth(name: &str, peer: u32, net: u8) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("no second network namespace can be made: {error}"))?;
    ip("link set dev lo up")?;
    ip(&format!("link add name {name}p type veth peer name {name} netns {peer}"))?;
    ip(&format!("address add 10.{net}.0.2/24 dev {name}p"))?;
    ip(&format!("link set {name}p mtu {MTU} up"))
}

/// The client's end of the pair.
///
/// # Errors
/// When the server has not made it.
pub(crate) fn set_up_veth(name: &str, net: u8) -> Result<(), String> {
    ip(&format!("address add 10.{net}.0.1/24 dev {name}"))?;
    ip(&format!("link set {name} mtu {MTU} up"))
}

/// Removes an interface that may not be there any more: the kernel ends what a process had a while
/// after the process.
pub(crate) fn remove(name: &str) {
    let _ = ip(&format!("link del dev {name}"));
}

fn write(path: &str, value: &str) -> Result<(), String> {
    fs::write(path, value).map_err(|error| format!("{path} cannot be set to {value}: {error}"))
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(format!("`ip {arguments}` failed: {}", message.trim()))
}

/// The processors that this process may run on.
pub(crate) fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::this()).unwrap_or_default();
    let is_allowed = |processor: &usize| allowed.is_set(*processor).unwrap_or(false);
    (0..CpuSet::count()).filter(is_allowed).collect()
}

/// Binds a process to one processor, or with 0 this one; what it starts stays there as well.
///
/// # Errors
/// When there is no such process or processor.
pub(crate) fn bind(process: u32, processor: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    let bound = set
        .set(processor)
        .and_then(|()| sched_setaffinity(Pid::from_raw(process.cast_signed()), &set));
    bound.map_err(|error| format!("process {process} cannot be bound to {processor}: {error}"))
}
