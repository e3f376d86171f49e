//! Who could read which part of a log, found out from the log itself.
//!
//! In an open conversation the server's events say it. In a sealed one the public Commits are followed
//! by an observer without any key, with the rules that members and server follow too: an account is a
//! member from the Commit that brings it in to its leave or its removal, and a device reads from the
//! Commit that gives it a leaf to the one that takes it. So no client's word is taken for what that
//! client should have.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::{Context, Result};
use tidings_model::event::Act;
use tidings_model::{AccountId, ConversationEvent, EntryKind, Range, Seq};
use tidings_protocol_mls::{DeviceIdentity, DeviceLists, Observation, Observer};

use crate::server_log::{GroupStart, LogEntry};

/// Who could read what.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    accounts: HashMap<AccountId, Vec<Range>>,
    /// Of a sealed conversation.
    devices: Option<HashMap<DeviceIdentity, Vec<Range>>>,
    handshakes: Handshakes,
}

/// What a log holds of Commits since the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Handshakes {
    pub(crate) commits: u64,
    /// External Commits by which a device took the place of its own former leaf.
    pub(crate) rejoins: u64,
}

impl std::ops::AddAssign for Handshakes {
    fn add_assign(&mut self, other: Self) {
        self.commits += other.commits;
        self.rejoins += other.rejoins;
    }
}

/// A device that lost its state, and the last entry that it had read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) device: DeviceIdentity,
    pub(crate) after: Seq,
}

impl Membership {
    /// Follows the log of an open conversation.
    pub(crate) fn of_open(log: &[LogEntry]) -> Self {
        let mut membership = Self::default();
        for entry in log.iter().filter(|entry| entry.kind == EntryKind::Event) {
            // An event of no meaning to membership is no movement; nor is one that nobody knows.
            let Ok(event) = ConversationEvent::decode(&entry.payload) else { continue };
            match event.act {
                Act::Created { members, .. } | Act::Added(members) => {
                    for member in members {
                        enter(&mut membership.accounts, member.account, entry.seq);
                    }
                }
                Act::Removed(member) | Act::Left { member, .. } => {
                    leave(&mut membership.accounts, &member.account, entry.seq);
                }
                Act::Renamed(_) | Act::RoleChanged(_) => {}
            }
        }
        membership
    }

    /// Follows the log of a sealed conversation from where its group is known.
    ///
    /// # Errors
    /// The log holds something that breaks the rules.
    pub(crate) fn of_sealed(
        log: &[LogEntry],
        start: &GroupStart,
        lists: Arc<dyn DeviceLists>,
    ) -> Result<Self> {
        let mut observer = Observer::adopt(&start.group_info, &start.tree, lists)
            .context("the server's group cannot be followed")?;
        let mut devices = HashMap::new();
        let mut membership = Self::default();
        // The members of a direct conversation are named, those of a group have leaves.
        let mut accounts: BTreeSet<AccountId> = observer.roles().named.keys().copied().collect();
        for leaf in observer.leaves() {
            accounts.insert(leaf.device.account);
            enter(&mut devices, leaf.device, Seq::FIRST);
        }
        for account in accounts {
            enter(&mut membership.accounts, account, Seq::FIRST);
        }
        for entry in log.iter().filter(|entry| entry.seq > start.head) {
            let seq = entry.seq;
            let context = || format!("entry {} cannot be followed", seq.get());
            match entry.kind {
                EntryKind::Commit => {
                    let observation = observer
                        .replay_commit(&entry.sender, entry.message_id, &entry.payload)
                        .with_context(context)?;
                    membership.follow(seq, &observation, &mut devices);
                    observer = observation.next;
                }
                EntryKind::Leave => {
                    observer.take_leave(&entry.sender, &entry.payload).with_context(context)?;
                    leave(&mut membership.accounts, &entry.sender.account, seq);
                }
                EntryKind::Message | EntryKind::Event => {}
            }
        }
        membership.devices = Some(devices);
        Ok(membership)
    }

    fn follow(
        &mut self,
        seq: Seq,
        observation: &Observation,
        devices: &mut HashMap<DeviceIdentity, Vec<Range>>,
    ) {
        let transition = &observation.transition;
        let is_rejoin =
            transition.is_external && transition.devices_removed.contains(&transition.committer);
        self.handshakes += Handshakes { commits: 1, rejoins: u64::from(is_rejoin) };
        for device in &transition.devices_removed {
            leave(devices, device, seq);
        }
        for device in &transition.devices_added {
            enter(devices, *device, seq);
        }
        for account in &transition.gone {
            leave(&mut self.accounts, account, seq);
        }
        for account in &transition.joined {
            enter(&mut self.accounts, *account, seq);
        }
    }

    /// What the log holds of Commits.
    pub(crate) fn handshakes(&self) -> Handshakes {
        self.handshakes
    }

    /// The spans of an account's membership.
    pub(crate) fn of_account(&self, account: AccountId) -> &[Range] {
        self.accounts.get(&account).map_or(&[], Vec::as_slice)
    }

