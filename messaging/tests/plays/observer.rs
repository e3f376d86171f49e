//! An observer for plays: groups without cryptography, whose rules are short enough to be read.
//!
//! A Commit says plainly whom it adds and removes; the state of a group is the list of its leaves. The
//! real observer is tested with real groups elsewhere: here it only has to decide when the core asks.

use bytes::Bytes;
use tidings_messaging::conformance::ModelStore;
use tidings_messaging::group::{Judge, Judged, LostHandshake, Observer, PublicState};
use tidings_messaging::store::{
    Answer, DeviceQuery, GroupChange, GroupRecord, LogQuery, NewWelcome, Query, Reader, RosterAct,
    RosterRecord,
};
use tidings_model::{AccountId, ConversationId, DeviceId, GroupEpoch, Refusal, Role};

/// A device as a Commit names it: whose, and which of theirs.
pub(crate) type Leaf = (u8, u8);

/// A Commit before it is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) made_in: GroupEpoch,
    pub(crate) adds: Vec<Leaf>,
    pub(crate) removes: Vec<Leaf>,
}

impl Plan {
    pub(crate) fn refresh(made_in: GroupEpoch) -> Self {
        Self { made_in, adds: Vec::new(), removes: Vec::new() }
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = encode_place(self.made_in).to_vec();
        for leaves in [&self.adds, &self.removes] {
            bytes.push(leaves.len() as u8);
            bytes.extend(encode_leaves(leaves));
        }
        bytes.into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let made_in = decode_place(bytes)?;
        let (adds, rest) = decode_counted(bytes.get(2..)?)?;
        let (removes, _) = decode_counted(rest)?;
        Some(Self { made_in, adds, removes })
    }
}

pub(crate) fn encode_place(place: GroupEpoch) -> [u8; 2] {
    [place.generation as u8, place.epoch as u8]
}

pub(crate) fn decode_place(bytes: &[u8]) -> Option<GroupEpoch> {
    let (generation, epoch) = (*bytes.first()?, *bytes.get(1)?);
    Some(GroupEpoch { generation: generation.into(), epoch: epoch.into() })
}

fn encode_leaves(leaves: &[Leaf]) -> Vec<u8> {
    leaves.iter().flat_map(|(person, device)| [*person, *device]).collect()
}

