//! Groups as their maker has just made them: a conversation's first one, and the next generation after a
//! restart.

use tidings_messaging::group::{Judged, PublicState};
use tidings_messaging::store::{GroupChange, RosterAct};
use tidings_model::{AccountId, ConversationId, ConversationKind, Refusal};
use tidings_protocol_mls::rules::check_restart;
use tidings_protocol_mls::{Coverage, DeviceIdentity, DeviceLists, Observer, Roles};

use crate::limits::NEW_GROUP_BYTES_MAX;
use crate::refusal::{of_new_group, refused};
use crate::{GroupObserver, group_record};

impl GroupObserver {
    /// A first group has the roles that follow from the conversation, and no others: whoever else comes
    /// is added by a Commit.
    pub(crate) fn found(
        &self,
        conversation: ConversationId,
        kind: ConversationKind,
        maker: DeviceIdentity,
        partner: Option<AccountId>,
        state: &PublicState,
    ) -> Result<Judged, Refusal> {
        let roles = match (kind, partner) {
            (ConversationKind::Direct, Some(partner)) => Roles::direct(maker.account, partner),
            (ConversationKind::NotesToSelf, None) => Roles::notes_to_self(maker.account),
            (ConversationKind::Group, None) => Roles::group(conversation, maker.account),
            (ConversationKind::Direct, None) | (_, Some(_)) => return Err(Refusal::WrongKind),
        };
        let group = self.adopt(&maker, state)?;
        if *group.roles() != roles || roles.group.conversation != conversation {
            return Err(refused(
                "the group's roles are not those that its conversation begins with",
            ));
        }
        let record = group_record::make(&group).map_err(|error| of_new_group(&maker, error))?;
        Ok(Judged::Founded(record))
    }

    /// The next generation has the roles of the one before. Moderators whom its maker leaves out are
    /// members no more; of the other members that shows when the group is filled.
    pub(crate) fn restart(
        &self,
        conversation: ConversationId,
        sender: DeviceIdentity,
        state: &PublicState,
    ) -> Result<Judged, Refusal> {
        let record = self.store.group(conversation)?.group;
        let before = group_record::load(&record, self.store.clone())?;
        let group = self.adopt(&sender, state)?;
        check_restart(before.roles(), group.roles(), sender.account).map_err(refused)?;
        let is_named = |account: &&AccountId| group.roles().named.contains_key(account);
        let left_out = before.roles().named.keys().filter(|account| !is_named(account));
        let acts = left_out.map(|account| RosterAct::Leave(*account)).collect();
        let change = GroupChange {
            made_in: record.place,
            left_before: record.left.len(),
            next: group_record::make(&group).map_err(|error| of_new_group(&sender, error))?,
            devices_removed: before.leaves().iter().map(|leaf| leaf.device.device).collect(),
            devices_added: vec![(sender.account, sender.device)],
            due: Vec::new(),
            is_restart: true,
            welcome: None,
        };
        Ok(Judged::Changed { change: Box::new(change), acts, removes: false })
    }

    /// Takes a group with one device, which its account's list covers now.
    fn adopt(&self, maker: &DeviceIdentity, state: &PublicState) -> Result<Observer, Refusal> {
        let (group_info, tree) = (&state.group_info, &state.tree);
        if group_info.len().max(tree.len()) > NEW_GROUP_BYTES_MAX {
            return Err(refused("a new group has one device"));
        }
        let group = Observer::found(maker, group_info, tree, self.store.clone())
            .map_err(|error| of_new_group(maker, error))?;
        let is_listed = |leaf: &_| -> bool { self.store.coverage(maker, leaf) == Coverage::Now };
        if group.leaves().iter().all(|leaf| is_listed(&leaf.key)) {
            Ok(group)
        } else {
            Err(Refusal::DeviceNotListed)
        }
    }
}
