//! Statements, prepared once and kept: all SQL on rows goes through here.

use rusqlite::{Connection, OptionalExtension, Params, Result};

use crate::columns::Columns;

/// Reads all rows.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    mut read: impl FnMut(&mut Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, |row| read(&mut Columns::of(row)))?;
    rows.collect()
}

/// Reads the first row, if there is one.
pub(crate) fn first<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnOnce(&mut Columns<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(parameters, |row| read(&mut Columns::of(row))).optional()
}

/// Changes rows, and tells how many.
pub(crate) fn change(connection: &Connection, sql: &str, parameters: impl Params) -> Result<usize> {
    connection.prepare_cached(sql)?.execute(parameters)
}
