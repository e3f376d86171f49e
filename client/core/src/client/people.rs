//! What the server says about conversations and people: states, members, presence, typing, devices.

use tidings_model::{
    AccountId, Checksum, ConversationId, DeviceId, GroupEpoch, LogEpoch, Role, Seq, Timestamp,
};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{FieldError, id, id_bytes, optional_id, wire};

use crate::database::{GroupPart, MemberRow, Profile, Sealing, Write};
use crate::event::{Event, Notice, Presence};
use crate::limits::TYPING_LASTS;

use super::Client;
use super::requests::Purpose;
use super::state::{Conversation, new_row};
use super::step::{Fault, Step};

impl Client {
    /// Asks about a conversation that this device has not heard of.
    pub(super) fn meet(&mut self, step: &mut Step<'_>, conversation: ConversationId) {
        let describe = wire::Describe { conversation: id_bytes(conversation.as_bytes()) };
        let body = Request::Describe(describe);
        self.requests.send(step, Purpose::Describe(conversation), body);
    }

    /// Takes the state of a conversation as the server has it now.
    pub(super) fn conversation_state(
        &mut self,
        step: &mut Step<'_>,
        state: wire::ConversationState,
    ) -> Result<(), Fault> {
        let read = ReadState::of(&state)?;
        if let Some(partner) = &read.partner {
            self.state.learn_profile(step, partner.clone());
        }
        self.settle_kind(step, read.conversation, read.group.is_some());
        let of = self.state.conversations.entry(read.conversation).or_insert_with(|| {
            let time = Timestamp::from_millis(state.head_time);
            let mut row = new_row(read.conversation, read.kind, time);
            if read.group.is_some() {
                row.sealing = Sealing::Sealed { part: GroupPart::Outside };
            }
            Conversation::new(row)
        });
        let mut row = of.row.clone();
        row.partner = read.partner.as_ref().map(|partner| partner.account).or(row.partner);
        match of.part() {
            None => {
                row.kind = read.kind;
                row.name.clone_from(&state.name);
                row.role = read.role;
                row.member_count = state.member_count;
            }
            // Name, members and roles come from the group once this device is in it.
            Some(GroupPart::Inside) => {}
            Some(_) => {
                row.kind = read.kind;
                row.role = read.role;
                row.member_count = state.member_count;
                let epoch = LogEpoch::new(state.log_epoch);
                let part = of.part_of_member(read.role.is_some(), epoch, read.epoch_since);
                row.sealing = Sealing::Sealed { part };
            }
        }
        row.activity = row.activity.max(Timestamp::from_millis(state.head_time));
        of.roster_wanted = of.roster_wanted.max(state.roster_version);
        (of.head, of.heard) = (read.head, read.head);
        let cursor = of.row.cursor;
        of.stale = cursor.is_some_and(|cursor| {
            cursor.epoch.get() != state.log_epoch
                || cursor.seq > read.head
                || (cursor.seq == read.head
                    && cursor.checksum.is_some_and(|sum| sum != Checksum(state.head_checksum))
                    && state.head_checksum != 0)
        });
        let same_epoch = cursor.is_none_or(|cursor| cursor.epoch.get() == state.log_epoch);
        if of.row != row {
            of.row = row;
            of.write(step);
        }
        step.composers.insert(read.conversation);
        if same_epoch {
            return self.marks(step, read.conversation, &state.receipts);
        }
        Ok(())
    }

    /// Takes the members of a conversation.
    pub(super) fn described(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        description: wire::Description,
    ) -> Result<(), Fault> {
        let Some(state) = description.state else {
            return Err(FieldError { field: "state", problem: "is missing" }.into());
        };
        let version = state.roster_version;
        self.conversation_state(step, state)?;
        let members: Vec<(MemberRow, Profile)> =
            description.members.iter().map(read_member).collect::<Result<_, _>>()?;
        for (_, profile) in &members {
            self.state.learn_profile(step, profile.clone());
        }
        let Some(of) = self.state.conversations.get_mut(&conversation) else {
            return Err(FieldError { field: "state", problem: "is of another conversation" }.into());
        };
        of.describing = false;
        let is_of_group = of.part() == Some(GroupPart::Inside);
        let known = of.members(step.database)?;
        for (mut member, _) in members {
            match known.iter_mut().find(|row| row.account == member.account) {
                // Who is in a sealed conversation is for its group to say.
                _ if is_of_group => {}
                Some(row) => {
                    member.delivered = row.delivered;
                    member.read = row.read;
                    if *row != member {
                        *row = member;
                        step.write(Write::PutMember(conversation, member));
                    }
                }
                None => {
                    known.push(member);
                    step.write(Write::PutMember(conversation, member));
                }
            }
        }
        if of.row.roster_version < version {
            of.row.roster_version = version;
        } else {
            // The server knows of nothing newer: asking again would bring the same.
            of.roster_wanted = of.row.roster_version;
        }
        of.write(step);
        self.marks(step, conversation, &description.receipts)
    }

