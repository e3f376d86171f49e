//! What a machine needs beside Rust: it is looked for, said, and installed where that is possible.
//!
//! On Debian and as root, missing packages are installed by apt-get. Everywhere else the missing
//! piece is named with the command that brings it, and nothing is changed. Deliberately not
//! here: Rust itself, without which this program would not run.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// Something that must be there.
struct Requirement {
    name: &'static str,
    reason: &'static str,
    is_present: fn() -> bool,
    debian_packages: &'static [&'static str],
    elsewhere: &'static str,
}

const C_COMPILER: Requirement = Requirement {
    name: "a C compiler",
    reason: "SQLite and the cryptography of TLS are built from C",
    is_present: || {
        command::works("cc", &["--version"]) && Path::new("/usr/include/stdio.h").exists()
    },
    // libc6-dev is only recommended by gcc, and recommendations are not installed.
    debian_packages: &["gcc", "libc6-dev"],
    elsewhere: "install gcc or clang, with the headers of the C library",
};

/// Debian has no standard library for wasm32, but its compiler for browsers (rustc-web) comes with
/// the source of one.
const WASM_LIBRARY: Requirement = Requirement {
    name: "Rust's standard library for wasm32-unknown-unknown",
    reason: "the client core is checked for browsers",
    is_present: || crate::wasm_check::has_target() || crate::wasm_check::has_debian_compiler(),
    debian_packages: &["rustc-web", "cargo-web", "rust-web-src"],
    elsewhere: "rustup target add wasm32-unknown-unknown",
};

const WASM_C_COMPILER: Requirement = Requirement {
    name: "a C compiler for wasm32",
    reason: "SQLite in the browser is built from C",
    is_present: || crate::wasm_check::c_tools().is_some(),
    debian_packages: &["clang-19", "llvm-19"],
    elsewhere: "install a recent clang and llvm",
};

/// Makes ready for building server, apps and tests.
pub(crate) fn native() -> Result<()> {
    provide(&[C_COMPILER])
}

/// Makes ready for [`crate::wasm_check`].
pub(crate) fn wasm() -> Result<()> {
    provide(&[C_COMPILER, WASM_LIBRARY, WASM_C_COMPILER])
}

/// Makes ready for the format check and clippy.
pub(crate) fn rust_components() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        let subcommand = if component == "rustfmt" { "fmt" } else { component };
        if command::works("cargo", &[subcommand, "--version"]) {
            continue;
        }
        println!("setup: adding {component} by rustup");
        let add = ["component", "add", component];
        if command::run(Command::new("rustup").args(add)).is_err() {
            bail!("{component} is missing: run `rustup component add {component}`");
        }
    }
    Ok(())
}

fn provide(requirements: &[Requirement]) -> Result<()> {
    let missing = || requirements.iter().filter(|requirement| !(requirement.is_present)());
    if missing().next().is_none() {
        return Ok(());
    }
    for requirement in missing() {
        println!("setup: {} is missing ({})", requirement.name, requirement.reason);
    }
    let packages: Vec<&str> =
        missing().flat_map(|requirement| requirement.debian_packages).copied().collect();
    if Path::new("/etc/debian_version").exists() && is_root()? {
        install_debian_packages(&packages)?;
    }
    let by_hand: Vec<String> = missing().map(by_hand).collect();
    if by_hand.is_empty() { Ok(()) } else { bail!("{}", by_hand.join("\n")) }
}

fn by_hand(requirement: &Requirement) -> String {
    format!(
        "{} is missing, and this program may not or cannot install it. \
         On Debian, as root: apt-get install --no-install-recommends {}. Elsewhere: {}.",
        requirement.name,
        requirement.debian_packages.join(" "),
        requirement.elsewhere,
    )
}

fn install_debian_packages(packages: &[&str]) -> Result<()> {
    println!("setup: installing {} by apt-get", packages.join(" "));
    let apt_get = |arguments: &[&str]| {
        let mut apt_get = Command::new("apt-get");
        // A machine that has just started may hold the lock for its own updates.
        apt_get.args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        command::run(apt_get.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

fn is_root() -> Result<bool> {
    Ok(command::output(Command::new("id").arg("-u"))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never_present() -> Requirement {
        Requirement { is_present: || false, ..C_COMPILER }
    }

    #[test]
    fn nothing_is_done_where_everything_is_present() {
        provide(&[Requirement { is_present: || true, ..C_COMPILER }]).unwrap();
    }

    #[test]
    fn missing_piece_is_named_with_both_ways_to_get_it() {
        let text = by_hand(&never_present());
        assert!(text.contains("a C compiler is missing"));
        assert!(text.contains("apt-get install --no-install-recommends gcc libc6-dev"));
        assert!(text.contains("install gcc or clang"));
    }
}
