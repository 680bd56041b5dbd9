//! curl against the HTTP server of the release program, over a TUN.

#![allow(clippy::unwrap_used)]

mod real;

use std::fs::{self, File};

use real::files::{MIB, Scratch, sha256};
use real::interface::{STACK_V4, STACK_V6, kernel_tcp_counter, make_tun};
use real::process::{Launch, launch};
use real::server::Server;

/// curl, quiet but for errors.
fn curl<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Launch {
    launch(["curl", "-sS"].into_iter().chain(arguments))
}

/// Starts the server with the folder on port 80.
fn serve(folder: &Scratch) -> Server {
    make_tun();
    Server::start(&["--http", &format!("80,{}", folder.folder())])
}

#[test]
fn a_file_comes_whole_over_ipv4_and_ipv6() {
    real::test(|| {
        let scratch = Scratch::new();
        let page = scratch.random_file("page.bin", 1, 100_000);
        let _server = serve(&scratch);
        for host in [STACK_V4.to_owned(), format!("[{STACK_V6}]")] {
            let url = format!("http://{host}/page.bin");
            let got = curl(["-w", "%{stderr}%{http_code}", &url]).finish();
            assert_eq!(got.errors, "200", "{}", got.story());
            assert!(got.output == fs::read(&page).unwrap(), "{host}");
        }
    });
}

#[test]
fn without_a_folder_the_server_says_what_it_is() {
    real::test(|| {
        make_tun();
        let _server = Server::start(&[]);
        for host in [STACK_V4.to_owned(), format!("[{STACK_V6}]")] {
            let url = format!("http://{host}/");
            let page = curl(["-f", &url]).succeed();
            assert!(page.contains("tunstack"), "{page}");
            // The one connection there is.
            assert!(page.to_uppercase().contains("ESTABLISHED"), "{page}");
        }
    });
}

#[test]
fn a_gibibyte_comes_intact() {
    real::test(|| {
        let scratch = Scratch::new();
        let file = scratch.random_file("gibibyte.bin", 2, 1024 * MIB);
        let _server = serve(&scratch);
        let url = format!("http://{STACK_V4}/gibibyte.bin");
        // Straight into the digest, so that the disk holds it once.
        let (from_curl, into_digest) = std::io::pipe().unwrap();
        let digest = launch(["sha256sum"]).input(from_curl).start();
        let download = curl(["-f", &url]).output(into_digest).start();
        download.finish().succeeded();
        let got = digest.finish().succeeded().text();
        assert_eq!(got.split_whitespace().next().unwrap(), sha256(&file));
    });
}

#[test]
fn a_hundred_downloads_run_in_parallel() {
    real::test(|| {
        const COUNT: u64 = 100;
        let scratch = Scratch::new();
        for number in 1..=COUNT {
            scratch.random_file(&format!("file{number}.bin"), number, MIB);
        }
        let server = serve(&scratch);
        let results = Scratch::new();
        let connections = curl([
            "-f",
            "--parallel",
            "--parallel-immediate",
            "--parallel-max",
            &COUNT.to_string(),
            "-w",
            "%{num_connects}\n",
            "-o",
            &format!("{}/file#1.bin", results.folder()),
            &format!("http://{STACK_V4}/file[1-{COUNT}].bin"),
        ])
        .succeed();
        for number in 1..=COUNT {
            let name = format!("file{number}.bin");
            let sent = fs::read(scratch.path(&name)).unwrap();
            let got = fs::read(results.path(&name)).unwrap();
            assert!(sent == got, "{name} differs");
        }
        let opened: u64 = connections.lines().map(|line| line.parse::<u64>().unwrap()).sum();
        assert_eq!(opened, COUNT, "each had a connection of its own");
        server.counters().wait_until_idle();
    });
}

#[test]
fn head_missing_file_and_a_connection_used_twice() {
    real::test(|| {
        let scratch = Scratch::new();
        scratch.random_file("page.bin", 3, 54_321);
        let _server = serve(&scratch);
        let page = format!("http://{STACK_V4}/page.bin");

        let head = curl(["-f", "--head", &page]).succeed().to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("\r\ncontent-length: 54321\r\n"), "{head}");

        let missing = format!("http://{STACK_V4}/missing.bin");
        let code = curl(["-o", "/dev/null", "-w", "%{http_code}", &missing]).succeed();
        assert_eq!(code, "404");

        // Two pages and a missing one in a row: only the first opens a connection.
        let opened =
            curl(["-w", "%{stderr}%{num_connects}\n", &page, &missing, &page]).finish().succeeded();
        assert_eq!(opened.errors, "1\n0\n0\n");
    });
}

#[test]
fn a_closed_port_is_refused_at_once() {
    real::test(|| {
        make_tun();
        let _server = Server::start(&[]);
        let before = kernel_tcp_counter("RetransSegs");
        for host in [STACK_V4.to_owned(), format!("[{STACK_V6}]")] {
            let refused = curl(["-v", &format!("http://{host}:81/")]).finish();
            // 7 is "failed to connect".
            assert_eq!(refused.status.code(), Some(7), "{}", refused.story());
            let reset = refused.errors.contains("Connection refused");
            assert!(reset, "{}", refused.story());
        }
        // At once means: the answer came before the SYN was sent again.
        assert_eq!(kernel_tcp_counter("RetransSegs"), before);
    });
}

#[test]
fn no_file_outside_the_folder_is_served() {
    real::test(|| {
        let scratch = Scratch::new();
        let secret = scratch.random_file("secret.bin", 4, 1000);
        fs::create_dir(scratch.path("public")).unwrap();
        File::create(scratch.path("public").join("page")).unwrap();
        make_tun();
        let folder = format!("80,{}/public", scratch.folder());
        let _server = Server::start(&["--http", &folder]);
        for path in ["../secret.bin", "%2e%2e/secret.bin", "..%2fsecret.bin", "/../secret.bin"] {
            let url = format!("http://{STACK_V4}/{path}");
            let got = curl(["--path-as-is", "-w", "%{stderr}%{http_code}", &url]).finish();
            assert!(got.output != fs::read(&secret).unwrap(), "{path}");
            assert!(["400", "403", "404"].contains(&got.errors.as_str()), "{}", got.story());
        }
    });
}
