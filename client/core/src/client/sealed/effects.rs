//! What a Commit or a leave does to this device: members, this device's part, and the line in the
//! timeline that says it.

use bytes::Bytes;
use tidings_client_mls::Unreadable;
use tidings_model::{AccountId, ConversationId, ConversationKind, Entry, Role};
use tidings_protocol_content::wire::GroupProfile;
use tidings_protocol_mls::Transition;

use crate::client::Client;
use crate::client::step::Step;
use crate::database::{DatabaseError, EntryRole, EntryRow, GroupPart, Write};
use crate::group_event::{self, GroupAct};
use crate::limits::WELCOME_WITHIN;

use super::take_in::LeafCounts;

impl Client {
    /// A Commit began a new epoch.
    pub(super) fn apply_commit(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
        transition: &Transition,
        leaves: &mut LeafCounts,
    ) -> Result<(), DatabaseError> {
        let own = self.mls().map(|mls| *mls.identity());
        let is_own = own == Some(transition.committer);
        if is_own && !transition.is_external {
            self.commit_settled(conversation, entry.seq);
        }
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        // Whatever was on its way belongs to an epoch that is over.
        of.progress.commit = None;
        of.progress.commit_at = None;
        of.progress.must_commit = false;
        of.progress.conflicts = 0;
        of.progress.lists_asked.clear();
        of.progress.last_commit = Some(entry.time);
        if is_own {
            of.row.refreshed = entry.time;
        }
        let acts = self.acts_of(step, conversation, transition, leaves)?;
        if is_own && transition.is_external {
            self.came_in(step, conversation, &entry)?;
        } else {
            self.follow_members(step, conversation, &entry, transition)?;
            self.greet_newcomer(step, conversation, transition)?;
        }
        self.keep_handshake(step, conversation, &entry, &acts);
        self.draw_acts(step, conversation, entry, &acts);
        Ok(())
    }

