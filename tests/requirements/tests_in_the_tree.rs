//! The names of the tests that there are.

use std::collections::BTreeSet;

use crate::tree::sources;

/// The name of every test in `src` and `tests` that is not ignored.
pub(crate) fn runnable_tests() -> BTreeSet<String> {
    sources(&["src", "tests"]).iter().flat_map(|(_, text)| tests_of(text)).collect()
}

/// The functions behind `#[test]`, in whatever macro; `#[ignore]` between the two leaves one out.
fn tests_of(source: &str) -> impl Iterator<Item = String> {
    source.split("#[test]").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once("fn ")?;
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (!attributes.contains("#[ignore") && !attributes.contains('}')).then_some(name)
    })
}

#[test]
fn tests_are_found_by_their_attribute() {
    let source = "#[test]\nfn one() {}\nfn none() {}\nproptest! {\n #[test]\n fn two(x: u8) {}\n}\n\
                  #[test]\n#[ignore]\nfn ignored() {}\n";
    assert_eq!(tests_of(source).collect::<Vec<_>>(), ["one", "two"]);
}
