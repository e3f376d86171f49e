//! `cargo xtask replay`: builds the server and the replay in release and starts the replay.

use anyhow::Result;
use std::process::Command;

use crate::{command, setup};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::native()?;
    // Measured figures are wanted, and thousands of password hashes are made.
    command::run(&mut command::cargo([
        "build",
        "--release",
        "--package",
        "tidings-server",
        "--package",
        "tidings-replay",
    ])?)?;
    let program = command::target_folder()?.join("release/tidings-replay");
    // In the folder where the command was given, so that a relative FILE means what it says.
    command::run(Command::new(program).args(arguments))
}
