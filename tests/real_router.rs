//! The router of the loss tests itself: it loses what it should, and only then.

#![allow(clippy::unwrap_used)]

mod real;

use real::interface::{HOST_V4, ip};
use real::process::launch;
use real::router::Router;

#[test]
fn packets_are_lost_in_the_router_and_not_at_the_sender() {
    real::test(|| {
        let router = Router::new();
        // To the host's own address on the far side of the router: no stack is needed for that.
        ip(&format!("route add {HOST_V4} via 10.77.0.1"));
        let ping = || launch(["ping", "-c", "5", "-i", "0.01", "-W", "2", HOST_V4]).finish();
        ping().succeeded();
        router.cut();
        let cut = ping();
        assert_eq!(cut.status.code(), Some(1), "{}", cut.story());
        assert!(cut.text().contains("100% packet loss"), "{}", cut.story());
        let dropped = router.heal();
        // IPv6 has packets of its own to send now and then.
        assert!(dropped.toward_stack >= 5, "{dropped:?}");
        ping().succeeded();
    });
}
