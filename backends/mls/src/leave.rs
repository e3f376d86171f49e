//! An account's signed leave: from its place in the log on, its leaves are due to be removed.

use bytes::Bytes;
use tidings_messaging::group::Judged;
use tidings_messaging::store::{GroupChange, RosterAct};
use tidings_model::{ConversationId, Refusal};
use tidings_protocol_mls::DeviceIdentity;

use crate::refusal::of_change;
use crate::{GroupObserver, group_record};

impl GroupObserver {
    /// The roster lets the account go at once; who becomes owner in place of the last one is for the
    /// Commit to say that removes its leaves.
    pub(crate) fn leave(
        &self,
        conversation: ConversationId,
        sender: DeviceIdentity,
        payload: &Bytes,
    ) -> Result<Judged, Refusal> {
        let record = self.store.group(conversation)?.group;
        let mut group = group_record::load(&record, self.store.clone())?;
        let taken = group.take_leave(&sender, payload);
        let told = |error| of_change(&sender, record.place, group.left(), error);
        taken.map_err(told)?;
        let change = GroupChange {
            made_in: record.place,
            left_before: record.left.len(),
            next: group_record::make(&group).map_err(told)?,
            devices_removed: Vec::new(),
            devices_added: Vec::new(),
            due: vec![sender.account],
            is_restart: false,
            welcome: None,
        };
        let acts = vec![RosterAct::Leave(sender.account)];
        Ok(Judged::Changed { change: Box::new(change), acts, removes: false })
    }
}
