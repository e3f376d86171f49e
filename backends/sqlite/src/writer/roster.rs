//! Members: joining, leaving, roles, names, and watermarks.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Effect, Marks, Outcome, RosterAct, RosterChange};
use tidings_model::limits::CONVERSATIONS_MAX;
use tidings_model::{AccountId, ConversationId, Refusal, Role, Seq, Timestamp};

use super::{done, outbox};
use crate::columns::{self, limit};

/// Whether new members exist, and may be in one more conversation.
pub(super) fn check_newcomers(
    connection: &Connection,
    accounts: &[AccountId],
) -> Result<std::result::Result<(), Refusal>> {
    let mut count =
        connection.prepare_cached("SELECT conversation_count FROM account WHERE account = ?1")?;
    let mut too_many = false;
    for account in accounts {
        match count.query_row([account.as_bytes()], |row| row.get::<_, i64>(0)).optional()? {
            None => return Ok(Err(Refusal::NotFound)),
            Some(conversations) => too_many |= conversations >= limit(CONVERSATIONS_MAX),
        }
    }
    Ok(if too_many {
        Err(Refusal::TooManyConversations { max: CONVERSATIONS_MAX as u64 })
    } else {
        Ok(())
    })
}

pub(super) fn is_or_was_member(
    connection: &Connection,
    number: i64,
    account: AccountId,
) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM member WHERE conversation = ?1 AND account = ?2")?
        .exists(params![number, account.as_bytes()])
}

/// The log whose roster changes, and the entry that changes it.
#[derive(Clone, Copy)]
pub(super) struct Log {
    pub(super) number: i64,
    pub(super) conversation: ConversationId,
    pub(super) seq: Seq,
}

/// Applies a change whose version fits.
pub(super) fn change(connection: &Connection, log: Log, change: &RosterChange) -> Result<()> {
    let mut joined = 0i64;
    let mut left = 0i64;
    for act in &change.acts {
        match act {
            RosterAct::Join(account, role) => {
                if insert_member(connection, log.number, *account, *role, log.seq)? {
                    let conversation = log.conversation;
                    outbox::push(connection, &Effect::Joined { account: *account, conversation })?;
                    joined += 1;
                }
            }
            RosterAct::Leave(account) => {
                left += i64::from(leave(connection, log, *account)?);
            }
            RosterAct::Role(account, role) => {
                connection
                    .prepare_cached(
                        "UPDATE member SET role = ?3
                         WHERE conversation = ?1 AND account = ?2 AND role IS NOT NULL",
                    )?
                    .execute(params![log.number, account.as_bytes(), *role as u8])?;
            }
        }
    }
    connection
        .prepare_cached(
            "UPDATE conversation
             SET roster_version = roster_version + 1, member_count = member_count + ?2,
                 name = coalesce(?3, name)
             WHERE number = ?1",
        )?
        .execute(params![log.number, joined - left, change.name])
        .map(drop)
}

/// Makes an account a member, for the first time or again; false: it is one.
pub(super) fn insert_member(
    connection: &Connection,
    number: i64,
    account: AccountId,
    role: Role,
    from: Seq,
) -> Result<bool> {
    let joined = connection
        .prepare_cached(
            "INSERT INTO member (conversation, account, role) VALUES (?1, ?2, ?3)
             ON CONFLICT (conversation, account) DO UPDATE SET role = excluded.role
             WHERE role IS NULL",
        )?
        .execute(params![number, account.as_bytes(), role as u8])?;
    if joined > 0 {
        connection
            .prepare_cached(
                "INSERT INTO member_range (conversation, account, from_seq) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![number, account.as_bytes(), columns::seq(from)])?;
    }
    Ok(joined > 0)
}

fn leave(connection: &Connection, log: Log, account: AccountId) -> Result<bool> {
    let left = connection
        .prepare_cached(
            "UPDATE member SET role = NULL
             WHERE conversation = ?1 AND account = ?2 AND role IS NOT NULL",
        )?
        .execute(params![log.number, account.as_bytes()])?;
    if left > 0 {
        connection
            .prepare_cached(
                "UPDATE member_range SET to_seq = ?3
                 WHERE conversation = ?1 AND account = ?2 AND to_seq IS NULL",
            )?
            .execute(params![log.number, account.as_bytes(), columns::seq(log.seq)])?;
    }
    Ok(left > 0)
}

pub(super) fn mark(
    connection: &Connection,
    conversation: ConversationId,
    account: AccountId,
    marks: Marks,
    time: Timestamp,
) -> Result<Outcome> {
    connection
        .prepare_cached(
            "UPDATE member
             SET delivered = max(delivered, ?3), read = max(read, ?4),
                 marked_at = max(coalesce(marked_at, ?5), ?5)
             WHERE conversation = (SELECT number FROM conversation WHERE conversation = ?1)
               AND account = ?2 AND role IS NOT NULL AND (delivered < ?3 OR read < ?4)",
        )?
        .execute(params![
            conversation.as_bytes(),
            account.as_bytes(),
            columns::seq(marks.delivered),
            columns::seq(marks.read),
            time.as_millis()
        ])?;
    Ok(done())
}
