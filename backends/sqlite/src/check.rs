//! Looks for damage: pages by SQLite's own check, entries by their checksums, logs for holes.

use rusqlite::{Connection, Result};
use tidings_model::{ConversationId, Seq};

use crate::columns::read;
use crate::error::OpenError;
use crate::limits::DAMAGES_MAX;
use crate::reader::log::{entry_columns, verified_entry};

/// Tells each damage in a sentence, at most [`DAMAGES_MAX`] of them.
pub(crate) fn check(connection: &Connection) -> std::result::Result<Vec<String>, OpenError> {
    let mut damages = pages(connection)?;
    // Rows of damaged pages may be unreadable, which the pages have told by then.
    match entries(connection, &mut damages) {
        Err(error) if damages.is_empty() => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    damages.truncate(DAMAGES_MAX);
    Ok(damages)
}

fn pages(connection: &Connection) -> Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({DAMAGES_MAX})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

struct Log {
    number: i64,
    conversation: ConversationId,
    floor: Seq,
    head: Seq,
}

fn entries(connection: &Connection, damages: &mut Vec<String>) -> Result<()> {
    let logs = connection
        .prepare("SELECT number, conversation, floor, head FROM conversation")?
        .query_map([], |row| {
            Ok(Log {
                number: row.get(0)?,
                conversation: read(row, 1)?,
                floor: read(row, 2)?,
                head: read(row, 3)?,
            })
        })?
        .collect::<Result<Vec<_>>>()?;
    for log in &logs {
        check_log(connection, log, damages)?;
        if damages.len() >= DAMAGES_MAX {
            break;
        }
    }
    Ok(())
}

fn check_log(connection: &Connection, log: &Log, damages: &mut Vec<String>) -> Result<()> {
    let mut select = connection.prepare_cached(concat!(
        "SELECT ",
        entry_columns!(),
        " FROM entry WHERE conversation = ?1 ORDER BY seq"
    ))?;
    let mut rows = select.query([log.number])?;
    let mut expected = log.floor.next();
    while let Some(row) = rows.next()? {
        let seq = read::<Seq>(row, 0)?;
        if seq != expected {
            damages.push(missing(log, expected, seq.previous()));
        }
        if verified_entry(row, log.conversation)?.is_none() {
            damages.push(format!(
                "entry {} of conversation {} does not fit its checksum",
                seq.get(),
                log.conversation
            ));
        }
        expected = seq.next();
    }
    if expected.previous() != log.head {
        damages.push(missing(log, expected, log.head));
    }
    Ok(())
}

fn missing(log: &Log, from: Seq, to: Seq) -> String {
    format!(
        "entries {} to {} of conversation {} are missing",
        from.get(),
        to.get(),
        log.conversation
    )
}
