//! What a seed decides before a run starts: settings, faults, and how much is said.

use tunstack::Config;
use tunstack::tcp::congestion::Congestion;
use tunstack::tcp::{Ecn, KeepAlive};
use tunstack::time::{Duration, Instant};

use super::super::link::Faults;
use super::super::random::Random;
use super::super::{ms, packet, secs};

/// How much an application writes: mostly little, sometimes much.
pub fn amount(random: &mut Random) -> u64 {
    match random.below(10) {
        0 => 0,
        1..5 => random.below(5_000),
        5..9 => random.below(60_000),
        _ => random.below(400_000),
    }
}

/// The settings of a host.
pub fn settings(random: &mut Random, host: u8, ipv6: bool) -> Config {
    let mut config = Config::with_addresses([packet::address(host, ipv6)]);
    let least_mtu = if ipv6 { 1_280 } else { 576 };
    config.mtu = match random.below(4) {
        0 => random.between(least_mtu, 1_500) as usize,
        1 => random.between(1_500, 9_000) as usize,
        _ => 1_500,
    };
    // Long enough for a lost last ACK to be asked for again, and now and then not.
    config.time_wait = secs(if random.chance(100) { random.between(1, 20) } else { 120 });
    let tcp = &mut config.tcp;
    tcp.no_delay = random.chance(300);
    tcp.timestamps = random.chance(800);
    tcp.sack = random.chance(800);
    tcp.window_scaling = random.chance(800);
    if random.chance(300) {
        tcp.max_recv_buffer = random.between(2_048, 40_000) as u32;
    }
    if random.chance(300) {
        tcp.max_send_buffer = random.between(2_048, 40_000) as u32;
    }
    if random.chance(200) {
        // From what each connection has in any case to what a few could use.
        config.max_buffer_memory = 1 << random.between(0, 18);
    }
    if random.chance(200) {
        tcp.delayed_ack = ms(random.between(0, 200));
    }
    tcp.ecn =
        random.pick(&[Ecn::Off, Ecn::Accept, Ecn::Request, Ecn::AcceptAccurate, Ecn::Accurate]);
    if random.chance(100) {
        tcp.keep_alive = Some(KeepAlive {
            idle: secs(random.between(1, 20)),
            interval: secs(random.between(1, 5)),
            count: random.between(3, 9) as u8,
        });
    }
    if random.chance(50) {
        tcp.user_timeout = Some(secs(random.between(10, 60)));
    }
    if random.chance(100) {
        tcp.linger = Some(secs(random.between(1, 30)));
    }
    tcp.congestion = random.pick(&[Congestion::Cubic, Congestion::NewReno, Congestion::Bbr]);
    config
}

/// Whether connections with these settings may end before their data has arrived, when the wire
/// is bad enough.
pub fn may_give_up(config: &Config) -> bool {
    let tcp = &config.tcp;
    let impatient = tcp.user_timeout.is_some() || tcp.keep_alive.is_some() || tcp.linger.is_some();
    impatient || config.time_wait < secs(60)
}

/// One direction of the wire, in a run that starts at `start`.
pub fn faults(random: &mut Random, ipv6: bool, start: Instant) -> Faults {
    // A wire is good, middling or bad; kinds of faults come alone and together.
    let (least, most) = random.pick(&[(0, 5), (10, 50), (50, 200)]);
    let mut some = |divisor: u64| match random.below(3) {
        0 => 0,
        _ => random.between(least, most) / divisor,
    };
    let (loss, duplicate, corrupt, reorder) = (some(1), some(2), some(4), some(1));
    let mut faults = Faults {
        loss,
        duplicate,
        corrupt,
        reorder,
        delay: match random.below(4) {
            0 => Duration::from_micros(random.between(10, 1_000)),
            1 => ms(random.between(50, 300)),
            _ => ms(random.between(1, 50)),
        },
        ..Faults::default()
    };
    if random.chance(300) {
        faults.rate = Some(random.between(50_000, 5_000_000));
        faults.queue = random.between(5_000, 200_000);
    }
    if random.chance(300) {
        faults.mark = random.between(1, 300);
    }
    if random.chance(150) {
        let least = if ipv6 { 1_280 } else { 576 };
        faults.mtu = random.between(least, 1_500) as usize;
    }
    if random.chance(200) {
        let from = start + ms(random.below(10_000));
        faults.outage = from..from + ms(random.between(100, 20_000));
    }
    faults
}
