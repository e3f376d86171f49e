//! Which layer may import which, read from every Cargo.toml, and what the pure layers must not name.
//!
//! A layer is a folder at the root. Tests may import more than the code that they test, so that a
//! door's tests can run on a real store; they never import what the layer's own rules keep out of it
//! for the sake of purity. The table is the one of ARCHITECTURE.md: whoever changes the one changes
//! the other.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::Finding;
use super::tree::TextFile;

/// A layer, the layers that its crates may depend on, and those that only their tests may use.
struct Layer {
    name: &'static str,
    imports: &'static [&'static str],
    test_imports: &'static [&'static str],
}

const LAYERS: [Layer; 10] = [
    Layer { name: "model", imports: &[], test_imports: &[] },
    Layer { name: "protocol", imports: &["model", "protocol"], test_imports: &[] },
    Layer { name: "messaging", imports: &["model"], test_imports: &["protocol"] },
    Layer {
        name: "backends",
        imports: &["model", "protocol", "messaging"],
        test_imports: &["client"],
    },
    Layer {
        name: "doors",
        imports: &["model", "protocol", "messaging", "doors"],
        test_imports: &["backends"],
    },
    Layer {
        name: "client",
        imports: &["model", "protocol", "client"],
        test_imports: &["messaging", "backends", "doors"],
    },
    Layer {
        name: "server",
        imports: &["model", "protocol", "messaging", "backends", "doors"],
        test_imports: &["client"],
    },
    Layer {
        name: "sim",
        imports: &["model", "protocol", "messaging", "backends", "doors", "client"],
        test_imports: &[],
    },
    Layer {
        name: "apps",
        imports: &["model", "protocol", "client"],
        test_imports: &["messaging", "backends", "doors", "server"],
    },
    Layer { name: "xtask", imports: &["model", "protocol", "client"], test_imports: &[] },
];

/// What reads a clock, draws randomness, opens a socket or a file, or starts a thread.
const IMPURE_CRATES: [&str; 26] = [
    "async-std",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "native-tls",
    "openssl",
    "rand",
    "rand_core",
    "rayon",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "smol",
    "socket2",
    "sqlx",
    "tempfile",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tungstenite",
    "uuid",
];

/// A Cargo.toml of one crate.
#[derive(Debug)]
pub(super) struct Manifest {
    path: String,
    table: Table,
}

/// Tells whether the crate in a folder is a state machine without clock, randomness and I/O.
pub(super) fn is_pure(folder: &str) -> bool {
    folder == "model"
        || folder == "messaging"
        || folder == "client/core"
        || folder.starts_with("protocol/")
}

/// Picks the manifests of crates out of the workspace's files.
pub(super) fn manifests(files: &[TextFile]) -> Result<Vec<Manifest>> {
    files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .map(|file| Manifest::parse(&file.path, &file.text))
        .collect()
}

/// Checks the edges and the fields of one crate.
pub(super) fn check(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = manifest.check_fields();
    let layer_name = manifest.path.split('/').next().unwrap_or_default();
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == layer_name) else {
        let message = format!("the folder {layer_name} is no layer: add it to tidy/layers.rs");
        findings.push(Finding::in_file(&manifest.path, message));
        return findings;
    };
    for (dependency, is_for_tests) in manifest.dependencies() {
        if let Some(problem) = manifest.judge(layer, &dependency, is_for_tests) {
            findings.push(Finding::in_file(&manifest.path, problem));
        }
    }
    findings
}

impl Manifest {
    fn parse(path: &str, text: &str) -> Result<Self> {
        let table = text.parse().with_context(|| format!("{path} is not TOML"))?;
        Ok(Self { path: path.to_owned(), table })
    }

    fn folder(&self) -> &str {
        self.path.trim_end_matches("/Cargo.toml")
    }

    fn judge(&self, layer: &Layer, dependency: &str, is_for_tests: bool) -> Option<String> {
        if let Some(imported) = layer_of(dependency) {
            let is_allowed = layer.imports.contains(&imported)
                || (is_for_tests
                    && (layer.test_imports.contains(&imported) || imported == layer.name));
            return (!is_allowed)
                .then(|| format!("{} must not import {imported} ({dependency})", layer.name));
        }
        let is_impure =
            is_pure(self.folder()) && !is_for_tests && IMPURE_CRATES.contains(&dependency);
        is_impure.then(|| format!("a pure layer must not name {dependency}"))
    }

    /// The names of all dependencies, with whether they are for tests alone.
    fn dependencies(&self) -> Vec<(String, bool)> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        let mut dependencies = Vec::new();
        for table in tables.chain([&self.table]) {
            for (section, is_for_tests) in
                [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
            {
                let section = table.get(section).and_then(Value::as_table);
                for (name, value) in section.into_iter().flatten() {
                    // `package = "…"` renames a crate, which must not hide it.
                    let name = value.get("package").and_then(Value::as_str).unwrap_or(name);
                    dependencies.push((name.to_owned(), is_for_tests));
                }
            }
        }
        dependencies
    }

