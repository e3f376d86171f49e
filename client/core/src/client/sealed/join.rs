//! Coming in: by a Welcome, or by an external Commit of this device's own.
//!
//! A Welcome takes effect at once: this device's part of the log begins at the Commit that brought it.
//! If none comes within a while, or this device has lost its keys, it asks for the group and commits
//! itself in. That Commit waits in a slot of its own until the log shows it. What lies before is
//! hidden: it was not for this device.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use tidings_client_mls::{
    Invitation as GroupInvitation, KeyPackage, KeyPackageKind, MlsError, Offer, Slot,
};
use tidings_model::{
    AccountId, ConversationId, Cursor, GroupEpoch, Hidden, HiddenReason, LogEpoch, Monotonic, Seq,
};
use tidings_protocol_app::sealed::{Invitation, PublicGroup};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{Refused, code, wire};
use tidings_protocol_mls::GroupId;

use crate::client::Client;
use crate::client::requests::Purpose;
use crate::client::state::{Conversation, new_row};
use crate::client::step::{Fault, Step};
use crate::database::{DatabaseError, GroupPart, Write};
use crate::limits::{
    COMMIT_BACK_OFF, JOIN_BACK_OFF, JOINS_IN_FLIGHT_MAX, LISTS_WITHIN, WELCOME_WITHIN,
};

use super::groups::id_of;

impl Client {
    /// A Commit has added this device somewhere.
    pub(in crate::client) fn invited(
        &mut self,
        step: &mut Step<'_>,
        invitation: Invitation,
    ) -> Result<(), DatabaseError> {
        let conversation = invitation.conversation;
        let commits = self
            .state
            .conversations
            .get(&conversation)
            .is_some_and(|of| of.progress.commit.is_some() || of.progress.is_merging);
        match self.part(conversation) {
            Some(GroupPart::Inside) => {
                let own = self.place(step, conversation)?;
                if own.is_none_or(|own| own < invitation.place) {
                    // The log will show why this device is out.
                    self.groups.hold(invitation);
                }
                Ok(())
            }
            Some(_) if commits => {
                self.groups.hold(invitation);
                Ok(())
            }
            Some(_) => self.follow(step, invitation, BTreeSet::new()),
            None if self.state.conversations.contains_key(&conversation) => Ok(()),
            None => self.follow(step, invitation, BTreeSet::new()),
        }
    }

    /// Whether a device that is out of a group may be invited to a part of the log that it has not read:
    /// that part is not to be passed without keys.
    pub(in crate::client) fn is_invited(&self, of: &Conversation) -> bool {
        let read = self.state.identity.row.as_ref().map_or(0, |row| row.inbox);
        of.part() == Some(GroupPart::Removed)
            && (!self.inbox.is_read(read) || self.groups.holds_invitation(of.id()))
    }

    /// Whether the inbox, or an invitation out of it, may yet bring this device into a conversation that
    /// it is to read.
    pub(in crate::client) fn is_being_invited(&self) -> bool {
        let read = self.state.identity.row.as_ref().map_or(0, |row| row.inbox);
        let is_invited = |conversation| self.part(conversation) != Some(GroupPart::Inside);
        self.may_seal()
            && (self.inbox.brings_more(read) || self.groups.invited().into_iter().any(is_invited))
    }

    /// The account's list covers this device from now on: nobody else brings it into the conversations
    /// that are there already.
    pub(in crate::client) fn come_in_everywhere(&mut self, now: Monotonic) {
        for of in self.state.conversations.values_mut().filter(|of| of.is_out()) {
            of.progress.join_at = Some(now);
        }
    }

    /// Follows the invitations that waited, and lets this device come in where no Welcome came.
    pub(in crate::client) fn pump_joins(
        &mut self,
        step: &mut Step<'_>,
    ) -> Result<(), DatabaseError> {
        if !self.may_seal() {
            return Ok(());
        }
        self.look_for_keys(step)?;
        self.follow_held(step)?;
        let now = step.now.monotonic;
        let mut under_way = 0;
        let mut due: Vec<(Reverse<tidings_model::Timestamp>, ConversationId)> = Vec::new();
        for of in self.state.conversations.values_mut().filter(|of| of.is_out()) {
            if of.progress.fetching_group || of.progress.is_merging || of.progress.commit.is_some()
            {
                under_way += 1;
                continue;
            }
            let is_lost = of.part() == Some(GroupPart::Lost);
            if !of.progress.wants_in && of.progress.join_at.is_none() {
                let wait = if is_lost { Duration::ZERO } else { WELCOME_WITHIN };
                of.progress.join_at = Some(now.plus(wait));
            }
            of.progress.take_due(now);
            // Whoever has lost its keys finds its own messages first.
            if of.progress.wants_in && (!is_lost || of.is_read_up()) {
                due.push((Reverse(of.row.activity), of.id()));
            }
        }
        due.sort_unstable();
        for (_, conversation) in due {
            if under_way >= JOINS_IN_FLIGHT_MAX {
                return Ok(());
            }
            self.come_in(step, conversation)?;
            under_way += 1;
        }
        Ok(())
    }

