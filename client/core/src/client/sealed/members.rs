//! Changes of members and roles: what a person wants of a group, carried out by Commits until nothing
//! of it is left to do.
//!
//! An act names accounts and is resolved anew at each build, so that it survives a conflict. People
//! are added in parts: key packages of some accounts are claimed, committed, and the rest follows when
//! the log shows that Commit. A device without a key package is left out, since it comes in by itself;
//! an account none of whose devices has one cannot be added.

use tidings_client_mls::{Intent, owner_of};
use tidings_model::{AccountId, ConversationId, ConversationKind};
use tidings_protocol_app::sealed::ClaimedKeyPackage;
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{id_bytes, wire};

use crate::client::Client;
use crate::client::outbox::Next;
use crate::client::step::Step;
use crate::database::{DatabaseError, OutboxRow};
use crate::event::{Failure, Notice, Outcome};
use crate::limits::ACCOUNTS_PER_CLAIM;
use crate::outbox_act::Change;

use super::commits::Built;
use super::groups::id_of;
use super::progress::Adding;

impl Client {
    /// Carries out the oldest act of a conversation.
    pub(super) fn carry_out(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        change: &Change,
    ) -> Result<Next, DatabaseError> {
        match change {
            Change::Add(accounts) => self.add(step, row, accounts)?,
            Change::Remove(account) => {
                self.commit(step, row, &[Intent::RemoveAccount(*account)])?
            }
            Change::SetRole(account, role) => {
                self.commit(step, row, &[Intent::SetRole { account: *account, role: *role }])?;
            }
            Change::Leave => return self.leave(step, row),
            // Names of sealed groups are content.
            Change::Rename(_) => self.drop_row(step, row.position),
        }
        Ok(Next::Wait)
    }

    fn commit(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        intents: &[Intent],
    ) -> Result<(), DatabaseError> {
        match self.build(step, row.conversation, intents)? {
            Built::UnderWay | Built::Later => {}
            Built::Nothing | Built::KeyPackage(_) => self.done(step, row),
            Built::Failed(failure) => self.give_up(step, row, failure),
        }
        Ok(())
    }

    fn add(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        accounts: &[AccountId],
    ) -> Result<(), DatabaseError> {
        let conversation = row.conversation;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let adding = of.progress.adding.get_or_insert_default();
        if adding.position != row.position {
            *adding = Adding { position: row.position, ..Adding::default() };
        }
        if !adding.claiming.is_empty() {
            return Ok(());
        }
        loop {
            let packages = self.packages(conversation);
            if packages.is_empty() {
                break;
            }
            let intent = |key_package| Intent::Add { key_package };
            let intents: Vec<Intent> = packages.into_iter().map(intent).collect();
            match self.build(step, conversation, &intents)? {
                Built::UnderWay | Built::Later => return Ok(()),
                Built::Nothing => self.change_packages(conversation, Vec::clear),
                Built::KeyPackage(index) => {
                    self.change_packages(conversation, |packages| {
                        if index < packages.len() {
                            packages.remove(index);
                        }
                    });
                }
                Built::Failed(failure) => {
                    self.give_up(step, row, failure);
                    return Ok(());
                }
            }
        }
        let due = self.unclaimed(step, conversation, accounts)?;
        if due.is_empty() {
            return self.added(step, row, accounts);
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation)
            && let Some(adding) = &mut of.progress.adding
        {
            adding.claimed.extend(&due);
            adding.claiming.clone_from(&due);
        }
        self.claim_key_packages(step, conversation, due);
        Ok(())
    }

