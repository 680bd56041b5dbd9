//! `setup.sh` itself: it makes an interface, refuses clashes, and undoes only what it did.

#![allow(clippy::unwrap_used)]

mod real;

use real::interface::{HOST_V4, HOST_V6, STACK_V4, TUN, ip};
use real::process::{Launch, launch};
use real::server::binary;

/// The script with these arguments.
fn setup(arguments: &[&str]) -> Launch {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/setup.sh");
    let program = format!("TUNSTACK_BIN={}", binary().to_str().unwrap());
    // Whoever called this test, the one who calls the script is root.
    launch(["env", "--unset=SUDO_USER", &program, "bash", script]).and(arguments)
}

#[test]
fn up_makes_the_interface_once_and_down_removes_it() {
    real::test(|| {
        for _ in 0..2 {
            setup(&["up"]).succeed();
            let shown = ip(&format!("address show dev {TUN}"));
            assert_eq!(shown.matches(&format!("inet {HOST_V4}/24 ")).count(), 1);
            assert_eq!(shown.matches(&format!("inet6 {HOST_V6}/64 ")).count(), 1);
            assert!(shown.contains("UP") && shown.contains("qlen 5000"), "{shown}");
        }
        for _ in 0..2 {
            setup(&["down"]).succeed();
            let shown = launch(["ip", "link", "show", "dev", TUN]).finish();
            assert!(!shown.status.success(), "{}", shown.story());
        }
    });
}

#[test]
fn up_makes_the_interface_that_it_is_told_to() {
    real::test(|| {
        setup(&["up", "stack7", "192.168.77.1/24", "fd00:77::1/64"]).succeed();
        let shown = ip("address show dev stack7");
        assert!(shown.contains("inet 192.168.77.1/24 "), "{shown}");
        assert!(shown.contains("inet6 fd00:77::1/64 "), "{shown}");
        setup(&["down", "stack7"]).succeed();
    });
}

/// Insists on a refusal of `up` in one line with these words, and that it has made nothing.
fn refuses_up(words: &[&str]) {
    let before = ip("address show");
    let line = setup(&["up"]).finish().refused();
    for word in words {
        assert!(line.contains(word), "no {word} in: {line}");
    }
    assert_eq!(ip("address show"), before);
}

#[test]
fn up_refuses_a_subnet_that_is_taken_and_names_a_free_one() {
    real::test(|| {
        ip("link add veth0 type veth peer name veth1");
        ip("link set dev veth0 up");
        let clashes = [
            ("address", "10.203.0.9/32", "10.203.0.9", "10.204.0.1/24"),
            ("address", "10.203.1.1/16", "10.203.0.0/16", "10.204.0.1/24"),
            ("route", "10.192.0.0/12", "10.192.0.0/12", "172.29.203.1/24"),
            ("route", "10.203.0.128/25", "10.203.0.128/25", "10.204.0.1/24"),
            ("address", "fd74:756e:7374::9/64", "fd74:756e:7374::/64", "fd74:756e:7375::1/64"),
        ];
        for (kind, subnet, clash, free) in clashes {
            ip(&format!("{kind} add {subnet} dev veth0"));
            refuses_up(&[clash, "veth0", free]);
            ip(&format!("{kind} del {subnet} dev veth0"));
        }
        // A default route is no clash.
        ip("route add default dev veth0");
        ip("-6 route add default dev veth0");
        setup(&["up"]).succeed();
    });
}

#[test]
fn an_interface_of_anothers_making_is_left_alone() {
    real::test(|| {
        ip(&format!("tuntap add dev {TUN} mode tun"));
        refuses_up(&[TUN, "not made by this script", "./setup.sh up"]);
        let line = setup(&["down"]).finish().refused();
        assert!(line.contains("not made by this script"), "{line}");
        ip(&format!("link show dev {TUN}"));

        ip(&format!("link delete dev {TUN}"));
        ip(&format!("link add {TUN} type veth peer name veth1"));
        refuses_up(&[TUN, "not a TUN interface", "./setup.sh up"]);
        setup(&["down"]).finish().refused();
        ip(&format!("link show dev {TUN}"));
    });
}

#[test]
fn without_ipv6_the_interface_has_ipv4() {
    real::test(|| {
        for which in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
            std::fs::write(path, "1").unwrap();
        }
        let said = setup(&["up"]).succeed();
        assert!(said.contains("IPv6 is disabled"), "{said}");
        let shown = ip(&format!("address show dev {TUN}"));
        assert!(shown.contains(HOST_V4) && !shown.contains("inet6"), "{shown}");
    });
}

#[test]
fn shell_runs_a_command_beside_the_stack() {
    real::test(|| {
        let command = format!("curl -sSf http://{STACK_V4}/ && ip link show dev {TUN}");
        let said = setup(&["shell", "-c", &command]).succeed();
        assert!(said.contains("tunstack") && said.contains(TUN), "{said}");
        // Its interface is in a network of its own, which has gone.
        let here = launch(["ip", "link", "show", "dev", TUN]).finish();
        assert!(!here.status.success(), "{}", here.story());
        // The command's exit status is the script's.
        let failed = setup(&["shell", "-c", "exit 7"]).finish();
        assert_eq!(failed.status.code(), Some(7), "{}", failed.story());
    });
}

#[test]
fn serve_makes_the_interface_and_runs_the_stack() {
    real::test(|| {
        let mut serving = setup(&["serve"]).start();
        serving.wait_for_output("a line that starts with `ready`", |said| {
            said.lines().any(|line| line.starts_with("ready"))
        });
        launch(["curl", "-sSf", &format!("http://{STACK_V4}/")]).succeed();
        serving.signal(nix::sys::signal::Signal::SIGTERM);
        let said = serving.finish().succeeded().text();
        assert!(said.contains(&format!("nc {STACK_V4} 7")), "{said}");
        // It stays, as the script says.
        ip(&format!("link show dev {TUN}"));
    });
}
