//! What members and servers do that they should not.

use bytes::Bytes;
use mls_rs::client_builder::ClientBuilder;
use mls_rs::extension::ExtensionType;
use mls_rs::group::ExportedTree;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::{CipherSuite, ExtensionList, MlsMessage};
use mls_rs_core::crypto::{SignaturePublicKey, SignatureSecretKey};
use tidings_model::{MessageId, Role};
use tidings_protocol_mls::roles::ROLES_EXTENSION;
use tidings_protocol_mls::{CommitRefusal, DeviceIdentity, Observer, ObserverError, Roles};

use super::world::*;
use crate::library::crypto;
use crate::mls::roles_extension;
use crate::*;

const ID: MessageId = MessageId::from_bytes([0xee; 16]);

/// A device with a client that keeps none of our rules.
struct Rogue {
    identity: DeviceIdentity,
    client: mls_rs::Client<Config>,
}

type Config = mls_rs::client_builder::WithMlsRules<
    DefaultMlsRules,
    mls_rs::client_builder::WithIdentityProvider<
        BasicIdentityProvider,
        mls_rs::client_builder::WithCryptoProvider<
            mls_rs_crypto_rustcrypto::RustCryptoProvider,
            mls_rs::client_builder::BaseConfig,
        >,
    >,
>;

impl Rogue {
    fn new(owner: u8, number: u8, encrypts_commits: bool) -> Self {
        let identity = identity(owner, number);
        let credential = BasicCredential::new(identity.to_bytes().to_vec()).into_credential();
        let public = SignaturePublicKey::from(secret(number).public().as_bytes().to_vec());
        let signer = SignatureSecretKey::from(secret(number).to_keypair_bytes().to_vec());
        let options = CommitOptions::new()
            .with_ratchet_tree_extension(false)
            .with_allow_external_commit(true)
            .with_always_out_of_band_ratchet_tree(true);
        let encryption = EncryptionOptions::new(encrypts_commits, Default::default());
        let rules =
            DefaultMlsRules::new().with_commit_options(options).with_encryption_options(encryption);
        let suite = CipherSuite::CURVE25519_AES128;
        let client = ClientBuilder::new()
            .crypto_provider(crypto())
            .identity_provider(BasicIdentityProvider::new())
            .mls_rules(rules)
            .extension_type(ExtensionType::new(ROLES_EXTENSION))
            .signing_identity(SigningIdentity::new(credential, public), signer, suite)
            .build();
        Self { identity, client }
    }

    fn key_package(&self) -> Bytes {
        let none = ExtensionList::new();
        let message = self.client.generate_key_package_message(none.clone(), none, None).unwrap();
        message.to_bytes().unwrap().into()
    }

    fn join(&self, server: &Server) -> mls_rs::Group<Config> {
        let (invitation, _) = &server.invitations[&self.identity];
        let tree = ExportedTree::from_bytes(&invitation.tree).unwrap();
        let welcome = MlsMessage::from_bytes(&invitation.welcome).unwrap();
        self.client.join_group(Some(tree), &welcome, None).unwrap().0
    }
}

/// Anna (1) and Kofi (2) with a rogue member (3).
fn with_rogue(
    encrypts_commits: bool,
) -> (Lists, Server, Vec<Member>, Rogue, mls_rs::Group<Config>) {
    let (lists, mut server, mut people) = group_of(2);
    found_account(&lists, 3);
    let rogue = Rogue::new(3, 3, encrypts_commits);
    let key_package = rogue.key_package();
    people[0].perform(&mut server, 1, &[Intent::Add { key_package }]);
    people[1].read(&server);
    let group = rogue.join(&server);
    (lists, server, people, rogue, group)
}

/// Posts a Commit as an honest server does, and then as one that lets everything pass. Returns both
/// answers: the observer's, and Kofi's.
fn post(
    server: &mut Server,
    people: &mut [Member],
    rogue: DeviceIdentity,
    output: &mls_rs::group::CommitOutput,
) -> (ObserverError, StopReason) {
    let commit = Bytes::from(output.commit_message.to_bytes().unwrap());
    let info = output.external_commit_group_info.as_ref().unwrap().to_bytes().unwrap();
    let refused = server.post_handshake(rogue, ID, &commit, &info.into()).unwrap_err();
    server.append(rogue, ID, EntryKind::Commit, commit);
    let stop = people[1].read(server).expect("Kofi refuses it");
    server.log.pop();
    (refused, stop.reason)
}

fn still_talk(server: &mut Server, people: &mut [Member]) {
    people[0].say(server, 77, "still here");
    people[1].read(server);
    assert_eq!(people[1].texts().last(), Some(&"still here"));
}

