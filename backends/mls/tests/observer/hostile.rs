//! What peers and a failing store must not do: panic, or be believed.

use bytes::Bytes;
use tidings_backend_mls::GroupObserver;
use tidings_client_mls::Intent;
use tidings_messaging::group::{Judge, Observer, PublicState};
use tidings_messaging::store::{Answer, GroupAnswer, Query, ReadFailure, Reader};
use tidings_model::{ConversationKind, Refusal};
use tidings_protocol_mls::Roles;
use tidings_protocol_mls::limits::HANDSHAKE_BYTES_MAX;

use crate::world::{ANNA, GROUP, KOFI, NOW, Sent, World, account, device};

/// Confirmation tag and membership tag at the end of a Commit (RFC 9420 §6.2), which nobody verifies
/// without the group's secrets.
const TAGS_BYTES: usize = 2 * 33;

/// Cuts and changes of some bytes, spread over the first ones.
fn damaged(bytes: &Bytes, first: usize) -> impl Iterator<Item = Bytes> + '_ {
    let step = (first / 60).max(1);
    (0..first).step_by(step).flat_map(|at| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x55;
        [bytes.slice(..at), changed.into()]
    })
}

#[test]
fn damaged_commit_or_group_info_is_refused() {
    let (mut world, mut people) = World::of_group(&[]);
    let mut kofi = world.person(KOFI);
    let sent = people[0].build(1, &[Intent::Add { key_package: kofi.make_key_package() }]);
    for commit in damaged(&sent.commit, sent.commit.len() - TAGS_BYTES) {
        assert!(world.send(&Sent { commit, ..sent.clone() }).is_err());
    }
    for group_info in damaged(&sent.group_info, sent.group_info.len()) {
        assert!(world.send(&Sent { group_info, ..sent.clone() }).is_err());
    }
    assert!(world.send(&sent).is_ok());
}

#[test]
fn damaged_group_is_not_founded() {
    let (mut world, mut people) = World::of_people(&[ANNA]);
    let group = people[0].make_group(&Roles::group(GROUP, account(ANNA)));
    let judge = |group_info, tree| Judge::Found {
        conversation: GROUP,
        kind: ConversationKind::Group,
        maker: (account(ANNA), device(ANNA)),
        partner: None,
        group: PublicState { group_info, tree },
    };
    for group_info in damaged(&group.group_info, group.group_info.len()) {
        assert!(world.judge(&judge(group_info, group.tree.clone())).is_err());
    }
    for tree in damaged(&group.tree, group.tree.len()) {
        assert!(world.judge(&judge(group.group_info.clone(), tree)).is_err());
    }
    let padding = Bytes::from(vec![0; HANDSHAKE_BYTES_MAX]);
    assert!(world.judge(&judge(group.group_info.clone(), padding)).is_err());
    assert!(world.judge(&judge(group.group_info.clone(), group.tree.clone())).is_ok());
}

#[test]
fn handshake_past_its_size_is_refused_unread() {
    let (mut world, mut people) = World::of_group(&[]);
    let sent = people[0].build(1, &[Intent::Refresh]);
    let large = |bytes: &Bytes| Bytes::from([&bytes[..], &vec![0; HANDSHAKE_BYTES_MAX]].concat());
    for sent in [
        Sent { commit: large(&sent.commit), ..sent.clone() },
        Sent { group_info: large(&sent.group_info), ..sent.clone() },
        Sent { welcome: large(&Bytes::new()), ..sent.clone() },
    ] {
        assert!(matches!(world.send(&sent), Err(Refusal::CommitRefused { .. })));
    }
}

/// A store that cannot be read, or holds something else than it was given.
struct Broken(Option<Box<GroupAnswer>>);

impl Reader for Broken {
    fn answer(&mut self, query: &Query) -> Result<Answer, ReadFailure> {
        match query {
            Query::Log(_) if self.0.is_some() => Ok(Answer::Group(self.0.clone())),
            _ => Err(ReadFailure::Unreadable("the disk".to_owned())),
        }
    }
}

#[test]
fn store_that_cannot_be_read_decides_nothing() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let sent = people[0].build(1, &[Intent::Refresh]);
    let answer = world.group();
    let mut other_place = answer.clone();
    other_place.group.state = Bytes::from_static(b"damaged");
    for store in [None, Some(answer), Some(other_place)] {
        let mut observer = GroupObserver::new(Box::new(Broken(store.map(Box::new))));
        assert_eq!(observer.judge(&sent.judge()), Err(Refusal::Unavailable));
        let packages = Judge::KeyPackages {
            device: (account(ANNA), device(ANNA)),
            packages: vec![people[0].make_key_package()],
            last_resort: None,
            now: NOW,
        };
        assert_eq!(observer.judge(&packages), Err(Refusal::Unavailable));
    }
}
