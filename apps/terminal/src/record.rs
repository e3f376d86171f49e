//! The objects of `--json`, one a line. README.md lists their fields; a field never changes its name
//! or its meaning, and new ones may come. Text stands in them as it was written.

use serde::Serialize;
use tidings_client_core::view::{DeliveryState, EventLine, MessageText, MessageView, Person};
use tidings_client_core::{Device, GroupAct, Member};
use tidings_model::event::Act;
use tidings_model::{ConversationId, ConversationKind, Hidden, HiddenReason, MessageId, Role, Seq};

use crate::people::People;
use crate::trust::Trust;

/// A person in a record.
#[derive(Debug, Serialize)]
pub(crate) struct PersonRecord {
    account: String,
    user_name: Option<String>,
    display_name: String,
}

/// A message.
#[derive(Debug, Serialize)]
pub(crate) struct MessageRecord {
    r#type: &'static str,
    conversation: String,
    id: String,
    seq: Option<u64>,
    time: i64,
    from: PersonRecord,
    own: bool,
    text: Option<String>,
    deleted: bool,
    edited: bool,
    forwarded: bool,
    unreadable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyRecord>,
    reactions: Vec<ReactionRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    detached: bool,
}

#[derive(Debug, Serialize)]
struct ReplyRecord {
    id: String,
    from: PersonRecord,
    quote: String,
}

#[derive(Debug, Serialize)]
struct ReactionRecord {
    emoji: String,
    people: Vec<PersonRecord>,
}

/// Whether a message is new to whoever reads, or one that they had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    /// New.
    New,
    /// Edited, deleted, reacted to, or further on its way.
    Changed,
}

impl MessageRecord {
    pub(crate) fn new(
        conversation: ConversationId,
        message: &MessageView,
        novelty: Novelty,
        people: &People,
    ) -> Self {
        let (text, deleted, unreadable) = match &message.text {
            MessageText::Text(text) | MessageText::Fallback(text) => {
                (Some(text.clone()), false, false)
            }
            MessageText::Deleted => (None, true, false),
            MessageText::Unreadable => (None, false, true),
        };
        let failure = match &message.state {
            Some(DeliveryState::Failed(reason)) => Some(reason.clone()),
            _ => None,
        };
        Self {
            r#type: match novelty {
                Novelty::New => "message",
                Novelty::Changed => "message_changed",
            },
            conversation: conversation.to_string(),
            id: message.message.message_id.to_string(),
            seq: message.seq.map(Seq::get),
            time: message.time.as_millis(),
            from: people.record(&message.author),
            own: message.state.is_some(),
            text,
            deleted,
            edited: message.edited,
            forwarded: message.forwarded,
            unreadable,
            reply_to: message.reply_to.as_ref().map(|quote| ReplyRecord {
                id: quote.message.message_id.to_string(),
                from: people.record(&quote.author),
                quote: quote.text.clone(),
            }),
            reactions: message
                .reactions
                .iter()
                .map(|reaction| ReactionRecord {
                    emoji: reaction.emoji.clone(),
                    people: reaction.people.iter().map(|person| people.record(person)).collect(),
                })
                .collect(),
            state: message.state.as_ref().map(state_name),
            failure,
            detached: message.detached,
        }
    }
}

/// A delivery state's name.
pub(crate) fn state_name(state: &DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Stored => "stored",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Read => "read",
        DeliveryState::Failed(_) => "failed",
    }
}

/// A line about members or the name.
#[derive(Debug, Serialize)]
pub(crate) struct EventRecord {
    r#type: &'static str,
    conversation: String,
    seq: u64,
    time: i64,
    from: PersonRecord,
    act: &'static str,
    people: Vec<PersonRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

impl EventRecord {
    /// The records of a line: one for each act of a Commit.
    pub(crate) fn all(
        conversation: ConversationId,
        line: &EventLine,
        people: &People,
    ) -> Vec<Self> {
        if line.act.is_some() || line.group.is_empty() {
            return vec![Self::of_server(conversation, line, people)];
        }
        let acts = line.group.iter();
        acts.map(|act| Self::of_group(conversation, line, act, people)).collect()
    }

