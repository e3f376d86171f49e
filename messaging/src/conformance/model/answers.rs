//! Queries of the store in memory.

use std::collections::BTreeSet;

use tidings_model::{AccountId, ConversationId, ConversationKind, EntryKind, Refusal, Seq};

use super::{Conversation, Member, State};
use crate::store::{
    AccountQuery, Answer, ConversationRecord, EntryPage, LogQuery, MemberRecord, Membership,
    MembershipRecord, Profile, Query, ReadFailure, Receipt, RosterRecord,
};

impl State {
    pub(super) fn answer(&self, query: &Query) -> Result<Answer, ReadFailure> {
        match query {
            Query::Log(query) => self.answer_log(query),
            Query::Account(query) => Ok(self.answer_account(query)),
            Query::Device(query) => Ok(self.answer_device(query)),
            Query::Outbox { rows_max } => {
                Ok(Answer::Outbox(self.outbox.iter().take(*rows_max).copied().collect()))
            }
        }
    }

    fn answer_account(&self, query: &AccountQuery) -> Answer {
        let account = |found: Option<&super::Account>| {
            Answer::Account(found.map(|account| Box::new(account.record.clone())))
        };
        match query {
            AccountQuery::ByName(name) => {
                account(self.accounts.iter().find(|of| of.record.profile.user_name == *name))
            }
            AccountQuery::ById(id) => account(self.account(*id)),
            AccountQuery::Profiles(accounts) => Answer::Profiles(self.profiles(accounts)),
            AccountQuery::Device(device) => {
                let found = self.devices.iter().find(|of| of.record.device == *device);
                Answer::Device(found.and_then(|found| {
                    let owner = self.account(found.record.account)?;
                    Some(Box::new((found.record.clone(), owner.record.clone())))
                }))
            }
            AccountQuery::Devices(account) => {
                let devices = self.devices.iter().map(|device| &device.record);
                let devices =
                    devices.filter(|of| of.account == *account && of.revoked_at.is_none());
                Answer::Devices(devices.cloned().collect())
            }
            AccountQuery::AnyAccount => Answer::AnyAccount(!self.accounts.is_empty()),
        }
    }

    fn profiles(&self, accounts: &[AccountId]) -> Vec<Profile> {
        let found = accounts.iter().filter_map(|account| self.account(*account));
        found.map(|account| account.record.profile.clone()).collect()
    }

    fn answer_log(&self, query: &LogQuery) -> Result<Answer, ReadFailure> {
        match query {
            LogQuery::ConversationsOf { account, receipts_members_max } => {
                let index = self.account(*account).into_iter().flat_map(|of| &of.conversations);
                let records = index.filter_map(|conversation| {
                    self.membership_record(*conversation, *account, *receipts_members_max)
                });
                Ok(Answer::Memberships(records.collect()))
            }
            LogQuery::Roster { conversation, profiles, message } => {
                let Some(log) = self.conversations.get(conversation) else {
                    return Ok(Answer::Roster(None));
                };
                let message = message.and_then(|retry| {
                    let stored = log.entries.iter().find(|stored| {
                        stored.entry.device == retry.device
                            && stored.entry.message_id == retry.message_id
                    })?;
                    Some(log.duplicate(stored, EntryKind::Event, retry.asked))
                });
                Ok(Answer::Roster(Some(Box::new(RosterRecord {
                    conversation: log.counted(),
                    members: log.members.iter().filter_map(|of| self.member_record(of)).collect(),
                    profiles: self.profiles(profiles),
                    message,
                }))))
            }
            LogQuery::Group(conversation) => {
                let log = self.conversations.get(conversation);
                Ok(Answer::Group(log.and_then(super::Conversation::group_answer).map(Box::new)))
            }
            LogQuery::Met { account, others } => Ok(Answer::Met(self.met(*account, others))),
            LogQuery::Entries { conversation, after, until, entries_max, bytes_max } => {
                let log = self.conversations.get(conversation).ok_or(Refusal::NotFound)?;
                log.page(*after, *until, *entries_max, *bytes_max).map(Answer::Entries)
            }
        }
    }

    fn met(&self, account: AccountId, others: &[AccountId]) -> Vec<AccountId> {
        let logs = self.conversations.values().filter(|log| log.member(account).is_some());
        let met = logs.flat_map(|log| &log.members).map(|member| member.account);
        BTreeSet::from_iter(met.filter(|other| others.contains(other))).into_iter().collect()
    }

    fn membership_record(
        &self,
        conversation: ConversationId,
        account: AccountId,
        receipts_members_max: usize,
    ) -> Option<MembershipRecord> {
        let log = self.conversations.get(&conversation)?;
        let record = log.counted();
        let others = log.members.iter().filter(|member| member.account != account);
        let mut partners = others.filter(|_| record.kind == ConversationKind::Direct);
        let partner = partners.next().and_then(|partner| self.account(partner.account));
        let few = record.member_count <= receipts_members_max;
        let present = log.members.iter().filter(|member| few && member.role.is_some());
        let receipts = present.filter_map(|member| {
            let time = member.marked_at?;
            Some(Receipt { account: member.account, marks: member.marks, time })
        });
        Some(MembershipRecord {
            membership: membership(log.member(account)?),
            partner: partner.map(|partner| partner.record.profile.clone()),
            receipts: receipts.collect(),
            conversation: record,
        })
    }

    fn member_record(&self, member: &Member) -> Option<MemberRecord> {
        let profile = self.account(member.account)?.record.profile.clone();
        Some(MemberRecord { profile, membership: membership(member), marks: member.marks })
    }
}

fn membership(member: &Member) -> Membership {
    Membership { role: member.role, ranges: member.ranges.clone() }
}

impl Conversation {
    fn counted(&self) -> ConversationRecord {
        let member_count = self.members.iter().filter(|member| member.role.is_some()).count();
        ConversationRecord { member_count, ..self.record.clone() }
    }

    fn page(
        &self,
        after: Seq,
        until: Seq,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<EntryPage, ReadFailure> {
        let mut page = EntryPage {
            epoch: self.record.epoch,
            floor: self.record.floor,
            checksum_at_after: self
                .entries
                .iter()
                .find(|stored| stored.entry.seq == after)
                .map(|stored| stored.entry.checksum),
            entries: Vec::new(),
        };
        let mut bytes = 0;
        let wanted = self
            .entries
            .iter()
            .filter(|stored| stored.entry.seq > after && stored.entry.seq <= until);
        for stored in wanted.take(entries_max) {
            if stored.damaged && page.entries.is_empty() {
                let conversation = self.record.conversation;
                return Err(Refusal::EntryDamaged { conversation, seq: stored.entry.seq }.into());
            }
            bytes += stored.entry.payload.len();
            if stored.damaged || (bytes > bytes_max && !page.entries.is_empty()) {
                break;
            }
            page.entries.push(stored.entry.clone());
        }
        Ok(page)
    }
}
