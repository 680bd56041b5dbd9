//! The server's own resources: the page that says what this is and who is connected, and the
//! counters as plain text.

use std::fmt::Write;
use std::time::Duration;

use crate::stack::{Info, Stack};
use crate::time::Instant;

/// Connections the page lists, at most.
const MAX_LISTED: usize = 200;

/// Where the counters are, with and without a directory.
pub(super) const COUNTERS_PATH: &str = "/.tunstack/counters";

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>tunstack</title>
<style>
body { font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2), th:nth-child(3), td:nth-child(3) { text-align: left; }
.wide { overflow-x: auto; }
</style>
</head>
<body>
<h1>tunstack</h1>
<p>This page was sent by a TCP/IP stack that is an ordinary program: it reads IP packets from a TUN
interface and answers them itself, and the kernel between it and you takes it for another host.
Look for your own connection in the list below.</p>
";

/// How long the page is served as it was written: it lists what many clients may ask for at once.
const FRESH: Duration = Duration::from_millis(100);

/// The status page, written anew when it is asked for and no longer fresh.
#[derive(Debug, Default)]
pub(super) struct StatusPage {
    body: String,
    written_at: Option<Instant>,
}

impl StatusPage {
    /// The page as it is now, or was a moment ago.
    pub(super) fn at(&mut self, stack: &Stack) -> &str {
        let now = stack.now();
        if self.written_at.is_none_or(|at| now.since(at) >= FRESH) {
            self.body.clear();
            status(&mut self.body, stack);
            self.written_at = Some(now);
        }
        &self.body
    }
}

/// Writes the status page.
fn status(out: &mut String, stack: &Stack) {
    let totals = stack.totals();
    out.push_str(HEAD);
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "<p>Connections: {}. Half open: {}. In TIME-WAIT: {}. Listeners: {}.\n\
         All counters as plain text: <a href=\"{COUNTERS_PATH}\">{COUNTERS_PATH}</a>.</p>",
        totals.connections, totals.half_open, totals.time_wait, totals.listeners,
    );
    out.push_str(
        "<h2>Connections</h2>\n<div class=\"wide\"><table>\n\
         <tr><th>Peer</th><th>Here</th><th>State</th><th>RTT</th><th>Control</th><th>cwnd</th>\
         <th>Pacing</th>\
         <th>Received</th><th>Acknowledged</th><th>Retransmissions</th><th>Age</th></tr>\n",
    );
    let mut listed = 0;
    for info in stack.connections().take(MAX_LISTED) {
        row(out, &info, stack.now().since(info.opened_at));
        listed += 1;
    }
    out.push_str("</table></div>\n");
    if totals.connections > listed {
        let _ = writeln!(out, "<p>The {listed} newest; {} more.</p>", totals.connections - listed);
    }
    out.push_str("</body>\n</html>\n");
}

fn row(out: &mut String, info: &Info, age: Duration) {
    let flow = &info.flow;
    let _ = write!(
        out,
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>",
        flow.remote_addr(),
        flow.local_addr(),
        info.state
    );
    match info.rtt {
        Some(rtt) => milliseconds(out, rtt),
        None => out.push('\u{2013}'),
    }
    let _ = write!(out, "</td><td>{}</td><td>{}</td><td>", info.congestion, info.cwnd);
    match info.pacing_rate {
        Some(rate) => {
            let _ = write!(out, "{rate} B/s");
        }
        None => out.push('\u{2013}'),
    }
    let _ = writeln!(
        out,
        "</td><td>{}</td><td>{}</td><td>{}</td><td>{} s</td></tr>",
        info.bytes_received,
        info.bytes_acked,
        info.retransmissions,
        age.as_secs()
    );
}

fn milliseconds(out: &mut String, time: Duration) {
    let micros = time.as_micros();
    let _ = write!(out, "{}.{:03} ms", micros / 1_000, micros % 1_000);
}

/// Writes `name value` lines: the totals of now, then every counter.
pub(super) fn counters(out: &mut String, stack: &Stack) {
    let totals = stack.totals();
    let now = [
        ("connections", totals.connections),
        ("half_open", totals.half_open),
        ("time_wait", totals.time_wait),
        ("listeners", totals.listeners),
    ];
    for (name, value) in now {
        let _ = writeln!(out, "{name} {value}");
    }
    for (name, value) in stack.counters().iter() {
        let _ = writeln!(out, "{name} {value}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;

    use super::*;
    use crate::Config;
    use crate::tcp::State;

    #[test]
    fn a_connection_is_one_row() {
        let local: SocketAddr = "[fd74::2]:80".parse().unwrap();
        let remote: SocketAddr = "[fd74::1]:40000".parse().unwrap();
        let mut stack = Stack::new(Config::with_addresses([local.ip()]), [7; 32]).unwrap();
        let id = stack.connect(Some(local), remote).unwrap();
        let info = Info {
            state: State::Established,
            rtt: Some(Duration::from_micros(12_034)),
            cwnd: 14_480,
            pacing_rate: Some(2_500_000),
            bytes_received: 78,
            bytes_acked: 1_000,
            retransmissions: 3,
            ..stack.info(id).unwrap()
        };
        let mut out = String::new();
        row(&mut out, &info, Duration::from_millis(61_900));
        assert_eq!(
            out,
            "<tr><td>[fd74::1]:40000</td><td>[fd74::2]:80</td><td>ESTABLISHED</td>\
             <td>12.034 ms</td><td>cubic</td><td>14480</td><td>2500000 B/s</td><td>78</td><td>1000</td><td>3</td><td>61 s</td></tr>\n"
        );
        out.clear();
        row(&mut out, &Info { rtt: None, pacing_rate: None, ..info }, Duration::ZERO);
        assert_eq!(out.matches("<td>\u{2013}</td>").count(), 2, "{out}");
    }
}
