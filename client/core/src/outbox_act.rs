//! What can stand in the outbox, and its bytes in the device's database.
//!
//! The bytes are the request's own frame without its number, so that the database knows no second
//! format. An erase names its target by reference, since the target may still wait for its seq.

use bytes::Bytes;
use tidings_model::{AccountId, ConversationId, ConversationKind, MessageId, Role};
use tidings_protocol_app::{id, id_bytes, ids, wire};
use tidings_protocol_content::Reference;

use wire::change::Act;
use wire::client_frame::Body;

/// Something that a person did and that has to reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxAct {
    /// Makes the conversation.
    Create {
        /// Its kind.
        kind: ConversationKind,
        /// Its name; empty for all but groups.
        name: String,
        /// Its other members.
        members: Vec<AccountId>,
    },
    /// Says something: `tidings.content.v1`, encoded and not sealed.
    Send {
        /// The content.
        content: Bytes,
    },
    /// Changes members or the name.
    Change(Change),
    /// Begins the group of a sealed conversation anew, without some of its members.
    Restart {
        /// Who is left out.
        leave_out: Vec<AccountId>,
    },
    /// Erases the payload of a message that was deleted for everyone.
    Erase {
        /// The message.
        target: Reference,
    },
}

/// A change of members or the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds people.
    Add(Vec<AccountId>),
    /// Removes somebody.
    Remove(AccountId),
    /// Leaves.
    Leave,
    /// Gives the group another name.
    Rename(String),
    /// Gives somebody another role.
    SetRole(AccountId, Role),
}

const REQUEST: u8 = 1;
const ERASE: u8 = 2;
const RESTART: u8 = 3;

impl OutboxAct {
    /// The act as bytes, for a row of the database.
    pub fn encode(&self, conversation: ConversationId, message_id: MessageId) -> Bytes {
        let mut bytes = Vec::new();
        match self {
            Self::Erase { target } => {
                bytes.push(ERASE);
                bytes.extend(target.account.as_bytes());
                bytes.extend(target.message_id.as_bytes());
            }
            Self::Restart { leave_out } => {
                bytes.push(RESTART);
                for account in leave_out {
                    bytes.extend(account.as_bytes());
                }
            }
            Self::Send { content } => {
                bytes.push(REQUEST);
                let body = send_body(conversation, message_id, content.clone(), 0);
                bytes.extend(tidings_protocol_app::encode(&frame(body)));
            }
            Self::Create { kind, name, members } => {
                bytes.push(REQUEST);
                let body = create_body(conversation, message_id, *kind, name, members, None);
                bytes.extend(tidings_protocol_app::encode(&frame(body)));
            }
            Self::Change(change) => {
                bytes.push(REQUEST);
                let body = change_body(conversation, message_id, change);
                bytes.extend(tidings_protocol_app::encode(&frame(body)));
            }
        }
        bytes.into()
    }

    /// Reads what [`OutboxAct::encode`] wrote; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&ERASE, rest) if rest.len() == 32 => {
                let (account, message_id) = rest.split_at(16);
                Some(Self::Erase {
                    target: Reference {
                        account: AccountId::try_from(account).ok()?,
                        message_id: MessageId::try_from(message_id).ok()?,
                    },
                })
            }
            (&RESTART, rest) => {
                let (accounts, rest) = rest.as_chunks::<16>();
                let leave_out = accounts.iter().copied().map(AccountId::from_bytes).collect();
                rest.is_empty().then_some(Self::Restart { leave_out })
            }
            (&REQUEST, rest) => {
                let frame =
                    tidings_protocol_app::decode_client_frame(Bytes::copy_from_slice(rest)).ok()?;
                match frame.body? {
                    Body::Send(send) => Some(Self::Send { content: send.payload }),
                    Body::Create(create) => Some(Self::Create {
                        kind: wire::ConversationKind::required("kind", create.kind).ok()?,
                        name: create.name,
                        members: ids("members", &create.members).ok()?,
                    }),
                    Body::Change(change) => Some(Self::Change(read_change(change.act?)?)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn read_change(act: Act) -> Option<Change> {
    Some(match act {
        Act::Add(add) => Change::Add(ids("accounts", &add.accounts).ok()?),
        Act::Remove(remove) => Change::Remove(id("account", &remove.account).ok()?),
        Act::Leave(_) => Change::Leave,
        Act::Rename(rename) => Change::Rename(rename.name),
        Act::SetRole(set) => Change::SetRole(
            id("account", &set.account).ok()?,
            wire::Role::required("role", set.role).ok()?,
        ),
    })
}

fn frame(body: Body) -> wire::ClientFrame {
    wire::ClientFrame { request: 0, body: Some(body) }
}

pub(crate) fn send_body(
    conversation: ConversationId,
    message_id: MessageId,
    payload: Bytes,
    client_time: i64,
) -> Body {
    Body::Send(wire::Send {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(message_id.as_bytes()),
        payload,
        client_time,
        expires_after_ms: 0,
    })
}

pub(crate) fn create_body(
    conversation: ConversationId,
    message_id: MessageId,
    kind: ConversationKind,
    name: &str,
    members: &[AccountId],
    group: Option<wire::GroupPublicState>,
) -> Body {
    Body::Create(wire::Create {
        conversation: id_bytes(conversation.as_bytes()),
        kind: wire::ConversationKind::from(kind) as i32,
        name: name.to_owned(),
        members: members.iter().map(|account| id_bytes(account.as_bytes())).collect(),
        message_id: id_bytes(message_id.as_bytes()),
        group,
    })
}

pub(crate) fn change_body(
    conversation: ConversationId,
    message_id: MessageId,
    change: &Change,
) -> Body {
    let account_bytes = |account: &AccountId| id_bytes(account.as_bytes());
    let act = match change {
        Change::Add(accounts) => {
            Act::Add(wire::change::Add { accounts: accounts.iter().map(account_bytes).collect() })
        }
        Change::Remove(account) => {
            Act::Remove(wire::change::Remove { account: account_bytes(account) })
        }
        Change::Leave => Act::Leave(wire::change::Leave {}),
        Change::Rename(name) => Act::Rename(wire::change::Rename { name: name.clone() }),
        Change::SetRole(account, role) => Act::SetRole(wire::change::SetRole {
            account: account_bytes(account),
            role: wire::Role::from(*role) as i32,
        }),
    };
    Body::Change(wire::Change {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(message_id.as_bytes()),
        act: Some(act),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_act_comes_back_from_its_bytes() {
        let (account, message) = (AccountId::from_bytes([1; 16]), MessageId::from_bytes([2; 16]));
        for act in [
            OutboxAct::Create {
                kind: ConversationKind::Group,
                name: "Choir".into(),
                members: vec![account],
            },
            OutboxAct::Send { content: Bytes::from_static(b"hello") },
            OutboxAct::Change(Change::Add(vec![account])),
            OutboxAct::Change(Change::Remove(account)),
            OutboxAct::Change(Change::Leave),
            OutboxAct::Change(Change::Rename("Chœur".into())),
            OutboxAct::Change(Change::SetRole(account, Role::Admin)),
            OutboxAct::Erase { target: Reference { account, message_id: message } },
            OutboxAct::Restart { leave_out: vec![account] },
        ] {
            let bytes = act.encode(ConversationId::from_bytes([3; 16]), message);
            assert_eq!(OutboxAct::decode(&bytes), Some(act));
            assert_eq!(OutboxAct::decode(&bytes[..bytes.len() - 1]), None);
        }
    }
}
