//! Changes of members, roles and names: who may do what, and what an act does to a roster.
//!
//! [`plan`] decides from the roster as it was read; the store applies the plan only to that version of
//! it, and a plan for an older version is made again.

use tidings_model::event::Act;
use tidings_model::limits::{ADDS_MAX, MEMBERS_MAX};
use tidings_model::{
    AccountId, ConversationEvent, ConversationId, ConversationKind, MessageId, Now, Refusal, Role,
};

use super::append::{check_group_name, person, refusal_of};
use super::memory::state_of;
use super::resume::partner_of;
use super::{Asker, Core, Origin, Then, asked};
use crate::limits::{RECEIPTS_TO_ALL_MEMBERS_MAX, ROSTER_RETRIES_MAX};
use crate::request::{Change, ConversationState, Description, Member, Reply};
use crate::store::{
    Answer, Append, Applied, GroupStep, LogOperation, LogQuery, MemberRecord, Membership, NewEntry,
    Operation, Outcome, Profile, Query, Rejection, Retry, RosterAct, RosterChange, RosterRecord,
};

/// A step of a change that waits for the store.
#[derive(Debug)]
pub(super) enum ChangeStep {
    /// The roster is read.
    Roster(Attempt),
    /// The entry is appended.
    Append { attempt: Attempt, entry: NewEntry, roster: RosterChange },
    /// The roster is read for a description.
    Describe(Asker),
}

/// A change on its way.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    asker: Asker,
    conversation: ConversationId,
    message_id: MessageId,
    act: Change,
    tries: u32,
}

impl ChangeStep {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Roster(attempt) | Self::Append { attempt, .. } => attempt.asker.origin,
            Self::Describe(asker) => asker.origin,
        }
    }
}

impl Core {
    pub(super) fn change(
        &mut self,
        now: Now,
        asker: Asker,
        conversation: ConversationId,
        message_id: MessageId,
        act: Change,
    ) {
        if self.may_send(now, asker) {
            self.read_roster(Attempt { asker, conversation, message_id, act, tries: 0 });
        }
    }

    fn read_roster(&mut self, attempt: Attempt) {
        let profiles = match &attempt.act {
            Change::Add(accounts) => accounts.iter().copied().take(ADDS_MAX).collect(),
            Change::Remove(_) | Change::Leave | Change::Rename(_) | Change::SetRole(..) => {
                Vec::new()
            }
        };
        let query = LogQuery::Roster {
            conversation: attempt.conversation,
            profiles,
            message: Some(Retry {
                device: attempt.asker.device,
                message_id: attempt.message_id,
                asked: asked::change(&attempt.act),
            }),
        };
        self.read(Query::Log(query), Then::Change(ChangeStep::Roster(attempt)));
    }

    pub(super) fn describe(&mut self, asker: Asker, conversation: ConversationId) {
        let query = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        self.read(Query::Log(query), Then::Change(ChangeStep::Describe(asker)));
    }

    pub(super) fn states(&mut self, asker: Asker, conversations: &[ConversationId]) {
        let states: Vec<ConversationState> = conversations
            .iter()
            .filter_map(|key| {
                let (part, conversation) = self.memory.part(asker.account, *key)?;
                Some(conversation.state(part))
            })
            .collect();
        self.reply(asker.origin, Ok(Reply::States(states)));
    }

    pub(super) fn change_answered(&mut self, now: Now, step: ChangeStep, answer: Answer) {
        let origin = step.origin();
        match (step, answer) {
            (ChangeStep::Roster(attempt), Answer::Roster(Some(roster))) => {
                self.build_change(now, attempt, &roster);
            }
            (ChangeStep::Describe(asker), Answer::Roster(Some(roster))) => {
                let description = description(&roster, asker.account).ok_or(Refusal::NotFound);
                let reply = description.map(|known| Reply::Description(Box::new(known)));
                self.reply(origin, reply);
            }
            _ => self.reply(origin, Err(Refusal::NotFound)),
        }
    }

