//! A Commit: what it makes of the group, of the roster, and who is welcomed.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_messaging::group::Judged;
use tidings_messaging::store::{GroupAnswer, GroupChange, GroupRecord, NewWelcome, RosterAct};
use tidings_model::{AccountId, ConversationId, DeviceId, GroupEpoch, MessageId, Refusal, Role};
use tidings_protocol_mls::header::MessageHeader;
use tidings_protocol_mls::limits::{ADDS_MAX, HANDSHAKE_BYTES_MAX};
use tidings_protocol_mls::rules::{Group, role_in};
use tidings_protocol_mls::{
    DeviceIdentity, Observation, Observer, Transition, key_packages_of_welcome,
};

use crate::refusal::{of_change, refused};
use crate::{GroupObserver, group_record};

/// A Commit as its device sends it.
pub(crate) struct SentCommit<'a> {
    pub(crate) conversation: ConversationId,
    pub(crate) sender: DeviceIdentity,
    pub(crate) message_id: MessageId,
    pub(crate) commit: &'a Bytes,
    pub(crate) group_info: &'a Bytes,
    pub(crate) welcome: &'a Bytes,
    pub(crate) joiners: &'a [(AccountId, DeviceId)],
}

impl GroupObserver {
    pub(crate) fn commit(&self, sent: &SentCommit<'_>) -> Result<Judged, Refusal> {
        let GroupAnswer { group: record, .. } = self.store.group(sent.conversation)?;
        sent.check_place(record.place)?;
        let group = group_record::load(&record, self.store.clone())?;
        let told = |error| of_change(&sent.sender, record.place, group.left(), error);
        let Observation { next, transition } = group
            .try_commit(&sent.sender, sent.message_id, sent.commit, sent.group_info)
            .map_err(told)?;
        let welcome = sent.check_welcome(&transition)?;
        let observation = Observation { next, transition };
        self.changed(&sent.sender, &record, &observation, welcome)
    }

    /// What a Commit that the rules allow makes of group and roster.
    pub(crate) fn changed(
        &self,
        sender: &DeviceIdentity,
        record: &GroupRecord,
        observation: &Observation,
        welcome: Option<NewWelcome>,
    ) -> Result<Judged, Refusal> {
        let Observation { next, transition } = observation;
        let mut acts = acts_of(transition);
        if completes_restart(record.place, transition) {
            acts.extend(self.left_behind(next.group_id().conversation, next)?);
        }
        let removes = acts.iter().any(|act| matches!(act, RosterAct::Leave(_)))
            || transition
                .devices_removed
                .iter()
                .any(|gone| !transition.devices_added.contains(gone));
        let next = group_record::make(next)
            .map_err(|error| of_change(sender, record.place, next.left(), error))?;
        let change = GroupChange {
            made_in: record.place,
            left_before: record.left.len(),
            next,
            devices_removed: transition.devices_removed.iter().map(|gone| gone.device).collect(),
            devices_added: transition
                .devices_added
                .iter()
                .map(|new| (new.account, new.device))
                .collect(),
            due: Vec::new(),
            is_restart: false,
            welcome,
        };
        Ok(Judged::Changed { change: Box::new(change), acts, removes })
    }

    /// Members by the roster whom a restart has not brought along: a group of a later generation begins
    /// with its maker alone, and whoever is not in it when it is filled is a member no more.
    fn left_behind(
        &self,
        conversation: ConversationId,
        group: &Observer,
    ) -> Result<Vec<RosterAct>, Refusal> {
        let left = group.left().keys().copied().collect();
        let group = Group { roles: group.roles(), leaves: group.leaves(), left: &left };
        let members = self.store.roster(conversation)?.members.into_iter();
        let members = members.filter(|member| member.membership.role.is_some());
        let accounts = members.map(|member| member.profile.account);
        let behind = accounts.filter(|account| role_in(&group, *account).is_none());
        Ok(behind.map(RosterAct::Leave).collect())
    }
}

impl SentCommit<'_> {
    /// Compares places before anything dear is done: of many Commits at once, all but one end here.
    fn check_place(&self, place: GroupEpoch) -> Result<(), Refusal> {
        let header = MessageHeader::parse(self.commit).map_err(refused)?;
        if header.group.conversation != self.conversation {
            return Err(refused("the Commit belongs to another conversation"));
        }
        let made_in = GroupEpoch { generation: header.group.generation, epoch: header.epoch };
        if made_in == place { Ok(()) } else { Err(Refusal::EpochConflict { place }) }
    }

    /// Whoever is added is welcomed, and nobody else. A device that joins by its own external Commit
    /// needs no Welcome.
    fn check_welcome(&self, transition: &Transition) -> Result<Option<NewWelcome>, Refusal> {
        let own = transition.is_external.then_some(transition.committer);
        let added = transition.devices_added.iter().filter(|added| Some(**added) != own);
        let added: BTreeSet<_> = added.map(|added| (added.account, added.device)).collect();
        let joiners: BTreeSet<_> = self.joiners.iter().copied().collect();
        if joiners != added || self.joiners.len() != added.len() {
            return Err(refused("the joiners are not the devices that the Commit adds"));
        }
        if joiners.is_empty() && self.welcome.is_empty() {
            return Ok(None);
        }
        let is_small = self.welcome.len() <= HANDSHAKE_BYTES_MAX;
        let packages = is_small.then(|| key_packages_of_welcome(self.welcome).ok()).flatten();
        if packages.is_none_or(|packages| packages.len() != joiners.len()) || joiners.is_empty() {
            return Err(refused("the Welcome is not for the devices that the Commit adds"));
        }
        let joiners = self.joiners.iter().map(|(_, device)| *device).collect();
        Ok(Some(NewWelcome { bytes: self.welcome.clone(), joiners }))
    }
}

/// What becomes of the roster.
fn acts_of(transition: &Transition) -> Vec<RosterAct> {
    let role = |account| transition.roles.named.get(account).copied().unwrap_or(Role::Member);
    let joins = transition.joined.iter().map(|account| RosterAct::Join(*account, role(account)));
    let leaves = transition.gone.iter().map(|account| RosterAct::Leave(*account));
    let roles = transition.roles_changed.iter();
    let roles = roles.map(|(account, role)| RosterAct::Role(*account, *role));
    joins.chain(leaves).chain(roles).collect()
}

/// Whether a group of a later generation is filled by this Commit: batches before it add as many as they
/// may.
fn completes_restart(place: GroupEpoch, transition: &Transition) -> bool {
    place.generation > 1 && !transition.is_external && transition.devices_added.len() < ADDS_MAX
}
