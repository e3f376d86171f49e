//! What devices publish and tell each other: lists, key packages, inboxes, the account log.

use std::time::Duration;

use bytes::Bytes;
use tidings_messaging::request::SessionId;
use tidings_messaging::store::{BackupChunk, InboxContent};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{AccountId, ConversationId, ConversationKind, MessageId, Refusal};

use crate::observer::device_of;
use crate::world::{ANNA, KOFI, NOOR, Person, World, new_device};

fn publish_list(from: u32, entries: &[[u8; 2]]) -> Request {
    let entries = entries.iter().map(|entry| Bytes::copy_from_slice(entry)).collect();
    Request::PublishDeviceList { from, entries, begins_anew: false }
}

fn publish_packages(packages: impl IntoIterator<Item = u8>) -> Request {
    let packages = packages.into_iter().map(|number| Bytes::from(vec![number])).collect();
    Request::PublishKeyPackages { packages, last_resort: None, replace: false }
}

fn put(key: &'static [u8], value: &'static [u8]) -> Request {
    Request::PutAccountValue { key: Bytes::from_static(key), value: Bytes::from_static(value) }
}

impl World {
    fn direct(&mut self, session: SessionId, maker: Person, other: Person) {
        let body = Request::Create {
            conversation: ConversationId::direct(maker.account(), other.account()),
            kind: ConversationKind::Direct,
            name: String::new(),
            members: vec![other.account()],
            message_id: self.message_id(),
            group: None,
        };
        self.ask(session, body).expect("is made");
        self.heard(session);
    }

    /// A second device of a person's, live.
    fn second_device(&mut self, person: Person) -> SessionId {
        let device = device_of((person.0, 1));
        let session = self.connect();
        let new = new_device(device, person.token());
        let sign_in = Request::SignIn { account: person.account(), device: new };
        self.ask(session, sign_in).expect("signs in");
        let mut resume = self.resume_of(person, Vec::new());
        resume.device = device;
        self.ask(session, Request::Resume(resume)).expect("resumes");
        self.heard(session);
        session
    }

    fn claim(&mut self, session: SessionId, account: AccountId) -> Result<Vec<Bytes>, Refusal> {
        let request = self.message_id();
        let accounts = vec![account];
        match self.ask(session, Request::ClaimKeyPackages { request, accounts })? {
            Reply::KeyPackages(packages) => Ok(packages.into_iter().map(|of| of.package).collect()),
            other => panic!("key packages, not {other:?}"),
        }
    }
}

#[test]
fn list_that_grows_is_told_to_the_account_and_its_direct_partners() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    world.direct(sessions[0], ANNA, KOFI);
    world.heard(sessions[1]);
    world.ask(sessions[0], publish_list(0, &[[b'+', 0]])).expect("is published");
    let account = ANNA.account();
    let told = Event::DeviceListChanged { account, identity: 0, entries: 1 };
    assert_eq!(world.heard(sessions[0]), std::slice::from_ref(&told));
    assert_eq!(world.heard(sessions[1]), [told]);
    assert_eq!(world.heard(sessions[2]), []);
    // Sent again it grows no further.
    world.ask(sessions[0], publish_list(0, &[[b'+', 0]])).expect("is there");
    assert_eq!(world.heard(sessions[1]), []);
    let conflict = Refusal::DeviceListConflict { identity: 0, entries: 1 };
    assert_eq!(world.ask(sessions[0], publish_list(0, &[[b'+', 7]])), Err(conflict));
    let none = world.ask(sessions[0], publish_list(0, &[]));
    assert!(matches!(none, Err(Refusal::InvalidField { field: "entries", .. })));
    let invalid = Request::PublishDeviceList {
        from: 1,
        entries: vec![Bytes::from_static(b"long")],
        begins_anew: false,
    };
    assert!(matches!(world.ask(sessions[0], invalid), Err(Refusal::DeviceListRefused { .. })));
}

