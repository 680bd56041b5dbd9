//! The rules of the house, checked on the source itself: dependencies point one way, nothing below
//! the device and the runtime knows the time of day, chance, files or sockets, one file alone
//! knows the packet parser, and no file grows without end.
//!
//! The checks read text, not syntax trees: comments, strings and test modules are taken out first.

#![allow(clippy::unwrap_used)]

mod tree;

use std::path::{Path, PathBuf};

/// Which top-level modules a module may name, besides itself:
/// `time, wire <- tcp, udp, icmp, ip <- stack <- device, runtime <- apps <- main`.
const MAY_NAME: [(&str, &[&str]); 12] = [
    ("time", &[]),
    ("wire", &["time"]),
    ("tcp", &["time", "wire"]),
    ("udp", &["time", "wire"]),
    ("icmp", &["time", "wire"]),
    ("ip", &["time", "wire"]),
    ("stack", &["time", "wire", "tcp", "udp", "icmp", "ip"]),
    ("device", &["time", "wire", "tcp", "udp", "icmp", "ip", "stack"]),
    ("runtime", &["time", "wire", "tcp", "udp", "icmp", "ip", "stack", "device"]),
    ("packetdrill", &["time", "wire", "tcp", "stack"]),
    ("plot", &["time", "wire"]),
    ("apps", &["time", "wire", "tcp", "udp", "icmp", "ip", "stack", "device", "runtime"]),
];

/// Modules that may name anything: the map, the prose, and the program with its command line.
const ABOVE_ALL: &[&str] = &["lib", "manual", "main", "cli"];

/// The modules of the core, which does no input or output and owns no clock.
const CORE: &[&str] = &["time", "wire", "tcp", "udp", "icmp", "ip", "stack"];

/// What the core must not name, and why.
const FORBIDDEN_IN_CORE: &[(&str, &str)] = &[
    ("Instant::now", "reads a clock"),
    ("SystemTime", "reads a clock"),
    ("std::time::Instant", "is a clock"),
    ("thread::sleep", "waits on a clock"),
    ("RandomState", "draws randomness from the system"),
    ("std::collections::HashMap", "draws randomness from the system"),
    ("std::collections::HashSet", "draws randomness from the system"),
    ("HashMap::new", "draws randomness from the system"),
    ("HashSet::new", "draws randomness from the system"),
    ("DefaultHasher", "is not keyed by the stack's seed"),
    ("getrandom", "draws randomness from the system"),
    ("rand::", "draws randomness from outside the seed"),
    ("std::fs", "opens files"),
    ("stdin()", "reads"),
    ("stdout()", "prints"),
    ("stderr()", "prints"),
    ("std::env", "depends on the process"),
    ("std::process", "depends on the process"),
    ("std::thread", "starts threads"),
    ("TcpStream", "is a socket of the system"),
    ("TcpListener", "is a socket of the system"),
    ("UdpSocket", "is a socket of the system"),
    ("std::os", "depends on the system"),
    ("libc::", "calls the system"),
    ("nix::", "calls the system"),
    ("tun_tap", "is a device"),
    ("println!", "prints"),
    ("print!", "prints"),
    ("eprintln!", "prints"),
    ("eprint!", "prints"),
    ("dbg!", "prints"),
];

/// Lines of a file that are not tests, blank or not.
const LINE_LIMIT: usize = 700;

/// A source file with its module path, such as `["tcp", "input"]`.
struct Source {
    path: PathBuf,
    module: Vec<String>,
    /// The code without comments, strings and test modules.
    code: String,
    /// Lines, test modules not counted.
    lines: usize,
}

impl Source {
    fn new(path: &Path, text: &str) -> Self {
        let inside = path.strip_prefix("src").unwrap_or(path).with_extension("");
        let mut module: Vec<String> =
            inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if module.len() > 1 && module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let code = without_test_modules(&without_comments_and_strings(text));
        Self { path: path.to_owned(), module, lines: code.lines().count(), code }
    }

    fn top(&self) -> &str {
        &self.module[0]
    }

    /// A file that holds nothing but the tests of the module beside it.
    fn is_tests(&self) -> bool {
        self.module.last().is_some_and(|last| last == "tests")
    }

    fn is_in_core(&self) -> bool {
        CORE.contains(&self.top())
    }
}

/// Replaces comments by blanks and the contents of strings and character literals by nothing, and
/// keeps the line breaks.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            1 + end_of_string(&rest[1..])
        } else if rest.starts_with("'\\") {
            2 + rest[3..].find('\'').map_or(0, |end| end + 2)
        } else if first == '\'' && rest.chars().nth(2) == Some('\'') {
            rest.char_indices().nth(3).map_or(rest.len(), |(at, _)| at)
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..skipped].chars().filter(|&c| c == '\n'));
        rest = &rest[skipped..];
    }
    code
}