#[test]
fn member_that_makes_itself_an_owner_is_refused_by_server_and_members_and_the_group_works_on() {
    let (_, mut server, mut people, rogue, mut group) = with_rogue(false);
    let mut roles = server.observer.roles().clone();
    roles.version += 1;
    roles.named.insert(account(3), Role::Owner);
    let output = group
        .commit_builder()
        .authenticated_data(ID.as_bytes().to_vec())
        .set_group_context_ext(roles_extension(&roles))
        .unwrap()
        .build()
        .unwrap();
    let (by_server, by_kofi) = post(&mut server, &mut people, rogue.identity, &output);
    let refusal = CommitRefusal::RoleChangeNotAllowed { account: account(3) };
    assert!(matches!(by_server, ObserverError::Refused(refused) if refused == refusal));
    assert_eq!(by_kofi, StopReason::Refused(refusal));
    still_talk(&mut server, &mut people);
}

#[test]
fn member_that_throws_another_out_is_refused() {
    let (_, mut server, mut people, rogue, mut group) = with_rogue(false);
    let builder = group.commit_builder().authenticated_data(ID.as_bytes().to_vec());
    let output = builder.remove_member(0).unwrap().build().unwrap();
    let (by_server, by_kofi) = post(&mut server, &mut people, rogue.identity, &output);
    assert!(matches!(
        by_server,
        ObserverError::Refused(CommitRefusal::LeafRemovalNotAllowed { .. })
    ));
    let StopReason::ListsNeeded { accounts, .. } = by_kofi else { panic!("{by_kofi:?}") };
    assert_eq!(accounts, [account(1)]);
    still_talk(&mut server, &mut people);
}

#[test]
fn ghost_device_is_refused_by_server_and_members() {
    let (_, mut server, mut people, rogue, mut group) = with_rogue(false);
    let ghost = Rogue::new(1, 66, false);
    let message = MlsMessage::from_bytes(&ghost.key_package()).unwrap();
    let builder = group.commit_builder().authenticated_data(ID.as_bytes().to_vec());
    let output = builder.add_member(message).unwrap().build().unwrap();
    let (by_server, by_kofi) = post(&mut server, &mut people, rogue.identity, &output);
    let refusal = CommitRefusal::NotCovered { device: ghost.identity };
    assert!(matches!(&by_server, ObserverError::Refused(refused) if *refused == refusal));
    assert_eq!(by_kofi, StopReason::ListsNeeded { accounts: vec![account(1)], refusal });
    still_talk(&mut server, &mut people);
}

#[test]
fn ghost_device_does_not_come_in_by_itself() {
    let (_, mut server, mut people, ..) = with_rogue(false);
    let ghost = Rogue::new(1, 66, false);
    let offer = server.offer();
    let (_, commit) = ghost
        .client
        .external_commit_builder()
        .unwrap()
        .with_tree_data(ExportedTree::from_bytes(&offer.tree).unwrap())
        .with_authenticated_data(ID.as_bytes().to_vec())
        .build(MlsMessage::from_bytes(&offer.group_info).unwrap())
        .unwrap();
    let commit = Bytes::from(commit.to_bytes().unwrap());
    let refused = server.post_handshake(ghost.identity, ID, &commit, &offer.group_info);
    assert!(matches!(refused, Err(ObserverError::Refused(CommitRefusal::NotCovered { .. }))));
    server.append(ghost.identity, ID, EntryKind::Commit, commit);
    let stop = people[1].read(&server).unwrap();
    assert!(matches!(stop.reason, StopReason::ListsNeeded { .. }));
    server.log.pop();
    still_talk(&mut server, &mut people);
}

#[test]
fn commit_that_the_server_cannot_read_is_refused() {
    let (_, mut server, mut people, rogue, mut group) = with_rogue(true);
    let output = group.commit(ID.as_bytes().to_vec()).unwrap();
    let commit = Bytes::from(output.commit_message.to_bytes().unwrap());
    let info = Bytes::from(output.external_commit_group_info.unwrap().to_bytes().unwrap());
    let refused = server.post_handshake(rogue.identity, ID, &commit, &info);
    assert!(matches!(refused, Err(ObserverError::NotACommit)));
    still_talk(&mut server, &mut people);
}

