//! The server program: configuration, TLS, listeners and the wiring of core, store and door.
//!
//! `docs/server.md` is its manual. Deliberately not here: anything about conversations.

mod administrator;
mod arguments;
mod clock;
mod configuration;
mod core_driver;
mod limits;
mod listener;
mod logging;
mod metrics;
mod network;
mod observer_thread;
mod operator;
mod page;
mod restored;
mod run;
mod settings;
mod tls;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::configuration::Configuration;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match execute(&arguments::command().get_matches()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tidings-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &ArgMatches) -> Result<ExitCode> {
    match arguments.subcommand() {
        Some(("config-reference", _)) => {
            print!("{}", settings::reference());
            Ok(ExitCode::SUCCESS)
        }
        Some(("run", flags)) => {
            let configuration = read_configuration(flags)?;
            logging::start(&configuration)?;
            run::run(&configuration)
        }
        Some(("restored", flags)) => restored::restored(&read_configuration(flags)?),
        _ => {
            println!("tidings-server {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read_configuration(flags: &ArgMatches) -> Result<Configuration> {
    let file = flags.get_one::<PathBuf>("config");
    Ok(Configuration::read(file.map(PathBuf::as_path), std::env::vars_os(), flags)?)
}