    fn build_change(&mut self, now: Now, attempt: Attempt, roster: &RosterRecord) {
        let asker = attempt.asker;
        if let Some(appended) = roster.message {
            let Attempt { conversation, message_id, .. } = attempt;
            let reply = Reply::Accepted { conversation, message_id, appended };
            return self.reply(asker.origin, Ok(reply));
        }
        let plan = match plan(roster, asker.account, &attempt.act) {
            Ok(plan) => plan,
            Err(refusal) => return self.reply(asker.origin, Err(refusal)),
        };
        let expected_version = roster.conversation.roster_version;
        let event = ConversationEvent { roster_version: expected_version + 1, act: plan.event };
        let asked = asked::change(&attempt.act);
        let entry = self.event_entry(now, asker, attempt.message_id, &event, asked);
        let change = RosterChange { expected_version, acts: plan.acts, name: plan.name };
        let append = Append {
            conversation: attempt.conversation,
            entry: entry.clone(),
            roster: Some(change.clone()),
            group: GroupStep::Open,
        };
        let bytes = entry.payload.len();
        let step = ChangeStep::Append { attempt, entry, roster: change };
        self.apply(Operation::Log(LogOperation::Append(append)), bytes, Then::Change(step));
    }

    pub(super) fn change_applied(&mut self, _now: Now, step: ChangeStep, outcome: Outcome) {
        let ChangeStep::Append { mut attempt, entry, roster } = step else { return };
        let origin = attempt.asker.origin;
        match outcome {
            Ok(Applied::Appended(appended)) => {
                let Attempt { conversation, message_id, .. } = attempt;
                self.reply(origin, Ok(Reply::Accepted { conversation, message_id, appended }));
                self.note_appended(conversation, entry, appended, Some(&roster));
                if roster.acts.iter().any(|act| matches!(act, RosterAct::Join(..))) {
                    self.relay();
                }
            }
            Err(Rejection::RosterChanged) if attempt.tries < ROSTER_RETRIES_MAX => {
                attempt.tries += 1;
                self.read_roster(attempt);
            }
            outcome => self.reply(origin, Err(refusal_of(outcome))),
        }
    }
}

/// What a change does.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    event: Act,
    acts: Vec<RosterAct>,
    name: Option<String>,
}

/// Decides what an act of `by` does to a roster, or why it may not.
fn plan(roster: &RosterRecord, by: AccountId, act: &Change) -> Result<Plan, Refusal> {
    let own = member(roster, by).ok_or(Refusal::NotFound)?;
    let role = own.membership.role.ok_or(Refusal::NotAMember)?;
    if roster.conversation.group.is_some() {
        return Err(Refusal::WrongSealing { sealed: true });
    }
    if roster.conversation.kind != ConversationKind::Group {
        return Err(Refusal::WrongKind);
    }
    match act {
        Change::Add(accounts) => plan_add(roster, role, accounts),
        Change::Remove(account) if *account == by => plan_leave(roster, own, role),
        Change::Remove(account) => plan_remove(roster, role, *account),
        Change::Leave => plan_leave(roster, own, role),
        Change::Rename(name) => plan_rename(roster, role, name),
        Change::SetRole(account, new) => plan_role(roster, role, *account, *new),
    }
}

fn plan_add(roster: &RosterRecord, role: Role, accounts: &[AccountId]) -> Result<Plan, Refusal> {
    if !role.may_moderate() {
        return Err(Refusal::Forbidden);
    }
    if accounts.len() > ADDS_MAX {
        return Err(Refusal::TooManyAdded { max: ADDS_MAX as u64 });
    }
    let mut joining: Vec<AccountId> = Vec::new();
    for account in accounts {
        let present = member(roster, *account).is_some_and(|m| m.membership.role.is_some());
        if !present && !joining.contains(account) {
            joining.push(*account);
        }
    }
    if joining.is_empty() {
        return Err(Refusal::NothingToChange);
    }
    if roster.conversation.member_count + joining.len() > MEMBERS_MAX {
        return Err(Refusal::GroupFull { max: MEMBERS_MAX as u64 });
    }
    let people = joining.iter().map(|account| person(&roster.profiles, *account, Role::Member));
    let people = people.collect::<Option<Vec<_>>>().ok_or(Refusal::NotFound)?;
    let acts = joining.iter().map(|account| RosterAct::Join(*account, Role::Member)).collect();
    Ok(Plan { event: Act::Added(people), acts, name: None })
}

