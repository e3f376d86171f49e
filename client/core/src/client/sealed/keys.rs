//! Keys that are gone, or not to be used any more.
//!
//! A device without the keys of a group that it is in forgets what is left of them and comes in again.
//! One that runs on an old copy of its data seals nothing in the epoch that the copy is from.

use tidings_model::{ConversationId, Hidden, HiddenReason};

use crate::client::Client;
use crate::client::state::Conversation;
use crate::client::step::Step;
use crate::database::{DatabaseError, GroupPart, Write};
use crate::event::Notice;

impl Client {
    /// Seals nothing more in this epoch: another life of this device may have used its keys.
    pub(super) fn taint(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        match self.operate(step, conversation, |group| group.taint())? {
            Ok(()) => Ok(()),
            Err(_) => self.lose(step, conversation),
        }
    }

    /// The server has seen a later life of this device: what that one sealed need not be in the logs.
    pub(in crate::client) fn taint_all(
        &mut self,
        step: &mut Step<'_>,
    ) -> Result<(), DatabaseError> {
        let inside = self.state.conversations.values();
        let inside = inside.filter(|of| of.part() == Some(GroupPart::Inside));
        let inside: Vec<ConversationId> = inside.map(Conversation::id).collect();
        for conversation in inside {
            self.lose_if_gone(step, conversation)?;
            if self.part(conversation) == Some(GroupPart::Inside) && !self.is_founding(conversation)
            {
                self.taint(step, conversation)?;
            }
        }
        Ok(())
    }

    /// Notices that the keys of a group that this device is in are not in its database.
    pub(super) fn lose_if_gone(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        let is_inside = self.part(conversation) == Some(GroupPart::Inside);
        let has_keys = self.group(step, conversation)?.is_some_and(|group| group.epoch().is_some());
        if is_inside && !has_keys && !self.is_founding(conversation) {
            return self.lose(step, conversation);
        }
        Ok(())
    }

    /// The server has dropped what this device has not read: there may have been Commits in it, without
    /// which nothing leads on. A log that went back is read again where this device's group has been.
    pub(in crate::client) fn missed_trimmed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        hidden: Hidden,
    ) -> Result<(), DatabaseError> {
        let of = self.state.conversations.get(&conversation);
        let was_here = of.is_none_or(|of| of.progress.heals());
        let is_inside = self.part(conversation) == Some(GroupPart::Inside);
        if hidden.reason == HiddenReason::Trimmed && is_inside && !was_here {
            return self.lose(step, conversation);
        }
        Ok(())
    }

    /// Looks once, after the client was opened, whether the keys of all groups are there: without them
    /// what is said next could not be read.
    pub(super) fn look_for_keys(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        if std::mem::replace(&mut self.groups.are_looked_for, true) {
            return Ok(());
        }
        let inside: Vec<ConversationId> = self
            .state
            .conversations
            .values()
            .filter(|of| of.part() == Some(GroupPart::Inside))
            .map(Conversation::id)
            .collect();
        for conversation in inside {
            let row = step.database.group(conversation)?;
            let has_keys = row.is_some_and(|row| row.state.is_some());
            if !has_keys && !self.is_founding(conversation) {
                self.lose(step, conversation)?;
            }
        }
        Ok(())
    }

    /// This device has no way on in a group: it forgets its keys and comes in again.
    pub(super) fn lose(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        if self.mls().is_none() {
            return Ok(());
        }
        self.forget_group(step, conversation);
        step.write(Write::ForgetLostHandshakes(conversation));
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.commit = None;
            of.progress.healing = None;
            of.progress.join_at = Some(step.now.monotonic);
        }
        self.set_part(step, conversation, GroupPart::Lost);
        step.notice(Notice::KeysLost { conversation });
        Ok(())
    }
}
