//! What a sealed conversation's log has lost and gets back: the store was restored from a backup, and
//! devices stand ahead of its group.
//!
//! Any member gives back what it has, whoever made it; the group's epoch admits only the right one, and
//! the message id knows what is there already. For a while after a log got a new epoch it takes nothing
//! else, since devices that are ahead could not read it. Messages come back from their authors, sealed
//! anew, by the ordinary way.

use tidings_model::{ConversationId, EntryKind, Now, Refusal};

use super::handshake::{Act, Handshake, HandshakeStep, check_sizes, new_entry};
use super::{Asker, Core, Then};
use crate::group::{Judge, LostHandshake};
use crate::limits::{HEAD_START, LOST_OFFERED_WITHIN};
use crate::request::Offer;

impl Core {
    /// Whether a sealed conversation takes anything new.
    pub(super) fn check_head_start(
        &self,
        now: Now,
        conversation: ConversationId,
    ) -> Result<(), Refusal> {
        let state = self.memory.conversations.get(&conversation);
        let renewed = state.filter(|of| of.record.group.is_some());
        let Some(at) = renewed.and_then(|of| of.record.renewed_at) else { return Ok(()) };
        match HEAD_START.checked_sub(now.wall.since(at)) {
            Some(retry_after) if !retry_after.is_zero() => Err(Refusal::LogHealing { retry_after }),
            _ => Ok(()),
        }
    }

    pub(super) fn offer_again(&mut self, now: Now, asker: Asker, offer: Offer) {
        let Offer { conversation, author: (account, device), message_id, handshake } = offer;
        let (kind, payload, group_info) = match &handshake {
            LostHandshake::Commit { commit, group_info, .. } => {
                (EntryKind::Commit, commit.clone(), group_info.clone().unwrap_or_default())
            }
            LostHandshake::Leave(leave) => (EntryKind::Leave, leave.clone(), Default::default()),
        };
        if let Err(refusal) = check_sizes(&[&payload, &group_info]) {
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let bytes = payload.len() + group_info.len();
        let mut entry = new_entry(now, asker, message_id, kind, payload);
        (entry.account, entry.device) = (account, device);
        if let Err(refusal) = self.check_offer(now, asker, conversation, &handshake) {
            let handshake = Handshake { asker, conversation, entry, act: Act::Replay };
            return self.refuse_unless_known(handshake, refusal);
        }
        let author = (account, device);
        let judge = Judge::Replay { conversation, author, message_id, handshake };
        let handshake = Handshake { asker, conversation, entry, act: Act::Replay };
        self.judge(judge, bytes, Then::Handshake(HandshakeStep::Judge(handshake)));
    }

    fn check_offer(
        &self,
        now: Now,
        asker: Asker,
        conversation: ConversationId,
        handshake: &LostHandshake,
    ) -> Result<(), Refusal> {
        let part = self.memory.part(asker.account, conversation);
        let (part, state) = part.ok_or(Refusal::NotFound)?;
        if part.membership.role.is_none() {
            return Err(Refusal::NotAMember);
        }
        let place = state.record.group.ok_or(Refusal::WrongSealing { sealed: false })?;
        let is_late = |at| now.wall.since(at) > LOST_OFFERED_WITHIN;
        if state.record.renewed_at.is_none_or(is_late) {
            let reason = "the log has lost nothing in the last 30 days".to_owned();
            return Err(Refusal::CommitRefused { reason });
        }
        match handshake {
            LostHandshake::Commit { made_in, .. } if *made_in != place => {
                Err(Refusal::EpochConflict { place })
            }
            LostHandshake::Commit { .. } | LostHandshake::Leave(_) => Ok(()),
        }
    }
}
