//! The requirements of the RFCs, one by one: which tests show that they are met, which are declined
//! and why, and which are still open.
//!
//! RFC 9293 numbers its own in appendix B. Of the other RFCs each sentence with a MUST, a SHOULD or a
//! MAY (RFC 2119), or with the same in other words, is a row, by its section, as far as it is about a
//! TCP; "RECOMMENDED" is a SHOULD. The tables are data; the tests here see to it that they name tests that exist, and that
//! that of appendix B is complete.

#![allow(clippy::unwrap_used)]

#[path = "requirements/rfc2018.rs"]
mod rfc2018;
#[path = "requirements/rfc5961.rs"]
mod rfc5961;
#[path = "requirements/rfc6298.rs"]
mod rfc6298;
#[path = "requirements/rfc7323.rs"]
mod rfc7323;
#[path = "requirements/rfc9293.rs"]
mod rfc9293;
#[path = "requirements/rfc9438.rs"]
mod rfc9438;
#[path = "requirements/rfc9768.rs"]
mod rfc9768;
#[path = "requirements/tests_in_the_tree.rs"]
mod tests_in_the_tree;
mod tree;

use std::collections::BTreeSet;

use tests_in_the_tree::runnable_tests;

/// One requirement: its name, what it asks for in a few words, and how it stands.
struct Requirement(&'static str, &'static str, Standing);

/// How a requirement stands.
enum Standing {
    /// These tests would fail if it were not met.
    Done(&'static [&'static str]),
    /// It is left on purpose, for this reason.
    Declined(&'static str),
    /// It is not met yet, or not shown; this is missing.
    #[allow(dead_code, reason = "nothing is at present")]
    Open(&'static str),
}

use Standing::{Declined, Done, Open};

/// The requirements of one RFC.
struct Table {
    rfc: &'static str,
    rows: &'static [Requirement],
    /// How many are open.
    open: usize,
}

/// All of them.
const TABLES: [Table; 7] = [
    Table { rfc: "9293", rows: rfc9293::TABLE, open: rfc9293::OPEN },
    Table { rfc: "2018", rows: rfc2018::TABLE, open: rfc2018::OPEN },
    Table { rfc: "5961", rows: rfc5961::TABLE, open: rfc5961::OPEN },
    Table { rfc: "6298", rows: rfc6298::TABLE, open: rfc6298::OPEN },
    Table { rfc: "7323", rows: rfc7323::TABLE, open: rfc7323::OPEN },
    Table { rfc: "9438", rows: rfc9438::TABLE, open: rfc9438::OPEN },
    Table { rfc: "9768", rows: rfc9768::TABLE, open: rfc9768::OPEN },
];

/// All requirements of all tables.
fn all() -> impl Iterator<Item = &'static Requirement> {
    TABLES.into_iter().flat_map(|table| table.rows)
}

/// The only requirements that may be declined though they are a MUST: source routes, which RFC 7126
/// sections 4.3 and 4.4 have hosts drop, as Linux does; a report of text that is not kept; and, where RFC
/// 8985 has taken their place, three ACKs before a recovery and distrust of all reports after a timeout.
const DECLINED_MUSTS: [&str; 6] =
    ["2018 5.1 (1) MUST", "2018 5.1 (2) MUST", "2018 8 (2) MUST", "MUST-51", "MUST-52", "MUST-53"];
/// At most this many a SHOULD of RFC 9293 may be.
const MOST_DECLINED_SHOULDS: usize = 2;

fn names_of(table: &[Requirement]) -> Vec<String> {
    table.iter().map(|Requirement(name, ..)| (*name).to_owned()).collect()
}

#[test]
fn appendix_b_of_rfc_9293_is_complete() {
    let wanted = [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)];
    let wanted: Vec<String> = wanted
        .iter()
        .flat_map(|(kind, last)| (1..=*last).map(move |n| format!("{kind}-{n}")))
        .collect();
    assert_eq!(names_of(rfc9293::TABLE), wanted, "each once, in order");
}

/// Rows of the other RFCs are called by number, section, a count and the word: `5961 3.2 (1) MUST`.
#[test]
fn every_row_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for Table { rfc, rows, .. } in &TABLES[1..] {
        for Requirement(name, ..) in *rows {
            let words: Vec<&str> = name.split(' ').collect();
            assert!(words.len() == 4 && words[0] == *rfc, "{name}");
            assert!(["MUST", "SHOULD", "MAY"].contains(&words[3]), "{name}");
            assert!(names.insert(&name[..name.len() - words[3].len()]), "{name} comes twice");
        }
    }
}

#[test]
fn every_test_that_is_named_exists_and_runs() {
    let tests = runnable_tests();
    let mut missing = Vec::new();
    for Requirement(name, _, standing) in all() {
        if let Done(named) = standing {
            assert!(!named.is_empty(), "{name}: nothing shows it");
            missing.extend(named.iter().filter(|test| !tests.contains(**test)).map(|t| (name, t)));
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

#[test]
fn little_is_declined_and_never_without_a_reason() {
    let declined = |kind: &str| -> BTreeSet<&str> {
        let of_kind = all().filter(|Requirement(name, ..)| name.contains(kind));
        of_kind
            .filter_map(|Requirement(name, _, standing)| {
                matches!(standing, Declined(_)).then_some(*name)
            })
            .collect()
    };
    assert_eq!(declined("MUST"), DECLINED_MUSTS.into());
    let shoulds = declined("SHLD");
    assert!(shoulds.len() <= MOST_DECLINED_SHOULDS, "{shoulds:?}");
    for Requirement(name, what, standing) in all() {
        let (Declined(reason) | Open(reason)) = standing else { continue };
        assert!(reason.len() > 20, "{name} ({what}) needs a reason");
    }
}

/// Run with `--nocapture`, it says what is still open.
#[test]
fn what_is_open_is_said() {
    for Table { rfc, rows, open } in TABLES {
        let missing: Vec<String> = rows
            .iter()
            .filter_map(|Requirement(name, what, standing)| match standing {
                Open(missing) => Some(format!("{name} ({what}): {missing}")),
                _ => None,
            })
            .collect();
        println!("RFC {rfc}: {} of {} are open", missing.len(), rows.len());
        println!("{}", missing.join("\n"));
        assert_eq!(missing.len(), open, "the table has changed: say how many are open now");
    }
}

/// Asserts that no program of this crate, in `src/apps` and `src/cli`, names `call`.
#[track_caller]
fn no_program_of_ours_calls(call: &str) {
    let sources = tree::sources(&["src/apps", "src/cli"]);
    assert!(sources.len() > 10);
    for (path, text) in sources {
        assert!(!text.contains(call), "{}", path.display());
    }
}

/// SHLD-13 asks this of applications.
#[test]
fn no_program_of_ours_sends_urgent_text() {
    no_program_of_ours_calls("write_urgent");
}

/// SHLD-23 asks this of applications.
#[test]
fn no_program_of_ours_changes_the_diffserv_field_in_mid_connection() {
    no_program_of_ours_calls("set_traffic_class");
}