fn plan_remove(roster: &RosterRecord, role: Role, account: AccountId) -> Result<Plan, Refusal> {
    if !role.may_moderate() {
        return Err(Refusal::Forbidden);
    }
    let target = member(roster, account).ok_or(Refusal::NotFound)?;
    let target_role = target.membership.role.ok_or(Refusal::NothingToChange)?;
    if !role.may_remove(target_role) {
        return Err(Refusal::Forbidden);
    }
    let event = Act::Removed(person_of(&target.profile, target_role));
    Ok(Plan { event, acts: vec![RosterAct::Leave(account)], name: None })
}

fn plan_leave(roster: &RosterRecord, own: &MemberRecord, role: Role) -> Result<Plan, Refusal> {
    let account = own.profile.account;
    let mut acts = vec![RosterAct::Leave(account)];
    let heir = if role == Role::Owner { heir(roster, account) } else { None };
    if let Some(heir) = heir {
        acts.push(RosterAct::Role(heir.profile.account, Role::Owner));
    }
    let event = Act::Left {
        member: person_of(&own.profile, role),
        new_owner: heir.map(|heir| person_of(&heir.profile, Role::Owner)),
    };
    Ok(Plan { event, acts, name: None })
}

/// Who becomes owner when `leaving` goes and nobody else owns: the admin, else the member, who has been
/// there longest.
fn heir(roster: &RosterRecord, leaving: AccountId) -> Option<&MemberRecord> {
    let others = || {
        roster.members.iter().filter_map(move |member| {
            let role = member.membership.role?;
            (member.profile.account != leaving).then_some((member, role))
        })
    };
    if others().any(|(_, role)| role == Role::Owner) {
        return None;
    }
    let since = |membership: &Membership| membership.ranges.last().map(|range| range.from);
    others()
        .min_by_key(|(member, role)| (std::cmp::Reverse(*role), since(&member.membership)))
        .map(|(member, _)| member)
}

fn plan_rename(roster: &RosterRecord, role: Role, name: &str) -> Result<Plan, Refusal> {
    if !role.may_moderate() {
        return Err(Refusal::Forbidden);
    }
    check_group_name(name)?;
    if roster.conversation.name == name {
        return Err(Refusal::NothingToChange);
    }
    let name = name.to_owned();
    Ok(Plan { event: Act::Renamed(name.clone()), acts: Vec::new(), name: Some(name) })
}

fn plan_role(
    roster: &RosterRecord,
    role: Role,
    account: AccountId,
    new: Role,
) -> Result<Plan, Refusal> {
    if !role.may_set_roles() {
        return Err(Refusal::Forbidden);
    }
    let target = member(roster, account).ok_or(Refusal::NotFound)?;
    let old = target.membership.role.ok_or(Refusal::NotFound)?;
    if old == new {
        return Err(Refusal::NothingToChange);
    }
    let owners = roster.members.iter().filter(|m| m.membership.role == Some(Role::Owner));
    if old == Role::Owner && owners.count() == 1 {
        return Err(Refusal::Forbidden);
    }
    let event = Act::RoleChanged(person_of(&target.profile, new));
    Ok(Plan { event, acts: vec![RosterAct::Role(account, new)], name: None })
}

fn member(roster: &RosterRecord, account: AccountId) -> Option<&MemberRecord> {
    roster.members.iter().find(|member| member.profile.account == account)
}

fn person_of(profile: &Profile, role: Role) -> tidings_model::event::Person {
    tidings_model::event::Person {
        account: profile.account,
        user_name: profile.user_name.clone(),
        display_name: profile.display_name.clone(),
        role,
    }
}

/// What one member or former member is told of a conversation and of those whom it shared it with.
fn description(roster: &RosterRecord, account: AccountId) -> Option<Description> {
    let own = &member(roster, account)?.membership;
    let few = roster.conversation.member_count <= RECEIPTS_TO_ALL_MEMBERS_MAX;
    let current = roster.members.iter().filter(|member| member.membership.role.is_some());
    let receipts = current.filter(|_| few).map(|m| (m.profile.account, m.marks)).collect();
    let members = roster.members.iter().filter(|other| met(own, &other.membership));
    Some(Description {
        state: state_of(&roster.conversation, own, partner_of(roster, account), receipts),
        members: members
            .map(|member| Member {
                profile: member.profile.clone(),
                role: member.membership.role,
                ranges: member.membership.ranges.clone(),
                marks: member.marks,
            })
            .collect(),
    })
}

