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

/// The two ends of the path to the router, and the second byte of its addresses.
pub(crate) const CLIENT_SIDE: &str = "wan0";
pub(crate) const ROUTER_SIDE: &str = "wan1";
const PATH: u8 = 77;

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

/// The same with a router at the other end: nothing goes there that stands for several segments.
///
/// # Errors
/// When one of them cannot be made.
pub(crate) fn enter_behind_router(name: &str, router: u32, net: u8) -> Result<(), String> {
    enter_behind_veth(name, router, net)?;
    run(&mut without_offload(&format!("{name}p")))?;
    ip(&format!("route add default via 10.{net}.0.1"))
}

/// The client's end of the pair.
///
/// # Errors
/// When the server has not made it.
pub(crate) fn set_up_veth(name: &str, net: u8) -> Result<(), String> {
    ip(&format!("address add 10.{net}.0.1/24 dev {name}"))?;
    ip(&format!("link set {name} mtu {MTU} up"))
}

/// The router's end of the pair.
///
/// # Errors
/// When the server has not made it.
pub(crate) fn set_up_veth_in(router: u32, name: &str, net: u8) -> Result<(), String> {
    run(&mut inside(router, &ip_command(&format!("address add 10.{net}.0.1/24 dev {name}"))))?;
    run(&mut inside(router, &without_offload(name)))?;
    run(&mut inside(router, &ip_command(&format!("link set {name} mtu {MTU} up"))))
}

/// Takes this process into a network of its own that forwards, joined to that of process `client`.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn enter_router(client: u32) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("no network namespace can be made for a router: {error}"))?;
    ip("link set dev lo up")?;
    write("/proc/sys/net/ipv4/ip_forward", "1")?;
    ip(&format!("link add name {ROUTER_SIDE} type veth peer name {CLIENT_SIDE} netns {client}"))
}

/// One end of the path to the router, with this last byte of its address.
///
/// # Errors
/// When there is none.
pub(crate) fn join(name: &str, last: u8) -> Result<(), String> {
    ip(&format!("address add 10.{PATH}.0.{last}/24 dev {name}"))?;
    run(&mut without_offload(name))?;
    ip(&format!("link set {name} mtu {MTU} txqueuelen {QUEUE} up"))
}

/// What is for these addresses goes to the router.
///
/// # Errors
/// When there is no path to it.
pub(crate) fn route(to: &str) -> Result<(), String> {
    ip(&format!("route add {to} via 10.{PATH}.0.1"))
}

/// Has the router drop this percentage of what it receives, at random.
///
/// # Errors
/// Without `nft`.
pub(crate) fn lose(router: u32, percent: u32) -> Result<(), String> {
    let script = format!(
        "add table ip loss
         add chain ip loss arrivals {{ type filter hook prerouting priority filter; }}
         add rule ip loss arrivals numgen random mod 100 < {percent} counter drop"
    );
    run(&mut inside(router, Command::new("nft").arg(script)))
}

/// The router drops nothing any more.
///
/// # Errors
/// When it does not drop.
pub(crate) fn heal(router: u32) -> Result<(), String> {
    run(&mut inside(router, Command::new("nft").args(["delete", "table", "ip", "loss"])))
}

/// The same command in the network of another process.
pub(crate) fn inside(process: u32, command: &Command) -> Command {
    let mut there = Command::new("nsenter");
    there.arg(format!("--net=/proc/{process}/ns/net")).arg(command.get_program());
    there.args(command.get_args());
    there
}

/// Removes an interface that may not be there any more: the kernel ends what a process had a while
/// after the process.
pub(crate) fn remove(name: &str) {
    let _ = ip(&format!("link del dev {name}"));
}

/// The same in the network of another process.
pub(crate) fn remove_in(process: u32, name: &str) {
    let _ = run(&mut inside(process, &ip_command(&format!("link del dev {name}"))));
}

fn write(path: &str, value: &str) -> Result<(), String> {
    fs::write(path, value).map_err(|error| format!("{path} cannot be set to {value}: {error}"))
}

fn ip(arguments: &str) -> Result<(), String> {
    run(&mut ip_command(arguments))
}

fn ip_command(arguments: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    command
}

/// What would carry several segments as one packet is turned off.
fn without_offload(name: &str) -> Command {
    let mut command = Command::new("ethtool");
    command.args(["-K", name, "tso", "off", "gso", "off", "gro", "off"]);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed: {}", message.trim()))
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
