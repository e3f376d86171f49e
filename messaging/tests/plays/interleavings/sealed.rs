//! The same with a sealed choir: the log then holds entries of the right epochs alone, nobody speaks
//! while a leave waits to be carried out, and each Welcome arrives once.

use std::time::Duration;

use tidings_messaging::request::{LogItem, SessionId};
use tidings_messaging::store::{Answer, DeviceQuery, GroupRecord, LogQuery, Query, Reader as _};
use tidings_model::{AccountId, EntryKind, GroupEpoch};

use super::{PEOPLE, Play};
use crate::observer::{Leaf, Plan, account_of, decode_leaves, decode_place, encode_place};
use crate::sealed::{commit, create_sealed, leaf, leave, send_sealed};
use crate::world::{ANNA, CHOIR, Person, World};

/// Makes the choir, with the others in it.
pub(super) fn create(world: &mut World, session: SessionId, others: &[Person]) {
    let message_id = world.message_id();
    world.ask(session, create_sealed(message_id, ANNA)).expect("is made");
    let adds = others.iter().map(|person| leaf(*person)).collect();
    let plan = Plan { adds, ..Plan::refresh(GroupEpoch::FIRST) };
    let message_id = world.message_id();
    world.ask(session, commit(message_id, &plan)).expect("adds them");
}

impl Play {
    pub(super) fn step_sealed(&mut self, person: Person) {
        match self.dice.roll(10) {
            0..=2 => drop(self.world.judge()),
            3..=5 => drop(self.world.hand_over_judged()),
            6..=7 => self.refresh(person),
            _ => {
                let millis = self.dice.roll(3_000);
                self.world.advance(Duration::from_millis(millis));
            }
        }
    }

    fn group(&mut self) -> GroupRecord {
        match self.world.store.answer(&Query::Log(LogQuery::Group(CHOIR))) {
            Ok(Answer::Group(Some(answer))) => answer.group,
            other => panic!("a group, not {other:?}"),
        }
    }

    /// Where a device believes the group to stand: a little behind, now and then.
    fn believed_place(&mut self) -> GroupEpoch {
        let mut place = self.group().place;
        if self.dice.roll(5) == 0 {
            place.epoch = place.epoch.saturating_sub(1);
        }
        place
    }

    pub(super) fn say_sealed(&mut self, person: Person) {
        let place = self.believed_place();
        let message_id = self.world.message_id();
        // The payload tells where it was sealed, so that the log can be checked.
        let text = encode_place(place).map(|byte| char::from(byte).to_string()).concat();
        self.begin_as(person, message_id, send_sealed(&text, message_id, place));
    }

    /// A Commit of `by` that carries out the leaves that stand, and what is asked besides.
    fn commit_with(&mut self, by: Person, adds: Vec<Leaf>, mut removes: Vec<Leaf>) {
        let group = self.group();
        let left =
            |leaf: &Leaf| group.left.iter().any(|(account, _)| *account == account_of(*leaf));
        for gone in decode_leaves(&group.state).into_iter().filter(left) {
            if !removes.contains(&gone) {
                removes.push(gone);
            }
        }
        let plan = Plan { made_in: self.believed_place(), adds, removes };
        self.begin(by, |message_id| commit(message_id, &plan));
    }

    fn refresh(&mut self, person: Person) {
        self.commit_with(person, Vec::new(), Vec::new());
    }

    pub(super) fn commit_membership(&mut self, person: Person, add: bool) {
        match add {
            true => self.commit_with(ANNA, vec![leaf(person)], Vec::new()),
            false => self.commit_with(ANNA, Vec::new(), vec![leaf(person)]),
        }
    }

    pub(super) fn leave_sealed(&mut self, person: Person) {
        let place = self.believed_place();
        self.begin(person, |message_id| leave(message_id, place));
    }

    /// Reads the log as its members do, from the first entry on.
    pub(super) fn check_sealed(&mut self, seed: u64, log: &[LogItem]) {
        let mut place = GroupEpoch::FIRST;
        let mut leaves = vec![leaf(ANNA)];
        let mut left: Vec<AccountId> = Vec::new();
        let mut welcomes = [0; PEOPLE as usize + 1];
        for item in log {
            let LogItem::Entry(entry) = item else { panic!("seed {seed}: {item:?}") };
            let at = entry.seq.get();
            let has_leaf = leaves.iter().any(|leaf| account_of(*leaf) == entry.account);
            assert!(has_leaf && !left.contains(&entry.account), "seed {seed}: a stranger at {at}");
            match entry.kind {
                EntryKind::Message => {
                    assert_eq!(decode_place(&entry.payload), Some(place), "seed {seed}: at {at}");
                    assert_eq!(left, [], "seed {seed}: somebody speaks at {at}");
                }
                EntryKind::Leave => {
                    assert_eq!(decode_place(&entry.payload), Some(place), "seed {seed}: at {at}");
                    left.push(entry.account);
                }
                EntryKind::Commit => {
                    let plan = Plan::decode(&entry.payload).expect("a Commit");
                    assert_eq!(plan.made_in, place, "seed {seed}: at {at}");
                    leaves.retain(|leaf| !plan.removes.contains(leaf));
                    // Before the adds: one who left may come back by the same Commit.
                    left.retain(|account| leaves.iter().any(|of| account_of(*of) == *account));
                    leaves.extend(&plan.adds);
                    plan.adds.iter().for_each(|leaf| welcomes[usize::from(leaf.0)] += 1);
                    assert_eq!(left, [], "seed {seed}: a leave is not carried out at {at}");
                    place = place.next();
                }
                EntryKind::Event => assert_eq!(at, 1, "seed {seed}"),
            }
        }
        let group = self.group();
        assert_eq!((group.place, decode_leaves(&group.state)), (place, leaves), "seed {seed}");
        for person in (1..=PEOPLE).map(Person) {
            let invited = self.invitations(person);
            assert_eq!(invited, welcomes[usize::from(person.0)], "seed {seed}: {person:?}");
        }
    }

    /// How many invitations have reached a person's device.
    fn invitations(&mut self, person: Person) -> usize {
        let device = person.device();
        let (after, items_max, bytes_max) = (0, usize::MAX, usize::MAX);
        let query = DeviceQuery::Inbox { device, after, items_max, bytes_max };
        match self.world.store.answer(&Query::Device(query)) {
            Ok(Answer::Inbox(page)) => page.items.len(),
            other => panic!("an inbox, not {other:?}"),
        }
    }
}