#[test]
fn lists_of_people_one_has_met_are_free_and_those_of_strangers_are_look_ups() {
    let people = Vec::from_iter((1..=40).map(Person));
    let (mut world, sessions) = World::with(&people);
    world.create_choir(sessions[0], &people[1..3]).expect("is made");
    world.ask(sessions[1], publish_list(0, &[[b'+', 0]])).expect("is published");
    let fetch = |people: &[Person]| {
        Request::FetchDeviceLists(people.iter().map(|of| (of.account(), 0, 0)).collect())
    };
    for _ in 0..50 {
        let Ok(Reply::DeviceLists(parts)) = world.ask(sessions[0], fetch(&people[0..3])) else {
            panic!("lists");
        };
        assert_eq!((parts.len(), parts[0].account), (1, people[1].account()));
    }
    let strangers = Vec::from_iter(people[5..35].iter().copied());
    assert_eq!(world.ask(sessions[0], fetch(&strangers)), Ok(Reply::DeviceLists(vec![])));
    let one_more = world.ask(sessions[0], fetch(&[people[36]]));
    assert!(matches!(one_more, Err(Refusal::LookUpsExhausted { max: 30, .. })));
    assert!(world.ask(sessions[0], fetch(&people[0..3])).is_ok());
    let many = Request::FetchDeviceLists(vec![(ANNA.account(), 0, 0); 129]);
    assert!(matches!(world.ask(sessions[0], many), Err(Refusal::InvalidField { .. })));
}

#[test]
fn key_packages_are_claimed_and_their_device_hears_when_few_are_left() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let stock = world.ask(sessions[1], publish_packages(0..34));
    assert_eq!(stock, Ok(Reply::KeyPackageStock(34)));
    assert_eq!(world.claim(sessions[0], KOFI.account()), Ok(vec![Bytes::from(vec![0])]));
    assert_eq!(world.heard(sessions[1]), [Event::KeyPackagesLow { left: 33 }]);
    assert_eq!(world.ask(sessions[1], publish_packages(100..102)), Ok(Reply::KeyPackageStock(35)));
    world.claim(sessions[0], KOFI.account()).expect("one more");
    assert_eq!(world.heard(sessions[1]), []);
    let refused = world.ask(
        sessions[1],
        Request::PublishKeyPackages {
            packages: vec![Bytes::from_static(b"good"), Bytes::new()],
            last_resort: None,
            replace: false,
        },
    );
    assert!(matches!(refused, Err(Refusal::KeyPackageRefused { index: 1, .. })));
    let too_many = world.ask(sessions[1], publish_packages((0..=200).map(|_| 1)));
    assert_eq!(too_many, Err(Refusal::TooManyKeyPackages { max: 200 }));
}

#[test]
fn repeated_claim_takes_no_more_and_tells_nobody() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.ask(sessions[1], publish_packages(0..9)).expect("is published");
    let request = world.message_id();
    let claim = Request::ClaimKeyPackages { request, accounts: vec![KOFI.account()] };
    let first = world.ask(sessions[0], claim.clone()).expect("a package");
    world.heard(sessions[1]);
    world.restart();
    let session = world.come(ANNA);
    assert_eq!(world.ask(session, claim.clone()), Ok(first.clone()));
    world.pass(Duration::from_secs(24 * 60 * 60));
    assert_ne!(world.ask(session, claim), Ok(first));
}

#[test]
fn claims_are_limited_and_those_of_own_devices_are_free() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    for _ in 0..20 {
        world.claim(sessions[0], KOFI.account()).expect("may claim");
    }
    let retry_after = Duration::from_secs(60);
    let exhausted = Refusal::ClaimsExhausted { max: 20, retry_after };
    assert_eq!(world.claim(sessions[0], KOFI.account()), Err(exhausted));
    for _ in 0..30 {
        world.claim(sessions[0], ANNA.account()).expect("its own are free");
    }
    for _ in 0..9 {
        world.pass(retry_after);
        for _ in 0..20 {
            world.claim(sessions[0], KOFI.account()).expect("may claim");
        }
    }
    world.pass(retry_after);
    let today = world.claim(sessions[0], KOFI.account());
    assert!(matches!(today, Err(Refusal::ClaimsExhausted { max: 200, .. })));
    let request = world.message_id();
    let accounts = vec![ANNA.account(); 129];
    let many = world.ask(sessions[0], Request::ClaimKeyPackages { request, accounts });
    assert!(matches!(many, Err(Refusal::InvalidField { field: "accounts", .. })));
}

