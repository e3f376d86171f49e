//! Groups in memory, and the one way to change one: what an operation changes goes into the step's
//! change set, and a group whose operation failed goes back to what the step has written so far.
//!
//! A failed commit of the change set drops all of them ([`Groups::clear`]): memory never runs ahead of
//! the disk for longer than a step.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use tidings_client_mls::{
    Changes, Group, GroupRows, Mls, MlsError, PendingCommit, Rejoin, Slot, Step as GroupStep, Tree,
};
use tidings_model::{AccountId, ConversationId, GroupEpoch, Monotonic};
use tidings_protocol_app::sealed::Invitation;
use tidings_protocol_mls::GroupId;

use crate::client::Client;
use crate::client::step::Step;
use crate::database::{Database, DatabaseError, GroupRow, GroupWrite, Write};
use crate::limits::{GROUPS_IN_MEMORY_MAX, INVITATIONS_HELD_MAX};

/// The groups that are in memory.
#[derive(Default)]
pub(in crate::client) struct Groups {
    held: HashMap<ConversationId, Group>,
    /// From the one that was not used for the longest time to the one used last.
    used: VecDeque<ConversationId>,
    /// Whether it was looked if the keys of all groups are in the database.
    pub(super) are_looked_for: bool,
    /// Invitations that cannot be followed yet. A lost one costs an external Commit.
    invitations: HashMap<ConversationId, Held>,
}

/// An invitation that cannot be followed yet.
struct Held {
    invitation: Invitation,
    /// It is tried again when lists have come, or at this time.
    until: Option<Monotonic>,
    /// Lists that were asked for already: that they are missing still is the end of it.
    asked: BTreeSet<AccountId>,
}

impl Groups {
    /// Forgets all groups: the database has the right ones.
    pub(in crate::client) fn clear(&mut self) {
        self.held.clear();
        self.used.clear();
    }

    /// Lets go of those that were not used for the longest time. Between two steps only: what a step
    /// has written is not in the database before its end.
    pub(in crate::client) fn trim(&mut self) {
        while self.used.len() > GROUPS_IN_MEMORY_MAX
            && let Some(conversation) = self.used.pop_front()
        {
            self.held.remove(&conversation);
        }
    }

    /// Keeps an invitation until the log, or an own Commit, leaves room for it.
    pub(super) fn hold(&mut self, invitation: Invitation) {
        self.insert(Held { invitation, until: None, asked: BTreeSet::new() });
    }

    /// Keeps an invitation until lists have come.
    pub(super) fn hold_until(
        &mut self,
        invitation: Invitation,
        asked: BTreeSet<AccountId>,
        until: Monotonic,
    ) {
        self.insert(Held { invitation, until: Some(until), asked });
    }

    fn insert(&mut self, held: Held) {
        let conversation = held.invitation.conversation;
        if self.invitations.len() < INVITATIONS_HELD_MAX
            || self.invitations.contains_key(&conversation)
        {
            self.invitations.insert(conversation, held);
        }
    }

    /// Takes an invitation that was kept, with the lists that were asked for on its behalf.
    pub(super) fn take_invitation(
        &mut self,
        conversation: ConversationId,
    ) -> Option<(Invitation, BTreeSet<AccountId>)> {
        let held = self.invitations.remove(&conversation)?;
        Some((held.invitation, held.asked))
    }

    /// Until when an invitation waits for lists.
    pub(super) fn waits_until(&self, conversation: ConversationId) -> Option<Monotonic> {
        self.invitations.get(&conversation)?.until
    }

    /// Lists have come: what waited for them is tried again.
    pub(super) fn lists_have_come(&mut self, accounts: &[AccountId]) {
        for held in self.invitations.values_mut() {
            if held.asked.iter().any(|account| accounts.contains(account)) {
                held.until = None;
            }
        }
    }

    pub(super) fn holds_invitation(&self, conversation: ConversationId) -> bool {
        self.invitations.contains_key(&conversation)
    }

    /// The conversations with an invitation that waits.
    pub(super) fn invited(&self) -> Vec<ConversationId> {
        self.invitations.keys().copied().collect()
    }

    fn take(
        &mut self,
        mls: &Mls,
        database: &dyn Database,
        conversation: ConversationId,
    ) -> Result<Result<Group, MlsError>, DatabaseError> {
        if let Some(group) = self.held.remove(&conversation) {
            return Ok(Ok(group));
        }
        let row = database.group(conversation)?;
        Ok(rows_of(conversation, row).and_then(|rows| mls.load(rows)))
    }

    fn put(&mut self, group: Group) {
        let conversation = group.id().conversation;
        self.used.retain(|used| *used != conversation);
        self.used.push_back(conversation);
        self.held.insert(conversation, group);
    }
}

impl Client {
    /// Whether this device can take part in sealed conversations.
    pub(super) fn may_seal(&self) -> bool {
        self.mls().is_some()
    }

    /// The group of a conversation, read on first use; `None` when its rows are damaged, or this device
    /// has no identity.
    pub(super) fn group(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
    ) -> Result<Option<&Group>, DatabaseError> {
        if !self.groups.held.contains_key(&conversation) {
            let Some(mls) = self.mls() else { return Ok(None) };
            let Ok(group) = self.groups.take(&mls, step.database, conversation)? else {
                return Ok(None);
            };
            self.groups.put(group);
        }
        Ok(self.groups.held.get(&conversation))
    }