/// Where the string that `text` begins inside of ends, its closing quote included.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Takes out every `#[cfg(test)]` item that has a body, and `mod tests;` as well.
fn without_test_modules(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut depth = 0usize;
        let end = rest.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ';' if depth == 0 => return Some(at + 1),
                _ => {}
            }
            (c == '}' && depth == 0).then_some(at + 1)
        });
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    kept.push_str(rest);
    kept
}

/// Every path in `code` that starts at the crate's root, by its first segment: `crate::tcp::X`,
/// `crate::{tcp, wire}` and, for the program, `tunstack::...`. `super` chains that leave the
/// module's own top are followed too.
fn named_modules(source: &Source) -> Vec<String> {
    let mut named = Vec::new();
    let code = &source.code;
    for root in ["crate::", "tunstack::"] {
        for (at, _) in code.match_indices(root) {
            let bounded = code[..at].chars().next_back().is_none_or(|c| !is_word(c));
            if bounded {
                named.extend(first_segments(&code[at + root.len()..]));
            }
        }
    }
    // `super::super::x` in module a::b names a::x's parent's x: it reaches the root when there are
    // as many `super`s as the path has segments.
    let to_root = "super::".repeat(source.module.len());
    for (at, _) in code.match_indices(&to_root) {
        if !code[..at].ends_with("super::") {
            named.extend(first_segments(&code[at + to_root.len()..]));
        }
    }
    named.retain(|name| name != "super" && name != "self");
    named
}

