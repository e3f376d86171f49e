//! What the members of a sealed group call it: name and topic travel as sealed content, so that the
//! server reads neither.
//!
//! Whoever may add may name. Somebody who has just come in does not know the name: who adds people
//! says it again behind the Commit, and where a device came in by itself another of its account's says
//! it, or else the device of an owner or admin that has the lowest leaf.

use tidings_model::{AccountId, ConversationId, ConversationKind, Role};
use tidings_protocol_content::{Body, Content, wire};
use tidings_protocol_identity::ConversationName;
use tidings_protocol_mls::DeviceIdentity;
use wire::system::Event;

use crate::client::Client;
use crate::client::step::Step;
use crate::database::{DatabaseError, OutboxRow, Write};
use crate::group_event::GroupAct;
use crate::limits::{OUTBOX_ROWS_MAX, TOPIC_BYTES_MAX};
use crate::outbox_act::OutboxAct;

impl Client {
    /// Queues what the group is called, in words that the person has just chosen or the group has.
    pub(in crate::client) fn queue_profile(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        name: &str,
    ) -> Option<OutboxRow> {
        let of = self.state.conversations.get(&conversation)?;
        if name.is_empty() || self.state.outbox.len() >= OUTBOX_ROWS_MAX {
            return None;
        }
        let message_id = step.entropy.message_id();
        let profile = wire::GroupProfile {
            name: name.to_owned(),
            topic: of.row.topic.clone(),
            picture: None,
        };
        let body = system(Event::GroupProfile(profile));
        let content = Content::other(message_id, format!("The group is called {name}"), body);
        let row = OutboxRow {
            position: self.state.outbox.next_position(),
            conversation,
            message_id,
            time: step.now.wall,
            act: OutboxAct::Send { content: content.encode().ok()? },
            failure: None,
            sealed: None,
        };
        step.write(Write::PutOutbox(Box::new(row.clone())));
        self.state.outbox.put(row.clone());
        Some(row)
    }

    /// Says what the group is called to a device that came in by itself, once all was read.
    pub(in crate::client) fn announce(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        if !of.progress.must_announce || of.missing() > 0 || of.stale {
            return;
        }
        of.progress.must_announce = false;
        let (kind, name) = (of.row.kind, of.row.name.clone());
        if kind == ConversationKind::Group {
            self.queue_profile(step, conversation, &name);
        }
    }

    /// Whether it is this device that tells a newcomer what the group is called.
    pub(super) fn is_announcer(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
        newcomer: DeviceIdentity,
    ) -> Result<bool, DatabaseError> {
        let Some(own) = self.mls().map(|mls| *mls.identity()) else { return Ok(false) };
        let Some(group) = self.group(step, conversation)? else { return Ok(false) };
        let Some(roles) = group.roles() else { return Ok(false) };
        let mut others = group.leaves();
        others.retain(|leaf| leaf.device != newcomer);
        others.sort_unstable_by_key(|leaf| leaf.index);
        let is_sibling = |device: &DeviceIdentity| device.account == newcomer.account;
        let moderates = |device: &DeviceIdentity| {
            roles.named.get(&device.account).is_some_and(|role| role.may_moderate())
        };
        let sibling = others.iter().map(|leaf| leaf.device).find(is_sibling);
        let announcer = sibling.or(others.iter().map(|leaf| leaf.device).find(moderates));
        Ok(announcer == Some(own))
    }

    /// Takes what somebody says the group is called. Gives what is news to this device's person, or
    /// `None` if the sender has no say in it.
    pub(super) fn take_profile(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        sender: AccountId,
        profile: &wire::GroupProfile,
    ) -> Result<Option<Vec<GroupAct>>, DatabaseError> {
        let me = self.state.me();
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(None) };
        let members = of.members(step.database)?;
        let role = members.iter().find(|member| member.account == sender);
        let may_name = role.and_then(|member| member.role).is_some_and(Role::may_moderate);
        let may_name = may_name || Some(sender) == me;
        let is_valid = ConversationName::parse(&profile.name).is_ok()
            && profile.topic.len() <= TOPIC_BYTES_MAX;
        if !may_name || !is_valid || of.row.kind != ConversationKind::Group {
            return Ok(None);
        }
        let mut acts = Vec::new();
        let is_first = of.row.name.is_empty();
        if of.row.name != profile.name {
            of.row.name.clone_from(&profile.name);
            acts.push(GroupAct::Renamed(profile.name.clone()));
        }
        if of.row.topic != profile.topic {
            of.row.topic.clone_from(&profile.topic);
            acts.push(GroupAct::TopicChanged(profile.topic.clone()));
        }
        of.write(step);
        Ok(Some(if is_first { Vec::new() } else { acts }))
    }
}

/// Something that an app tells a conversation by itself.
pub(in crate::client) fn system(event: Event) -> wire::content::Body {
    wire::content::Body::System(wire::System { event: Some(event) })
}

/// What a message says the group is called, if it says that.
pub(in crate::client) fn group_profile(content: &Content) -> Option<&wire::GroupProfile> {
    match &content.body {
        Body::Other { body: Some(wire::content::Body::System(system)), .. } => {
            match system.event.as_ref()? {
                Event::GroupProfile(profile) => Some(profile),
                _ => None,
            }
        }
        _ => None,
    }
}
