//! Bytes that are gone once they are dropped or replaced: keys, and words that may be erased.
//!
//! SQLite zeroes what a row leaves behind (`secure_delete`), but not the copies that stay in the
//! unused middle of a page when a row moves to another page; and rows move when a neighbour of
//! theirs grows or goes. So these bytes stand in one table whose rows neither grow, nor go, nor
//! move: each is padded to a power of two and added behind the last one. New bytes of the same size
//! overwrite the old ones where they stand, bytes of another size take another row, and a row that
//! is not in use holds zeros and waits for bytes of its size. What is in use is named by number in
//! the tables that own it.
//!
//! Former pages stay in the write-ahead log until it is emptied: that happens with the first change
//! set that drops anything for good ([`crate::change_set::Residue`]) and at the end of the program.
//! The step of a ratchet does not wait for it, since until then its message lies beside it in clear.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result, params};

use crate::columns::{Column, stored_count};
use crate::limits::ERASABLE_BYTES_MIN;
use crate::statement;

/// Names bytes of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErasableId(i64);

impl Column for ErasableId {
    fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
        stored.as_i64().ok().map(Self)
    }
}

impl ToSql for ErasableId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

/// Puts bytes in the place of former ones, which are gone then.
pub(crate) fn replace(
    connection: &Connection,
    former: Option<ErasableId>,
    bytes: &[u8],
) -> Result<ErasableId> {
    let padded = pad(bytes);
    if let Some(former) = former {
        let overwritten = statement::change(
            connection,
            "UPDATE erasable SET bytes = ?2 WHERE id = ?1 AND length(bytes) = length(?2)",
            params![former, padded],
        )?;
        if overwritten > 0 {
            return Ok(former);
        }
        erase(connection, Some(former))?;
    }
    place(connection, &padded)
}

/// The same for what is mostly written as it was; empty bytes take no row.
pub(crate) fn follow(
    connection: &Connection,
    former: Option<ErasableId>,
    bytes: &[u8],
) -> Result<Option<ErasableId>> {
    if bytes.is_empty() {
        erase(connection, former)?;
        return Ok(None);
    }
    if let Some(former) = former
        && read(connection, former)? == bytes
    {
        return Ok(Some(former));
    }
    replace(connection, former, bytes).map(Some)
}

/// Overwrites bytes with zeros, and tells whether there were any.
pub(crate) fn erase(connection: &Connection, former: Option<ErasableId>) -> Result<bool> {
    let Some(former) = former else { return Ok(false) };
    let erased = statement::change(
        connection,
        "UPDATE erasable SET used = 0, bytes = zeroblob(length(bytes)) WHERE id = ?1",
        [former],
    )?;
    Ok(erased > 0)
}

/// The bytes of that name.
pub(crate) fn read(connection: &Connection, id: ErasableId) -> Result<Vec<u8>> {
    let bytes = statement::first(
        connection,
        "SELECT bytes FROM erasable WHERE id = ?1 AND used = 1",
        [id],
        |columns| columns.take(),
    )?;
    let Padded(bytes) = bytes.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(bytes)
}

/// Bytes that were padded.
struct Padded(Vec<u8>);

impl Column for Padded {
    fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
        let (length, rest) = stored.as_blob().ok()?.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.get(..length).map(|bytes| Self(bytes.to_vec()))
    }
}

/// The length stands in front, and not in a column: a longer number would make the row grow.
fn pad(bytes: &[u8]) -> Vec<u8> {
    // Longer ones are longer than any row of SQLite, which refuses them.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let size = (length.len() + bytes.len()).next_power_of_two().max(ERASABLE_BYTES_MIN);
    let mut padded = Vec::with_capacity(size);
    padded.extend(length);
    padded.extend(bytes);
    padded.resize(size, 0);
    padded
}

