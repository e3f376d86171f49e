//! The search index: current texts of messages, found by their words (FTS5).
//!
//! Upper and lower case and diacritics are one; words of scripts without spaces between words are
//! found by their beginning only. The index holds its words by the text that was indexed, so a text
//! is taken out with exactly the words that it went in with.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::SearchHit;
use tidings_model::{ConversationId, Seq, Timestamp};
use tidings_protocol_content::Reference;

use crate::columns::{Columns, stored_count, stored_seq};
use crate::limits::QUERY_BYTES_MAX;
use crate::statement;

/// A text in the index.
struct Indexed {
    id: i64,
    seq: Seq,
    time: Timestamp,
    text: String,
}

/// Sets the text under which a message is found.
pub(crate) fn index(connection: &Connection, hit: &SearchHit) -> Result<()> {
    if let Some(indexed) = find_indexed(connection, hit.conversation, hit.message)? {
        // A reaction sets the same text again.
        if (indexed.seq, indexed.time, &indexed.text) == (hit.seq, hit.time, &hit.text) {
            return Ok(());
        }
        drop_text(connection, &indexed)?;
    }
    statement::change(
        connection,
        "INSERT INTO search (conversation, account, message_id, seq, time, dropped, text)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
        params![
            hit.conversation.as_bytes(),
            hit.message.account.as_bytes(),
            hit.message.message_id.as_bytes(),
            stored_seq(hit.seq),
            hit.time.as_millis(),
            hit.text,
        ],
    )?;
    statement::change(
        connection,
        "INSERT INTO search_index (rowid, text) VALUES (?1, ?2)",
        params![connection.last_insert_rowid(), hit.text],
    )?;
    Ok(())
}

/// Makes a message not to be found, and tells whether it was in the index.
pub(crate) fn unindex(
    connection: &Connection,
    conversation: ConversationId,
    message: Reference,
) -> Result<bool> {
    let Some(indexed) = find_indexed(connection, conversation, message)? else { return Ok(false) };
    drop_text(connection, &indexed)?;
    Ok(true)
}

/// Makes a message not to be found if this is the text under which it is.
pub(crate) fn unindex_text(
    connection: &Connection,
    conversation: ConversationId,
    message: Reference,
    text: &str,
) -> Result<()> {
    match find_indexed(connection, conversation, message)? {
        Some(indexed) if indexed.text == text => drop_text(connection, &indexed),
        _ => Ok(()),
    }
}

pub(crate) fn unindex_conversation(
    connection: &Connection,
    conversation: ConversationId,
) -> Result<()> {
    let indexed = statement::all(
        connection,
        "SELECT id, seq, time, text FROM search WHERE conversation = ?1 AND dropped = 0",
        [conversation.as_bytes()],
        read_indexed,
    )?;
    indexed.iter().try_for_each(|indexed| drop_text(connection, indexed))
}

pub(crate) fn clear(connection: &Connection) -> Result<()> {
    statement::change(
        connection,
        "INSERT INTO search_index (search_index) VALUES ('delete-all')",
        [],
    )?;
    statement::change(connection, "DELETE FROM search", [])?;
    Ok(())
}

pub(crate) fn search(connection: &Connection, query: &str, count: usize) -> Result<Vec<SearchHit>> {
    // The newest are picked by their times alone; texts are read of those only.
    statement::all(
        connection,
        "SELECT conversation, seq, account, message_id, time, text FROM search
         WHERE id IN (
             SELECT found.id FROM search_index JOIN search AS found ON found.id = search_index.rowid
             WHERE search_index MATCH ?1
             ORDER BY found.time DESC, found.conversation, found.seq DESC LIMIT ?2
         )
         ORDER BY time DESC, conversation, seq DESC",
        params![match_expression(query), stored_count(count)],
        |columns| {
            Ok(SearchHit {
                conversation: columns.take()?,
                seq: columns.take()?,
                message: Reference { account: columns.take()?, message_id: columns.take()? },
                time: columns.take()?,
                text: columns.take()?,
            })
        },
    )
}

/// The query in the language of FTS5: every word as a string, of which nothing is a sign of that
/// language, and the last one as the beginning of a word, since it may still be being typed.
/// Strings side by side must all be found; one without a word in it is passed over.
fn match_expression(query: &str) -> String {
    let query = &query[..query.floor_char_boundary(QUERY_BYTES_MAX)];
    let words = query.split(|sign: char| sign.is_whitespace() || sign.is_control());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    if words.is_empty() {
        return "\"\"".to_owned();
    }
    words.join(" ") + "*"
}

fn find_indexed(
    connection: &Connection,
    conversation: ConversationId,
    message: Reference,
) -> Result<Option<Indexed>> {
    statement::first(
        connection,
        "SELECT id, seq, time, text FROM search
         WHERE account = ?1 AND message_id = ?2 AND conversation = ?3 AND dropped = 0",
        params![message.account.as_bytes(), message.message_id.as_bytes(), conversation.as_bytes()],
        read_indexed,
    )
}

fn read_indexed(columns: &mut Columns<'_>) -> Result<Indexed> {
    Ok(Indexed {
        id: columns.take()?,
        seq: columns.take()?,
        time: columns.take()?,
        text: columns.take()?,
    })
}

/// Takes a text out of the index and overwrites it.
fn drop_text(connection: &Connection, indexed: &Indexed) -> Result<()> {
    statement::change(
        connection,
        "INSERT INTO search_index (search_index, rowid, text) VALUES ('delete', ?1, ?2)",
        params![indexed.id, indexed.text],
    )?;
    statement::change(
        connection,
        "UPDATE search SET dropped = 1, text = CAST(zeroblob(?2) AS TEXT) WHERE id = ?1",
        params![indexed.id, stored_count(indexed.text.len())],
    )?;
    Ok(())
}
