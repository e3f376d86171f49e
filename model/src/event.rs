//! Events that the server writes into a conversation's log, with their one encoding
//! (`proto/tidings/log/v1/event.proto`).
//!
//! Every door translates them and every client shows them, so they belong to no protocol.

use bytes::Bytes;
use prost::Message as _;

use crate::generated as wire;
use crate::{AccountId, Role};

/// Something that happened to a conversation, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationEvent {
    /// The roster's version after it.
    pub roster_version: u64,
    /// What happened.
    pub act: Act,
}

/// What happened to a conversation. Names stand as they were at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It was made, with these members.
    Created {
        /// Its name; empty for all but groups.
        name: String,
        /// The first members, its maker first.
        members: Vec<Person>,
    },
    /// Members were added.
    Added(Vec<Person>),
    /// A member was removed by another.
    Removed(Person),
    /// A member left.
    Left {
        /// Who.
        member: Person,
        /// Who became owner, because the last owner left.
        new_owner: Option<Person>,
    },
    /// It has a new name.
    Renamed(String),
    /// A member has a new role.
    RoleChanged(Person),
}

/// A member in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub user_name: String,
    /// Its display name at that time.
    pub display_name: String,
    /// Its role after the event; for those who left, the one that they had.
    pub role: Role,
}

/// Bytes that are no event, or one of a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload is no conversation event of this version")]
pub struct UnknownEvent;

impl ConversationEvent {
    /// Encodes the event as an entry's payload.
    pub fn encode(&self) -> Bytes {
        let event = match &self.act {
            Act::Created { name, members } => {
                wire::conversation_event::Event::Created(wire::Created {
                    name: name.clone(),
                    members: members.iter().map(Person::to_wire).collect(),
                })
            }
            Act::Added(members) => wire::conversation_event::Event::Added(wire::Added {
                members: members.iter().map(Person::to_wire).collect(),
            }),
            Act::Removed(member) => wire::conversation_event::Event::Removed(wire::Removed {
                member: Some(member.to_wire()),
            }),
            Act::Left { member, new_owner } => wire::conversation_event::Event::Left(wire::Left {
                member: Some(member.to_wire()),
                new_owner: new_owner.as_ref().map(Person::to_wire),
            }),
            Act::Renamed(name) => {
                wire::conversation_event::Event::Renamed(wire::Renamed { name: name.clone() })
            }
            Act::RoleChanged(member) => {
                wire::conversation_event::Event::RoleChanged(wire::RoleChanged {
                    member: Some(member.to_wire()),
                })
            }
        };
        wire::ConversationEvent { roster_version: self.roster_version, event: Some(event) }
            .encode_to_vec()
            .into()
    }

    /// Reads the payload of an entry of kind [`crate::EntryKind::Event`].
    ///
    /// # Errors
    /// Bytes that are no event, and events that this version does not know: a reader shows a neutral
    /// line for them and asks the server for the roster.
    pub fn decode(payload: &[u8]) -> Result<Self, UnknownEvent> {
        let event = wire::ConversationEvent::decode(payload).map_err(|_| UnknownEvent)?;
        let act = match event.event.ok_or(UnknownEvent)? {
            wire::conversation_event::Event::Created(created) => {
                Act::Created { name: created.name, members: people(created.members)? }
            }
            wire::conversation_event::Event::Added(added) => Act::Added(people(added.members)?),
            wire::conversation_event::Event::Removed(removed) => {
                Act::Removed(person(removed.member)?)
            }
            wire::conversation_event::Event::Left(left) => Act::Left {
                member: person(left.member)?,
                new_owner: left.new_owner.map(|owner| person(Some(owner))).transpose()?,
            },
            wire::conversation_event::Event::Renamed(renamed) => Act::Renamed(renamed.name),
            wire::conversation_event::Event::RoleChanged(changed) => {
                Act::RoleChanged(person(changed.member)?)
            }
        };
        Ok(Self { roster_version: event.roster_version, act })
    }
}

impl Person {
    fn to_wire(&self) -> wire::Person {
        wire::Person {
            account: Bytes::copy_from_slice(self.account.as_bytes()),
            user_name: self.user_name.clone(),
            display_name: self.display_name.clone(),
            role: self.role as u32,
        }
    }
}

fn people(members: Vec<wire::Person>) -> Result<Vec<Person>, UnknownEvent> {
    members.into_iter().map(|member| person(Some(member))).collect()
}

fn person(member: Option<wire::Person>) -> Result<Person, UnknownEvent> {
    let member = member.ok_or(UnknownEvent)?;
    Ok(Person {
        account: AccountId::try_from(&member.account[..]).map_err(|_| UnknownEvent)?,
        user_name: member.user_name,
        display_name: member.display_name,
        role: u8::try_from(member.role).ok().and_then(Role::from_number).ok_or(UnknownEvent)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna(role: Role) -> Person {
        Person {
            account: AccountId::from_bytes([1; 16]),
            user_name: "anna".into(),
            display_name: "Anna".into(),
            role,
        }
    }

    #[test]
    fn every_event_comes_back() {
        for act in [
            Act::Created { name: "Choir".into(), members: vec![anna(Role::Owner)] },
            Act::Added(vec![anna(Role::Member), anna(Role::Admin)]),
            Act::Removed(anna(Role::Member)),
            Act::Left { member: anna(Role::Owner), new_owner: Some(anna(Role::Owner)) },
            Act::Left { member: anna(Role::Member), new_owner: None },
            Act::Renamed("Chœur".into()),
            Act::RoleChanged(anna(Role::Admin)),
        ] {
            let event = ConversationEvent { roster_version: 7, act };
            assert_eq!(ConversationEvent::decode(&event.encode()), Ok(event));
        }
    }

    #[test]
    fn foreign_bytes_are_an_error_and_no_panic() {
        for payload in [&b""[..], b"\xff\xff", b"\x08\x01", b"\x08\x01\x22\x00"] {
            assert_eq!(ConversationEvent::decode(payload), Err(UnknownEvent));
        }
    }
}
