//! The names of the tests that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The name of every test in `src` and `tests` that is not ignored.
pub(crate) fn runnable_tests() -> BTreeSet<String> {
    sources(&["src", "tests"]).iter().flat_map(|(_, text)| tests_of(text)).collect()
}

/// What the files of these folders hold, and of the folders in them.
pub(crate) fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    sources
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