    /// This device came in by its own external Commit.
    fn came_in(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: &Entry,
    ) -> Result<(), DatabaseError> {
        self.counts.rejoins += 1;
        self.set_part(step, conversation, GroupPart::Inside);
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.join_at = None;
        }
        self.take_members(step, conversation, entry.seq)
    }

    fn follow_members(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: &Entry,
        transition: &Transition,
    ) -> Result<(), DatabaseError> {
        let named = &transition.roles.named;
        let role_of = |account| named.get(account).copied().unwrap_or(Role::Member);
        for account in &transition.joined {
            let role = Some(role_of(account));
            self.set_role(step, conversation, entry.seq, *account, role)?;
        }
        for account in &transition.gone {
            self.set_role(step, conversation, entry.seq, *account, None)?;
        }
        for (account, role) in &transition.roles_changed {
            self.set_role(step, conversation, entry.seq, *account, Some(*role))?;
        }
        if let Some(of) = self.state.conversations.get(&conversation) {
            of.write(step);
        }
        Ok(())
    }

    /// Sees to it that a device that came in by itself learns what the group is called.
    fn greet_newcomer(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        transition: &Transition,
    ) -> Result<(), DatabaseError> {
        let newcomer = transition.committer;
        let knows = transition.devices_removed.contains(&newcomer);
        if transition.is_external
            && !knows
            && self.is_announcer(step, conversation, newcomer)?
            && let Some(of) = self.state.conversations.get_mut(&conversation)
        {
            of.progress.must_announce = true;
        }
        Ok(())
    }

    /// What a Commit did, for the timeline. A leaf that was refreshed is nothing to show.
    fn acts_of(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
        transition: &Transition,
        leaves: &mut LeafCounts,
    ) -> Result<Vec<GroupAct>, DatabaseError> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(vec![]) };
        let members = of.members(step.database)?;
        // Of those who have left, the leave was shown.
        let stands = |account: &&AccountId| {
            members.iter().any(|member| member.account == **account && member.role.is_some())
        };
        let removed: Vec<AccountId> = transition.gone.iter().filter(stands).copied().collect();
        let mut acts = Vec::new();
        if !transition.joined.is_empty() {
            acts.push(GroupAct::Added(transition.joined.clone()));
        }
        if !removed.is_empty() {
            acts.push(GroupAct::Removed(removed));
        }
        let changed = transition.roles_changed.iter();
        acts.extend(changed.map(|(account, role)| GroupAct::RoleChanged(*account, *role)));
        for device in &transition.devices_removed {
            let left = leaves.entry(device.account).or_default();
            *left = left.saturating_sub(1);
            let returns = transition.devices_added.contains(device);
            if returns {
                acts.push(GroupAct::DeviceReturned(device.account));
            } else if !transition.gone.contains(&device.account) {
                acts.push(GroupAct::DeviceRemoved(device.account));
            }
        }
        for device in &transition.devices_added {
            let before = leaves.entry(device.account).or_default();
            let is_further = *before > 0 && !transition.joined.contains(&device.account);
            *before += 1;
            if is_further && !transition.devices_removed.contains(device) {
                acts.push(GroupAct::DeviceAdded(device.account));
            }
        }
        Ok(acts)
    }

    /// A member leaves. Whoever commits next removes its devices.
    pub(super) fn apply_leave(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
        account: AccountId,
    ) -> Result<(), DatabaseError> {
        let is_own = Some(account) == self.state.me();
        self.settle_row(step, entry.message_id, entry.seq);
        self.set_role(step, conversation, entry.seq, account, None)?;
        if !is_own {
            self.keep_handshake(step, conversation, &entry, &[GroupAct::Left(account)]);
        }
        self.draw_acts(step, conversation, entry, &[GroupAct::Left(account)]);
        if is_own {
            self.forget_group(step, conversation);
            self.set_part(step, conversation, GroupPart::Removed);
            self.fail_waiting(step, conversation);
        }
        Ok(())
    }

    /// A Commit took this device's leaf. Its account may still be a member: then it comes in again.
    pub(super) fn apply_removed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
        transition: &Transition,
        leaves: &mut LeafCounts,
    ) -> Result<(), DatabaseError> {
        let acts = self.acts_of(step, conversation, transition, leaves)?;
        self.follow_members(step, conversation, &entry, transition)?;
        self.draw_acts(step, conversation, entry, &acts);
        let is_gone = self.state.me().is_some_and(|me| transition.gone.contains(&me));
        if is_gone {
            self.set_part(step, conversation, GroupPart::Removed);
            self.fail_waiting(step, conversation);
        } else {
            self.set_part(step, conversation, GroupPart::Outside);
            if let Some(of) = self.state.conversations.get_mut(&conversation) {
                of.progress.join_at = Some(step.now.monotonic.plus(WELCOME_WITHIN));
            }
        }
        Ok(())
    }

    /// A Commit of an epoch before this device came in. The one that brought it in is shown.
    pub(super) fn apply_earlier_commit(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
        why: Unreadable,
    ) -> Result<(), DatabaseError> {
        let Some(me) = self.state.me() else { return Ok(()) };
        let of = self.state.conversations.get(&conversation);
        let is_group = of.is_some_and(|of| of.row.kind == ConversationKind::Group);
        let brought_in = matches!(why, Unreadable::OtherEpoch { entry, group } if entry.saturating_add(1) == group);
        let is_first = self.joined_at(step, conversation, &entry)?;
        let is_shown = is_group && brought_in && is_first && entry.account != me;
        let added = [GroupAct::Added(vec![me])];
        let acts: &[GroupAct] = if is_shown { &added } else { &[] };
        let heals =
            self.state.conversations.get(&conversation).is_some_and(|of| of.progress.heals());
        if brought_in && !heals {
            self.keep_handshake(step, conversation, &entry, acts);
        }
        self.draw_acts(step, conversation, entry, acts);
        Ok(())
    }

    /// Whether an entry is the first one that this device has of a conversation, or follows a gap.
    fn joined_at(
        &self,
        step: &Step<'_>,
        conversation: ConversationId,
        entry: &Entry,
    ) -> Result<bool, DatabaseError> {
        let before = entry.seq.previous();
        let span = step.database.span(conversation, before, before)?;
        Ok(span.entries.is_empty())
    }

    /// Somebody says what the group is called.
    pub(in crate::client) fn apply_profile(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
        profile: &GroupProfile,
        content: Bytes,
    ) -> Result<(), DatabaseError> {
        let acts = self.take_profile(step, conversation, entry.account, profile)?;
        let acts = acts.unwrap_or_default();
        let mut entry = entry;
        let role = if acts.is_empty() { EntryRole::Silent } else { EntryRole::Event };
        entry.payload = match role {
            EntryRole::Silent => content,
            _ => group_event::encode_said(&acts, &content),
        };
        if !acts.is_empty()
            && let Some(of) = self.state.conversations.get_mut(&conversation)
        {
            of.row.activity = of.row.activity.max(entry.time);
        }
        let row = EntryRow { conversation, entry, role, detached: false };
        step.write(Write::PutEntry(Box::new(row)));
        Ok(())
    }

    /// What a message said of the group stands in the log again.
    pub(super) fn line_came_back(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        mut entry: Entry,
        held: EntryRow,
    ) {
        let message = held.reference();
        step.write(Write::DeleteDetached { conversation, message });
        entry.payload = held.entry.payload;
        let row = EntryRow { conversation, entry, role: held.role, detached: false };
        step.write(Write::PutEntry(Box::new(row)));
    }

    /// Writes the line that says what happened, if there is anything to say.
    pub(super) fn draw_acts(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        mut entry: Entry,
        acts: &[GroupAct],
    ) {
        if acts.is_empty() {
            return;
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.row.activity = of.row.activity.max(entry.time);
        }
        entry.payload = group_event::encode(acts);
        let row = EntryRow { conversation, entry, role: EntryRole::Event, detached: false };
        step.write(Write::PutEntry(Box::new(row)));
    }
}