    /// What happened to the group of a sealed conversation.
    fn of_group(
        conversation: ConversationId,
        line: &EventLine,
        act: &GroupAct<Person>,
        people: &People,
    ) -> Self {
        let one = |person: &Person| vec![people.record(person)];
        let all = |of: &[Person]| of.iter().map(|person| people.record(person)).collect();
        let (act, concerned, name, role) = match act {
            GroupAct::Added(members) => ("added", all(members), None, None),
            GroupAct::Removed(members) => ("removed", all(members), None, None),
            GroupAct::Left(member) => ("left", one(member), None, None),
            GroupAct::RoleChanged(member, role) => {
                ("role_changed", one(member), None, Some(role_name(*role)))
            }
            GroupAct::DeviceAdded(member) => ("device_added", one(member), None, None),
            GroupAct::DeviceRemoved(member) => ("device_removed", one(member), None, None),
            GroupAct::DeviceReturned(member) => ("device_returned", one(member), None, None),
            GroupAct::Renamed(name) => ("renamed", Vec::new(), Some(name.clone()), None),
            GroupAct::TopicChanged(topic) => {
                ("topic_changed", Vec::new(), Some(topic.clone()), None)
            }
            GroupAct::PictureChanged => ("picture_changed", Vec::new(), None, None),
            GroupAct::Restarted => ("restarted", Vec::new(), None, None),
            GroupAct::IdentityChanged(member) => ("identity_changed", one(member), None, None),
        };
        Self {
            r#type: "event",
            conversation: conversation.to_string(),
            seq: line.seq.get(),
            time: line.time.as_millis(),
            from: people.record(&line.actor),
            act,
            people: concerned,
            name,
            role,
        }
    }

    fn of_server(conversation: ConversationId, line: &EventLine, people: &People) -> Self {
        let named = |people: &[tidings_model::event::Person]| {
            people
                .iter()
                .map(|person| PersonRecord {
                    account: person.account.to_string(),
                    user_name: Some(person.user_name.clone()),
                    display_name: person.display_name.clone(),
                })
                .collect()
        };
        let one = |person: &tidings_model::event::Person| named(std::slice::from_ref(person));
        let (act, concerned, name, role) = match &line.act {
            None => ("unknown", Vec::new(), None, None),
            Some(Act::Created { name, members }) => {
                ("created", named(members), Some(name.clone()), None)
            }
            Some(Act::Added(members)) => ("added", named(members), None, None),
            Some(Act::Removed(member)) => ("removed", one(member), None, None),
            Some(Act::Left { member, .. }) => ("left", one(member), None, None),
            Some(Act::Renamed(name)) => ("renamed", Vec::new(), Some(name.clone()), None),
            Some(Act::RoleChanged(member)) => {
                ("role_changed", one(member), None, Some(role_name(member.role)))
            }
        };
        Self {
            r#type: "event",
            conversation: conversation.to_string(),
            seq: line.seq.get(),
            time: line.time.as_millis(),
            from: people.record(&line.actor),
            act,
            people: concerned,
            name: name.filter(|name| !name.is_empty()),
            role,
        }
    }
}

/// Entries that are not shown to this account.
#[derive(Debug, Serialize)]
pub(crate) struct HiddenRecord {
    r#type: &'static str,
    conversation: String,
    from: u64,
    to: u64,
    reason: &'static str,
}

impl HiddenRecord {
    pub(crate) fn new(conversation: ConversationId, hidden: &Hidden) -> Self {
        Self {
            r#type: "hidden",
            conversation: conversation.to_string(),
            from: hidden.from.get(),
            to: hidden.to.get(),
            reason: match hidden.reason {
                HiddenReason::NotAMember => "not_a_member",
                HiddenReason::Trimmed => "trimmed",
            },
        }
    }
}

/// A conversation in the list.
#[derive(Debug, Serialize)]
pub(crate) struct ConversationRecord {
    pub(crate) r#type: &'static str,
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// Whether it is encrypted end to end; the server can read it otherwise.
    pub(crate) sealed: bool,
    /// Where the keys of a sealed one are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<&'static str>,
    /// The other one of a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partner: Option<PersonRecord>,
    /// What is known of that one's identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<&'static str>,
    /// Null when the account is no member any more.
    pub(crate) role: Option<&'static str>,
    pub(crate) members: u32,
    pub(crate) unread: u64,
    pub(crate) activity: i64,
}

/// A kind's name.
pub(crate) fn kind_name(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
        ConversationKind::NotesToSelf => "self",
    }
}

/// A role's name.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

/// A member of a conversation.
#[derive(Debug, Serialize)]
pub(crate) struct MemberRecord {
    r#type: &'static str,
    account: String,
    user_name: String,
    display_name: String,
    /// Null for one who has gone.
    role: Option<&'static str>,
    delivered: u64,
    read: u64,
    identity: &'static str,
}

impl MemberRecord {
    pub(crate) fn new(member: &Member, trust: Trust) -> Self {
        Self {
            r#type: "member",
            account: member.profile.account.to_string(),
            user_name: member.profile.user_name.clone(),
            display_name: member.profile.display_name.clone(),
            role: member.role.map(role_name),
            delivered: member.delivered.get(),
            read: member.read.get(),
            identity: trust.name(),
        }
    }
}