    /// The accounts whose devices are to be claimed next.
    fn unclaimed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        accounts: &[AccountId],
    ) -> Result<Vec<AccountId>, DatabaseError> {
        let leaves = match self.group(step, conversation)? {
            Some(group) => group.leaves(),
            None => return Ok(Vec::new()),
        };
        let has_leaf = |device| leaves.iter().any(|leaf| leaf.device == device);
        let is_in = |account: AccountId| match self.listed_devices(account) {
            Some(devices) => devices.into_iter().all(has_leaf),
            None => leaves.iter().any(|leaf| leaf.device.account == account),
        };
        let claimed = self.state.conversations.get(&conversation);
        let claimed = claimed.and_then(|of| of.progress.adding.as_ref());
        let is_claimed =
            |account: &AccountId| claimed.is_some_and(|adding| adding.claimed.contains(account));
        let due = accounts.iter().filter(|account| !is_claimed(account) && !is_in(**account));
        Ok(due.take(ACCOUNTS_PER_CLAIM).copied().collect())
    }

    fn packages(&self, conversation: ConversationId) -> Vec<bytes::Bytes> {
        let of = self.state.conversations.get(&conversation);
        let adding = of.and_then(|of| of.progress.adding.as_ref());
        adding.map(|adding| adding.packages.clone()).unwrap_or_default()
    }

    fn change_packages(
        &mut self,
        conversation: ConversationId,
        change: impl FnOnce(&mut Vec<bytes::Bytes>),
    ) {
        if let Some(of) = self.state.conversations.get_mut(&conversation)
            && let Some(adding) = &mut of.progress.adding
        {
            change(&mut adding.packages);
        }
    }

    /// Takes the key packages that were claimed for a conversation. A package of anybody else than was
    /// asked for is dropped: the server may not choose whom this device adds.
    pub(in crate::client) fn key_packages_claimed(
        &mut self,
        conversation: ConversationId,
        claimed: Vec<ClaimedKeyPackage>,
    ) {
        if let Some(of) = self.state.conversations.get_mut(&conversation)
            && let Some(adding) = &mut of.progress.adding
        {
            let asked = std::mem::take(&mut adding.claiming);
            let is_right = |claimed: &ClaimedKeyPackage| {
                let owner = owner_of(&claimed.package);
                asked.contains(&claimed.account)
                    && owner.is_some_and(|owner| {
                        owner.account == claimed.account && owner.device == claimed.device
                    })
            };
            let packages = claimed.into_iter().filter(is_right).map(|claimed| claimed.package);
            adding.packages.extend(packages);
        }
    }

    /// A claim was refused for good: the act that needed it fails.
    pub(in crate::client) fn claim_failed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        words: String,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        let Some(adding) = of.progress.adding.take() else { return };
        if let Some(row) = self.state.outbox.row(adding.position).cloned() {
            self.give_up(step, &row, Failure::Invalid(words));
        }
    }

    /// All that could be added is in the group.
    fn added(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        accounts: &[AccountId],
    ) -> Result<(), DatabaseError> {
        let conversation = row.conversation;
        let me = self.state.me();
        let Some(group) = self.group(step, conversation)? else { return Ok(()) };
        let is_group = group.roles().is_some_and(|roles| roles.kind == ConversationKind::Group);
        let leaves = group.leaves();
        let has_leaf = |account| leaves.iter().any(|leaf| leaf.device.account == account);
        let missing = accounts.iter().filter(|account| is_group && !has_leaf(**account));
        let missing: Vec<AccountId> = missing.copied().collect();
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.adding = None;
        }
        if missing.is_empty() {
            self.done(step, row);
            return Ok(());
        }
        let others = accounts.iter().filter(|account| Some(**account) != me).count();
        if missing.len() == others {
            self.give_up(step, row, Failure::NoKeyPackages);
        } else {
            self.done(step, row);
        }
        step.notice(Notice::NotAdded { conversation, accounts: missing });
        Ok(())
    }

    fn leave(&mut self, step: &mut Step<'_>, row: &OutboxRow) -> Result<Next, DatabaseError> {
        let signed = self.group(step, row.conversation)?.map(|group| group.sign_leave());
        let Some(Ok(payload)) = signed else {
            self.lose(step, row.conversation)?;
            return Ok(Next::Wait);
        };
        let body = Request::Leave(wire::Leave {
            conversation: id_of(row.conversation),
            message_id: id_bytes(row.message_id.as_bytes()),
            payload,
        });
        Ok(Next::Send(Box::new((row.position, body))))
    }

    /// An act is true now.
    fn done(&mut self, step: &mut Step<'_>, row: &OutboxRow) {
        let (conversation, message_id) = (row.conversation, row.message_id);
        let of = self.state.conversations.get(&conversation);
        let seq = of.and_then(|of| of.progress.own_commit);
        if let Some(command) = self.state.outbox.commands.remove(&message_id) {
            step.outcome(command, Outcome::Accepted { conversation, message_id, seq });
        }
        self.drop_row(step, row.position);
    }

    /// An act cannot be carried out.
    pub(super) fn give_up(&mut self, step: &mut Step<'_>, row: &OutboxRow, failure: Failure) {
        if let Some(command) = self.state.outbox.commands.remove(&row.message_id) {
            step.outcome(command, Outcome::Failed(failure));
        }
        self.drop_row(step, row.position);
    }
}
