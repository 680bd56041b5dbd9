//! What the tests with real programs share: private networks, the programs in them, the stack under
//! test, files to move about.
//!
//! Every such test is a body given to [`test`], which runs it in a network of its own: nothing it
//! sends leaves that network, tests run side by side with the same addresses, and a test that dies
//! leaves nothing behind. Limits on time are guards against hanging, never measurements.

#![allow(dead_code)] // each test file uses a part of this
#![allow(clippy::unwrap_used)]

pub(crate) mod counters;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod interface;
pub(crate) mod namespace;
pub(crate) mod process;
pub(crate) mod router;
pub(crate) mod server;
pub(crate) mod socket;

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use namespace::Namespace;

/// How long anything may take before it counts as hanging.
pub(crate) const GUARD: Duration = Duration::from_secs(240);

/// Set by [`test_again_in_user_namespace`], so that it happens once.
const INSIDE: &str = "TUNSTACK_REAL_INSIDE";

/// Runs the body in a new network namespace with the loopback interface up.
///
/// Making one needs root or a user namespace; without either the test fails and says so. Only
/// `TUNSTACK_SKIP_REAL=1` skips it.
pub(crate) fn test(body: impl FnOnce()) {
    let name = thread::current().name().unwrap_or("main").to_owned();
    if std::env::var_os("TUNSTACK_SKIP_REAL").is_some_and(|value| value == "1") {
        // Past the test runner's capture, which keeps what a passing test prints to itself.
        let line = format!("SKIPPED, for TUNSTACK_SKIP_REAL=1 is set: {name}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    match Namespace::new() {
        Ok(namespace) => namespace.inside(|| {
            interface::ip("link set dev lo up");
            body();
        }),
        Err(_) if std::env::var_os(INSIDE).is_none() => test_again_in_user_namespace(&name),
        Err(error) => panic!("no network namespace can be made in this user namespace: {error}"),
    }
}

/// Runs the test of this name in a process of its own that is root in a new user namespace: a
/// process with threads, such as this one, cannot enter one itself.
fn test_again_in_user_namespace(name: &str) {
    assert_ne!(
        name, "main",
        "without root each test needs a thread with its name: run with two or more test threads"
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--kill-child", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap_or_else(|error| panic!("unshare cannot be run: {error}"));
    // Marked, so that no line of it reads as one of this process's own.
    for text in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(text).lines() {
            println!("| {line}");
        }
    }
    let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(
        output.status.success() && ran,
        "failed in a user namespace ({}); tests with real programs need root, or user namespaces \
         and a /dev/net/tun that this user may open; TUNSTACK_SKIP_REAL=1 skips them",
        output.status
    );
}

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within [`GUARD`].
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(GUARD, condition), "gave up waiting until {what}");
}

/// Whether the condition comes true before the limit has passed.
pub(crate) fn comes_true(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