#[test]
fn commit_under_a_false_name_id_or_group_info_is_refused() {
    let (_, mut server, mut people) = group_of(2);
    let pending = people[0].build(1, &[Intent::Refresh]).unwrap();
    let kofi = people[1].identity();
    let id = pending.message_id;
    let by_kofi = server.post_handshake(kofi, id, &pending.commit, &pending.group_info);
    assert!(matches!(by_kofi, Err(ObserverError::OtherSender)));
    let anna = people[0].identity();
    let other_id = server.post_handshake(anna, ID, &pending.commit, &pending.group_info);
    assert!(matches!(other_id, Err(ObserverError::OtherMessageId)));
    let old_info = server.observer.group_info().unwrap().clone();
    let with_old = server.post_handshake(anna, id, &pending.commit, &old_info);
    assert!(matches!(with_old, Err(ObserverError::GroupInfoWrong)));
    let mut other = people[1].build(2, &[Intent::Refresh]).unwrap();
    std::mem::swap(&mut other.group_info, &mut people[0].rows.pending.as_mut().unwrap().group_info);
    let with_others = server.post_commit(kofi, &other);
    assert!(matches!(with_others, Err(ObserverError::GroupInfoWrong)));
    server.post_commit(anna, &pending).unwrap();
}

#[test]
fn message_copied_under_another_name_or_id_is_noticed_and_harms_nothing() {
    let (_, mut server, mut people) = group_of(3);
    let (anna, mina) = (people[0].identity(), people[2].identity());
    let sealed = people[0].seal(1, "from Anna");
    server.append(mina, sealed.message_id, EntryKind::Message, sealed.payload.clone());
    server.append(anna, ID, EntryKind::Message, sealed.payload.clone());
    server.append(anna, sealed.message_id, EntryKind::Commit, sealed.payload.clone());
    server.post_message(anna, &sealed).unwrap();
    people[1].read(&server);
    assert_eq!(
        people[1].taken,
        [
            Taken::Unreadable(Unreadable::Relabelled),
            Taken::Unreadable(Unreadable::Relabelled),
            Taken::Unreadable(Unreadable::Elsewhere),
            Taken::Message { content: Bytes::from_static(b"from Anna") },
        ]
    );
}

#[test]
fn damaged_message_costs_itself_and_no_other() {
    let (_, mut server, mut people) = group_of(2);
    let anna = people[0].identity();
    people[0].say(&mut server, 1, "one");
    let sealed = people[0].seal(2, "two");
    for position in [60, sealed.payload.len() / 2, sealed.payload.len() - 1] {
        let mut damaged = sealed.payload.to_vec();
        damaged[position] ^= 1;
        server.append(anna, sealed.message_id, EntryKind::Message, damaged.into());
    }
    server.post_message(anna, &sealed).unwrap();
    server.post_message(anna, &sealed).unwrap();
    people[0].say(&mut server, 3, "three");
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["one", "two", "three"]);
    let undecryptable = Taken::Unreadable(Unreadable::Undecryptable);
    assert_eq!(people[1].taken.iter().filter(|taken| **taken == undecryptable).count(), 4);
}

#[test]
fn message_of_another_epoch_that_the_server_let_pass_is_named() {
    let (_, mut server, mut people) = group_of(2);
    let sealed = people[0].seal(1, "too late");
    people[1].perform(&mut server, 2, &[Intent::Refresh]);
    server.append(people[0].identity(), sealed.message_id, EntryKind::Message, sealed.payload);
    people[1].read(&server);
    let expected = Taken::Unreadable(Unreadable::OtherEpoch { entry: 1, group: 2 });
    assert_eq!(people[1].taken.last(), Some(&expected));
}

#[test]
fn member_that_pads_wrongly_costs_its_message_only() {
    let (_, mut server, mut people, rogue, mut group) = with_rogue(false);
    let sealed = group.encrypt_application_message(b"no bucket", ID.as_bytes().to_vec()).unwrap();
    server.append(rogue.identity, ID, EntryKind::Message, sealed.to_bytes().unwrap().into());
    people[1].read(&server);
    assert_eq!(people[1].taken.last(), Some(&Taken::Unreadable(Unreadable::Malformed)));
    still_talk(&mut server, &mut people);
}

/// A Commit that only the server's checks pass: its path is garbage for the others.
#[test]
fn commit_with_garbage_for_the_members_stops_them_and_is_told_from_a_refused_one() {
    let (_, mut server, mut people) = group_of(3);
    let pending = people[0].build(1, &[Intent::Refresh]).unwrap();
    // Flips a byte of the membership tag, which the server cannot check.
    let mut commit = pending.commit.to_vec();
    let last = commit.len() - 1;
    commit[last] ^= 1;
    let commit = Bytes::from(commit);
    let (anna, id) = (people[0].identity(), pending.message_id);
    server.post_handshake(anna, id, &commit, &pending.group_info).unwrap();
    let stop = people[1].read(&server).unwrap();
    assert!(matches!(stop.reason, StopReason::Broken(_)));
    let again = people[1].read(&server).unwrap();
    assert_eq!(again, stop);
}

