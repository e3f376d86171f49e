//! Plays about an account's devices: who is in the device list and who is not, what the devices share,
//! and what a server that lies comes to.

use std::time::Duration;

use bytes::Bytes;
use tidings_client_core::database::{Database, Draft, DraftPurpose};
use tidings_client_core::{Command, Failure, Listing, Notice, Outcome, Send, Unsent};
use tidings_model::{AccountId, ConversationId, DeviceId, Seq, Timestamp};
use tidings_protocol_identity::RecoveryKey;
use tidings_protocol_linking::LinkCode;
use tidings_protocol_mls::{DeviceList, SecretKey};

use crate::world::World;

const A_WHILE: Duration = Duration::from_secs(20);

fn world() -> World {
    let mut world = World::with_people(7, &["Anna", "Kofi"]);
    world.pass(A_WHILE);
    world
}

impl World {
    /// The one outcome of a command, after a while.
    fn outcome(&mut self, name: &str, command: Command) -> Outcome {
        let command = self.command(name, command);
        self.pass(Duration::from_secs(3));
        match self.outcomes(name, command) {
            [outcome] => outcome.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn listing(&self, name: &str) -> Listing {
        self.people[name].client.listing()
    }

    fn notices_of(&self, name: &str) -> &[Notice] {
        &self.people[name].notices
    }

    fn recovery_key(&mut self, name: &str) -> RecoveryKey {
        match self.outcome(name, Command::RecoveryKey) {
            Outcome::RecoveryKey(key) => key,
            other => panic!("{name} has no recovery key: {other:?}"),
        }
    }

    fn code(&mut self, name: &str) -> LinkCode {
        match self.outcome(name, Command::ShowLinkCode) {
            Outcome::LinkCode { code, .. } => code,
            other => panic!("{name} shows no code: {other:?}"),
        }
    }

    /// Signs in another device of Anna's and links it with her first one.
    fn linked(&mut self, name: &str) {
        self.add_device("Anna", name);
        self.pass(A_WHILE);
        let (code, device) = (self.code(name), self.person(name).device());
        let proved = self.outcome("Anna", Command::Link { device, code });
        assert_eq!(proved, Outcome::LinkProved { device });
        assert_eq!(self.outcome("Anna", Command::AnswerLink { accepted: true }), Outcome::Done);
        assert_eq!(self.listing(name), Listing::Unlisted, "its person has not said yes");
        assert_eq!(self.outcome(name, Command::AnswerLink { accepted: true }), Outcome::Done);
        self.pass(A_WHILE);
    }

    fn draft(&self, name: &str, conversation: ConversationId) -> String {
        let rows = self.people[name].database.conversations().expect("rows");
        let of = rows.into_iter().find(|row| row.conversation == conversation);
        of.expect("the conversation is there").draft.text
    }

    fn write_draft(&mut self, name: &str, conversation: ConversationId, text: &str) {
        let draft = Draft { text: text.to_owned(), purpose: DraftPurpose::Message };
        self.command(name, Command::SetDraft { conversation, draft });
    }

    fn verified(&mut self, name: &str, account: AccountId) -> bool {
        match self.outcome(name, Command::SafetyNumber { account }) {
            Outcome::SafetyNumber { verified, .. } => verified,
            other => panic!("{name} has no safety number: {other:?}"),
        }
    }
}

fn refused_list(notices: &[Notice], of: AccountId) -> bool {
    notices
        .iter()
        .any(|notice| matches!(notice, Notice::DeviceListRefused { account, .. } if *account == of))
}

#[test]
fn first_device_begins_the_list_fills_its_stock_and_makes_the_storage_key() {
    let mut world = world();
    assert_eq!(world.listing("Anna"), Listing::Listed);
    assert_eq!(world.people["Anna"].listings, [Listing::Listed]);
    let (anna, device) = (world.id("Anna"), world.person("Anna").device());
    let entries = world.server.shared(anna).lists[0].clone();
    let list = DeviceList::verify(anna, &entries).expect("a valid list");
    assert_eq!(list.devices().map(|(device, _)| device).collect::<Vec<_>>(), [device]);
    let of = world.server.of_device(device);
    assert_eq!((of.packages.len(), of.last_resort.is_empty()), (5, false));
    let ring = &world.server.shared(anna).values[&Bytes::from_static(b"tidings key ring v1")];
    assert_eq!(ring.1, device);
}

#[test]
fn beginning_whose_answer_was_lost_is_the_same_identity() {
    let mut world = World::new(3);
    world.add_person("Anna");
    world.server.register("Anna", "Anna", &mut world.people);
    world.command("Anna", Command::Connect);
    let mut cut = 0;
    for _ in 0..200 {
        let sent = world.deliver_to_server("Anna");
        let account = world.id("Anna");
        if sent && cut < 3 && !world.server.shared(account).lists.is_empty() {
            world.cut("Anna");
            world.restart_client("Anna");
            cut += 1;
        }
        if !world.deliver_to_client("Anna") && !sent {
            world.advance(Duration::from_secs(5));
        }
    }
    world.pass(A_WHILE);
    assert_eq!((cut, world.listing("Anna")), (3, Listing::Listed));
    let account = world.id("Anna");
    assert_eq!(world.server.shared(account).place(), (0, 1));
}

#[test]
fn stock_is_filled_at_a_third_and_replaced_when_the_device_was_restored() {
    let mut world = world();
    let device = world.person("Anna").device();
    world.server.hand_out(device, 3);
    world.pass(A_WHILE);
    assert_eq!(world.server.of_device(device).packages.len(), 2, "more than a third is left");
    world.server.hand_out(device, 1);
    world.pass(A_WHILE);
    assert_eq!(world.server.of_device(device).packages.len(), 5);

    let older = world.people["Anna"].database.clone();
    let before = world.server.of_device(device).packages.clone();
    world.cut("Anna");
    world.pass(A_WHILE);
    world.person("Anna").reopen(older);
    world.command("Anna", Command::Connect);
    world.pass(A_WHILE);
    let after = world.server.of_device(device).packages.clone();
    assert_eq!(after.len(), 5);
    assert!(before.iter().all(|package| !after.contains(package)), "whose keys may be gone");
}

#[test]
fn last_resort_is_replaced_after_a_week() {
    let mut world = world();
    let device = world.person("Anna").device();
    let before = world.server.of_device(device).last_resort.clone();
    world.clock += Duration::from_secs(6 * 24 * 60 * 60);
    world.restart_server();
    world.pass(A_WHILE);
    assert_eq!(world.server.of_device(device).last_resort, before);
    world.clock += Duration::from_secs(24 * 60 * 60);
    world.restart_server();
    world.pass(A_WHILE);
    assert_ne!(world.server.of_device(device).last_resort, before);
}

#[test]
fn device_that_is_signed_in_is_listed_once_both_persons_have_said_yes() {
    let mut world = world();
    world.linked("phone");
    assert_eq!(world.listing("phone"), Listing::Listed);
    let listings = [Listing::Unlisted, Listing::Listed];
    assert_eq!(world.people["phone"].listings, listings);
    let phone = world.person("phone").device();
    let ended = Notice::LinkEnded { device: phone, completed: true };
    assert!(world.notices_of("Anna").contains(&ended));
    assert_eq!(world.server.of_device(phone).packages.len(), 5);

    world.linked("tablet");
    let tablet = world.person("tablet").device();
    let told = Notice::DeviceLinked { device: tablet };
    assert!(world.notices_of("phone").contains(&told), "all devices are told");
}

#[test]
fn wrong_code_links_nothing_and_tells_both_sides() {
    let mut world = world();
    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    let (_, device) = (world.code("phone"), world.person("phone").device());
    let guess = LinkCode::from_entropy([9; 5]);
    for _ in 0..5 {
        let refused = world.outcome("Anna", Command::Link { device, code: guess.clone() });
        assert!(matches!(refused, Outcome::Failed(Failure::NotLinked(_))), "{refused:?}");
    }
    let void = world.outcome("Anna", Command::Link { device, code: guess });
    assert!(matches!(void, Outcome::Failed(Failure::NotLinked(_))), "{void:?}");
    assert_eq!(world.listing("phone"), Listing::Unlisted);
    let failed = |notice: &Notice| matches!(notice, Notice::LinkFailed { .. });
    assert!(world.notices_of("phone").iter().any(failed), "five tries, then void");
    let account = world.id("Anna");
    assert_eq!(world.server.shared(account).place(), (0, 1));
}

#[test]
fn code_is_void_after_a_minute() {
    let mut world = world();
    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    let (code, device) = (world.code("phone"), world.person("phone").device());
    world.pass(Duration::from_secs(60));
    let late = world.outcome("Anna", Command::Link { device, code });
    assert!(matches!(late, Outcome::Failed(Failure::NotLinked(_))), "{late:?}");
}

#[test]
fn link_that_the_new_devices_person_declines_is_undone() {
    let mut world = world();
    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    let (code, device) = (world.code("phone"), world.person("phone").device());
    world.outcome("Anna", Command::Link { device, code });
    world.outcome("Anna", Command::AnswerLink { accepted: true });
    assert_eq!(world.outcome("phone", Command::AnswerLink { accepted: false }), Outcome::Done);
    world.pass(A_WHILE);
    let account = world.id("Anna");
    let entries = world.server.shared(account).lists[0].clone();
    let list = DeviceList::verify(account, &entries).expect("a valid list");
    assert!(list.devices().all(|(listed, _)| listed != device));
    let ended = Notice::LinkEnded { device, completed: false };
    assert!(world.notices_of("Anna").contains(&ended));
}

#[test]
fn no_of_the_old_devices_person_changes_nothing() {
    let mut world = world();
    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    let (code, device) = (world.code("phone"), world.person("phone").device());
    world.outcome("Anna", Command::Link { device, code });
    assert_eq!(world.outcome("Anna", Command::AnswerLink { accepted: false }), Outcome::Done);
    let again = world.outcome("Anna", Command::AnswerLink { accepted: true });
    assert_eq!(again, Outcome::Failed(Failure::NoLink));
    let account = world.id("Anna");
    assert_eq!(world.server.shared(account).place(), (0, 1));
}

#[test]
fn recovery_key_brings_an_account_back_with_its_storage_key() {
    let mut world = world();
    let (kofi, key) = (world.id("Kofi"), world.recovery_key("Anna"));
    world.outcome("Anna", Command::SafetyNumber { account: kofi });
    world.outcome("Anna", Command::Verify { account: kofi, verified: true });
    let confirmed = world.outcome("Anna", Command::ConfirmRecoveryKey { key: key.clone() });
    assert_eq!(confirmed, Outcome::Done);
    let again = world.outcome("Anna", Command::RecoveryKey);
    assert_eq!(again, Outcome::Failed(Failure::NoRecoveryKey), "it was wiped");
    world.pass(A_WHILE);
    world.cut("Anna");
    world.is_cut = true;
    world.pass(Duration::from_secs(1));
    world.people.remove("Anna");
    world.is_cut = false;

    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    let wrong = RecoveryKey::new([1; 32], &[2; 32]);
    let refused = world.outcome("phone", Command::Recover { key: wrong });
    assert_eq!(refused, Outcome::Failed(Failure::RecoveryKeyWrong));
    let typed: RecoveryKey = key.to_text().to_uppercase().parse().expect("a key");
    assert_eq!(world.outcome("phone", Command::Recover { key: typed }), Outcome::Done);
    world.pass(A_WHILE);
    assert_eq!(world.listing("phone"), Listing::Listed);
    assert!(world.verified("phone", kofi), "the account log opens");
    let kept = world.outcome("phone", Command::RecoveryKey);
    assert_eq!(kept, Outcome::Failed(Failure::NoRecoveryKey), "it is on paper");
}

#[test]
fn new_identity_is_told_to_contacts_and_is_verified_by_nobody() {
    let mut world = world();
    let anna = world.id("Anna");
    let Outcome::SafetyNumber { number, .. } =
        world.outcome("Kofi", Command::SafetyNumber { account: anna })
    else {
        panic!("a safety number")
    };
    world.outcome("Kofi", Command::Verify { account: anna, verified: true });
    assert!(world.verified("Kofi", anna));

    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    assert_eq!(world.outcome("phone", Command::BeginAnew), Outcome::Done);
    world.pass(A_WHILE);
    assert_eq!(world.listing("phone"), Listing::Listed);
    assert!(world.notices_of("Kofi").contains(&Notice::IdentityChanged { account: anna }));
    let Outcome::SafetyNumber { number: new, verified } =
        world.outcome("Kofi", Command::SafetyNumber { account: anna })
    else {
        panic!("a safety number")
    };
    assert!(new != number && !verified);
    assert!(world.notices_of("Anna").contains(&Notice::SignedOut));
    world.recovery_key("phone");
}

#[test]
fn safety_number_is_the_same_from_both_sides_and_its_mark_is_shared() {
    let mut world = world();
    let (anna, kofi) = (world.id("Anna"), world.id("Kofi"));
    let of_anna = world.outcome("Anna", Command::SafetyNumber { account: kofi });
    let of_kofi = world.outcome("Kofi", Command::SafetyNumber { account: anna });
    assert_eq!(of_anna, of_kofi);
    world.outcome("Anna", Command::Verify { account: kofi, verified: true });
    world.restart_client("Anna");
    world.pass(A_WHILE);
    assert!(world.verified("Anna", kofi));
    world.linked("phone");
    assert!(world.verified("phone", kofi));
    world.outcome("phone", Command::Verify { account: kofi, verified: false });
    world.pass(A_WHILE);
    assert!(!world.verified("Anna", kofi));
}

#[test]
fn person_without_a_device_list_has_no_safety_number() {
    let mut world = world();
    let nobody = AccountId::from_bytes([77; 16]);
    let none = world.outcome("Anna", Command::SafetyNumber { account: nobody });
    assert_eq!(none, Outcome::Failed(Failure::NoDeviceList));
}

#[test]
fn revoked_device_is_out_of_the_list_and_cannot_read_what_is_shared_from_then_on() {
    let mut world = world();
    let (anna, kofi) = (world.id("Anna"), world.id("Kofi"));
    world.linked("phone");
    let phone = world.person("phone").device();
    let ring = Bytes::from_static(b"tidings key ring v1");
    let (before, values) = {
        let shared = world.server.shared(anna);
        (shared.values[&ring].2.clone(), shared.values.keys().cloned().collect::<Vec<_>>())
    };
    world.outcome("Anna", Command::SafetyNumber { account: kofi });
    world.outcome("Anna", Command::Verify { account: kofi, verified: true });
    world.pass(A_WHILE);
    assert_eq!(world.outcome("Anna", Command::RevokeDevice { device: phone }), Outcome::Done);
    world.pass(A_WHILE);
    assert!(world.notices_of("phone").contains(&Notice::SignedOut));
    let shared = world.server.shared(anna);
    assert_ne!(shared.values[&ring].2, before, "there is another storage key");
    let stale =
        values.iter().filter(|key| **key != ring).all(|key| shared.values[key].2.is_empty());
    assert!(stale, "what stood under the former one is dropped");
    let fresh = shared.values.iter().filter(|(_, (_, _, value))| !value.is_empty()).count();
    assert_eq!(fresh, 2, "the ring, and Kofi's mark under the new key");
}

#[test]
fn device_that_is_not_in_the_list_any_more_signs_itself_out_and_says_why() {
    let mut world = world();
    world.linked("phone");
    let phone = world.person("phone").device();
    world.server.faults.keeps_tokens = true;
    world.outcome("Anna", Command::RevokeDevice { device: phone });
    world.pass(A_WHILE);
    let notices = world.notices_of("phone");
    assert!(notices.contains(&Notice::RemovedFromDeviceList), "{notices:?}");
    assert!(notices.contains(&Notice::SignedOut));
}

/// What Anna's devices have to agree about in the end.
fn shared_by(world: &mut World, name: &str, contacts: &[AccountId]) -> (Vec<bool>, Vec<Seq>) {
    let verified = contacts.iter().map(|contact| world.verified(name, *contact)).collect();
    let mut rows = world.people[name].database.conversations().expect("rows");
    rows.sort_by_key(|row| row.conversation);
    (verified, rows.into_iter().map(|row| row.read).collect())
}

#[test]
fn devices_of_an_account_agree_in_the_end_whatever_fails() {
    for seed in 0..12 {
        let mut world = World::with_people(seed, &["Anna", "Kofi", "Lea"]);
        world.pass(A_WHILE);
        for name in ["phone", "tablet", "desk"] {
            world.linked(name);
        }
        let contacts = [world.id("Kofi"), world.id("Lea")];
        for contact in contacts {
            for name in ["Anna", "phone", "tablet", "desk"] {
                world.outcome(name, Command::SafetyNumber { account: contact });
            }
        }
        let conversation = world.group("trip", &["Kofi", "Anna"]);
        let (desk, mut revoked) = (world.person("desk").device(), false);
        for turn in 0..150 {
            let names = world.names();
            let name = names[world.dice.below(names.len())].clone();
            let account = contacts[world.dice.below(2)];
            match world.dice.below(12) {
                0 => world.cut(&name),
                1 => world.restart_client(&name),
                2 => world.person(&name).database.is_full = true,
                3 if world.listing(&name) == Listing::Listed => {
                    let verified = world.dice.one_in(2);
                    world.command(&name, Command::Verify { account, verified });
                }
                4 => {
                    let text = "on we go".to_owned();
                    let send = Send { conversation, message_id: None, text, reply_to: None };
                    world.command("Kofi", Command::Send(send));
                }
                5 => {
                    let of = world.people[&name].list.iter().map(|of| of.head).max();
                    let up_to = of.unwrap_or(Seq::ZERO);
                    world.command(&name, Command::MarkRead { conversation, up_to });
                }
                6 if turn > 75 && !revoked => {
                    revoked = true;
                    world.command("phone", Command::RevokeDevice { device: desk });
                }
                _ => {
                    world.deliver_to_server(&name);
                    world.deliver_to_client(&name);
                }
            }
            world.advance(Duration::from_millis(300));
        }
        for name in world.names() {
            world.person(&name).database.is_full = false;
        }
        world.pass(Duration::from_secs(200));
        let anna = shared_by(&mut world, "Anna", &contacts);
        for name in ["phone", "tablet"] {
            assert_eq!(world.listing(name), Listing::Listed, "seed {seed}");
            assert_eq!(shared_by(&mut world, name, &contacts), anna, "seed {seed}: {name}");
        }
    }
}

#[test]
fn device_that_signs_out_takes_itself_out_of_the_list() {
    let mut world = world();
    world.linked("phone");
    world.outcome("phone", Command::SignOut(Unsent::Keep));
    world.pass(A_WHILE);
    let anna = world.id("Anna");
    let entries = world.server.shared(anna).lists[0].clone();
    let list = DeviceList::verify(anna, &entries).expect("a valid list");
    assert_eq!(list.devices().count(), 1);
    assert_eq!(world.listing("Anna"), Listing::Listed);
}

#[test]
fn server_that_lost_entries_of_a_list_gets_them_back() {
    let mut world = world();
    let anna = world.id("Anna");
    world.linked("phone");
    let whole = world.server.shared(anna).lists.clone();
    for keep in [1, 0] {
        world.server.shared(anna).lists[0].truncate(keep);
        if keep == 0 {
            world.server.shared(anna).lists.clear();
        }
        world.restart_server();
        world.pass(A_WHILE);
        assert_eq!(world.server.shared(anna).lists, whole);
    }
}

#[test]
fn shorter_or_forked_list_of_a_contact_is_refused_aloud() {
    let mut world = world();
    let (anna, kofi) = (world.id("Anna"), world.id("Kofi"));
    world.linked("phone");
    let number = world.outcome("Kofi", Command::SafetyNumber { account: anna });
    world.pass(A_WHILE);
    let true_list = world.server.shared(anna).lists.clone();

    let ghost = forged(anna, 2);
    world.server.shared(anna).lists = vec![ghost];
    world.server.tell_list(anna, 0, 3);
    world.pass(A_WHILE);
    assert!(refused_list(world.notices_of("Kofi"), anna));
    assert!(refused_list(world.notices_of("Anna"), anna), "it is her own");
    assert_eq!(world.outcome("Kofi", Command::SafetyNumber { account: anna }), number);

    world.server.shared(anna).lists = true_list;
    world.server.shared(anna).lists[0].truncate(1);
    world.person("Kofi").notices.clear();
    world.restart_client("Kofi");
    world.pass(A_WHILE);
    world.server.tell_list(anna, 0, 9);
    world.pass(A_WHILE);
    assert!(refused_list(world.notices_of("Kofi"), anna), "it ends too early");
    assert!(!refused_list(world.notices_of("Kofi"), kofi));
}

/// A list that somebody else has made for an account.
fn forged(account: AccountId, entries: usize) -> Vec<Bytes> {
    let (key, recovery) = (SecretKey::from_seed(&[66; 32]), SecretKey::from_seed(&[67; 32]));
    let (device, now) = (DeviceId::from_bytes([66; 16]), Timestamp::from_millis(0));
    let mut list = DeviceList::found(account, device, &key, recovery.public(), now);
    for number in 1..=entries as u8 {
        let added = SecretKey::from_seed(&[67 + number; 32]).public();
        let device = DeviceId::from_bytes([66 + number; 16]);
        list.add_device(&key, device, added, now).expect("a device is added");
    }
    list.entries().to_vec()
}

#[test]
fn new_device_believes_no_list_that_no_person_has_vouched_for() {
    let mut world = world();
    let (anna, key) = (world.id("Anna"), world.recovery_key("Anna"));
    world.add_device("Anna", "phone");
    world.pass(A_WHILE);
    // The server makes a list of its own with the true recovery key in it.
    let recovery = SecretKey::from_seed(key.seed()).public();
    let (ghost, now) = (SecretKey::from_seed(&[66; 32]), Timestamp::from_millis(0));
    let device = DeviceId::from_bytes([66; 16]);
    let list = DeviceList::found(anna, device, &ghost, recovery, now);
    world.people.remove("Anna");
    world.people.remove("phone");
    world.server.shared(anna).lists = vec![list.entries().to_vec()];
    world.add_device("Anna", "tablet");
    world.pass(A_WHILE);
    let refused = world.outcome("tablet", Command::Recover { key });
    assert_eq!(refused, Outcome::Failed(Failure::RecoveryKeyWrong));
    assert_eq!(world.listing("tablet"), Listing::Unlisted);
}

#[test]
fn devices_share_what_was_read_whatever_the_server_says_of_receipts() {
    let mut world = world();
    world.linked("phone");
    let conversation = world.group("trip", &["Kofi", "Anna"]);
    for number in 1..=4 {
        world.say("Kofi", conversation, &format!("line {number}"));
    }
    world.calm();
    world.outcome("Anna", Command::SetReadReceipts { sent: false });
    let head = world.people["Anna"].list[0].head;
    world.command("Anna", Command::MarkRead { conversation, up_to: head });
    world.pass(A_WHILE);
    assert_eq!(world.people["phone"].list[0].unread, 0, "it was read on the other device");
    let members = world.outcome("Kofi", Command::Members { conversation });
    let Outcome::Members(members) = members else { panic!("{members:?}") };
    let anna = world.id("Anna");
    let of_anna = members.iter().find(|member| member.profile.account == anna).expect("a member");
    assert_eq!((of_anna.read, of_anna.delivered), (Seq::ZERO, head), "and told to nobody");
}

#[test]
fn drafts_of_two_devices_are_both_kept() {
    let mut world = world();
    world.linked("phone");
    let conversation = world.group("trip", &["Anna", "Kofi"]);
    world.pass(A_WHILE);
    world.cut("phone");
    world.is_cut = true;
    world.write_draft("phone", conversation, "from the phone");
    world.write_draft("Anna", conversation, "from the laptop");
    world.pass(Duration::from_secs(2));
    world.is_cut = false;
    world.pass(Duration::from_secs(90));
    assert_eq!(world.draft("Anna", conversation), "from the laptop");
    assert_eq!(world.draft("phone", conversation), "from the phone");
}

#[test]
fn draft_goes_on_where_nothing_else_is_being_written_and_is_handed_over() {
    let mut world = world();
    world.linked("phone");
    let conversation = world.group("trip", &["Anna", "Kofi"]);
    world.pass(A_WHILE);
    world.write_draft("Anna", conversation, "we meet");
    world.pass(A_WHILE);
    assert_eq!(world.draft("phone", conversation), "we meet");
    world.write_draft("Anna", conversation, "we meet at");
    world.pass(A_WHILE);
    assert_eq!(world.draft("phone", conversation), "we meet at", "it follows");

    world.write_draft("phone", conversation, "we meet at nine");
    world.pass(A_WHILE);
    assert_eq!(world.draft("Anna", conversation), "we meet at nine", "it was handed over");
    world.command("phone", Command::SendDraft { conversation });
    world.pass(A_WHILE);
    assert_eq!(world.draft("phone", conversation), "");
    assert_eq!(world.draft("Anna", conversation), "", "it was sent");
}

#[test]
fn hiding_hides_the_accounts_devices() {
    let mut world = world();
    world.linked("phone");
    let anna = world.id("Anna");
    world.command("phone", Command::SetPresence { hidden: true });
    world.pass(A_WHILE);
    assert!(!world.server.is_online(anna));
    world.command("Anna", Command::SetPresence { hidden: false });
    world.pass(A_WHILE);
    assert!(world.server.is_online(anna));
}

#[test]
fn account_log_that_went_back_with_the_server_is_filled_again() {
    let mut world = world();
    let (anna, kofi) = (world.id("Anna"), world.id("Kofi"));
    world.outcome("Anna", Command::SafetyNumber { account: kofi });
    world.outcome("Anna", Command::Verify { account: kofi, verified: true });
    world.pass(A_WHILE);
    let lists = world.server.shared(anna).lists.clone();
    *world.server.shared(anna) = Default::default();
    world.server.shared(anna).lists = lists;
    world.restart_server();
    world.pass(A_WHILE);
    assert_eq!(world.server.shared(anna).values.len(), 2, "the ring, and Kofi's mark");
}