    fn follow_held(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        for conversation in self.groups.invited() {
            let waits = self.state.conversations.get(&conversation).is_some_and(|of| {
                of.part() == Some(GroupPart::Inside)
                    || of.progress.commit.is_some()
                    || of.progress.is_merging
            });
            if waits || self.invitation_waits(step, conversation) {
                continue;
            }
            if let Some((invitation, asked)) = self.groups.take_invitation(conversation) {
                self.follow(step, invitation, asked)?;
            }
        }
        Ok(())
    }

    /// Sends the external Commit that waits, or asks for what one needs.
    fn come_in(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        let rejoin = match self.group(step, conversation)? {
            Some(group) => group.rejoining().cloned(),
            // The rows are damaged: nothing of them is of use.
            None => {
                self.forget_group(step, conversation);
                None
            }
        };
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.progress.join_at = None;
        of.progress.wants_in = false;
        match rejoin {
            Some(rejoin) => self.send_external(step, conversation, &rejoin),
            None => {
                of.progress.fetching_group = true;
                let fetch = wire::FetchGroup { conversation: id_of(conversation) };
                let purpose = Purpose::FetchGroup(conversation);
                self.requests.send(step, purpose, Request::FetchGroup(fetch));
            }
        }
        Ok(())
    }

    /// Makes the external Commit out of what the server says of the group.
    pub(in crate::client) fn group_fetched(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        group: wire::Group,
    ) -> Result<(), Fault> {
        let public = PublicGroup::try_from(group)?;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.progress.fetching_group = false;
        if !of.is_out() {
            return Ok(());
        }
        self.hold_absent(GroupId { conversation, generation: public.place.generation });
        let offer = Offer { group_info: public.group_info, tree: public.tree, left: public.leaves };
        let message_id = step.entropy.message_id();
        match self.operate(step, conversation, |group| group.rejoin(&offer, message_id))? {
            Ok(rejoin) => self.send_external(step, conversation, &rejoin),
            Err(error) => self.join_failed(step, conversation, &error),
        }
        Ok(())
    }

    fn join_failed(&mut self, step: &mut Step<'_>, conversation: ConversationId, error: &MlsError) {
        let lists = error.lists_to_fetch();
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        let is_news = lists.iter().any(|account| !of.progress.lists_asked.contains(account));
        of.progress.lists_asked.extend(&lists);
        let wait = if is_news { WELCOME_WITHIN } else { JOIN_BACK_OFF };
        of.progress.join_at = Some(step.now.monotonic.plus(wait));
        if is_news {
            self.want_lists(step, &lists);
        } else {
            of.progress.lists_asked.clear();
        }
    }

