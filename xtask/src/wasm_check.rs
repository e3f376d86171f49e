//! `cargo xtask wasm-check`: the client crates that also run in browsers pass `cargo check` for
//! wasm32-unknown-unknown.
//!
//! Where rustup has the target, this is an ordinary check. Debian's own compiler has no standard
//! library for it; there one is built once, from the source in the package rust-web-src, into a
//! folder of its own under `target/`, whose name depends on the compiler. Deliberately not here:
//! linking, running, or making anything that a browser loads.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::{command, setup};

const TARGET: &str = "wasm32-unknown-unknown";

/// The crates of the client that a browser runs.
const PACKAGES: [&str; 5] = [
    "tidings-client-core",
    "tidings-client-database",
    "tidings-client-mls",
    "tidings-client-sealing",
    "tidings-client-wasm",
];

/// Debian's compiler for browsers. Named in full, as a compiler of rustup comes first in the path.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUST_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";

/// How the standard library is built: with bitcode, without which no build of a module with link
/// time optimisation can use it.
const STD_FLAGS: &str = "-Cembed-bitcode=yes";

pub(crate) fn run() -> Result<()> {
    setup::wasm()?;
    let mut check = command::cargo(["check", "--locked", "--target", TARGET])?;
    for package in PACKAGES {
        check.args(["--package", package]);
    }
    if !has_target() {
        let sysroot = sysroot()?;
        check.env("RUSTC", DEBIAN_RUSTC);
        // For this target alone: build scripts and macros keep the compiler's own library.
        check.env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            format!("--sysroot={}", sysroot.display()),
        );
    }
    if let Some((compiler, archiver)) = c_tools() {
        check.env("CC_wasm32_unknown_unknown", compiler);
        check.env("AR_wasm32_unknown_unknown", archiver);
    }
    // Apart from the native files: another compiler would throw those away.
    check.arg("--target-dir").arg(command::target_folder()?.join("wasm"));
    command::run(&mut check)
}

/// Tells whether the compiler in use brings the target's standard library.
pub(crate) fn has_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut ask = Command::new(rustc);
    ask.args(["--print", "target-libdir", "--target", TARGET]);
    // It names the folder even when nothing is in it.
    command::output(&mut ask).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}

/// Tells whether Debian's compiler and the source of its standard library are there.
pub(crate) fn has_debian_compiler() -> bool {
    [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_RUST_SOURCE]
        .into_iter()
        .all(|path| Path::new(path).exists())
}

/// Finds a C compiler that can write wasm32 code, and the archiver that fits it: build scripts
/// compile C during a check too.
pub(crate) fn c_tools() -> Option<(&'static str, &'static str)> {
    [("clang-19", "llvm-ar-19"), ("clang", "llvm-ar")].into_iter().find(|(compiler, archiver)| {
        let target = format!("--target={TARGET}");
        command::works(compiler, &[&target, "-x", "c", "-fsyntax-only", "/dev/null"])
            && command::works(archiver, &["--version"])
    })
}

/// The folder with the target's standard library for Debian's compiler; built if it is not there.
fn sysroot() -> Result<PathBuf> {
    let target_folder = command::target_folder()?;
    let version = command::output(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
    let sysroot = target_folder.join(format!("wasm-sysroot-{:016x}", fingerprint(&version)));
    if !sysroot.exists() {
        println!("building the standard library for {TARGET}, once per compiler");
        // Filled under another name first, so that a build that was broken off leaves no half of it.
        let unfinished = target_folder.join("wasm-sysroot-unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        build_standard_library(&unfinished)?;
        fs::rename(&unfinished, &sysroot)?;
    }
    Ok(sysroot)
}

/// Cargo does not notice when a library in a sysroot is replaced, so another compiler or other flags
/// get another folder.
fn fingerprint(compiler_version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (compiler_version, STD_FLAGS).hash(&mut hasher);
    hasher.finish()
}

fn build_standard_library(folder: &Path) -> Result<()> {
    let crate_folder = folder.join("empty");
    fs::create_dir_all(crate_folder.join("src"))?;
    fs::write(crate_folder.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        crate_folder.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )?;
    command::run(
        Command::new(DEBIAN_CARGO)
            .args(["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort"])
            .args(["--target-dir", "built"])
            .current_dir(&crate_folder)
            .env("RUSTC", DEBIAN_RUSTC)
            // Building a standard library is an unstable feature; the check itself uses none.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", STD_FLAGS)
            .env_remove("RUSTUP_TOOLCHAIN"),
    )?;
    let library = folder.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&library)?;
    let built = crate_folder.join("built").join(TARGET).join("release/deps");
    let mut copied = 0;
    for entry in fs::read_dir(&built).with_context(|| format!("no {}", built.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with("libempty-") {
            fs::copy(&path, library.join(&name))?;
            copied += 1;
        }
    }
    if copied == 0 {
        bail!("the build of the standard library left nothing in {}", built.display());
    }
    fs::remove_dir_all(&crate_folder)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_compiler_gets_another_sysroot() {
        assert_eq!(fingerprint("rustc 1.96.0"), fingerprint("rustc 1.96.0"));
        assert_ne!(fingerprint("rustc 1.96.0"), fingerprint("rustc 1.97.0"));
    }
}