#[test]
fn offer_of_another_group_tree_or_leave_is_refused() {
    let (lists, server, people) = group_of(3);
    let fresh = || people[2].mls.load(GroupRows::absent(GROUP)).unwrap();
    let offer = server.offer();
    let mut elsewhere = Member::new(&lists, 1, 1);
    let founded = elsewhere.found(&Roles::notes_to_self(account(1)), &lists).offer();
    assert!(matches!(fresh().rejoin(&founded, ID), Err(MlsError::OtherGroup)));
    let with_tree = Offer { tree: founded.tree.clone(), ..offer.clone() };
    assert!(matches!(fresh().rejoin(&with_tree, ID), Err(MlsError::Invalid(_))));
    let mut damaged = offer.group_info.to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let damaged = Offer { group_info: damaged.into(), ..offer.clone() };
    assert!(matches!(fresh().rejoin(&damaged, ID), Err(MlsError::Invalid(_))));
    let forged =
        tidings_protocol_mls::Leave { device: people[0].identity(), group: GROUP, epoch: 1 };
    let with_leave = Offer { left: vec![forged.sign(&secret(9))], ..offer.clone() };
    let step = fresh().rejoin(&with_leave, ID).unwrap();
    let rejoin = step.output;
    assert_eq!(rejoin.epoch, 1);
    let lists_of_nobody = Lists::default();
    let mls = Mls::new(people[2].identity(), secret(3), lists_of_nobody, Suite::Aes128);
    let refused = mls.load(GroupRows::absent(GROUP)).unwrap().rejoin(&offer, ID);
    assert_eq!(refused.unwrap_err().lists_to_fetch().len(), 3);
}

#[test]
fn stranger_founds_no_conversation_of_others() {
    let lists = Lists::default();
    for number in 1..=3 {
        found_account(&lists, number);
    }
    let roles = Roles::direct(account(1), account(2));
    let refused = mls(&lists, 3, 3).create_group(&roles, NOW);
    assert!(matches!(refused, Err(MlsError::Refused(CommitRefusal::NotAMember { .. }))));
    let rogue = Rogue::new(3, 3, false);
    let id = roles.group.to_bytes().to_vec();
    let extensions = roles_extension(&roles);
    let group =
        rogue.client.create_group_with_id(id, extensions, ExtensionList::new(), None).unwrap();
    let info = group.group_info_message_allowing_ext_commit(false).unwrap().to_bytes().unwrap();
    let tree = group.export_tree().to_bytes().unwrap();
    let refused = Observer::found(&rogue.identity, &info, &tree, lists.clone());
    assert!(matches!(refused, Err(ObserverError::Refused(CommitRefusal::AddNotAllowed { .. }))));
}

#[test]
fn state_with_the_tree_of_another_epoch_is_damaged_and_not_taken() {
    let (_, mut server, mut people) = group_of(2);
    let old = people[0].rows.clone();
    people[0].perform(&mut server, 1, &[Intent::Refresh]);
    let mixed = GroupRows { tree: old.tree, ..people[0].rows.clone() };
    assert!(matches!(people[0].mls.load(mixed), Err(MlsError::StateDamaged)));
    let without = GroupRows { tree: None, ..people[0].rows.clone() };
    assert!(matches!(people[0].mls.load(without), Err(MlsError::StateDamaged)));
}

#[test]
fn pending_commit_of_a_past_epoch_is_never_merged() {
    let (_, mut server, mut people) = group_of(2);
    let stale = people[0].build(1, &[Intent::Refresh]).unwrap();
    people[1].perform(&mut server, 2, &[Intent::Refresh]);
    people[0].read(&server);
    people[0].rows.pending = Some(stale.clone());
    server.append(people[0].identity(), stale.message_id, EntryKind::Commit, stale.commit);
    people[0].read(&server);
    assert_eq!(people[0].epoch(), Some(2));
    still_talk(&mut server, &mut people);
}

/// Bytes that were true once, with some of them changed: every reader survives them.
#[test]
fn changed_bytes_panic_nobody_and_harm_nothing() {
    let (_, mut server, mut people) = group_of(2);
    let pending = people[0].build(1, &[Intent::Refresh]).unwrap();
    let sealed = people[0].seal(2, "true");
    let anna = people[0].identity();
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..300 {
        let (kind, id, bytes) = match round % 2 {
            0 => (EntryKind::Commit, pending.message_id, &pending.commit),
            _ => (EntryKind::Message, sealed.message_id, &sealed.payload),
        };
        let mut bytes = bytes.to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] ^= random.u8(1..);
        }
        bytes.truncate(random.usize(1..=bytes.len()));
        let bytes = Bytes::from(bytes);
        let _ = server.observer.try_commit(&anna, id, &bytes, &pending.group_info);
        let _ = server.observer.try_commit(&anna, id, &pending.commit, &bytes);
        server.append(anna, id, kind, bytes);
        if people[1].read(&server).is_some() {
            server.log.pop();
        }
    }
    server.post_message(anna, &sealed).unwrap();
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["true"]);
}
