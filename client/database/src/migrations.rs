//! Migrations: numbered SQL files, each applied once, in a transaction of its own.
//!
//! `user_version` of the database counts those applied, so that an opening that was cut off goes on
//! where it was. A database of a later version is refused: there are no migrations downwards.

use rusqlite::{Connection, Result, TransactionBehavior};
use tidings_client_core::DatabaseError;

use crate::error::told;

/// The files, in order; a published one never changes.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_conversations_and_search.sql")];

/// Marks the database as a client's (`TiDc`).
const APPLICATION_ID: i64 = 0x5469_4463;

/// The version of the tables, counted in migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(usize);

/// Reads the version without a change to the file.
///
/// # Errors
/// The file is another program's, a later version's, or not to be read.
pub(crate) fn version(connection: &Connection, place: &str) -> Result<Version, DatabaseError> {
    let number = |sql| number(connection, sql).map_err(|error| told(place, &error));
    let found = number("PRAGMA user_version")?;
    if number("PRAGMA application_id")? != APPLICATION_ID
        && (found != 0 || number("SELECT count(*) FROM sqlite_schema")? != 0)
    {
        let words = format!("{place} belongs to another program: pick another folder");
        return Err(DatabaseError::Failed(words));
    }
    match usize::try_from(found) {
        Ok(found) if found <= MIGRATIONS.len() => Ok(Version(found)),
        _ => Err(DatabaseError::Failed(format!(
            "{place} was written by a later version of this program (its tables have version \
             {found}, this program knows {}): start the later version",
            MIGRATIONS.len()
        ))),
    }
}

/// Brings the tables to this program's version.
pub(crate) fn migrate(connection: &mut Connection, Version(found): Version) -> Result<()> {
    for (version, migration) in (1_i64..).zip(MIGRATIONS).skip(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn number(connection: &Connection, sql: &str) -> Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        let found = version(&connection, "memory").unwrap();
        assert_eq!(found, Version(0));
        migrate(&mut connection, found).unwrap();
        connection
    }

    #[test]
    fn migrated_database_needs_no_migration() {
        let mut connection = migrated();
        let before = number(&connection, "PRAGMA schema_version").unwrap();
        let found = version(&connection, "memory").unwrap();
        assert_eq!(found, Version(MIGRATIONS.len()));
        migrate(&mut connection, found).unwrap();
        assert_eq!(number(&connection, "PRAGMA schema_version").unwrap(), before);
    }

    #[test]
    fn migration_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        // A table of the last migration's is in the way.
        connection.execute_batch("CREATE TABLE search (recipe TEXT)").unwrap();
        migrate(&mut connection, Version(0)).unwrap_err();
        assert_eq!(number(&connection, "PRAGMA user_version").unwrap(), 0);
        assert_eq!(number(&connection, "SELECT count(*) FROM sqlite_schema").unwrap(), 1);
    }

    #[test]
    fn database_of_a_later_version_is_refused_with_words() {
        for later in [MIGRATIONS.len() as i64 + 1, i64::from(i32::MAX), -1] {
            let connection = migrated();
            connection.pragma_update(None, "user_version", later).unwrap();
            let refused = version(&connection, "a.db").unwrap_err().to_string();
            assert!(refused.contains("a.db"), "{refused}");
            assert!(refused.contains("start the later version"), "{refused}");
        }
    }

    #[test]
    fn database_of_another_program_is_left_alone() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
        let refused = version(&connection, "a.db").unwrap_err().to_string();
        assert!(refused.contains("another program"), "{refused}");
    }
}
