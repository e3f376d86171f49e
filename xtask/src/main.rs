//! The project's own commands, started as `cargo xtask COMMAND` (the alias stands in
//! `.cargo/config.toml`).
//!
//! It builds in seconds, since everybody waits for it before anything else: its dependencies are the
//! readers of TOML and JSON alone, and what needs more is a program that it builds and starts
//! (`codegen`, `replay`). One file per command. Deliberately not here: anything that the
//! server or an app does.

mod codegen;
mod command;
mod replay;
mod run;
mod setup;
mod test;
mod tidy;
mod wasm_check;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
usage: cargo xtask COMMAND

  run [--release] [-- ARGS...]  set up, build, and start the server with its data in ./data;
                                ARGS go to `tidings-server run`
  test [--quick]                run every check there is; --quick leaves out wasm and replay
  replay FILE [ARGS...]         replay a day of a real chat through the real system
  tidy                          check layers, headers, licences and left-overs
  wasm-check                    check that the client compiles for browsers
  codegen [--check]             make the Rust code of the protobuf schemas
  help                          show this";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        bail!("no command given\n\n{HELP}");
    };
    match name.as_str() {
        "run" => run::run(rest),
        "test" => test::run(rest),
        "replay" => replay::run(rest),
        "tidy" => tidy::run(),
        "wasm-check" => wasm_check::run(),
        "codegen" => codegen::run(rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        unknown => bail!("there is no command {unknown}\n\n{HELP}"),
    }
}