    pub(in crate::client) fn group_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        refused: &Refused,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        of.progress.fetching_group = false;
        if matches!(refused.code, code::NOT_A_MEMBER | code::NOT_FOUND) {
            return self.set_part(step, conversation, GroupPart::Removed);
        }
        let wait = refused.retry_after.unwrap_or(COMMIT_BACK_OFF);
        of.progress.join_at = Some(step.now.monotonic.plus(wait));
    }

    /// The own external Commit stands in the log: reading goes on with it.
    pub(super) fn begin_merging(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        epoch: LogEpoch,
        seq: Seq,
    ) {
        if self.part(conversation) != Some(GroupPart::Lost) {
            self.skip_to(step, conversation, epoch, seq);
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.is_merging = true;
            of.head = of.head.max(seq);
        }
    }

    /// Moves the cursor right before an entry, with which this device's part of the log begins.
    fn skip_to(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        epoch: LogEpoch,
        seq: Seq,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        let before = seq.previous();
        if of.epoch() != Some(epoch) || of.seen() < before {
            let from = if of.epoch() == Some(epoch) { of.seen().next() } else { Seq::FIRST };
            if from <= before {
                let reason = HiddenReason::NotAMember;
                step.write(Write::PutHidden(conversation, Hidden { from, to: before, reason }));
            }
            of.row.cursor = Some(Cursor { epoch, seq: before, checksum: None });
        }
        of.head = of.head.max(seq);
        of.stale = false;
        of.rewound = false;
        of.write(step);
    }

    /// Joins by a Welcome.
    fn follow(
        &mut self,
        step: &mut Step<'_>,
        invitation: Invitation,
        asked: BTreeSet<AccountId>,
    ) -> Result<(), DatabaseError> {
        let Some(mls) = self.mls() else {
            self.groups.hold(invitation);
            return Ok(());
        };
        let conversation = invitation.conversation;
        let of = self.state.conversations.get(&conversation);
        if of.is_some_and(|of| {
            of.epoch() == Some(invitation.log_epoch) && of.seen() >= invitation.seq
        }) {
            // What it leads to has been passed.
            return Ok(());
        }
        let GroupEpoch { generation, .. } = invitation.place;
        let group = GroupId { conversation, generation };
        let (welcome, tree) = (invitation.welcome.clone(), invitation.tree.clone());
        let offered = GroupInvitation { group, welcome, tree };
        let accounts = offered.accounts().unwrap_or_default();
        let missing: Vec<AccountId> = accounts
            .into_iter()
            .filter(|account| self.listed_devices(*account).is_none())
            .collect();
        if !missing.is_empty() {
            self.hold_for_lists(step, invitation, asked, &missing);
            return Ok(());
        }
        let packages = self.key_packages_for(step, &offered)?;
        let is_last_resort = |package: &KeyPackage| package.kind == KeyPackageKind::LastResort;
        let by_last_resort = packages.iter().any(is_last_resort);
        let mut done = match mls.join(&offered, &packages) {
            Ok(done) => done,
            Err(error) => {
                if matches!(error, MlsError::OrphanWelcome) {
                    self.key_packages_lost(step);
                }
                // Where no list helps, this device comes in by itself.
                self.hold_for_lists(step, invitation, asked, &error.lists_to_fetch());
                return Ok(());
            }
        };
        done.changes.pending = Slot::Delete;
        done.changes.rejoin = Slot::Delete;
        // The Welcome is gone from the inbox: it cannot be followed a second time.
        step.must_sync();
        let kind = done.group.roles().map(|roles| roles.kind);
        self.keep_group(step, done);
        if by_last_resort {
            self.last_resort_used(step);
        }
        let now = self.server_now(step);
        let of = self.state.conversations.entry(conversation).or_insert_with(|| {
            let kind = kind.unwrap_or(tidings_model::ConversationKind::Group);
            Conversation::new(new_row(conversation, kind, now))
        });
        of.row.refreshed = now;
        of.progress.join_at = None;
        of.progress.lists_asked.clear();
        self.set_part(step, conversation, GroupPart::Inside);
        self.skip_to(step, conversation, invitation.log_epoch, invitation.seq);
        self.take_members(step, conversation, invitation.seq)?;
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.roster_wanted = of.roster_wanted.max(of.row.roster_version + 1);
            of.write(step);
        }
        Ok(())
    }

    /// Waits for lists that a Welcome needs. If they have come and it needs them still, it is dropped,
    /// and this device comes in by itself.
    fn hold_for_lists(
        &mut self,
        step: &mut Step<'_>,
        invitation: Invitation,
        mut asked: BTreeSet<AccountId>,
        lists: &[AccountId],
    ) {
        if lists.iter().all(|account| asked.contains(account)) {
            return;
        }
        asked.extend(lists);
        let until = step.now.monotonic.plus(LISTS_WITHIN);
        self.groups.hold_until(invitation, asked, until);
        self.want_lists(step, lists);
    }

    fn invitation_waits(&self, step: &Step<'_>, conversation: ConversationId) -> bool {
        let waits = self.groups.waits_until(conversation);
        waits.is_some_and(|until: Monotonic| step.now.monotonic < until)
    }

    fn key_packages_for(
        &self,
        step: &Step<'_>,
        invitation: &GroupInvitation,
    ) -> Result<Vec<KeyPackage>, DatabaseError> {
        let Some(mls) = self.mls() else { return Ok(Vec::new()) };
        let Ok(references) = mls.key_packages_of(&invitation.welcome) else {
            return Ok(Vec::new());
        };
        let rows = step.database.key_packages(&references)?;
        let package = |row: crate::database::KeyPackageRow| KeyPackage {
            reference: row.reference,
            // What was published is not needed to open a Welcome, and not kept.
            public: bytes::Bytes::new(),
            secret: row.secret,
            kind: match row.is_last_resort {
                true => KeyPackageKind::LastResort,
                false => KeyPackageKind::Single,
            },
            expires: row.expires,
        };
        Ok(rows.into_iter().map(package).collect())
    }
}
