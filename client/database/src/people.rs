//! People, and the members of conversations.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::{MemberRow, Profile};
use tidings_model::ConversationId;

use crate::columns::stored_seq;
use crate::statement;

pub(crate) fn put_profile(connection: &Connection, profile: &Profile) -> Result<()> {
    statement::change(
        connection,
        "INSERT OR REPLACE INTO profile (account, user_name, display_name) VALUES (?1, ?2, ?3)",
        params![profile.account.as_bytes(), profile.user_name, profile.display_name],
    )?;
    Ok(())
}

pub(crate) fn profiles(connection: &Connection) -> Result<Vec<Profile>> {
    statement::all(
        connection,
        "SELECT account, user_name, display_name FROM profile",
        [],
        |columns| {
            Ok(Profile {
                account: columns.take()?,
                user_name: columns.take()?,
                display_name: columns.take()?,
            })
        },
    )
}

pub(crate) fn put_member(
    connection: &Connection,
    conversation: ConversationId,
    member: &MemberRow,
) -> Result<()> {
    statement::change(
        connection,
        "INSERT OR REPLACE INTO member (conversation, account, role, since, delivered, read)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            conversation.as_bytes(),
            member.account.as_bytes(),
            member.role.map(|role| role as u8),
            stored_seq(member.since),
            stored_seq(member.delivered),
            stored_seq(member.read),
        ],
    )?;
    Ok(())
}

pub(crate) fn members(
    connection: &Connection,
    conversation: ConversationId,
) -> Result<Vec<MemberRow>> {
    statement::all(
        connection,
        "SELECT account, role, since, delivered, read FROM member WHERE conversation = ?1",
        [conversation.as_bytes()],
        |columns| {
            Ok(MemberRow {
                account: columns.take()?,
                role: columns.take()?,
                since: columns.take()?,
                delivered: columns.take()?,
                read: columns.take()?,
            })
        },
    )
}
