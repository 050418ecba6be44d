//! Which test covers what, from the comments above the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::requirement::is_id;
use crate::{Error, read};

/// The tests that cover a requirement, as `file: test`.
pub(crate) type Coverage = BTreeMap<String, BTreeSet<String>>;

/// How many lines below its comment a test function begins at most.
const REACH: usize = 12;

/// Reads all Rust files below `crates` and `sim`.
pub(crate) fn scan(root: &Path) -> Result<Coverage, Error> {
    let mut coverage = Coverage::new();
    for folder in ["crates", "sim"] {
        for file in rust_files(&root.join(folder))? {
            let name = file
                .strip_prefix(root)
                .unwrap_or(&file)
                .display()
                .to_string();
            collect(&name, &read(&file)?, &mut coverage);
        }
    }
    Ok(coverage)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::Read {
        path: folder.to_owned(),
        error,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn collect(file: &str, text: &str, coverage: &mut Coverage) {
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let Some((before, ids)) = line.split_once("Covers:") else {
            continue;
        };
        if !before.trim_start().starts_with("//") {
            continue;
        }
        let below = lines.get(number..).unwrap_or_default();
        let test = below
            .iter()
            .take(REACH)
            .find_map(|line| function_name(line));
        let place = format!("{file}: {}", test.unwrap_or("(whole file)"));
        // An id counts wherever the sentence has it: "S-011 and S-012 (paths)".
        let rest = below
            .iter()
            .skip(1)
            .take_while(|line| line.trim_start().starts_with("//"));
        for word in std::iter::once(&ids)
            .chain(rest)
            .flat_map(|line| words(line))
        {
            coverage
                .entry(word.to_owned())
                .or_default()
                .insert(place.clone());
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'))
        .filter(|word| is_id(word))
}

fn function_name(line: &str) -> Option<&str> {
    let (_, after) = line.trim_start().split_once("fn ")?;
    after.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_above_a_test_covers_what_it_names() {
        let text = "/// Covers: S-017, S-018\n/// and S-019.\n#[test]\nfn it_holds() {}\n\
                    let text = \"Covers: S-020\";\n";
        let mut coverage = Coverage::new();
        collect("a.rs", text, &mut coverage);
        let ids: Vec<&str> = coverage.keys().map(String::as_str).collect();
        assert_eq!(ids, ["S-017", "S-018", "S-019"]);
        assert!(coverage["S-019"].contains("a.rs: it_holds"));
    }
}