/// Whether two members were there at the same time.
fn met(one: &Membership, other: &Membership) -> bool {
    one.ranges.iter().any(|a| {
        other
            .ranges
            .iter()
            .any(|b| b.to.is_none_or(|to| a.from <= to) && a.to.is_none_or(|to| b.from <= to))
    })
}

#[cfg(test)]
mod tests {
    use tidings_model::{Checksum, LogEpoch, Range, Seq, Timestamp};

    use super::*;
    use crate::store::{ConversationRecord, Marks};

    const ANNA: AccountId = AccountId::from_bytes([1; 16]);
    const KOFI: AccountId = AccountId::from_bytes([2; 16]);
    const NOOR: AccountId = AccountId::from_bytes([3; 16]);
    const INES: AccountId = AccountId::from_bytes([4; 16]);

    fn profile(account: AccountId) -> Profile {
        let name = account.to_string();
        Profile { account, user_name: name.clone(), display_name: name }
    }

    /// A group whose members came one after another, in this order.
    fn group(members: &[(AccountId, Option<Role>)]) -> RosterRecord {
        let present = members.iter().filter(|(_, role)| role.is_some()).count();
        let records = members.iter().enumerate().map(|(index, (account, role))| {
            let from = Seq::new(index as u64 + 1).expect("a small number");
            let to = role.is_none().then_some(from);
            let membership = Membership { role: *role, ranges: vec![Range { from, to }] };
            MemberRecord { profile: profile(*account), membership, marks: Marks::default() }
        });
        RosterRecord {
            conversation: ConversationRecord {
                conversation: ConversationId::from_bytes([9; 16]),
                kind: ConversationKind::Group,
                name: "Choir".into(),
                epoch: LogEpoch::from_entropy([1; 8]),
                epoch_since: Seq::ZERO,
                renewed_at: None,
                head: Seq::new(10).expect("a small number"),
                head_time: Timestamp::default(),
                head_checksum: Checksum(0),
                floor: Seq::ZERO,
                roster_version: 4,
                member_count: present,
                group: None,
            },
            members: records.collect(),
            profiles: vec![profile(NOOR), profile(INES)],
            message: None,
        }
    }

    fn refused(roster: &RosterRecord, by: AccountId, act: Change) -> Refusal {
        plan(roster, by, &act).expect_err("the act is refused")
    }

    #[test]
    fn owner_and_admins_add_and_members_do_not() {
        let roster = group(&[(ANNA, Some(Role::Admin)), (KOFI, Some(Role::Member))]);
        let plan_of_anna = plan(&roster, ANNA, &Change::Add(vec![NOOR, NOOR, KOFI]));
        let acts = vec![RosterAct::Join(NOOR, Role::Member)];
        assert_eq!(plan_of_anna.map(|plan| plan.acts), Ok(acts));
        assert_eq!(refused(&roster, KOFI, Change::Add(vec![NOOR])), Refusal::Forbidden);
    }

    #[test]
    fn adding_somebody_who_does_not_exist_adds_nobody() {
        let roster = group(&[(ANNA, Some(Role::Owner))]);
        let nobody = AccountId::from_bytes([0xee; 16]);
        assert_eq!(refused(&roster, ANNA, Change::Add(vec![NOOR, nobody])), Refusal::NotFound);
        assert_eq!(refused(&roster, ANNA, Change::Add(vec![ANNA])), Refusal::NothingToChange);
    }

    #[test]
    fn group_takes_its_last_member_and_none_beyond() {
        let mut roster = group(&[(ANNA, Some(Role::Owner))]);
        roster.conversation.member_count = MEMBERS_MAX - 1;
        assert!(plan(&roster, ANNA, &Change::Add(vec![NOOR])).is_ok());
        let full = Refusal::GroupFull { max: MEMBERS_MAX as u64 };
        assert_eq!(refused(&roster, ANNA, Change::Add(vec![NOOR, INES])), full);
    }

    #[test]
    fn former_member_comes_back_by_an_add() {
        let roster = group(&[(ANNA, Some(Role::Owner)), (NOOR, None)]);
        assert!(plan(&roster, ANNA, &Change::Add(vec![NOOR])).is_ok());
        assert_eq!(refused(&roster, NOOR, Change::Leave), Refusal::NotAMember);
    }

