//! Under which licences the dependencies come, and which of them are banned, read from
//! `cargo metadata`: all of the lock file, for every platform and for tests too.
//!
//! An expression (SPDX 3.0.1, Annex B) is allowed if somebody may choose allowed licences alone: any
//! side of an `OR`, both sides of an `AND`. `deny.toml` says the same to cargo-deny.

use std::iter::Peekable;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Finding;

const ALLOWED_LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Exceptions (`WITH …`) that only ever allow more.
const ALLOWED_EXCEPTIONS: [&str; 1] = ["LLVM-exception"];

/// Crates that must not come in, with the reason.
const BANNED_CRATES: [(&str, &str); 9] = [
    ("aws-lc-rs", "rustls uses ring alone: two providers at once panic at first use"),
    ("aws-lc-sys", "rustls uses ring alone: two providers at once panic at first use"),
    ("aws-lc-fips-sys", "rustls uses ring alone: two providers at once panic at first use"),
    ("openssl", "TLS is rustls"),
    ("openssl-src", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("wacore-libsignal", "its files are AGPL, whatever its manifest says"),
    ("sqlx", "its SQLite cannot be linked beside rusqlite's"),
];

/// A family of crates under the AGPL.
const BANNED_PREFIX: &str = "libsignal";

/// A dependency as cargo describes it.
pub(super) struct Package {
    name: String,
    version: String,
    licence: Option<String>,
}

/// Reads the dependencies, without the workspace's own crates, out of cargo's description.
pub(super) fn packages(metadata: &str) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let text = |package: &Value, field: &str| package[field].as_str().map(str::to_owned);
    packages
        .iter()
        .filter(|package| package["source"].is_string())
        .map(|package| {
            Ok(Package {
                name: text(package, "name").context("a package has no name")?,
                version: text(package, "version").context("a package has no version")?,
                licence: text(package, "license"),
            })
        })
        .collect()
}

/// Checks all dependencies.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .filter_map(|package| {
            let problem = judge(package)?;
            let name = format!("{} {}", package.name, package.version);
            Some(Finding::in_file("Cargo.lock", format!("{name}: {problem}")))
        })
        .collect()
}

fn judge(package: &Package) -> Option<String> {
    let banned = BANNED_CRATES.into_iter().find(|(name, _)| *name == package.name);
    if let Some((_, reason)) = banned {
        return Some(format!("the crate is banned: {reason}"));
    }
    if package.name.starts_with(BANNED_PREFIX) {
        return Some("the crate is banned: it is under the AGPL".to_owned());
    }
    let Some(expression) = &package.licence else {
        return Some("the crate names no licence".to_owned());
    };
    match is_allowed(expression) {
        Ok(true) => None,
        Ok(false) => Some(format!("the licence {expression} is not on the list")),
        Err(error) => Some(format!("the licence {expression} cannot be read: {error}")),
    }
}

fn is_allowed(expression: &str) -> Result<bool> {
    // Before SPDX expressions came, crates wrote `MIT/Apache-2.0` for a choice.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let allowed = any_of(&mut words)?;
    match words.next() {
        None => Ok(allowed),
        Some(word) => bail!("{word} is out of place"),
    }
}

fn any_of<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Result<bool> {
    let mut allowed = all_of(words)?;
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(words)?;
    }
    Ok(allowed)
}

fn all_of<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Result<bool> {
    let mut allowed = licence(words)?;
    while words.next_if_eq(&"AND").is_some() {
        allowed &= licence(words)?;
    }
    Ok(allowed)
}

fn licence<'a>(words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Result<bool> {
    let allowed = match words.next() {
        Some("(") => {
            let allowed = any_of(words)?;
            if words.next() != Some(")") {
                bail!("a bracket is not closed");
            }
            return Ok(allowed);
        }
        Some("OR" | "AND" | "WITH" | ")") | None => bail!("a licence is missing"),
        Some(name) => ALLOWED_LICENCES.contains(&name),
    };
    if words.next_if_eq(&"WITH").is_none() {
        return Ok(allowed);
    }
    let exception = words.next().context("an exception is missing")?;
    Ok(allowed && ALLOWED_EXCEPTIONS.contains(&exception))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_package(name: &str, licence: Option<&str>) -> Vec<String> {
        let licence = licence.map(str::to_owned);
        let package = Package { name: name.to_owned(), version: "1.0.0".to_owned(), licence };
        check(&[package]).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn allowed_licences_pass_in_every_way_to_write_them() {
        for expression in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "Unlicense OR MIT",
            "GPL-2.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
            "Apache-2.0 AND ISC",
            "(MIT)",
        ] {
            assert_eq!(check_package("some", Some(expression)), [""; 0], "{expression}");
        }
    }

    #[test]
    fn other_licences_are_found_whatever_stands_beside_them() {
        for expression in [
            "AGPL-3.0-only",
            "GPL-3.0-or-later",
            "LGPL-2.1-only",
            "MIT AND GPL-2.0-only",
            "(MIT OR Apache-2.0) AND LGPL-3.0-only",
            "Apache-2.0 WITH Commons-Clause",
        ] {
            assert_eq!(check_package("some", Some(expression)).len(), 1, "{expression}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert!(is_allowed("MIT OR ISC AND GPL-2.0-only").unwrap());
        assert!(!is_allowed("(MIT OR ISC) AND GPL-2.0-only").unwrap());
    }

    #[test]
    fn unreadable_or_missing_licence_is_found() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "OR MIT", "MIT WITH"] {
            assert_eq!(check_package("some", Some(expression)).len(), 1, "{expression:?}");
        }
        assert_eq!(check_package("some", None), ["some 1.0.0: the crate names no licence"]);
    }

    #[test]
    fn banned_crate_is_found_whatever_its_licence() {
        for name in BANNED_CRATES.map(|(name, _)| name) {
            assert_eq!(check_package(name, Some("MIT")).len(), 1, "{name}");
        }
        assert_eq!(check_package("libsignal-protocol", Some("MIT")).len(), 1);
        assert_eq!(check_package("opensslx", Some("MIT")).len(), 0);
    }

    #[test]
    fn own_crates_are_left_out_of_cargos_description() {
        let metadata = r#"{"packages": [
            {"name": "ours", "version": "0.1.0", "license": "Apache-2.0", "source": null},
            {"name": "theirs", "version": "2.0.0", "license": "AGPL-3.0", "source": "registry"}
        ]}"#;
        let packages = packages(metadata).unwrap();
        assert_eq!(packages.len(), 1);
        assert_eq!(check(&packages).len(), 1);
    }
}