pub(crate) fn decode_leaves(bytes: &[u8]) -> Vec<Leaf> {
    bytes.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

fn decode_counted(bytes: &[u8]) -> Option<(Vec<Leaf>, &[u8])> {
    let (count, rest) = bytes.split_first()?;
    let end = usize::from(*count) * 2;
    Some((decode_leaves(rest.get(..end)?), rest.get(end..)?))
}

/// The account of a leaf.
pub(crate) fn account_of(leaf: Leaf) -> AccountId {
    AccountId::from_bytes([leaf.0; 16])
}

/// The device of a leaf; number 0 is the person's first one.
pub(crate) fn device_of(leaf: Leaf) -> DeviceId {
    let (person, number) = leaf;
    let entropy = if number == 0 { person ^ 0x55 } else { 0x80 | number };
    DeviceId::of_account(account_of(leaf), [entropy; 16])
}

/// What makes a group of a device alone.
pub(crate) fn founded_by(leaf: Leaf) -> PublicState {
    let group_info = Bytes::from(encode_leaves(&[leaf]));
    PublicState { group_info, tree: Bytes::from_static(b"tree") }
}

fn record(place: GroupEpoch, leaves: &[Leaf]) -> GroupRecord {
    GroupRecord {
        place,
        state: encode_leaves(leaves).into(),
        tree: Bytes::from(format!("tree {}.{}", place.generation, place.epoch)),
        group_info: Bytes::from_static(b"group info"),
        left: Vec::new(),
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct PlainObserver(pub(crate) ModelStore);

impl PlainObserver {
    fn group(&mut self, conversation: ConversationId) -> Result<GroupRecord, Refusal> {
        match self.0.answer(&Query::Log(LogQuery::Group(conversation))) {
            Ok(Answer::Group(Some(answer))) => Ok(answer.group),
            Ok(_) => Err(Refusal::NotFound),
            Err(_) => Err(Refusal::Unavailable),
        }
    }

    fn roster(&mut self, conversation: ConversationId) -> Result<RosterRecord, Refusal> {
        let query = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        match self.0.answer(&Query::Log(query)) {
            Ok(Answer::Roster(Some(roster))) => Ok(*roster),
            _ => Err(Refusal::NotFound),
        }
    }

    fn commit(
        &mut self,
        conversation: ConversationId,
        commit: &[u8],
        welcome: &Bytes,
    ) -> Result<Judged, Refusal> {
        let group = self.group(conversation)?;
        let roster = self.roster(conversation)?;
        let plan = Plan::decode(commit).ok_or(refused("is no Commit"))?;
        if plan.made_in != group.place {
            return Err(Refusal::EpochConflict { place: group.place });
        }
        let leaves = decode_leaves(&group.state);
        let lingers = |leaf: &&Leaf| {
            let account = account_of(**leaf);
            group.left.iter().any(|(left, _)| *left == account) && !plan.removes.contains(leaf)
        };
        if leaves.iter().any(|leaf| lingers(&leaf)) {
            return Err(refused("leaves somebody there who has left"));
        }
        if plan.removes.iter().any(|leaf| !leaves.contains(leaf)) {
            return Err(refused("removes who is not there"));
        }
        if plan.adds.iter().any(|leaf| leaves.contains(leaf) && !plan.removes.contains(leaf)) {
            return Err(refused("adds who is there"));
        }
        let mut next = leaves;
        next.retain(|leaf| !plan.removes.contains(leaf));
        next.extend(&plan.adds);
        let devices = |leaves: &[Leaf]| leaves.iter().map(|leaf| device_of(*leaf)).collect();
        let joiners: Vec<DeviceId> = devices(&plan.adds);
        let has_welcome = !joiners.is_empty() && !welcome.is_empty();
        let change = GroupChange {
            made_in: plan.made_in,
            left_before: group.left.len(),
            next: record(plan.made_in.next(), &next),
            devices_removed: devices(&plan.removes),
            devices_added: plan.adds.iter().map(|of| (account_of(*of), device_of(*of))).collect(),
            due: Vec::new(),
            is_restart: false,
            welcome: has_welcome.then(|| NewWelcome { bytes: welcome.clone(), joiners }),
        };
        let acts = roster_acts(&roster, &plan, &next);
        Ok(Judged::Changed { change: Box::new(change), acts, removes: !plan.removes.is_empty() })
    }

    fn leave(
        &mut self,
        conversation: ConversationId,
        account: AccountId,
        payload: &Bytes,
    ) -> Result<Judged, Refusal> {
        let group = self.group(conversation)?;
        let made_in = decode_place(payload).ok_or(refused("is no leave"))?;
        if made_in != group.place {
            return Err(Refusal::EpochConflict { place: group.place });
        }
        let mut next = group.clone();
        next.left.push((account, payload.clone()));
        let change = GroupChange {
            made_in,
            left_before: group.left.len(),
            next,
            devices_removed: Vec::new(),
            devices_added: Vec::new(),
            due: vec![account],
            is_restart: false,
            welcome: None,
        };
        let acts = vec![RosterAct::Leave(account)];
        Ok(Judged::Changed { change: Box::new(change), acts, removes: false })
    }

    fn replay(
        &mut self,
        conversation: ConversationId,
        author: AccountId,
        handshake: &LostHandshake,
    ) -> Result<Judged, Refusal> {
        let (commit, group_info) = match handshake {
            LostHandshake::Commit { commit, group_info, .. } => (commit, group_info),
            LostHandshake::Leave(leave) => return self.leave(conversation, author, leave),
        };
        let mut judged = self.commit(conversation, commit, &Bytes::new())?;
        if let Judged::Changed { change, .. } = &mut judged {
            change.next.group_info = group_info.clone().unwrap_or_default();
        }
        Ok(judged)
    }

    fn restart(
        &mut self,
        conversation: ConversationId,
        founder: &PublicState,
    ) -> Result<Judged, Refusal> {
        let group = self.group(conversation)?;
        let leaves = decode_leaves(&founder.group_info);
        let place = GroupEpoch { generation: group.place.generation + 1, epoch: 0 };
        let change = GroupChange {
            made_in: group.place,
            left_before: group.left.len(),
            next: record(place, &leaves),
            devices_removed: Vec::new(),
            devices_added: leaves.iter().map(|of| (account_of(*of), device_of(*of))).collect(),
            due: Vec::new(),
            is_restart: true,
            welcome: None,
        };
        Ok(Judged::Changed { change: Box::new(change), acts: Vec::new(), removes: false })
    }

    /// An entry is a sign and the number of a device: `+` covers it, `-` does not any more.
    fn device_list(&mut self, account: AccountId, entries: &[Bytes]) -> Result<Judged, Refusal> {
        let person = account.as_bytes()[0];
        let query = DeviceQuery::Heads { account, device: device_of((person, 0)) };
        let Ok(Answer::Heads(heads)) = self.0.answer(&Query::Device(query)) else {
            return Err(Refusal::Unavailable);
        };
        let of_sign = |sign: u8| {
            let signed = entries.iter().filter(|entry| entry.first() == Some(&sign));
            let numbers = signed.filter_map(|entry| entry.get(1).copied());
            numbers.map(|number| device_of((person, number))).collect::<Vec<_>>()
        };
        if entries.iter().any(|entry| entry.len() != 2) {
            return Err(Refusal::DeviceListRefused { reason: "an entry has two bytes".into() });
        }
        Ok(Judged::Listed {
            expected: (heads.list_identity, heads.list_entries),
            revoked: of_sign(b'-'),
            covered: of_sign(b'+'),
        })
    }
}

/// Who joins and who goes by a Commit.
fn roster_acts(roster: &RosterRecord, plan: &Plan, next: &[Leaf]) -> Vec<RosterAct> {
    let is_member = |account: AccountId| {
        let present = roster.members.iter().filter(|of| of.membership.role.is_some());
        present.map(|of| of.profile.account).any(|member| member == account)
    };
    let mut acts = Vec::new();
    let mut push = |act: RosterAct| {
        if !acts.contains(&act) {
            acts.push(act);
        }
    };
    for account in plan.adds.iter().map(|leaf| account_of(*leaf)) {
        if !is_member(account) {
            push(RosterAct::Join(account, Role::Member));
        }
    }
    for account in plan.removes.iter().map(|leaf| account_of(*leaf)) {
        if is_member(account) && next.iter().all(|leaf| account_of(*leaf) != account) {
            push(RosterAct::Leave(account));
        }
    }
    acts
}

fn refused(reason: &str) -> Refusal {
    Refusal::CommitRefused { reason: reason.to_owned() }
}

impl Observer for PlainObserver {
    fn judge(&mut self, judge: &Judge) -> Result<Judged, Refusal> {
        match judge {
            Judge::Found { group, .. } => {
                let leaves = decode_leaves(&group.group_info);
                Ok(Judged::Founded(record(GroupEpoch::FIRST, &leaves)))
            }
            Judge::Commit { conversation, commit, welcome, .. } => {
                self.commit(*conversation, commit, welcome)
            }
            Judge::Leave { conversation, sender, payload } => {
                self.leave(*conversation, sender.0, payload)
            }
            Judge::Replay { conversation, author, handshake, .. } => {
                self.replay(*conversation, author.0, handshake)
            }
            Judge::Restart { conversation, group, .. } => self.restart(*conversation, group),
            Judge::DeviceList { account, entries, .. } => self.device_list(*account, entries),
            Judge::KeyPackages { packages, .. } => {
                match packages.iter().position(|package| package.is_empty()) {
                    Some(index) => {
                        let reason = "is empty".to_owned();
                        Err(Refusal::KeyPackageRefused { index, reason })
                    }
                    None => Ok(Judged::KeyPackages(packages.clone())),
                }
            }
        }
    }
}