    /// What every crate says in the same way, so that it is decided in one place.
    fn check_fields(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let package = self.table.get("package").and_then(Value::as_table);
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            let inherited = package
                .and_then(|package| package.get(field))
                .and_then(|value| value.get("workspace"))
                .and_then(Value::as_bool);
            if inherited != Some(true) {
                let message = format!("write `{field}.workspace = true`");
                findings.push(Finding::in_file(&self.path, message));
            }
        }
        let description = package.and_then(|package| package.get("description"));
        if description.and_then(Value::as_str).is_none_or(str::is_empty) {
            findings.push(Finding::in_file(&self.path, "the crate has no description"));
        }
        let lints = self.table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(Value::as_bool) != Some(true) {
            let message = "write `[lints]` with `workspace = true`";
            findings.push(Finding::in_file(&self.path, message));
        }
        findings
    }
}

/// The layer of a crate of ours, by its name, which repeats its path (`tidings-door-app` lies in
/// `doors/app`).
fn layer_of(dependency: &str) -> Option<&'static str> {
    let rest = match dependency {
        "tidings" => "app",
        "xtask" => "xtask",
        name => name.strip_prefix("tidings-")?,
    };
    Some(match rest.split('-').next().unwrap_or_default() {
        "model" => "model",
        "messaging" => "messaging",
        "protocol" => "protocol",
        "backend" => "backends",
        "door" => "doors",
        "client" => "client",
        "server" => "server",
        "sim" => "sim",
        "app" => "apps",
        _ => "xtask",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = "[package]\nname = 'x'\ndescription = 'x'\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
        publish.workspace = true\n[lints]\nworkspace = true\n";

    fn check_text(folder: &str, text: &str) -> Vec<String> {
        let manifest = Manifest::parse(&format!("{folder}/Cargo.toml"), text).unwrap();
        check(&manifest).into_iter().map(|finding| finding.message).collect()
    }

    fn check_dependencies(folder: &str, dependencies: &str) -> Vec<String> {
        check_text(folder, &format!("{FIELDS}{dependencies}"))
    }

    #[test]
    fn import_of_a_lower_layer_is_allowed_and_of_a_higher_one_is_found() {
        let lower = "[dependencies]\ntidings-model.workspace = true\n";
        assert_eq!(check_dependencies("messaging", lower), [""; 0]);
        let higher = "[dependencies]\ntidings-messaging.workspace = true\n";
        assert_eq!(
            check_dependencies("model", higher),
            ["model must not import messaging (tidings-messaging)"]
        );
    }

    #[test]
    fn door_imports_no_backend_and_client_no_messaging() {
        let store = "[dependencies]\ntidings-backend-sqlite.workspace = true\n";
        assert_eq!(check_dependencies("doors/app", store).len(), 1);
        assert_eq!(check_dependencies("server", store).len(), 0);
        let core = "[dependencies]\ntidings-messaging.workspace = true\n";
        assert_eq!(check_dependencies("client/core", core).len(), 1);
        assert_eq!(check_dependencies("apps/terminal", core).len(), 1);
    }

    #[test]
    fn tests_may_import_more_than_the_code_but_not_everything() {
        let store = "[dev-dependencies]\ntidings-backend-sqlite.workspace = true\n";
        assert_eq!(check_dependencies("doors/app", store).len(), 0);
        assert_eq!(check_dependencies("protocol/app", store).len(), 1);
    }

    #[test]
    fn pure_layer_that_names_a_clock_socket_or_randomness_is_found() {
        for name in ["tokio", "rusqlite", "mio", "hyper", "rand", "getrandom"] {
            let dependency = format!("[dependencies]\n{name}.workspace = true\n");
            for folder in ["model", "messaging", "protocol/app", "client/core"] {
                let expected = format!("a pure layer must not name {name}");
                assert_eq!(check_dependencies(folder, &dependency), [expected]);
            }
            assert_eq!(check_dependencies("server", &dependency).len(), 0);
        }
    }

    #[test]
    fn renamed_and_platform_dependencies_are_seen() {
        let renamed = "[dependencies]\nclock = { package = 'tokio', version = '1' }\n";
        assert_eq!(check_dependencies("model", renamed).len(), 1);
        let platform = "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true\n";
        assert_eq!(check_dependencies("model", platform).len(), 1);
    }

    #[test]
    fn folder_that_is_no_layer_is_found() {
        assert_eq!(check_dependencies("common/strings", "").len(), 1);
    }

    #[test]
    fn manifest_without_the_shared_fields_is_found() {
        let without_licence = FIELDS.replace("license.workspace = true\n", "");
        assert_eq!(check_text("model", &without_licence), ["write `license.workspace = true`"]);
        let own_licence = FIELDS.replace("license.workspace = true", "license = 'MIT'");
        assert_eq!(check_text("model", &own_licence), ["write `license.workspace = true`"]);
        let without_description = FIELDS.replace("description = 'x'\n", "");
        assert_eq!(check_text("model", &without_description), ["the crate has no description"]);
        let without_lints = FIELDS.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(check_text("model", &without_lints).len(), 1);
    }
}
