//! `tidings`: talks to people over a Tidings server, from a terminal or from a script.
//!
//! A thin shell over the client core: it reads what was typed, asks the core and prints what it says.
//! README.md documents commands, output and exit codes. Nothing is kept outside the person's folder,
//! no message text ever goes to a log.

mod arguments;
mod chat;
mod commands;
mod failure;
mod format;
mod mirror;
mod naming;
mod notice;
mod output;
mod people;
mod qr;
mod question;
mod record;
mod sealing;
mod secret;
mod server;
mod session;
mod style;
mod target;
mod text;
mod trust;
mod visible;
mod when;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::failure::{Exit, Failure};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return unclear(&error),
    };
    let json = arguments.shared.json;
    match run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Done {
                failure.tell(json);
            }
            failure.exit.into()
        }
    }
}

/// Ends for a command line that is none, or that asks for help.
fn unclear(error: &clap::Error) -> ExitCode {
    let asks_for_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && asks_for_json {
        Failure::usage(error.render().to_string().trim_end()).tell(true);
    } else {
        // Help that nobody can read is none.
        let _ = error.print();
    }
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Local, "SYSTEM", error.to_string()))?;
    let outcome = runtime.block_on(commands::run(arguments));
    // A thread that waits for the keyboard or a pipe is not waited for.
    runtime.shutdown_background();
    outcome
}
