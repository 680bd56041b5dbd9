//! A path with a router in it, where packets are lost as on a real one: the client in one network,
//! the stack in another, which forwards between a virtual Ethernet and the TUN.
//!
//! A packet that a firewall drops on its way out of the sending host is reported to that host's TCP
//! as a local error, which is no loss; so the router drops what it receives.

use std::fs;

use super::interface::{STACK_V4, STACK_V6, TUN, ip, make_tun};
use super::namespace::Namespace;
use super::process::launch;

const CLIENT_SIDE: &str = "wan0";
const ROUTER_SIDE: &str = "wan1";

/// The router's network, where the stack runs too. The client's is the one the test began in.
pub(crate) struct Router {
    namespace: Namespace,
}

/// Packets that the router has dropped on their way to the stack and to the client.
#[derive(Debug)]
pub(crate) struct Dropped {
    /// Those from the client.
    pub(crate) toward_stack: u64,
    /// Those from the stack.
    pub(crate) toward_client: u64,
}

impl Router {
    /// Makes the router's network, with the TUN interface in it, and joins it to the one that the
    /// calling thread is in.
    pub(crate) fn new() -> Self {
        let namespace = Namespace::new().unwrap();
        let there = namespace.path();
        ip(&format!("link add {CLIENT_SIDE} type veth peer name {ROUTER_SIDE} netns {there}"));
        namespace.inside(|| {
            ip("link set dev lo up");
            make_tun();
            join(ROUTER_SIDE, "10.77.0.1/24", "fd74:756e:7377::1/64");
            fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        join(CLIENT_SIDE, "10.77.0.2/24", "fd74:756e:7377::2/64");
        ip(&format!("route add {STACK_V4} via 10.77.0.1"));
        ip(&format!("route add {STACK_V6} via fd74:756e:7377::1"));
        Self { namespace }
    }

    /// Runs the body in the router's network.
    pub(crate) fn inside<T>(&self, body: impl FnOnce() -> T) -> T {
        self.namespace.inside(body)
    }

    /// Begins to drop this percentage of the packets, at random, in both directions.
    pub(crate) fn lose(&self, percent: u32) {
        self.drop_when(&format!("numgen random mod 100 < {percent}"));
    }

    /// Begins to drop every packet.
    pub(crate) fn cut(&self) {
        self.drop_when("");
    }

    fn drop_when(&self, chance: &str) {
        let script = format!(
            "add table inet loss
             add counter inet loss toward_stack
             add counter inet loss toward_client
             add chain inet loss arrivals {{ type filter hook prerouting priority filter; }}
             add rule inet loss arrivals iifname {ROUTER_SIDE} {chance} counter name toward_stack drop
             add rule inet loss arrivals iifname {TUN} {chance} counter name toward_client drop"
        );
        self.inside(|| launch(["nft", &script]).succeed());
    }

    /// What has been dropped since [`lose`](Self::lose) or [`cut`](Self::cut).
    pub(crate) fn dropped(&self) -> Dropped {
        let count = |name: &str| {
            let listing =
                self.inside(|| launch(["nft", "list", "counter", "inet", "loss", name]).succeed());
            let mut words = listing.split_whitespace();
            words.find(|&word| word == "packets").unwrap();
            words.next().unwrap().parse().unwrap()
        };
        Dropped { toward_stack: count("toward_stack"), toward_client: count("toward_client") }
    }

    /// Stops dropping, and returns what was dropped.
    pub(crate) fn heal(&self) -> Dropped {
        let dropped = self.dropped();
        self.inside(|| launch(["nft", "delete", "table", "inet", "loss"]).succeed());
        dropped
    }
}

/// Sets up one end of the virtual Ethernet, without the offloads that would carry many segments as
/// one packet and so lose them as one.
fn join(name: &str, ipv4: &str, ipv6: &str) {
    ip(&format!("address add {ipv4} dev {name}"));
    ip(&format!("address add {ipv6} dev {name} nodad"));
    launch(["ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off"]).succeed();
    ip(&format!("link set dev {name} up"));
}
