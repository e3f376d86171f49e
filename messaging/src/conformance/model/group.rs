//! Groups of sealed conversations in the store in memory, and what their Commits cause elsewhere.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_model::{AccountId, ConversationId, DeviceId, GroupEpoch, Refusal, Seq};

use super::{Conversation, State};
use crate::store::{
    Applied, DeviceApplied, Effect, GroupAnswer, GroupChange, GroupRecord, GroupStep, InboxContent,
    LogPosition, Outcome,
};

/// A conversation's group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    record: GroupRecord,
    leaves: Vec<Leaf>,
    /// All there ever were: the model tidies nothing away.
    welcomes: Vec<Welcome>,
}

#[derive(Debug, Clone)]
struct Leaf {
    account: AccountId,
    device: DeviceId,
    due: bool,
}

#[derive(Debug, Clone)]
struct Welcome {
    position: LogPosition,
    place: GroupEpoch,
    bytes: Bytes,
    tree: Bytes,
}

impl Group {
    /// A group with its maker's device alone.
    pub(super) fn founded(record: GroupRecord, account: AccountId, device: DeviceId) -> Self {
        let leaves = vec![Leaf { account, device, due: false }];
        Self { record, leaves, welcomes: Vec::new() }
    }

    fn due_accounts(&self) -> Vec<AccountId> {
        let due = self.leaves.iter().filter(|leaf| leaf.due).map(|leaf| leaf.account);
        BTreeSet::from_iter(due).into_iter().collect()
    }

    fn left_accounts(&self) -> Vec<AccountId> {
        let left = self.record.left.iter().map(|(account, _)| *account);
        BTreeSet::from_iter(left).into_iter().collect()
    }

    fn check_change(&self, change: &GroupChange) -> Result<(), Refusal> {
        let ends_the_epoch = change.next.place != change.made_in;
        if ends_the_epoch && change.left_before != self.record.left.len() {
            return Err(Refusal::CommitRequired { to_remove: self.left_accounts() });
        }
        Ok(())
    }

    fn change(
        &mut self,
        change: &GroupChange,
        position: LogPosition,
        unlisted: &BTreeSet<DeviceId>,
    ) {
        let stood = std::mem::replace(&mut self.record, change.next.clone());
        if change.next.place == change.made_in {
            let new = std::mem::replace(&mut self.record.left, stood.left);
            for (account, leave) in new {
                if self.record.left.iter().all(|(other, _)| *other != account) {
                    self.record.left.push((account, leave));
                }
            }
        }
        self.leaves
            .retain(|leaf| !change.is_restart && !change.devices_removed.contains(&leaf.device));
        for (account, device) in &change.devices_added {
            let due = unlisted.contains(device);
            self.leaves.retain(|leaf| leaf.device != *device);
            self.leaves.push(Leaf { account: *account, device: *device, due });
        }
        for leaf in self.leaves.iter_mut().filter(|leaf| change.due.contains(&leaf.account)) {
            leaf.due = true;
        }
        if let Some(welcome) = &change.welcome {
            self.welcomes.push(Welcome {
                position,
                place: change.next.place,
                bytes: welcome.bytes.clone(),
                tree: change.next.tree.clone(),
            });
        }
    }
}

impl Conversation {
    /// What [`GroupStep`] says.
    pub(super) fn check_step(&self, step: &GroupStep) -> Result<(), Refusal> {
        let (group, made_in) = match (&self.group, step) {
            (None, GroupStep::Open) => return Ok(()),
            (None, _) => return Err(Refusal::WrongSealing { sealed: false }),
            (Some(_), GroupStep::Open) => return Err(Refusal::WrongSealing { sealed: true }),
            (Some(group), GroupStep::Message { made_in }) => (group, *made_in),
            (Some(group), GroupStep::Change(change)) => (group, change.made_in),
        };
        if made_in != group.record.place {
            return Err(Refusal::EpochConflict { place: group.record.place });
        }
        match step {
            GroupStep::Open => Ok(()),
            GroupStep::Change(change) => group.check_change(change),
            GroupStep::Message { .. } => match group.due_accounts() {
                to_remove if to_remove.is_empty() => Ok(()),
                to_remove => Err(Refusal::CommitRequired { to_remove }),
            },
        }
    }

    pub(super) fn group_answer(&self) -> Option<GroupAnswer> {
        Some(GroupAnswer {
            group: self.group.as_ref()?.record.clone(),
            log_epoch: self.record.epoch,
            head: self.record.head,
        })
    }
}

impl State {
    pub(super) fn change_group(
        &mut self,
        conversation: ConversationId,
        change: &GroupChange,
        position: LogPosition,
    ) {
        let unlisted = self.accounts.iter().flat_map(|account| &account.unlisted);
        let unlisted = unlisted.copied().collect();
        let Some(log) = self.conversations.get_mut(&conversation) else { return };
        let Some(group) = &mut log.group else { return };
        group.change(change, position, &unlisted);
        log.record.group = Some(change.next.place);
        let joiners = change.welcome.iter().flat_map(|welcome| &welcome.joiners);
        let joiners = Vec::from_iter(joiners);
        for (_, device) in &change.devices_added {
            if joiners.contains(&device) {
                let (device, seq) = (*device, position.seq);
                self.push_effect(Effect::Welcomed { device, conversation, seq });
            }
        }
    }

    /// Puts an invitation into a device's inbox.
    pub(super) fn invite(
        &mut self,
        device: DeviceId,
        conversation: ConversationId,
        seq: Seq,
    ) -> Outcome {
        let group = self.conversations.get(&conversation).and_then(|log| log.group.as_ref());
        let welcome = group
            .and_then(|group| group.welcomes.iter().find(|welcome| welcome.position.seq == seq));
        let receiver = self
            .devices
            .iter_mut()
            .find(|of| of.record.device == device && of.record.revoked_at.is_none());
        let (Some(welcome), Some(receiver)) = (welcome, receiver) else { return Ok(Applied::Done) };
        let content = InboxContent::Invitation {
            conversation,
            log_epoch: welcome.position.epoch,
            seq,
            place: welcome.place,
            welcome: welcome.bytes.clone(),
            tree: welcome.tree.clone(),
        };
        let head = receiver.inbox.push(welcome.position.time, content);
        Ok(Applied::Device(DeviceApplied::Delivered { head, fresh: true }))
    }

    pub(super) fn make_leaves_due(&mut self, device: DeviceId) -> Outcome {
        let groups = self.conversations.values_mut().filter_map(|log| log.group.as_mut());
        let leaves = groups.flat_map(|group| &mut group.leaves);
        for leaf in leaves.filter(|leaf| leaf.device == device) {
            leaf.due = true;
        }
        Ok(Applied::Done)
    }
}
