//! An independent implementation (OpenMLS) as a member: it reads ours, and ours reads it.

use bytes::Bytes;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, ExtensionType,
    KeyPackage as OpenMlsKeyPackage, Lifetime, MIXED_PLAINTEXT_WIRE_FORMAT_POLICY, MlsGroup,
    MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider,
    ProcessedMessageContent, RatchetTreeIn, SignatureScheme, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use tidings_model::MessageId;
use tidings_protocol_mls::DeviceIdentity;
use tidings_protocol_mls::roles::ROLES_EXTENSION;

use super::world::*;
use crate::padding::{pad, unpad};
use crate::*;

/// A device that runs OpenMLS.
struct Stranger {
    identity: DeviceIdentity,
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
}

impl Stranger {
    fn new(owner: u8, number: u8) -> Self {
        let private = secret(number).seed().to_vec();
        let public = secret(number).public().as_bytes().to_vec();
        Self {
            identity: identity(owner, number),
            provider: OpenMlsRustCrypto::default(),
            signer: SignatureKeyPair::from_raw(SignatureScheme::ED25519, private, public),
        }
    }

    fn key_package(&self) -> Bytes {
        let roles = ExtensionType::from(ROLES_EXTENSION);
        let capabilities = Capabilities::builder().extensions(vec![roles]).build();
        let credential = BasicCredential::new(self.identity.to_bytes().to_vec());
        let credential = CredentialWithKey {
            credential: credential.into(),
            signature_key: self.signer.public().into(),
        };
        let suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
        let now = NOW.as_millis().unsigned_abs() / 1_000;
        let made = OpenMlsKeyPackage::builder()
            .key_package_lifetime(Lifetime::init(now - 3_600, now + 3_600))
            .leaf_node_capabilities(capabilities)
            .build(suite, &self.provider, &self.signer, credential)
            .unwrap();
        let message = MlsMessageOut::from(made.key_package().clone());
        message.tls_serialize_detached().unwrap().into()
    }

    fn join(&self, server: &Server) -> MlsGroup {
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let (invitation, _) = &server.invitations[&self.identity];
        let message = MlsMessageIn::tls_deserialize_exact(&invitation.welcome[..]).unwrap();
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { panic!("no Welcome") };
        let tree = RatchetTreeIn::tls_deserialize_exact(&invitation.tree[..]).unwrap();
        // It would hold the leaves' lifetimes against the real clock.
        StagedWelcome::build_from_welcome(&self.provider, &config, welcome)
            .unwrap()
            .with_ratchet_tree(tree)
            .skip_lifetime_validation()
            .build()
            .unwrap()
            .into_group(&self.provider)
            .unwrap()
    }

    /// Reads an entry: the text of a message, or nothing for a Commit, which is merged.
    fn read(&self, group: &mut MlsGroup, entry: &Stored) -> Option<String> {
        let message = MlsMessageIn::tls_deserialize_exact(&entry.payload[..]).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        assert_eq!(processed.aad(), entry.message_id.as_bytes());
        assert_eq!(processed.credential().serialized_content(), entry.sender.to_bytes());
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                let bucket = message.into_bytes();
                Some(String::from_utf8(unpad(&bucket).unwrap().to_vec()).unwrap())
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&self.provider, *commit).unwrap();
                None
            }
            other => panic!("{other:?}"),
        }
    }

    fn say(&self, group: &mut MlsGroup, server: &mut Server, id: u8, text: &str) {
        let message_id = MessageId::from_bytes([id; 16]);
        group.set_aad(message_id.as_bytes().to_vec());
        let bucket = pad(text.as_bytes()).unwrap();
        let message = group.create_message(&self.provider, &self.signer, &bucket).unwrap();
        let payload = message.tls_serialize_detached().unwrap().into();
        let sealed = Sealed { message_id, epoch: group.epoch().as_u64(), payload };
        server.post_message(self.identity, &sealed).unwrap();
    }

    fn refresh(&self, group: &mut MlsGroup, server: &mut Server, id: u8) {
        let message_id = MessageId::from_bytes([id; 16]);
        group.set_aad(message_id.as_bytes().to_vec());
        let bundle = group.self_update(&self.provider, &self.signer, Default::default()).unwrap();
        let commit = bundle.commit().tls_serialize_detached().unwrap().into();
        group.merge_pending_commit(&self.provider).unwrap();
        let info = group.export_group_info(self.provider.crypto(), &self.signer, false).unwrap();
        let info = info.tls_serialize_detached().unwrap().into();
        server.post_handshake(self.identity, message_id, &commit, &info).unwrap();
    }
}

#[test]
fn conversation_of_ours_is_read_and_written_by_another_implementation() {
    let (lists, mut server, mut people) = group_of(2);
    found_account(&lists, 3);
    let stranger = Stranger::new(3, 3);
    let key_package = stranger.key_package();
    people[0].perform(&mut server, 1, &[Intent::Add { key_package }]);
    let mut group = stranger.join(&server);
    people[1].read(&server);

    people[1].say(&mut server, 2, "can you read this?");
    let text = stranger.read(&mut group, server.log.last().unwrap());
    assert_eq!(text.as_deref(), Some("can you read this?"));
    stranger.say(&mut group, &mut server, 3, "every word");
    people[0].perform(&mut server, 4, &[Intent::Refresh]);
    assert_eq!(stranger.read(&mut group, server.log.last().unwrap()), None);
    link_device(&lists, 2, 20);
    let mut tablet = Member::new(&lists, 2, 20);
    tablet.cursor = server.log.len() as u64;
    tablet.rejoin(&mut server, 5).unwrap();
    tablet.read(&server);
    assert_eq!(stranger.read(&mut group, server.log.last().unwrap()), None);
    people[0].read(&server);
    people[0].say(&mut server, 6, "and in a later epoch?");
    let text = stranger.read(&mut group, server.log.last().unwrap());
    assert_eq!(text.as_deref(), Some("and in a later epoch?"));

    stranger.refresh(&mut group, &mut server, 7);
    stranger.say(&mut group, &mut server, 8, "and from a Commit of mine on");
    for member in &mut people {
        assert_eq!(member.read(&server), None);
        let texts = member.texts();
        assert!(texts.contains(&"every word"));
        assert!(texts.contains(&"and from a Commit of mine on"));
    }
    tablet.read(&server);
    let ours = people[0].group().epoch_authenticator().unwrap();
    assert_eq!(group.epoch_authenticator().as_slice(), ours);
}
