//! `cargo xtask run`: from a fresh clone to a running server.
//!
//! It builds without optimisation unless `--release` is given: a stranger's first start takes half as
//! long, the tests use the same files, and what is slow without optimisation (hashes, SQLite) is
//! optimised in every profile. The data are as durable either way: that rests on the store's syncs.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{command, setup};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (options, server_arguments) = match arguments.iter().position(|argument| argument == "--") {
        Some(index) => (&arguments[..index], &arguments[index + 1..]),
        None => (arguments, &[][..]),
    };
    let profile = match options {
        [] => "dev",
        [flag] if flag == "--release" => "release",
        _ => bail!("usage: cargo xtask run [--release] [-- ARGS for the server]"),
    };
    setup::native()?;
    let packages = ["--package", "tidings-server", "--package", "tidings"];
    command::run(command::cargo(["build", "--profile", profile])?.args(packages))?;
    let folder = if profile == "release" { "release" } else { "debug" };
    let programs = command::target_folder()?.join(folder);
    let (server, terminal) = (programs.join("tidings-server"), programs.join("tidings"));
    let names_a_folder = server_arguments
        .iter()
        .any(|argument| argument == "--data" || argument.starts_with("--data="));
    let data = if names_a_folder { &[][..] } else { &["--data", "data"] };
    println!(
        "\nThe server keeps its data in ./data (or where --data says) and stops with Ctrl-C. Its first\n\
         start prints an invite link. Talk from another terminal with\n\n    {} help\n",
        terminal.display()
    );
    // The server takes this process's place, so that Ctrl-C and signals reach it and nobody else.
    let error = Command::new(server)
        .arg("run")
        .args(data)
        .args(server_arguments)
        .current_dir(command::workspace_root()?)
        .exec();
    bail!("the server was built but does not start: {error}");
}