/// The first segments of the path or the braced list of paths that `text` begins with.
fn first_segments(text: &str) -> Vec<String> {
    let Some(list) = text.strip_prefix('{') else {
        return vec![word(text)];
    };
    let mut segments = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                segments.push(word(list[start..at].trim_start()));
                start = at + 1;
            }
            '}' if depth == 0 => {
                segments.push(word(list[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> String {
    text.chars().take_while(|&c| is_word(c)).collect()
}

/// Complaints about dependencies that point the wrong way.
fn wrong_directions(source: &Source, modules: &[String]) -> Vec<String> {
    let top = source.top();
    if ABOVE_ALL.contains(&top) || source.is_tests() {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_NAME.iter().find(|(module, _)| *module == top) else {
        return vec![format!("{}: {top} has no place in the house", source.path.display())];
    };
    named_modules(source)
        .into_iter()
        .filter(|name| {
            // What is not a module is a name that lib.rs re-exports from the stack.
            let module = if modules.contains(name) { name } else { "stack" };
            module != top && !allowed.contains(&module)
        })
        .map(|name| format!("{}: {top} names {name}", source.path.display()))
        .collect()
}

/// Complaints about clocks, chance and input or output in the core.
fn impurities(source: &Source) -> Vec<String> {
    if !source.is_in_core() || source.is_tests() {
        return Vec::new();
    }
    let imports = braced_imports(&source.code);
    let code = format!("{}\n{imports}", source.code);
    FORBIDDEN_IN_CORE
        .iter()
        .filter(|(name, _)| names(&code, name))
        .map(|(name, why)| format!("{}: {name} {why}", source.path.display()))
        .collect()
}

/// Whether `code` names `name`, not as the tail of a longer word.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name)
        .any(|(at, _)| code[..at].chars().next_back().is_none_or(|c| !is_word(c)))
}

/// `use std::collections::{BTreeMap, HashMap};` written out as one path a line.
fn braced_imports(code: &str) -> String {
    let mut lines = String::new();
    for (at, _) in code.match_indices("::{") {
        let start =
            code[..at].rfind(|c: char| !is_word(c) && c != ':').map_or(0, |before| before + 1);
        for segment in first_segments(&code[at + 2..]) {
            lines += &format!("{}::{segment}\n", &code[start..at]);
        }
    }
    lines
}

/// A complaint about the packet parser being named outside `wire`.
fn strays_from_wire(source: &Source) -> Option<String> {
    let stray = source.top() != "wire" && names(&source.code, "etherparse");
    stray.then(|| format!("{}: only wire names etherparse", source.path.display()))
}

/// A complaint about length.
fn too_long(source: &Source) -> Option<String> {
    let long = source.lines > LINE_LIMIT && !source.is_tests();
    long.then(|| format!("{}: {} lines", source.path.display(), source.lines))
}

/// All source files, by paths that start with `src`.
fn sources() -> Vec<Source> {
    let sources: Vec<Source> =
        tree::sources(&["src"]).iter().map(|(path, text)| Source::new(path, text)).collect();
    assert!(sources.len() > 10, "the source has been found");
    sources
}

#[track_caller]
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn dependencies_point_one_way() {
    let sources = sources();
    let modules: Vec<_> = sources.iter().map(|source| source.top().to_owned()).collect();
    assert_none(sources.iter().flat_map(|source| wrong_directions(source, &modules)).collect());
}

#[test]
fn the_core_owns_no_clock_no_chance_and_no_files() {
    assert_none(sources().iter().flat_map(impurities).collect());
}

#[test]
fn only_wire_names_the_packet_parser() {
    assert_none(sources().iter().filter_map(strays_from_wire).collect());
}

#[test]
fn no_file_is_too_long() {
    assert_none(sources().iter().filter_map(too_long).collect());
}

// The checks themselves, on samples that they must object to.

fn sample(path: &str, text: &str) -> Source {
    Source::new(Path::new(path), text)
}

fn directions(path: &str, text: &str) -> usize {
    let modules = MAY_NAME.map(|(module, _)| module.to_owned());
    wrong_directions(&sample(path, text), &modules).len()
}

#[test]
fn a_dependency_that_points_up_is_found_in_every_spelling() {
    assert_eq!(directions("src/tcp/input.rs", "use crate::stack::Stack;"), 1);
    assert_eq!(directions("src/tcp/input.rs", "use crate::{wire::Flow, stack::{A, B}};"), 1);
    assert_eq!(directions("src/tcp/input.rs", "fn f(x: crate::runtime::X) {}"), 1);
    assert_eq!(directions("src/tcp/input.rs", "use super::super::stack::Stack;"), 1);
    assert_eq!(directions("src/tcp/mod.rs", "use super::stack::Stack;"), 1);
    assert_eq!(directions("src/tcp/a/b.rs", "use super::super::super::stack;"), 1);
    assert_eq!(directions("src/wire/seq.rs", "use crate::tcp::State;"), 1);
    assert_eq!(directions("src/tcp/input.rs", "use crate::Stack;"), 1);
    assert_eq!(directions("src/runtime/mod.rs", "use crate::apps::Echo;"), 1);
    assert_eq!(directions("src/utils.rs", ""), 1);
}

#[test]
fn a_dependency_that_points_down_is_fine() {
    assert_eq!(directions("src/tcp/input.rs", "use crate::{time::Instant, wire::Flow};"), 0);
    assert_eq!(directions("src/tcp/input.rs", "use super::{State, Connection};"), 0);
    assert_eq!(directions("src/tcp/a/b.rs", "use super::super::State;"), 0);
    assert_eq!(directions("src/tcp/input.rs", "// use crate::stack::Stack;"), 0);
    assert_eq!(directions("src/main.rs", "use tunstack::apps::Echo;"), 0);
    assert_eq!(directions("src/runtime/mod.rs", "use crate::{ConnId, Stack};"), 0);
}

fn impure(path: &str, text: &str) -> bool {
    !impurities(&sample(path, text)).is_empty()
}

#[test]
fn a_clock_a_die_or_a_file_in_the_core_is_found() {
    assert!(impure("src/tcp/rto.rs", "let t = Instant::now();"));
    assert!(impure("src/stack/table.rs", "use std::collections::HashMap;"));
    assert!(impure("src/stack/table.rs", "use std::collections::{BTreeMap, HashSet};"));
    assert!(impure("src/stack/isn.rs", "let k = getrandom::fill(&mut b);"));
    assert!(impure("src/wire/codec.rs", "use std::net::{IpAddr, UdpSocket};"));
    assert!(impure("src/wire/codec.rs", "println!(\"{x}\");"));
    assert!(impure("src/wire/codec.rs", "use std::io; fn f() { io::stdout().flush(); }"));
    assert!(impure("src/stack/mod.rs", "use std::{fmt, fs};"));
    assert!(impure("src/ip/path_mtu.rs", "nix::unistd::getpid();"));
}

#[test]
fn what_is_not_code_of_the_core_is_left_alone() {
    assert!(!impure("src/runtime/mod.rs", "let t = Instant::now();"));
    assert!(!impure("src/tcp/rto.rs", "// never Instant::now()"));
    assert!(!impure("src/tcp/rto.rs", "let s = \"Instant::now\";"));
    assert!(!impure(
        "src/tcp/rto.rs",
        "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { println!(); } }"
    ));
    assert!(impure(
        "src/tcp/rto.rs",
        "#[cfg(test)]\nmod tests { fn g() {} }\nfn f() { println!(); }"
    ));
    assert!(!impure("src/tcp/rto/tests.rs", "use std::collections::HashMap;"));
    assert!(!impure("src/stack/table.rs", "use hashbrown::HashTable;"));
}

#[test]
fn the_parser_outside_wire_and_a_long_file_are_found() {
    let text = "use etherparse::TcpHeader;";
    assert!(strays_from_wire(&sample("src/stack/mod.rs", text)).is_some());
    assert!(strays_from_wire(&sample("src/wire/codec.rs", text)).is_none());
    let long = "x();\n".repeat(LINE_LIMIT + 1);
    assert!(too_long(&sample("src/tcp/input.rs", &long)).is_some());
    let tested = format!("x();\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(too_long(&sample("src/tcp/input.rs", &tested)).is_none());
}

#[test]
fn characters_and_strings_do_not_confuse_the_reader() {
    let text = r#"let a = '"'; let b = "\"//"; let c = '\''; let d: &'static str = "x"; end();"#;
    let code = without_comments_and_strings(text);
    assert!(code.ends_with("end();"), "{code}");
    assert!(code.contains("'static"), "{code}");
}
