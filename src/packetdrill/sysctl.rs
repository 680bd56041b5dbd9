//! What scripts set in the network namespace that they run in, read when a socket is made.

use core::time::Duration;
use std::fs;
use std::str::FromStr;

use crate::tcp::congestion::Congestion;
use crate::tcp::{Ecn, KeepAlive, Settings};

/// Where Linux keeps the settings of IPv4, and of TCP over either family.
const FOLDER: &str = "/proc/sys/net/ipv4/";

/// The settings of the namespace that this stack knows what to do with. What cannot be read stays
/// as it is by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Sysctls {
    /// Bytes that a send buffer starts with, as SO_SNDBUF tells them.
    pub(super) send_buffer: u32,
    /// Bytes that a receive buffer starts with.
    pub(super) recv_buffer: u32,
    /// What connections start with.
    pub(super) settings: Settings,
}

impl Sysctls {
    /// What the namespace says now.
    pub(super) fn read() -> Self {
        let mut settings = Settings::default();
        set(&mut settings.timestamps, "tcp_timestamps", |n: u8| n != 0);
        set(&mut settings.sack, "tcp_sack", |n: u8| n != 0);
        set(&mut settings.window_scaling, "tcp_window_scaling", |n: u8| n != 0);
        set(&mut settings.syn_retries, "tcp_syn_retries", |n| n);
        set(&mut settings.syn_ack_retries, "tcp_synack_retries", |n| n);
        set(&mut settings.retries, "tcp_retries2", |n| n);
        set(&mut settings.fin_wait_2, "tcp_fin_timeout", Duration::from_secs);
        set(&mut settings.ecn, "tcp_ecn", |n: u8| match n {
            0 => Ecn::Off,
            1 | 4 => Ecn::Request,
            3 => Ecn::Accurate,
            5 => Ecn::AcceptAccurate,
            _ => Ecn::Accept,
        });
        // A namespace begins with the machine's own choice, which scripts for CUBIC may not be allowed to
        // change; none of them is for BBR.
        set(&mut settings.congestion, "tcp_congestion_control", |name: String| match &*name {
            "reno" => Congestion::NewReno,
            _ => Congestion::Cubic,
        });
        set(&mut settings.ttl, "ip_default_ttl", |n| n);
        set(&mut settings.tail_loss_probe, "tcp_early_retrans", |n: u8| n != 0);
        set(&mut settings.slow_start_after_idle, "tcp_slow_start_after_idle", |n: u8| n != 0);
        set(&mut settings.least_burst, "tcp_min_tso_segs", |n| n);
        set(&mut settings.not_sent_low_water, "tcp_notsent_lowat", |n| n);
        set(&mut settings.max_recv_buffer, "tcp_rmem", Triple::max);
        set(&mut settings.max_send_buffer, "tcp_wmem", Triple::max);
        let mut sysctls = Self { send_buffer: 16_384, recv_buffer: 131_072, settings };
        set(&mut sysctls.send_buffer, "tcp_wmem", Triple::default);
        set(&mut sysctls.recv_buffer, "tcp_rmem", Triple::default);
        sysctls
    }

    /// How an idle peer is probed once SO_KEEPALIVE is set.
    pub(super) fn keep_alive() -> KeepAlive {
        let mut keep_alive = KeepAlive::default();
        set(&mut keep_alive.idle, "tcp_keepalive_time", Duration::from_secs);
        set(&mut keep_alive.interval, "tcp_keepalive_intvl", Duration::from_secs);
        set(&mut keep_alive.count, "tcp_keepalive_probes", |n| n);
        keep_alive
    }
}

/// Minimum, default and maximum.
struct Triple([u32; 3]);

impl Triple {
    fn default(self) -> u32 {
        self.0[1]
    }

    fn max(self) -> u32 {
        self.0[2]
    }
}

impl FromStr for Triple {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers: Vec<u32> = text.split_whitespace().map_while(|n| n.parse().ok()).collect();
        numbers.try_into().map(Self).map_err(|_| ())
    }
}

/// Sets `to` to what the file `name` makes of it, if it can be read.
fn set<N: FromStr, T>(to: &mut T, name: &str, make: impl FnOnce(N) -> T) {
    let text = fs::read_to_string(format!("{FOLDER}{name}")).ok();
    if let Some(number) = text.and_then(|text| text.trim().parse().ok()) {
        *to = make(number);
    }
}