    pub(super) fn typing_changed(
        &mut self,
        step: &mut Step<'_>,
        changed: &wire::TypingChanged,
    ) -> Result<(), FieldError> {
        let conversation: ConversationId = id("conversation", &changed.conversation)?;
        let account: AccountId = id("account", &changed.account)?;
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.typing.retain(|(who, _)| *who != account);
            if changed.typing
                && Some(account) != self.state.account.as_ref().and_then(|a| a.account)
            {
                of.typing.push((account, step.now.monotonic.plus(TYPING_LASTS)));
            }
            step.touch(conversation);
        }
        Ok(())
    }

    pub(super) fn presence_changed(
        &mut self,
        step: &mut Step<'_>,
        changed: &wire::PresenceChanged,
    ) -> Result<(), FieldError> {
        let account = id("account", &changed.account)?;
        let last_seen =
            (changed.last_seen != 0).then_some(Timestamp::from_millis(changed.last_seen));
        let presence =
            if changed.online { Presence::Online } else { Presence::Offline { last_seen } };
        step.events.push(Event::Presence { account, presence });
        Ok(())
    }

    /// Hides or shows this device. It is on the disk before the person is told so.
    pub(super) fn set_presence(&mut self, step: &mut Step<'_>, hidden: bool) {
        let Some(row) = &mut self.state.account else { return };
        if std::mem::replace(&mut row.hidden, hidden) == hidden {
            return;
        }
        self.state.write_account(step);
        self.settings_changed(step);
        step.must_sync();
        if self.link.is_up() {
            self.send_presence(step, hidden);
        }
    }

    /// Tells a new session that it is hidden: sessions start online.
    pub(super) fn hide_again(&mut self, step: &mut Step<'_>) {
        if self.state.account.as_ref().is_some_and(|row| row.hidden) {
            self.send_presence(step, true);
        }
    }

    fn send_presence(&mut self, step: &mut Step<'_>, hidden: bool) {
        let body = Request::SetPresence(wire::SetPresence { hidden });
        self.requests.send(step, Purpose::Unwaited, body);
    }

    /// Tells of another device of the account. That this one is signed out is told by the end of the
    /// connection.
    pub(super) fn devices_changed(
        &mut self,
        step: &mut Step<'_>,
        changed: wire::DevicesChanged,
    ) -> Result<(), FieldError> {
        let device: DeviceId = id("device", &changed.device)?;
        if self.state.account.as_ref().is_some_and(|row| row.device == device) {
            return Ok(());
        }
        step.notice(if changed.revoked {
            Notice::DeviceRevoked { name: changed.name }
        } else {
            Notice::DeviceAdded { name: changed.name }
        });
        Ok(())
    }
}

/// The fields of a state that can be wrong.
struct ReadState {
    conversation: ConversationId,
    kind: tidings_model::ConversationKind,
    role: Option<Role>,
    /// Where the group stands; `None`: the conversation is open.
    group: Option<GroupEpoch>,
    head: Seq,
    epoch_since: Seq,
    partner: Option<Profile>,
}

impl ReadState {
    fn of(state: &wire::ConversationState) -> Result<Self, FieldError> {
        Ok(Self {
            conversation: id("conversation", &state.conversation)?,
            kind: wire::ConversationKind::required("kind", state.kind)?,
            role: state.role().to_model(),
            group: wire::GroupEpoch::optional("group", state.group.as_ref())?,
            head: tidings_protocol_app::seq("head", state.head)?,
            epoch_since: tidings_protocol_app::seq("log_epoch_since", state.log_epoch_since)?,
            partner: state.partner.as_ref().map(read_profile).transpose()?,
        })
    }
}

/// Reads what others see of an account.
pub(super) fn read_profile(profile: &wire::Profile) -> Result<Profile, FieldError> {
    Ok(Profile {
        account: id("profile.account", &profile.account)?,
        user_name: profile.user_name.clone(),
        display_name: profile.display_name.clone(),
    })
}

fn read_member(member: &wire::Member) -> Result<(MemberRow, Profile), FieldError> {
    let account: AccountId = optional_id("members.account", &member.account)?
        .ok_or(FieldError { field: "members.account", problem: "is missing" })?;
    let since = match member.ranges.last() {
        Some(range) => tidings_protocol_app::seq("members.ranges", range.from)?,
        None => Seq::ZERO,
    };
    let row = MemberRow {
        account,
        role: member.role().to_model(),
        since,
        delivered: Seq::ZERO,
        read: Seq::ZERO,
    };
    let profile = Profile {
        account,
        user_name: member.user_name.clone(),
        display_name: member.display_name.clone(),
    };
    Ok((row, profile))
}