    /// What a device has to have read: the spans in which its account was a member and it had a leaf,
    /// but for those from the loss of its state to its return.
    pub(crate) fn of_device(&self, device: DeviceIdentity, losses: &[Loss]) -> Vec<Range> {
        let account = self.of_account(device.account);
        let Some(devices) = &self.devices else { return account.to_vec() };
        let leaves = devices.get(&device).map_or(&[][..], Vec::as_slice);
        let mut readable: Vec<Range> = account
            .iter()
            .flat_map(|range| leaves.iter().filter_map(|leaf| common(range, leaf)))
            .collect();
        for loss in losses.iter().filter(|loss| loss.device == device) {
            let returned = leaves.iter().map(|leaf| leaf.from).find(|from| *from > loss.after);
            readable =
                readable.iter().flat_map(|range| without(range, loss.after, returned)).collect();
        }
        readable
    }
}

/// Begins a span, unless there is one that has not ended.
fn enter<Who: std::hash::Hash + Eq>(spans: &mut HashMap<Who, Vec<Range>>, who: Who, from: Seq) {
    let ranges = spans.entry(who).or_default();
    if ranges.last().is_none_or(|range| range.to.is_some()) {
        ranges.push(Range { from, to: None });
    }
}

/// Ends the span that has not ended, if there is one.
fn leave<Who: std::hash::Hash + Eq>(spans: &mut HashMap<Who, Vec<Range>>, who: &Who, to: Seq) {
    let last = spans.get_mut(who).and_then(|ranges| ranges.last_mut());
    if let Some(range) = last.filter(|range| range.to.is_none()) {
        range.to = Some(to);
    }
}

/// What two spans have in common.
fn common(one: &Range, other: &Range) -> Option<Range> {
    let from = one.from.max(other.from);
    let to = match (one.to, other.to) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    to.is_none_or(|to| from <= to).then_some(Range { from, to })
}

/// A span without what lies behind `after` and before `until`.
fn without(range: &Range, after: Seq, until: Option<Seq>) -> Vec<Range> {
    let before = common(range, &Range { from: Seq::ZERO, to: Some(after) });
    let behind = until.and_then(|until| common(range, &Range { from: until, to: None }));
    before.into_iter().chain(behind).collect()
}

#[cfg(test)]
mod tests {
    use tidings_model::DeviceId;

    use super::*;

    const ROMEO: AccountId = AccountId::from_bytes([1; 16]);
    const PHONE: DeviceIdentity =
        DeviceIdentity { account: ROMEO, device: DeviceId::from_bytes([2; 16]) };

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn range(from: u64, to: Option<u64>) -> Range {
        Range { from: seq(from), to: to.map(seq) }
    }

    /// Romeo is a member from 1 to 20 and from 30 on; his phone has a leaf from 5 on.
    fn membership() -> Membership {
        let mut membership = Membership::default();
        let mut devices = HashMap::new();
        enter(&mut membership.accounts, ROMEO, seq(1));
        enter(&mut devices, PHONE, seq(5));
        leave(&mut membership.accounts, &ROMEO, seq(20));
        leave(&mut membership.accounts, &ROMEO, seq(25));
        leave(&mut devices, &PHONE, seq(22));
        enter(&mut membership.accounts, ROMEO, seq(30));
        enter(&mut membership.accounts, ROMEO, seq(31));
        enter(&mut devices, PHONE, seq(30));
        membership.devices = Some(devices);
        membership
    }

    #[test]
    fn device_reads_while_it_has_a_leaf_and_its_account_is_a_member() {
        let membership = membership();
        assert_eq!(membership.of_account(ROMEO), [range(1, Some(20)), range(30, None)]);
        assert_eq!(membership.of_device(PHONE, &[]), [range(5, Some(20)), range(30, None)]);
        let other = DeviceIdentity { device: DeviceId::from_bytes([3; 16]), ..PHONE };
        assert_eq!(membership.of_device(other, &[]), []);
        let open = Membership { devices: None, ..membership };
        assert_eq!(open.of_device(other, &[]), [range(1, Some(20)), range(30, None)]);
    }

    #[test]
    fn nothing_is_asked_of_a_device_between_the_loss_of_its_state_and_its_return() {
        let mut membership = Membership::default();
        let mut devices = HashMap::new();
        enter(&mut membership.accounts, ROMEO, seq(1));
        enter(&mut devices, PHONE, seq(5));
        for rejoin in [8, 15, 40] {
            // An external Commit takes the former leaf's place.
            leave(&mut devices, &PHONE, seq(rejoin));
            enter(&mut devices, PHONE, seq(rejoin));
        }
        membership.devices = Some(devices);
        let readable = |places: &[u64]| -> Vec<u64> {
            let losses = places.iter().map(|after| Loss { device: PHONE, after: seq(*after) });
            let ranges = membership.of_device(PHONE, &losses.collect::<Vec<_>>());
            let is_readable = |place: &u64| ranges.iter().any(|range| range.contains(seq(*place)));
            (1..=50).filter(is_readable).collect()
        };
        let without =
            |gap: &[u64]| -> Vec<u64> { (5..=50).filter(|place| !gap.contains(place)).collect() };
        assert_eq!(readable(&[]), without(&[]));
        assert_eq!(readable(&[12]), without(&[13, 14]));
        assert_eq!(readable(&[6, 38]), without(&[7, 39]));
        // It never came back.
        assert_eq!(readable(&[41]), (5..=41).collect::<Vec<_>>());
    }
}
