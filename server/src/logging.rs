//! The log: structured, on standard error. What may stand in it is each caller's duty: never
//! content or secrets; addresses and names from debug on.

use std::io::IsTerminal as _;

use anyhow::{Result, anyhow};
use tracing_subscriber::EnvFilter;

use crate::configuration::{Configuration, LogFormat};

/// Starts the log.
///
/// # Errors
/// It was started before.
pub(crate) fn start(configuration: &Configuration) -> Result<()> {
    let filter: EnvFilter = configuration.log_filter.parse()?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match configuration.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow!("the log cannot be started: {error}"))
}