fn place(connection: &Connection, padded: &[u8]) -> Result<ErasableId> {
    let free = statement::first(
        connection,
        "SELECT id FROM erasable WHERE used = 0 AND length(bytes) = ?1 LIMIT 1",
        [stored_count(padded.len())],
        |columns| columns.take(),
    )?;
    if let Some(free) = free {
        statement::change(
            connection,
            "UPDATE erasable SET used = 1, bytes = ?2 WHERE id = ?1",
            params![free, padded],
        )?;
        return Ok(free);
    }
    statement::change(connection, "INSERT INTO erasable (used, bytes) VALUES (1, ?1)", [padded])?;
    Ok(ErasableId(connection.last_insert_rowid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        let version = crate::migrations::version(&connection, "memory").unwrap();
        crate::migrations::migrate(&mut connection, version).unwrap();
        connection
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM erasable", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn bytes_of_every_length_come_back() {
        let connection = database();
        for length in [0, 1, 251, 252, 253, 508, 509, 4_092, 4_093, 70_000] {
            let bytes = vec![7; length];
            let id = replace(&connection, None, &bytes).unwrap();
            assert_eq!(read(&connection, id).unwrap(), bytes);
        }
    }

    #[test]
    fn bytes_of_the_same_size_stay_where_they_are() {
        let connection = database();
        let id = replace(&connection, None, &[1; 600]).unwrap();
        assert_eq!(replace(&connection, Some(id), &[2; 900]).unwrap(), id);
        assert_eq!(read(&connection, id).unwrap(), [2; 900]);
        assert_eq!(rows(&connection), 1);
    }

    #[test]
    fn rows_that_are_not_in_use_hold_zeros_and_are_used_again() {
        let connection = database();
        let small = replace(&connection, None, &[1; 100]).unwrap();
        let large = replace(&connection, Some(small), &[2; 1_000]).unwrap();
        let left: Vec<u8> = connection
            .query_row("SELECT bytes FROM erasable WHERE id = ?1", [small], |row| row.get(0))
            .unwrap();
        assert!(left.iter().all(|byte| *byte == 0));
        assert!(read(&connection, small).is_err());
        assert_eq!(replace(&connection, None, &[3; 200]).unwrap(), small);
        assert!(erase(&connection, Some(large)).unwrap());
        assert_eq!(replace(&connection, Some(small), &[4; 900]).unwrap(), large);
        assert_eq!(rows(&connection), 2);
    }

    #[test]
    fn rows_of_many_owners_are_never_mixed_up() {
        const OWNERS: usize = 40;
        let connection = database();
        let mut held: Vec<Option<(ErasableId, Vec<u8>)>> = vec![None; OWNERS];
        let mut random = 1_u64;
        for _ in 0..4_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (owner, length) = (random as usize >> 33, random as usize >> 45);
            let of = &mut held[owner % OWNERS];
            let former = of.take().map(|(id, _)| id);
            match length % 2_000 {
                0..300 => assert_eq!(erase(&connection, former).unwrap(), former.is_some()),
                length => {
                    let bytes = random.to_be_bytes().repeat(length / 8);
                    *of = Some((replace(&connection, former, &bytes).unwrap(), bytes));
                }
            }
        }
        for (id, bytes) in held.iter().flatten() {
            assert_eq!(&read(&connection, *id).unwrap(), bytes);
        }
        // Of each of four sizes no more than all owners had at once.
        assert!(rows(&connection) <= 4 * OWNERS as i64, "{}", rows(&connection));
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let connection = database();
        let written = |bytes: &[u8], former| {
            let before = connection.total_changes();
            let id = follow(&connection, former, bytes).unwrap();
            (id, connection.total_changes() > before)
        };
        let (id, true) = written(b"a word", None) else { panic!("new words are written") };
        assert_eq!(written(b"a word", id), (id, false));
        assert_eq!(written(b"another", id), (id, true));
        assert_eq!(written(b"", id), (None, true));
        assert_eq!(written(b"", None), (None, false));
    }
}
