//! What may be typed behind `tidings-server`. The flags of `run` come from the table of settings.

use clap::{Arg, Command, value_parser};

use crate::settings::SETTINGS;

/// The program's command line.
pub(crate) fn command() -> Command {
    Command::new("tidings-server")
        .about("Serves a Tidings messenger on an embedded database.")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run())
        .subcommand(restored())
        .subcommand(
            Command::new("config-reference")
                .about("Prints all settings: in the file, the environment and as flags."),
        )
        .subcommand(Command::new("version").about("Prints the version."))
}

fn run() -> Command {
    let run = Command::new("run")
        .about("Runs the server until it is stopped by SIGTERM or Ctrl-C.")
        .after_help(
            "Settings stand in the file, in environment variables and in flags; the later wins.\n\
             The first start prints an invite link for the administrator's account.",
        );
    with_settings(run)
}

fn restored() -> Command {
    let restored = Command::new("restored")
        .about("Tells the server that its data folder was put back from a backup.")
        .after_help(
            "Run it once, with the settings of `run`, before the server starts on the folder: apps then\n\
             give back what they have and the backup lacks, before anything new is taken.",
        );
    with_settings(restored)
}

fn with_settings(command: Command) -> Command {
    let command = command.arg(
        Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(std::path::PathBuf))
            .help("Settings, TOML"),
    );
    SETTINGS.iter().fold(command, |command, setting| {
        command.arg(
            Arg::new(setting.key)
                .long(setting.flag())
                .value_name(if setting.key == "server.data" { "DIR" } else { "VALUE" })
                .allow_hyphen_values(true)
                .help(setting.meaning),
        )
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn command_line_is_consistent() {
        super::command().debug_assert();
    }
}
