//! A handshake that a log has lost and gets back. It was judged when it was new: what has changed of
//! device lists since then does not undo it, and whoever it added has had its Welcome.

use tidings_messaging::group::{Judged, LostHandshake};
use tidings_messaging::store::GroupAnswer;
use tidings_model::{ConversationId, MessageId, Refusal};
use tidings_protocol_mls::DeviceIdentity;

use crate::refusal::of_change;
use crate::{GroupObserver, group_record};

impl GroupObserver {
    pub(crate) fn replay(
        &self,
        conversation: ConversationId,
        author: DeviceIdentity,
        message_id: MessageId,
        handshake: &LostHandshake,
    ) -> Result<Judged, Refusal> {
        let (made_in, commit, group_info) = match handshake {
            LostHandshake::Commit { made_in, commit, group_info } => (made_in, commit, group_info),
            LostHandshake::Leave(payload) => return self.leave(conversation, author, payload),
        };
        let GroupAnswer { group: record, .. } = self.store.group(conversation)?;
        if *made_in != record.place {
            return Err(Refusal::EpochConflict { place: record.place });
        }
        let group = group_record::load(&record, self.store.clone())?;
        let told = |error| of_change(&author, record.place, group.left(), error);
        let mut observation = group.replay_commit(&author, message_id, commit).map_err(told)?;
        if let Some(group_info) = group_info {
            observation.next.take_group_info(group_info).map_err(told)?;
        }
        self.changed(&author, &record, &observation, None)
    }
}
