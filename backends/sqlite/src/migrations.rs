//! Migrations: numbered SQL files, each applied once, in a transaction of its own.
//!
//! `user_version` of the database counts those applied, so a start that was cut off goes on where it
//! was. A database of a later version is refused: there are no migrations downwards.

use rusqlite::{Connection, TransactionBehavior};

use crate::error::OpenError;

/// The files, in order; a published one never changes.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_log_and_accounts.sql")];

/// Marks the database as ours (`TiDg`).
const APPLICATION_ID: i64 = 0x5469_4467;

/// Brings the tables to this program's version.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let known = MIGRATIONS.len() as i64;
    let found = number(connection, "PRAGMA user_version")?;
    if number(connection, "PRAGMA application_id")? != APPLICATION_ID
        && (found != 0 || number(connection, "SELECT count(*) FROM sqlite_schema")? != 0)
    {
        return Err(OpenError::Foreign);
    }
    if found > known {
        return Err(OpenError::LaterVersion { found, known });
    }
    for (index, migration) in (0..known).zip(MIGRATIONS) {
        if index < found {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

fn number(connection: &Connection, sql: &str) -> Result<i64, OpenError> {
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().expect("memory opens")
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = memory();
        migrate(&mut connection).expect("a new database");
        let before = number(&connection, "PRAGMA schema_version").expect("a number");
        migrate(&mut connection).expect("a migrated database");
        assert_eq!(number(&connection, "PRAGMA schema_version").expect("a number"), before);
        assert_eq!(
            number(&connection, "PRAGMA user_version").expect("a number"),
            MIGRATIONS.len() as i64
        );
    }

    #[test]
    fn database_of_a_later_version_is_refused_with_words() {
        let mut connection = memory();
        migrate(&mut connection).expect("a new database");
        connection.pragma_update(None, "user_version", 99).expect("a later version");
        let refused = migrate(&mut connection).expect_err("a later version");
        assert!(matches!(refused, OpenError::LaterVersion { found: 99, .. }), "{refused}");
        assert!(refused.to_string().contains("start the later version"));
    }

    #[test]
    fn database_of_another_program_is_left_alone() {
        let mut connection = memory();
        connection.execute_batch("CREATE TABLE recipes (name TEXT)").expect("a table");
        assert!(matches!(migrate(&mut connection), Err(OpenError::Foreign)));
        assert_eq!(number(&connection, "SELECT count(*) FROM sqlite_schema").expect("a number"), 1);
    }
}
