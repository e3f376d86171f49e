//! Rules on Rust files: the header, the length, and what the pure layers must not mention.

use super::Finding;
use super::layers::is_pure;
use super::tree::TextFile;

/// Past this a file holds a second noun (generated files excepted).
const LINES_MAX: usize = 800;

/// What reads a clock, draws randomness, opens a socket or a file, or starts a thread. Addresses are
/// values: `core::net` holds nothing else and is free.
const IMPURE_NAMES: [&str; 12] = [
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio::",
    "rusqlite::",
    "getrandom",
    "thread_rng",
    "rand::",
];

/// Modules of std that must not come in through a group (`use std::{fs, io}`) either.
const IMPURE_MODULES: [&str; 5] = ["env", "fs", "net", "process", "thread"];

/// Checks one file; other files than Rust's pass.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    if !file.path.ends_with(".rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let first_line = file.text.lines().next().unwrap_or_default();
    if first_line.strip_prefix("//!").is_none_or(|header| header.trim().is_empty()) {
        let message = "the first line is not `//!` with what the file is for";
        findings.push(Finding::at_line(&file.path, 1, message));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX && !file.path.ends_with("/generated.rs") {
        let message = format!("{lines} lines, more than {LINES_MAX}: look for the second noun");
        findings.push(Finding::in_file(&file.path, message));
    }
    if file.path.split_once("/src/").is_some_and(|(folder, _)| is_pure(folder)) {
        findings.extend(check_purity(file));
    }
    findings
}

fn check_purity(file: &TextFile) -> Vec<Finding> {
    if file.path.ends_with("tests.rs") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        // Tests stand at the bottom, and may read a file or a clock.
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        let grouped = IMPURE_MODULES.into_iter().find(|module| is_in_group_of_std(line, module));
        let named = IMPURE_NAMES.into_iter().find(|name| mentions(line, name));
        if let Some(name) = named.or(grouped) {
            let message = format!("a pure layer must not mention {name}");
            findings.push(Finding::at_line(&file.path, index + 1, message));
        }
    }
    findings
}

/// Tells whether a line has a name as a whole: `operand::` does not mention `rand::`.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(start, _)| {
        !line[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

fn is_in_group_of_std(line: &str, module: &str) -> bool {
    let Some((_, group)) = line.split_once("std::{") else { return false };
    let mut names = group.split([',', '{', '}', ';']).map(str::trim);
    names.any(|name| {
        name == module || name.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        check(&file).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn file_without_a_header_is_found() {
        for text in ["", "use std::fmt;\n", "\n//! Late.\n", "//!\n", "// Not a header.\n"] {
            assert_eq!(check_text("server/src/main.rs", text).len(), 1, "{text:?}");
        }
        assert_eq!(check_text("server/src/main.rs", "//! The server.\n"), [""; 0]);
        assert_eq!(check_text("README.md", "no Rust"), [""; 0]);
    }

    #[test]
    fn file_past_its_length_is_found_unless_it_is_generated() {
        let text = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(check_text("server/src/main.rs", &text).len(), 1);
        assert_eq!(check_text("protocol/app/src/generated.rs", &text).len(), 0);
        let shorter = format!("//! Long.\n{}", "\n".repeat(LINES_MAX - 1));
        assert_eq!(check_text("server/src/main.rs", &shorter).len(), 0);
    }

    #[test]
    fn impure_code_in_a_pure_layer_is_found_at_its_line() {
        for (code, name) in [
            ("let now = Instant::now();", "Instant::now"),
            ("let now = std::time::SystemTime::now();", "SystemTime"),
            ("use std::net::TcpStream;", "std::net"),
            ("std::fs::read(path)", "std::fs"),
            ("std::thread::spawn(|| {})", "std::thread"),
            ("let mut rng = thread_rng();", "thread_rng"),
            ("let n: u8 = rand::random();", "rand::"),
            ("getrandom::fill(&mut nonce)", "getrandom"),
            ("use std::{fmt, fs};", "fs"),
            ("use std::{net::TcpStream, io};", "net"),
        ] {
            let text = format!("//! Pure.\n{code}\n");
            let expected =
                format!("protocol/app/src/lib.rs:2: a pure layer must not mention {name}");
            assert_eq!(check_text("protocol/app/src/lib.rs", &text), [expected]);
            assert_eq!(check_text("server/src/lib.rs", &text), [""; 0]);
        }
    }

    #[test]
    fn words_that_only_look_impure_pass() {
        for code in ["// std::fs is not used", "operand::take()", "use core::net::Ipv6Addr;"] {
            assert_eq!(check_text("model/src/lib.rs", &format!("//! Pure.\n{code}\n")), [""; 0]);
        }
    }

    #[test]
    fn tests_of_a_pure_layer_may_read_files() {
        let text = "//! Pure.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(check_text("model/src/lib.rs", text), [""; 0]);
    }
}
