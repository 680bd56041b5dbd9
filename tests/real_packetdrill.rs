//! packetdrill, Google's conformance tester, judges the stack through `tunstack::packetdrill`.
//!
//! It is no part of this project, and so these tests are ignored unless it is there:
//!
//! ```text
//! PACKETDRILL=/path/to/packetdrill PACKETDRILL_SCRIPTS=/path/to/gtests/net/tcp ./setup.sh test
//! ```

#![allow(clippy::unwrap_used)]

#[path = "packetdrill/public.rs"]
mod public;
mod real;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use real::interface::ip;
use real::namespace::Namespace;

/// Scripts that run at once, each in a network of its own.
const AT_ONCE: usize = 4;

/// What the runner of Google's repository gives its scripts over IPv4.
const IPV4: &[&str] = &[
    "--ip_version=ipv4",
    "--local_ip=192.168.0.1",
    "--gateway_ip=192.168.0.1",
    "--netmask_ip=255.255.0.0",
    "--remote_ip=192.0.2.1",
    "-D",
    "TFO_COOKIE=3021b9d889017eeb",
    "-D",
    "CODE=host_unreachable",
    "-D",
    "CMSG_LEVEL_IP=SOL_IP",
    "-D",
    "CMSG_TYPE_RECVERR=IP_RECVERR",
];

/// packetdrill's own tolerance is made for a real clock. This one is virtual.
const TIGHT: &[&str] = &["--tolerance_usecs=1000", "--tolerance_percent=1"];

fn variable(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    PathBuf::from(value.unwrap_or_else(|| panic!("{name} is not set; see the head of this file")))
}

/// The object that packetdrill loads, where cargo puts it.
fn object() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let profile = program.parent().and_then(Path::parent).unwrap();
    let object = profile.join("examples/libtunstack_packetdrill.so");
    assert!(
        object.exists(),
        "{} is missing: cargo build --release --features packetdrill --example tunstack_packetdrill",
        object.display()
    );
    object
}

/// All scripts below a folder, by path.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pkt") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs a script in a network of its own; what packetdrill has to complain about.
fn run(script: &Path, arguments: &[&str]) -> Result<(), String> {
    let (packetdrill, object) = (variable("PACKETDRILL"), object());
    let namespace = Namespace::new().unwrap();
    let output = namespace.inside(|| {
        ip("link set dev lo up");
        // Scripts set up its queue.
        ip("tuntap add dev tun0 mode tun");
        ip("link set dev tun0 up");
        Command::new("timeout")
            .arg("60")
            .arg(&packetdrill)
            .arg(format!("--so_filename={}", object.display()))
            .args(arguments)
            .arg(script.file_name().unwrap())
            .current_dir(script.parent().unwrap())
            .env("LD_PRELOAD", &object)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    // What a script's shell commands say is of no interest.
    let name = script.file_name().unwrap().to_string_lossy().into_owned();
    let complaint = text.lines().find(|line| line.contains(&name));
    Err(complaint.map_or_else(|| format!("{}", output.status), str::to_owned))
}

/// The path of a script below `folder`.
fn name(folder: &Path, script: &Path) -> String {
    script.strip_prefix(folder).unwrap().to_string_lossy().into_owned()
}

/// Runs all scripts; what came of each, by its path below `folder`.
fn run_all(
    folder: &Path,
    scripts: &[PathBuf],
    arguments: &[&str],
) -> BTreeMap<String, Result<(), String>> {
    assert!(!scripts.is_empty(), "there are no scripts in {}", folder.display());
    let (next, results) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = run(script, arguments);
                    results.lock().unwrap().insert(name(folder, script), result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn passed(results: &BTreeMap<String, Result<(), String>>) -> usize {
    results.values().filter(|result| result.is_ok()).count()
}

#[test]
#[ignore = "needs PACKETDRILL, the path of packetdrill"]
fn our_own_scripts_pass() {
    real::test(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packetdrill");
        let mut arguments = TIGHT.to_vec();
        arguments.push("--so_flags=strict");
        let results = run_all(&folder, &scripts(&folder), &arguments);
        println!("packetdrill: {} of {} scripts of our own pass", passed(&results), results.len());
        let failed: Vec<_> = results.iter().filter(|(_, result)| result.is_err()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    });
}

/// Whether a script belongs to the mechanisms that all TCPs have in common.
fn is_common(name: &str) -> bool {
    let folder = name.split('/').next().unwrap_or_default();
    !public::BEYOND.iter().any(|(beyond, _)| *beyond == folder)
}

#[test]
#[ignore = "needs PACKETDRILL, and PACKETDRILL_SCRIPTS, the folder gtests/net/tcp"]
fn of_googles_scripts_those_pass_that_should() {
    real::test(|| {
        let folder = variable("PACKETDRILL_SCRIPTS");
        let (common, beyond): (Vec<_>, Vec<_>) =
            scripts(&folder).into_iter().partition(|script| is_common(&name(&folder, script)));
        let mut wrong = Vec::new();
        let mut usual = 0;
        for (grade, more, known) in [
            ("usual", &[][..], public::MISSING.to_vec()),
            ("tight", TIGHT, [public::MISSING, public::LOOSE].concat()),
        ] {
            let results = run_all(&folder, &common, &[IPV4, more].concat());
            usual = usual.max(passed(&results));
            println!(
                "packetdrill: {} of the {} scripts of Google that need nothing of Linux alone pass \
                 ({grade} tolerance)",
                passed(&results),
                results.len()
            );
            for (name, result) in &results {
                let missing = known.iter().find(|(script, _)| script == name);
                match (missing, result) {
                    (None, Err(complaint)) => wrong.push(format!("{grade}: {complaint}")),
                    (Some(_), Ok(())) => wrong.push(format!("{grade}: {name} passes by now")),
                    (Some((_, what)), Err(_)) => println!("  not {name}: {what}"),
                    (None, Ok(())) => {}
                }
            }
        }
        let results = run_all(&folder, &beyond, IPV4);
        println!(
            "packetdrill: {} of all {} scripts of Google pass",
            usual + passed(&results),
            common.len() + beyond.len()
        );
        for (folder, what) in public::BEYOND {
            println!("  of {folder}/ those are missing that want: {what}");
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}
