//! The one writer: a batch of operations in one synced transaction.
//!
//! An operation checks everything before it writes anything, so one that is refused leaves nothing
//! behind and needs no savepoint. Where rows or pages turn out to be damaged, the batch is done again
//! with a savepoint for each operation, so that the damage stops nobody else.
//!
//! A full disk rolls the batch back. Anything else that goes wrong around the commit leaves unknown what
//! is on disk: from then on nothing is acknowledged, and a sync is never tried again.

mod account;
mod account_value;
mod backup;
mod device;
mod device_list;
mod group;
mod inbox;
mod key_package;
mod log;
pub(crate) mod outbox;
mod retention;
mod roster;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tidings_messaging::store::{Applied, Operation, Outcome, Rejection, WriteFailure, Writer};
use tidings_model::Refusal;

use crate::checkpoint::{CheckpointThread, Checkpointer, Gauge};
use crate::error::{Fault, OpenError};
use crate::limits::PROBE_BYTES;
use crate::store::{Checkpoints, Shared};

/// The one writer of a [`crate::Store`].
#[derive(Debug)]
pub struct SqliteWriter {
    checkpoints: CheckpointDriver,
    connection: Connection,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum CheckpointDriver {
    Thread { _thread: CheckpointThread },
    ByHand(Checkpointer),
}

impl SqliteWriter {
    pub(crate) fn new(
        mut connection: Connection,
        checkpointer: Checkpointer,
        shared: Arc<Shared>,
    ) -> Result<Self, OpenError> {
        let checkpoints = match shared.options.checkpoints {
            Checkpoints::ByHand => CheckpointDriver::ByHand(checkpointer),
            Checkpoints::OnThread => {
                let gauge = Arc::new(Gauge::new());
                let commits = Arc::clone(&gauge);
                connection.wal_hook(Some(move |_: &mut _, frames| {
                    commits.note_commit(u32::try_from(frames).unwrap_or(0));
                    Ok(())
                }))?;
                let thread = CheckpointThread::spawn(checkpointer, gauge).map_err(|source| {
                    OpenError::Folder { folder: shared.folder.clone(), source }
                })?;
                CheckpointDriver::Thread { _thread: thread }
            }
        };
        Ok(Self { checkpoints, connection, shared })
    }

    /// Runs a checkpoint here and now, where the options leave that to the caller: beside readers, or
    /// emptying the log.
    #[doc(hidden)]
    pub fn checkpoint(&mut self, empty_the_log: bool) {
        if let CheckpointDriver::ByHand(checkpointer) = &mut self.checkpoints {
            // A failure is noted where the writer finds it.
            let _ = if empty_the_log { checkpointer.truncate() } else { checkpointer.passive() };
        }
    }

    fn commit(
        &mut self,
        batch: &[Operation],
        apply: fn(&Connection, &[Operation]) -> rusqlite::Result<Vec<Outcome>>,
    ) -> rusqlite::Result<Vec<Outcome>> {
        run(&self.connection, "BEGIN IMMEDIATE")?;
        let outcomes = apply(&self.connection, batch)
            .and_then(|outcomes| run(&self.connection, "COMMIT").map(|()| outcomes));
        // SQLite rolls back by itself after some errors, not after all.
        if outcomes.is_err()
            && !self.connection.is_autocommit()
            && let Err(error) = run(&self.connection, "ROLLBACK")
        {
            self.shared.note_broken(&format!("a batch could not be rolled back: {error}"));
        }
        outcomes
    }

    fn failure(&self, error: &rusqlite::Error) -> WriteFailure {
        let full = match Fault::of(error) {
            Fault::Full => true,
            Fault::WriteFailed => is_full(&self.shared.folder),
            Fault::Damaged | Fault::Broken => false,
        };
        if !full {
            self.shared.note_broken(&error.to_string());
        }
        match self.shared.broken() {
            None => WriteFailure::Full,
            Some(reason) => WriteFailure::Broken(reason),
        }
    }
}

impl Writer for SqliteWriter {
    fn apply(&mut self, batch: &[Operation]) -> Result<Vec<Outcome>, WriteFailure> {
        if let Some(reason) = self.shared.broken() {
            return Err(WriteFailure::Broken(reason));
        }
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = match self.commit(batch, apply_together) {
            Err(error) if Fault::of(&error) == Fault::Damaged => {
                tracing::error!(%error, "the database is damaged: operations are applied one by one");
                self.commit(batch, apply_apart)
            }
            outcomes => outcomes,
        }
        .map_err(|error| self.failure(&error))?;
        // A checkpoint beside this commit may have learned that the disk does not keep what it syncs.
        match self.shared.broken() {
            None => Ok(outcomes),
            Some(reason) => Err(WriteFailure::Broken(reason)),
        }
    }
}

fn apply_together(connection: &Connection, batch: &[Operation]) -> rusqlite::Result<Vec<Outcome>> {
    batch.iter().map(|operation| apply_one(connection, operation)).collect()
}

/// Applies each operation inside a savepoint; those that meet damage are refused.
fn apply_apart(connection: &Connection, batch: &[Operation]) -> rusqlite::Result<Vec<Outcome>> {
    batch
        .iter()
        .map(|operation| {
            run(connection, "SAVEPOINT operation")?;
            let outcome = match apply_one(connection, operation) {
                Err(error) if Fault::of(&error) == Fault::Damaged => {
                    run(connection, "ROLLBACK TO operation")?;
                    tracing::error!(%error, "an operation met damage and was refused");
                    Err(Rejection::Refused(Refusal::Unavailable))
                }
                outcome => outcome?,
            };
            run(connection, "RELEASE operation")?;
            Ok(outcome)
        })
        .collect()
}

fn apply_one(connection: &Connection, operation: &Operation) -> rusqlite::Result<Outcome> {
    match operation {
        Operation::Log(operation) => log::apply(connection, operation),
        Operation::Account(operation) => account::apply(connection, operation),
        Operation::Device(operation) => device::apply(connection, operation),
        Operation::Outbox(operation) => outbox::apply(connection, operation),
    }
}

/// Runs a statement that takes no parameters and returns no rows.
pub(crate) fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn done() -> Outcome {
    Ok(Applied::Done)
}

fn refused(refusal: Refusal) -> Outcome {
    Err(Rejection::Refused(refusal))
}

/// Whether nothing more can be written into the folder because its disk is full or its quota exhausted.
fn is_full(folder: &Path) -> bool {
    let probe = folder.join("probe");
    let written = File::create(&probe).and_then(|mut file| file.write_all(&[0; PROBE_BYTES]));
    // It may be missing: then there is nothing to remove.
    let _ = fs::remove_file(&probe);
    written.is_err_and(|error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    })
}
