//! Making conversations. The group of a sealed one is judged first; then people are looked up, so that
//! the log's first entry names them.

use tidings_model::event::Act;
use tidings_model::limits::{ADDS_MAX, MEMBERS_MAX};
use tidings_model::{
    AccountId, Checksum, ConversationEvent, ConversationId, ConversationKind, LogEpoch, MessageId,
    Now, Refusal, Role,
};

use super::append::{check_group_name, person, refusal_of};
use super::handshake::{NOWHERE, check_sizes};
use super::{Asker, Core, Origin, Then, asked};
use crate::group::{Judge, Judged, PublicState};
use crate::request::Reply;
use crate::store::{
    AccountQuery, Answer, Append, Applied, Create, GroupRecord, GroupStep, LogOperation, Operation,
    Outcome, Profile, Query,
};

/// A step of making that waits for the observer or the store.
#[derive(Debug)]
pub(super) enum CreateStep {
    /// The group is judged.
    Judge { asker: Asker, epoch: LogEpoch, act: NewConversation, now: Now },
    /// The people are looked up.
    People {
        asker: Asker,
        epoch: LogEpoch,
        act: NewConversation,
        group: Option<GroupRecord>,
        now: Now,
    },
    /// The conversation is made.
    Create { origin: Origin, conversation: ConversationId, message_id: MessageId },
    /// It is refused, unless it was made before.
    Refuse { origin: Origin, conversation: ConversationId, message_id: MessageId, refusal: Refusal },
}

/// A conversation to be made.
#[derive(Debug)]
pub(super) struct NewConversation {
    pub(super) conversation: ConversationId,
    pub(super) kind: ConversationKind,
    pub(super) name: String,
    pub(super) members: Vec<AccountId>,
    pub(super) message_id: MessageId,
    pub(super) group: Option<PublicState>,
}

impl CreateStep {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Judge { asker, .. } | Self::People { asker, .. } => asker.origin,
            Self::Create { origin, .. } | Self::Refuse { origin, .. } => *origin,
        }
    }
}

