//! The stack's own account: what it holds now, and what has happened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::http::HttpConnection;

/// By when everything must have settled that ends by itself at once. Less than it takes for the stack
/// to give up on a peer that no longer answers, which would settle it too.
const SETTLED: Duration = Duration::from_secs(30);

/// Reads the stack's counters over one connection that stays open, so that reading them adds to
/// them as little as possible: this connection itself counts among `connections`.
pub(crate) struct Counters {
    connection: HttpConnection,
}

impl Counters {
    /// Connects to the stack's HTTP server.
    pub(crate) fn open(server: SocketAddr) -> Self {
        Self { connection: HttpConnection::open(server) }
    }

    /// Every counter by its name.
    pub(crate) fn all(&mut self) -> BTreeMap<String, u64> {
        let reply = self.connection.get("/.tunstack/counters");
        assert_eq!(reply.status, 200);
        String::from_utf8(reply.body)
            .unwrap()
            .lines()
            .map(|line| {
                let (name, value) =
                    line.split_once(' ').unwrap_or_else(|| panic!("no counter: {line:?}"));
                (name.to_owned(), value.trim().parse().unwrap())
            })
            .collect()
    }

    /// One counter now.
    ///
    /// # Panics
    /// When there is none of that name.
    pub(crate) fn get(&mut self, name: &str) -> u64 {
        let all = self.all();
        *all.get(name).unwrap_or_else(|| panic!("no counter {name} among {all:?}"))
    }

    /// Waits until the stack has no connection but this one, and none half open.
    pub(crate) fn wait_until_idle(&mut self) {
        self.wait_until(|now| now["connections"] == 1 && now["half_open"] == 0);
    }

    /// Waits until the stack holds nothing but this connection: none in TIME-WAIT either.
    pub(crate) fn wait_until_empty(&mut self) {
        self.wait_until(|now| {
            now["connections"] == 1 && now["half_open"] == 0 && now["time_wait"] == 0
        });
    }

    fn wait_until(&mut self, condition: impl Fn(&BTreeMap<String, u64>) -> bool) {
        let mut last = BTreeMap::new();
        let came_true = super::comes_true(SETTLED, || {
            last = self.all();
            condition(&last)
        });
        assert!(came_true, "the tables do not empty: {last:?}");
    }
}