#[test]
fn devices_of_an_account_send_each_other_what_the_server_does_not_read() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let tablet = world.second_device(ANNA);
    let message_id = world.message_id();
    let send = |device, payload: usize| Request::SendToDevice {
        device,
        message_id,
        payload: Bytes::from(vec![7; payload]),
    };
    let to_tablet = device_of((ANNA.0, 1));
    for _ in 0..2 {
        assert_eq!(world.ask(sessions[0], send(to_tablet, 9)), Ok(Reply::Done));
    }
    assert_eq!(world.heard(tablet), [Event::InboxChanged { head: 1 }]);
    let Ok(Reply::Inbox(page)) = world.ask(tablet, Request::FetchInbox { after: 0 }) else {
        panic!("an inbox");
    };
    let payload = Bytes::from(vec![7; 9]);
    let message = InboxContent::Message { from: ANNA.device(), message_id, payload };
    assert_eq!((page.items[0].content.clone(), page.items.len()), (message, 1));
    assert_eq!(world.ask(sessions[1], send(to_tablet, 9)), Err(Refusal::NotFound));
    let max = 64 * 1024;
    let too_large = Refusal::PayloadTooLarge { max: max as u64 };
    assert_eq!(world.ask(sessions[0], send(to_tablet, max + 1)), Err(too_large));
}

#[test]
fn value_of_the_account_log_is_told_to_the_other_sessions() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let tablet = world.second_device(ANNA);
    world.heard(sessions[0]);
    assert_eq!(world.ask(sessions[0], put(b"colour", b"red")), Ok(Reply::AccountValuePut(1)));
    assert_eq!(world.heard(tablet), [Event::AccountLogChanged { head: 1 }]);
    assert_eq!(world.heard(sessions[0]), []);
    assert_eq!(world.ask(sessions[0], put(b"colour", b"red")), Ok(Reply::AccountValuePut(1)));
    assert_eq!(world.heard(tablet), []);
    let Ok(Reply::AccountValues(page)) =
        world.ask(tablet, Request::FetchAccountValues { after: 0 })
    else {
        panic!("values");
    };
    let value = &page.values[0];
    assert_eq!((value.device, value.value.as_ref()), (ANNA.device(), &b"red"[..]));
    for key in [Bytes::new(), Bytes::from(vec![1; 65])] {
        let body = Request::PutAccountValue { key, value: Bytes::from_static(b"x") };
        assert!(matches!(world.ask(tablet, body), Err(Refusal::InvalidField { field: "key", .. })));
    }
}

#[test]
fn backup_of_one_device_is_read_and_dropped_by_another_one() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let tablet = world.second_device(ANNA);
    let put = |bytes: usize| Request::PutBackupChunk {
        chunk: MessageId::from_bytes([bytes as u8; 16]),
        sealed: Bytes::from(vec![1; bytes]),
    };
    assert_eq!(world.ask(sessions[0], put(9)), Ok(Reply::BackupChunkPut(1)));
    assert_eq!(world.ask(sessions[0], put(9)), Ok(Reply::BackupChunkPut(1)));
    assert_eq!(world.ask(tablet, put(8)), Ok(Reply::BackupChunkPut(2)));
    let max = 72 * 1024;
    let too_large = Refusal::PayloadTooLarge { max: max as u64 };
    assert_eq!(world.ask(tablet, put(max + 1)), Err(too_large));
    let fetch = |before| Request::FetchBackupChunk { before };
    let sealed = Bytes::from(vec![1; 9]);
    let first = Reply::BackupChunk(Some(BackupChunk { number: 1, sealed, left: 0 }));
    assert_eq!(world.ask(tablet, fetch(Some(2))), Ok(first));
    assert_eq!(world.ask(sessions[1], fetch(None)), Ok(Reply::BackupChunk(None)));
    assert_eq!(world.ask(tablet, Request::DropBackup), Ok(Reply::Done));
    assert_eq!(world.ask(sessions[0], fetch(None)), Ok(Reply::BackupChunk(None)));
}

#[test]
fn resume_tells_what_waits_and_reads_it_once() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.second_device(ANNA);
    world.ask(sessions[0], publish_list(0, &[[b'+', 0], [b'+', 1]])).expect("is published");
    world.ask(sessions[0], publish_packages(0..5)).expect("is published");
    world.ask(sessions[0], put(b"colour", b"red")).expect("is put");
    world.disconnect(sessions[0]);
    world.claim(sessions[1], ANNA.account()).expect("a package");
    let (session, reads) = (world.connect(), world.reads);
    let heads = world.resumed(session, ANNA, Vec::new()).heads;
    assert_eq!(world.reads, reads, "a device in memory reads nothing");
    let told = (heads.key_packages, heads.account_log, heads.list_identity, heads.list_entries);
    assert_eq!(told, (4, 1, 0, 2));
    world.restart();
    let session = world.connect();
    assert_eq!(world.resumed(session, ANNA, Vec::new()).heads, heads);
}