/// A device of the account.
#[derive(Debug, Serialize)]
pub(crate) struct DeviceRecord {
    r#type: &'static str,
    id: String,
    name: String,
    created: i64,
    last_seen: i64,
    this_device: bool,
    linked: bool,
}

impl From<&Device> for DeviceRecord {
    fn from(device: &Device) -> Self {
        Self {
            r#type: "device",
            id: device.device.to_string(),
            name: device.name.clone(),
            created: device.created_at.as_millis(),
            last_seen: device.last_seen.as_millis(),
            this_device: device.this_device,
            linked: device.is_listed,
        }
    }
}

/// The account of this device.
#[derive(Debug, Serialize)]
pub(crate) struct AccountRecord {
    pub(crate) r#type: &'static str,
    pub(crate) account: Option<String>,
    pub(crate) user_name: String,
    pub(crate) display_name: String,
    pub(crate) administrator: bool,
    pub(crate) device: String,
    pub(crate) server: String,
    pub(crate) standing: &'static str,
    pub(crate) presence: &'static str,
    /// Whether the others are told what is read.
    pub(crate) read_receipts: bool,
    /// Whether there is a recovery backup of sealed conversations.
    pub(crate) backup: bool,
    /// Whether this device is in the account's device list; null before that was read.
    pub(crate) linked: Option<bool>,
    /// Whether the recovery key is still on this device, since nobody has proved to have it on paper.
    pub(crate) recovery_key_here: bool,
    pub(crate) waiting: usize,
    pub(crate) refused: usize,
}

/// What became of something that was sent.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryRecord {
    r#type: &'static str,
    conversation: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl DeliveryRecord {
    /// It is on the server's disk.
    pub(crate) fn accepted(
        conversation: ConversationId,
        message_id: MessageId,
        seq: Option<Seq>,
    ) -> Self {
        Self {
            r#type: "accepted",
            conversation: conversation.to_string(),
            id: message_id.to_string(),
            seq: seq.map(Seq::get),
            reason: None,
        }
    }

    /// It is on this device, and goes later.
    pub(crate) fn queued(
        conversation: ConversationId,
        message_id: MessageId,
        reason: &str,
    ) -> Self {
        Self {
            r#type: "queued",
            conversation: conversation.to_string(),
            id: message_id.to_string(),
            seq: None,
            reason: Some(reason.to_owned()),
        }
    }
}

/// Something that waits in the outbox or was refused.
#[derive(Debug, Serialize)]
pub(crate) struct UnsentRecord {
    pub(crate) r#type: &'static str,
    pub(crate) conversation: String,
    pub(crate) id: String,
    pub(crate) time: i64,
    /// `waiting` or `refused`.
    pub(crate) state: &'static str,
    pub(crate) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// An invite link.
#[derive(Debug, Serialize)]
pub(crate) struct InviteRecord {
    pub(crate) r#type: &'static str,
    pub(crate) link: String,
    pub(crate) expires: i64,
}

/// A safety number.
#[derive(Debug, Serialize)]
pub(crate) struct SafetyNumberRecord {
    pub(crate) r#type: &'static str,
    pub(crate) with: PersonRecord,
    /// Twelve groups of five digits.
    pub(crate) number: String,
    pub(crate) verified: bool,
}

/// The account's recovery key.
#[derive(Serialize)]
pub(crate) struct RecoveryKeyRecord<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) key: &'a str,
}

/// The code by which another device links this one.
#[derive(Debug, Serialize)]
pub(crate) struct LinkCodeRecord {
    pub(crate) r#type: &'static str,
    pub(crate) code: String,
    /// The text of its QR code.
    pub(crate) scan: String,
    pub(crate) expires: i64,
}

/// A message that search found.
#[derive(Debug, Serialize)]
pub(crate) struct HitRecord {
    pub(crate) r#type: &'static str,
    pub(crate) conversation: String,
    pub(crate) id: String,
    pub(crate) seq: u64,
    pub(crate) time: i64,
    pub(crate) from: PersonRecord,
    pub(crate) text: String,
}

/// The state of the connection, in `follow` and `chat`.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionRecord {
    pub(crate) r#type: &'static str,
    pub(crate) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Something is done, and there is nothing more to say.
#[derive(Debug, Serialize)]
pub(crate) struct DoneRecord {
    pub(crate) r#type: &'static str,
}

/// Done.
pub(crate) const DONE: DoneRecord = DoneRecord { r#type: "done" };

impl PersonRecord {
    pub(crate) fn new(account: String, user_name: Option<String>, display_name: String) -> Self {
        Self { account, user_name, display_name }
    }
}
