//! `tidings-server restored`: the data folder was put back from a backup.
//!
//! Every log begins a new epoch. So each app notices at its next fetch and not when it happens to be
//! ahead, and sealed conversations take back what they have lost before anything new.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use tidings_backend_sqlite::{Options, Store};
use tidings_messaging::store::{Applied, LogOperation, Operation, Writer as _};

use crate::clock::{Clocks, entropy};
use crate::configuration::Configuration;

/// Gives every log a new epoch.
///
/// # Errors
/// The store cannot be opened, or the server runs on it.
pub(crate) fn restored(configuration: &Configuration) -> Result<ExitCode> {
    let store = Store::open(&configuration.data, Options::default())?;
    let mut writer = store.writer().context("the store has no writer")?;
    let now = Clocks::start().now().wall;
    let renew = Operation::Log(LogOperation::RenewAllEpochs { entropy: entropy(), now });
    match writer.apply(&[renew])?.pop() {
        Some(Ok(Applied::Renewed(logs))) => {
            println!("{logs} conversations begin anew where the backup ends. Start the server.");
            Ok(ExitCode::SUCCESS)
        }
        outcome => bail!("the logs did not get new epochs: {outcome:?}"),
    }
}
