//! Members and roles of a sealed conversation. They come from the group, never from what the server
//! says of it.

use std::collections::BTreeMap;

use tidings_model::event::Person;
use tidings_model::{AccountId, ConversationId, ConversationKind, Role, Seq};

use crate::client::Client;
use crate::client::step::Step;
use crate::database::{DatabaseError, GroupPart, Sealing, Write};

impl Client {
    /// Makes the members those of the group, as this device finds it when it comes in.
    pub(super) fn take_members(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        since: Seq,
    ) -> Result<(), DatabaseError> {
        let Some(group) = self.group(step, conversation)? else { return Ok(()) };
        let Some(roles) = group.roles().cloned() else { return Ok(()) };
        let leaves = group.leaves();
        let mut standing: BTreeMap<AccountId, Role> =
            leaves.iter().map(|leaf| (leaf.device.account, Role::Member)).collect();
        standing.extend(&roles.named);
        let me = self.state.me();
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.row.kind = roles.kind;
        if roles.kind == ConversationKind::Direct {
            of.row.partner = roles.named.keys().copied().find(|account| Some(*account) != me);
        }
        let known = of.members(step.database)?;
        let gone: Vec<AccountId> = known
            .iter()
            .filter(|member| member.role.is_some() && !standing.contains_key(&member.account))
            .map(|member| member.account)
            .collect();
        for account in gone {
            self.set_role(step, conversation, since, account, None)?;
        }
        for (account, role) in standing {
            self.set_role(step, conversation, since, account, Some(role))?;
        }
        Ok(())
    }

    /// Sets what a member is from a place on; `None`: a member no more.
    pub(super) fn set_role(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        since: Seq,
        account: AccountId,
        role: Option<Role>,
    ) -> Result<(), DatabaseError> {
        if !self.state.profiles.contains_key(&account)
            && let Some(of) = self.state.conversations.get_mut(&conversation)
        {
            // The server knows what the account is called.
            of.roster_wanted = of.roster_wanted.max(of.row.roster_version + 1);
        }
        let unnamed = Person {
            account,
            user_name: String::new(),
            display_name: String::new(),
            role: role.unwrap_or(Role::Member),
        };
        let me = self.state.me();
        self.set_member(step, conversation, since, me, role, unnamed)
    }

    /// Sets this device's part in a group.
    pub(super) fn set_part(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        part: GroupPart,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        let comes_in = part == GroupPart::Inside && of.part() != Some(GroupPart::Inside);
        of.row.sealing = Sealing::Sealed { part };
        if comes_in {
            // This device's group is the log's: what it had taken in before leads nowhere.
            step.write(Write::ForgetLostHandshakes(conversation));
        }
        if part != GroupPart::Inside {
            of.progress.stopped = None;
            of.progress.adding = None;
            of.progress.must_commit = false;
            of.progress.healing = None;
        }
        of.progress.is_merging = false;
        of.progress.conflicts = 0;
        if matches!(part, GroupPart::Inside | GroupPart::Removed) {
            of.progress.join_at = None;
            of.progress.wants_in = false;
        }
        of.write(step);
        step.composers.insert(conversation);
    }
}