impl Core {
    pub(super) fn create(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        asker: Asker,
        mut act: NewConversation,
    ) {
        act.members.retain(|member| *member != asker.account);
        act.members.sort_unstable();
        act.members.dedup();
        if let Err(refusal) = check_new(asker.account, &act) {
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let epoch = LogEpoch::from_entropy(first_eight(entropy));
        let Some(group) = act.group.clone() else {
            return self.look_up_people(asker, epoch, act, None, now);
        };
        let partner = act.members.first().filter(|_| act.kind == ConversationKind::Direct);
        let bytes = group.group_info.len() + group.tree.len();
        let judge = Judge::Found {
            conversation: act.conversation,
            kind: act.kind,
            maker: (asker.account, asker.device),
            partner: partner.copied(),
            group,
        };
        let step = CreateStep::Judge { asker, epoch, act, now };
        self.judge(judge, bytes, Then::Create(step));
    }

    pub(super) fn create_judged(&mut self, step: CreateStep, judged: Result<Judged, Refusal>) {
        let CreateStep::Judge { asker, epoch, act, now } = step else { return };
        let refusal = match judged {
            Ok(Judged::Founded(group)) => {
                return self.look_up_people(asker, epoch, act, Some(group), now);
            }
            Ok(_) => Refusal::Unavailable,
            Err(refusal) => refusal,
        };
        self.refuse_creation(asker, &act, refusal, now);
    }

    fn look_up_people(
        &mut self,
        asker: Asker,
        epoch: LogEpoch,
        act: NewConversation,
        group: Option<GroupRecord>,
        now: Now,
    ) {
        let mut people = vec![asker.account];
        people.extend(&act.members);
        let step = CreateStep::People { asker, epoch, act, group, now };
        self.read(Query::Account(AccountQuery::Profiles(people)), Then::Create(step));
    }

    /// Refuses a creation whose group is not right, unless its entry is in the log: the rules may have
    /// allowed it then. No entry is appended in an epoch that no group is ever in.
    fn refuse_creation(&mut self, asker: Asker, act: &NewConversation, refusal: Refusal, now: Now) {
        let NewConversation { conversation, message_id, .. } = *act;
        let event = ConversationEvent {
            roster_version: 1,
            act: Act::Created { name: String::new(), members: Vec::new() },
        };
        let entry = self.event_entry(now, asker, message_id, &event, asked_of(act));
        let group = GroupStep::Message { made_in: NOWHERE };
        let append = Append { conversation, entry, roster: None, group };
        let origin = asker.origin;
        let step = CreateStep::Refuse { origin, conversation, message_id, refusal };
        self.apply(Operation::Log(LogOperation::Append(append)), 0, Then::Create(step));
    }

    fn create_with(
        &mut self,
        asker: Asker,
        epoch: LogEpoch,
        act: NewConversation,
        group: Option<GroupRecord>,
        profiles: &[Profile],
        now: Now,
    ) {
        let everybody_owns = act.kind != ConversationKind::Group;
        let mut members = vec![(asker.account, Role::Owner)];
        let role = if everybody_owns { Role::Owner } else { Role::Member };
        members.extend(act.members.iter().map(|member| (*member, role)));
        let people: Option<Vec<_>> =
            members.iter().map(|(member, role)| person(profiles, *member, *role)).collect();
        let Some(people) = people else {
            return self.reply(asker.origin, Err(Refusal::NotFound));
        };
        let event = ConversationEvent {
            roster_version: 1,
            act: Act::Created { name: act.name.clone(), members: people },
        };
        let asked = asked_of(&act);
        let first = self.event_entry(now, asker, act.message_id, &event, asked);
        let bytes = first.payload.len();
        let (conversation, message_id) = (act.conversation, act.message_id);
        let create =
            Create { conversation, kind: act.kind, name: act.name, epoch, first, members, group };
        let step = CreateStep::Create { origin: asker.origin, conversation, message_id };
        self.apply(Operation::Log(LogOperation::Create(create)), bytes, Then::Create(step));
    }

    pub(super) fn create_answered(&mut self, step: CreateStep, answer: Answer) {
        match (step, answer) {
            (CreateStep::People { asker, epoch, act, group, now }, Answer::Profiles(profiles)) => {
                self.create_with(asker, epoch, act, group, &profiles, now);
            }
            (step, _) => self.reply(step.origin(), Err(Refusal::Unavailable)),
        }
    }

    pub(super) fn create_applied(&mut self, step: CreateStep, outcome: Outcome) {
        match (step, outcome) {
            (
                CreateStep::Create { origin, conversation, message_id },
                Ok(Applied::Appended(appended)),
            ) => {
                self.reply(origin, Ok(Reply::Accepted { conversation, message_id, appended }));
                self.relay();
            }
            (
                CreateStep::Refuse { origin, conversation, message_id, .. },
                Ok(Applied::Appended(appended)),
            ) => {
                self.reply(origin, Ok(Reply::Accepted { conversation, message_id, appended }));
            }
            (CreateStep::Refuse { origin, refusal, .. }, _) => self.reply(origin, Err(refusal)),
            (step, outcome) => self.reply(step.origin(), Err(refusal_of(outcome))),
        }
    }
}

fn asked_of(act: &NewConversation) -> Checksum {
    let group_info = act.group.as_ref().map(|group| &group.group_info[..]);
    asked::creation(act.kind, &act.name, &act.members, group_info)
}

fn check_new(maker: AccountId, act: &NewConversation) -> Result<(), Refusal> {
    let invalid = |field, problem| Err(Refusal::InvalidField { field, problem });
    if let Some(group) = &act.group {
        check_sizes(&[&group.group_info, &group.tree])?;
    }
    match act.kind {
        ConversationKind::Direct => match act.members.as_slice() {
            [other] if act.conversation == ConversationId::direct(maker, *other) => Ok(()),
            [_] => invalid("conversation", "is not the id that follows from the two accounts"),
            _ => invalid("members", "must name the one other account"),
        },
        ConversationKind::NotesToSelf if !act.members.is_empty() => {
            invalid("members", "must be empty for notes to self")
        }
        ConversationKind::NotesToSelf
            if act.conversation != ConversationId::notes_to_self(maker) =>
        {
            invalid("conversation", "is not the id that follows from the account")
        }
        ConversationKind::NotesToSelf => Ok(()),
        ConversationKind::Group if act.group.is_none() => check_group(act),
        ConversationKind::Group if !act.members.is_empty() => {
            invalid("members", "must be empty: people join a sealed group by a Commit")
        }
        ConversationKind::Group if !act.name.is_empty() => {
            invalid("name", "must be empty: the name of a sealed group is sealed")
        }
        ConversationKind::Group => Ok(()),
    }
}

fn check_group(act: &NewConversation) -> Result<(), Refusal> {
    check_group_name(&act.name)?;
    if act.members.len() > ADDS_MAX {
        return Err(Refusal::TooManyAdded { max: ADDS_MAX as u64 });
    }
    if act.members.len() + 1 > MEMBERS_MAX {
        return Err(Refusal::GroupFull { max: MEMBERS_MAX as u64 });
    }
    Ok(())
}

fn first_eight(entropy: [u8; 32]) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&entropy[..8]);
    bytes
}