    /// Where this device stands in a conversation's group; `None` while it has no keys.
    pub(super) fn place(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
    ) -> Result<Option<GroupEpoch>, DatabaseError> {
        let group = self.group(step, conversation)?;
        Ok(group.and_then(place_of))
    }

    /// Does something to a group. What it changes is in the step's change set, or nothing is changed.
    pub(super) fn operate<T>(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        operation: impl FnOnce(Group) -> Result<GroupStep<T>, MlsError>,
    ) -> Result<Result<T, MlsError>, DatabaseError> {
        let Some(mls) = self.mls() else { return Ok(Err(MlsError::NotInGroup)) };
        let group = match self.groups.take(&mls, step.database, conversation)? {
            Ok(group) => group,
            Err(error) => return Ok(Err(error)),
        };
        let before = group.rows().clone();
        Ok(match operation(group) {
            Ok(done) => Ok(self.keep_group(step, done)),
            Err(error) => {
                if let Ok(group) = mls.load(before) {
                    self.groups.put(group);
                }
                Err(error)
            }
        })
    }

    /// Keeps what an operation came to.
    pub(super) fn keep_group<T>(&mut self, step: &mut Step<'_>, done: GroupStep<T>) -> T {
        let GroupStep { group, output, changes } = done;
        write(step, group.id(), changes);
        self.groups.put(group);
        output
    }

    /// Forgets all that this device has of a group, readable or not.
    pub(in crate::client) fn forget_group(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) {
        let generation = self.groups.held.get(&conversation).map(|group| group.id().generation);
        self.groups.held.remove(&conversation);
        self.groups.used.retain(|used| *used != conversation);
        let group = GroupId { conversation, generation: generation.unwrap_or(1) };
        step.write(Write::PutGroup(
            conversation,
            Box::new(GroupWrite {
                generation: group.generation,
                state: Slot::Delete,
                tree: Slot::Delete,
                pending: Slot::Delete,
                rejoin: Slot::Delete,
            }),
        ));
        // The database has the former rows until the step is over.
        if let Some(mls) = self.mls()
            && let Ok(absent) = mls.load(GroupRows::absent(group))
        {
            self.groups.put(absent);
        }
    }

    /// Begins to hold a group of which this device has nothing yet.
    pub(super) fn hold_absent(&mut self, group: GroupId) {
        let is_held =
            self.groups.held.get(&group.conversation).is_some_and(|held| held.id() == group);
        if !is_held
            && let Some(mls) = self.mls()
            && let Ok(absent) = mls.load(GroupRows::absent(group))
        {
            self.groups.put(absent);
        }
    }
}

/// Where a group stands; `None` while this device has no keys.
pub(super) fn place_of(group: &Group) -> Option<GroupEpoch> {
    Some(GroupEpoch { generation: group.id().generation, epoch: group.epoch()? })
}

fn rows_of(conversation: ConversationId, row: Option<GroupRow>) -> Result<GroupRows, MlsError> {
    let Some(row) = row else {
        return Ok(GroupRows::absent(GroupId { conversation, generation: 1 }));
    };
    let pending = row.pending.map(|bytes| PendingCommit::from_bytes(bytes.as_bytes()));
    let rejoin = row.rejoin.map(|bytes| Rejoin::from_bytes(bytes.as_bytes()));
    Ok(GroupRows {
        group: GroupId { conversation, generation: row.generation },
        state: row.state,
        tree: row.tree.map(|(epoch, bytes)| Tree { epoch, bytes }),
        pending: pending.transpose()?,
        rejoin: rejoin.transpose()?,
    })
}

fn write(step: &mut Step<'_>, group: GroupId, changes: Changes) {
    let Changes { state, tree, pending, rejoin, key_packages_used, must_sync } = changes;
    if must_sync {
        step.must_sync();
    }
    if !key_packages_used.is_empty() {
        step.write(Write::DeleteKeyPackages(key_packages_used));
    }
    let write = GroupWrite {
        generation: group.generation,
        state,
        tree: map(tree, |tree| (tree.epoch, tree.bytes)),
        pending: map(pending, |pending| pending.to_secret()),
        rejoin: map(rejoin, |rejoin| rejoin.to_secret()),
    };
    if write.changes_something() {
        step.write(Write::PutGroup(group.conversation, Box::new(write)));
    }
}

impl GroupWrite {
    fn changes_something(&self) -> bool {
        !(matches!(self.state, Slot::Keep)
            && matches!(self.tree, Slot::Keep)
            && matches!(self.pending, Slot::Keep)
            && matches!(self.rejoin, Slot::Keep))
    }
}

fn map<T, U>(slot: Slot<T>, to: impl FnOnce(T) -> U) -> Slot<U> {
    match slot {
        Slot::Keep => Slot::Keep,
        Slot::Put(value) => Slot::Put(to(value)),
        Slot::Delete => Slot::Delete,
    }
}

/// The bytes of a message id or a conversation, as requests carry them.
pub(super) fn id_of(conversation: ConversationId) -> Bytes {
    tidings_protocol_app::id_bytes(conversation.as_bytes())
}
