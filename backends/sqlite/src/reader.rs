//! A reader: queries answered from one committed snapshot each.

mod account;
mod device;
mod group;
pub(crate) mod log;

use std::sync::Arc;

use rusqlite::{Connection, Row};
use tidings_messaging::store::{Answer, Effect, OutboxRow, Query, ReadFailure, Reader};

use crate::columns::{limit, read};
use crate::connection;
use crate::error::OpenError;
use crate::limits::WRITER_BUSY;
use crate::store::Shared;
use crate::writer::outbox::{JOINED, LEAVES_DUE, WELCOMED};
use crate::writer::run;

/// A reader of a [`crate::Store`].
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
    // Keeps the folder locked.
    _shared: Arc<Shared>,
}

impl SqliteReader {
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Self, OpenError> {
        let connection = connection::open_reader(&shared.database, &shared.options, WRITER_BUSY)?;
        Ok(Self { connection, _shared: shared })
    }
}

impl Reader for SqliteReader {
    fn answer(&mut self, query: &Query) -> Result<Answer, ReadFailure> {
        // Several statements see the same snapshot only inside a transaction.
        run(&self.connection, "BEGIN").map_err(unreadable)?;
        let answer = match query {
            Query::Log(query) => log::answer(&self.connection, query),
            Query::Account(query) => account::answer(&self.connection, query).map_err(unreadable),
            Query::Device(query) => device::answer(&self.connection, query).map_err(unreadable),
            Query::Outbox { rows_max } => outbox(&self.connection, *rows_max).map_err(unreadable),
        };
        // Some errors have ended the transaction already.
        if !self.connection.is_autocommit() {
            run(&self.connection, "ROLLBACK").map_err(unreadable)?;
        }
        answer
    }
}

fn unreadable(error: rusqlite::Error) -> ReadFailure {
    tracing::error!(%error, "a query failed");
    ReadFailure::Unreadable(error.to_string())
}

fn outbox(connection: &Connection, rows_max: usize) -> rusqlite::Result<Answer> {
    let rows = connection
        .prepare_cached(
            "SELECT id, effect, account, device, conversation, seq FROM outbox ORDER BY id LIMIT ?1",
        )?
        .query_map([limit(rows_max)], |row| Ok(OutboxRow { id: read(row, 0)?, effect: effect(row)? }))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Answer::Outbox(rows))
}

fn effect(row: &Row<'_>) -> rusqlite::Result<Effect> {
    Ok(match row.get(1)? {
        JOINED => Effect::Joined { account: read(row, 2)?, conversation: read(row, 4)? },
        WELCOMED => Effect::Welcomed {
            device: read(row, 3)?,
            conversation: read(row, 4)?,
            seq: read(row, 5)?,
        },
        LEAVES_DUE => Effect::LeavesDue { device: read(row, 3)? },
        effect => return Err(rusqlite::Error::IntegralValueOutOfRange(1, effect)),
    })
}
