//! `cargo xtask tidy`: the rules of the house that no compiler holds.
//!
//! [`layers`] reads every Cargo.toml, [`sources`] every Rust file, [`left_overs`] every text file, and
//! [`licences`] what cargo knows of the dependencies. Each check takes plain values and gives
//! findings, so that its tests can show it a bad input. Deliberately not here: what rustfmt and
//! clippy check.

mod layers;
mod left_overs;
mod licences;
mod sources;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use crate::command;

/// A breach of a rule, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 0 where the whole file is meant.
    line: usize,
    message: String,
}

impl Finding {
    fn in_file(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: 0, message: message.into() }
    }

    fn at_line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.message),
            line => write!(formatter, "{}:{line}: {}", self.path, self.message),
        }
    }
}

pub(crate) fn run() -> Result<()> {
    let root = command::workspace_root()?;
    let files = tree::text_files(&root)?;
    let manifests = layers::manifests(&files)?;
    let metadata =
        command::output(&mut command::cargo(["metadata", "--format-version", "1", "--locked"])?)?;
    let mut findings = Vec::new();
    findings.extend(manifests.iter().flat_map(layers::check));
    findings.extend(files.iter().flat_map(sources::check));
    findings.extend(left_overs::check(&files, &left_overs::places_of_this_machine(&root)));
    findings.extend(licences::check(&licences::packages(&metadata)?));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} places to tidy", findings.len());
    }
    println!("tidy: {} crates and {} text files are in order", manifests.len(), files.len());
    Ok(())
}