    #[test]
    fn stranger_learns_nothing() {
        let roster = group(&[(ANNA, Some(Role::Owner))]);
        for act in [Change::Leave, Change::Remove(ANNA), Change::Rename("x".into())] {
            assert_eq!(refused(&roster, INES, act), Refusal::NotFound);
        }
    }

    #[test]
    fn oldest_admin_inherits_from_the_last_owner() {
        let roster = group(&[
            (ANNA, Some(Role::Owner)),
            (KOFI, Some(Role::Member)),
            (NOOR, Some(Role::Admin)),
            (INES, Some(Role::Admin)),
        ]);
        let plan = plan(&roster, ANNA, &Change::Leave).expect("an owner may leave");
        assert_eq!(plan.acts, [RosterAct::Leave(ANNA), RosterAct::Role(NOOR, Role::Owner)]);
    }

    #[test]
    fn oldest_member_inherits_where_there_is_no_admin() {
        let roster = group(&[
            (KOFI, Some(Role::Member)),
            (ANNA, Some(Role::Owner)),
            (NOOR, Some(Role::Member)),
        ]);
        let plan = plan(&roster, ANNA, &Change::Leave).expect("an owner may leave");
        assert_eq!(plan.acts, [RosterAct::Leave(ANNA), RosterAct::Role(KOFI, Role::Owner)]);
    }

    #[test]
    fn nobody_inherits_while_another_owner_stays_or_nobody_does() {
        let two = group(&[(ANNA, Some(Role::Owner)), (KOFI, Some(Role::Owner))]);
        let alone = group(&[(ANNA, Some(Role::Owner))]);
        for roster in [two, alone] {
            let plan = plan(&roster, ANNA, &Change::Leave).expect("an owner may leave");
            assert_eq!(plan.acts, [RosterAct::Leave(ANNA)]);
        }
    }

    #[test]
    fn admin_removes_members_but_no_admin() {
        let roster = group(&[
            (ANNA, Some(Role::Admin)),
            (KOFI, Some(Role::Admin)),
            (NOOR, Some(Role::Member)),
        ]);
        assert!(plan(&roster, ANNA, &Change::Remove(NOOR)).is_ok());
        assert_eq!(refused(&roster, ANNA, Change::Remove(KOFI)), Refusal::Forbidden);
        assert_eq!(refused(&roster, NOOR, Change::Remove(ANNA)), Refusal::Forbidden);
    }

    #[test]
    fn last_owner_cannot_step_down() {
        let roster = group(&[(ANNA, Some(Role::Owner)), (KOFI, Some(Role::Member))]);
        let step_down = Change::SetRole(ANNA, Role::Member);
        assert_eq!(refused(&roster, ANNA, step_down), Refusal::Forbidden);
        assert!(plan(&roster, ANNA, &Change::SetRole(KOFI, Role::Owner)).is_ok());
    }

    #[test]
    fn direct_conversations_have_no_roster_to_change() {
        let mut roster = group(&[(ANNA, Some(Role::Owner)), (KOFI, Some(Role::Owner))]);
        roster.conversation.kind = ConversationKind::Direct;
        assert_eq!(refused(&roster, ANNA, Change::Leave), Refusal::WrongKind);
    }

    #[test]
    fn sealed_conversations_change_by_commits_alone() {
        let mut roster = group(&[(ANNA, Some(Role::Owner)), (KOFI, None)]);
        roster.conversation.group = Some(tidings_model::GroupEpoch::FIRST);
        let sealed = Refusal::WrongSealing { sealed: true };
        for act in [Change::Leave, Change::Add(vec![NOOR]), Change::Rename("x".into())] {
            assert_eq!(refused(&roster, ANNA, act), sealed);
        }
        assert_eq!(refused(&roster, KOFI, Change::Leave), Refusal::NotAMember);
    }

    #[test]
    fn description_shows_only_those_whom_one_has_met() {
        let roster = group(&[(ANNA, None), (KOFI, Some(Role::Owner)), (NOOR, Some(Role::Member))]);
        let seen = |by| {
            let members = description(&roster, by).expect("was a member").members;
            members.into_iter().map(|member| member.profile.account).collect::<Vec<_>>()
        };
        assert_eq!(seen(ANNA), [ANNA]);
        assert_eq!(seen(NOOR), [KOFI, NOOR]);
        assert_eq!(description(&roster, INES), None);
    }
}
