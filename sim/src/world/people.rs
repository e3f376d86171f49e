//! People: how they come into the world, and what they say.

use tidings_client_core::{
    Change, Client, Command, Listing, Notice, Outcome, Send, SignIn, SignUp,
};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Role};
use tidings_protocol_identity::{Password, ServerAddress, Transport, UserName};

use super::{Given, World};

impl World {
    /// Somebody signs up on a first device, which has their name.
    pub fn person(&mut self, name: &str) {
        self.people(&[name]);
    }

    /// Some people sign up at the same time.
    pub fn people(&mut self, names: &[&str]) {
        let given: Vec<Given> = names.iter().map(|name| self.begin_sign_up(name)).collect();
        for given in given {
            self.await_sign_in(&given);
        }
        self.run_until("a first session", |world| {
            let is_ready = |name: &&str| world.oracle.can_be_added(&world.node, world.device(name));
            world.is_quiet() && names.iter().all(is_ready)
        });
    }

    fn begin_sign_up(&mut self, name: &str) -> Given {
        self.add_device(name);
        self.device_mut(name).is_wanted = true;
        let sign_up = SignUp {
            server: address(),
            invite: None,
            user_name: UserName::parse(name).expect("a user name"),
            password: password_of(name),
            display_name: name.to_owned(),
            device_name: name.to_owned(),
        };
        self.command(name, Command::SignUp(Box::new(sign_up)))
    }

    /// Somebody signs in on a second device and links it with the first one. Gives its name.
    ///
    /// # Panics
    /// The devices do not come together.
    pub fn link(&mut self, person: &str) -> String {
        let device = self.unlinked(person);
        self.link_with(person, &device);
        self.until_quiet();
        device
    }

    /// Somebody signs in on a second device, which is not in their list. Gives its name.
    pub fn unlinked(&mut self, person: &str) -> String {
        self.further(person, &format!("{person}/2"))
    }

    /// Somebody signs in on a device of this name, which is not in their list. Gives the name.
    pub fn further(&mut self, person: &str, device: &str) -> String {
        self.sign_in(person, device);
        device.to_owned()
    }

    /// Links a signed-in device by another one that is in the list.
    ///
    /// # Panics
    /// The devices do not come together.
    pub fn link_with(&mut self, listed: &str, device: &str) {
        self.run_until("a look at the device list", |world| {
            let client = world.device(device).client.as_ref();
            client.is_some_and(|client| client.listing() == Listing::Unlisted)
        });
        let code = match self.outcome(device, Command::ShowLinkCode) {
            Outcome::LinkCode { code, .. } => code,
            other => panic!("{device} shows no code: {other:?}"),
        };
        let id = self.device_id(device);
        let proved = self.outcome(listed, Command::Link { device: id, code });
        assert!(matches!(proved, Outcome::LinkProved { .. }), "{device}: {proved:?}");
        let answer = self.outcome(listed, Command::AnswerLink { accepted: true });
        assert_eq!(answer, Outcome::Done, "{listed}");
        self.run_until("an offer", |world| {
            let is_offer = |notice: &Notice| matches!(notice, Notice::LinkOffered { .. });
            world.notices(device).iter().any(is_offer)
        });
        let answer = self.outcome(device, Command::AnswerLink { accepted: true });
        assert_eq!(answer, Outcome::Done, "{device}");
    }

    /// Gives a command and waits for its outcome.
    pub fn outcome(&mut self, device: &str, command: Command) -> Outcome {
        let given = self.command(device, command);
        self.run_until("an outcome", |world| !world.outcomes(&given).is_empty());
        self.outcomes(&given)[0].clone()
    }

    fn sign_in(&mut self, person: &str, device: &str) {
        self.add_device(device);
        self.device_mut(device).is_wanted = true;
        let sign_in = SignIn {
            server: address(),
            user_name: UserName::parse(person).expect("a user name"),
            password: password_of(person),
            device_name: device.to_owned(),
        };
        let given = self.command(device, Command::SignIn(Box::new(sign_in)));
        self.await_sign_in(&given);
    }

    fn await_sign_in(&mut self, given: &Given) {
        self.run_until("a sign-in", |world| !world.outcomes(given).is_empty());
        match self.outcomes(given) {
            [Outcome::SignedIn(_)] => {}
            other => panic!("{} is not signed in: {other:?}", given.device),
        }
        self.command(&given.device, Command::Connect);
    }

    /// Whose account a device belongs to.
    ///
    /// # Panics
    /// Nobody has signed in there.
    pub fn account_of(&self, device: &str) -> AccountId {
        self.device(device).account().expect("somebody is signed in")
    }

    /// A device's id.
    ///
    /// # Panics
    /// Nobody has signed in there.
    pub fn device_id(&self, device: &str) -> DeviceId {
        self.device(device).id().expect("somebody is signed in")
    }

    /// Begins a sealed conversation with somebody on a device, without waiting for the server.
    pub fn begin_direct(&mut self, device: &str, with: &str) -> ConversationId {
        let with = self.account_of(with);
        let given = self.command(device, Command::CreateDirect { with, open: false });
        self.queued(&given).0
    }

    /// Begins a conversation with somebody that the server can read, and waits until both have it.
    pub fn open_direct(&mut self, device: &str, with: &str) -> ConversationId {
        let with = self.account_of(with);
        let given = self.command(device, Command::CreateDirect { with, open: true });
        let (conversation, _) = self.queued(&given);
        self.until_quiet();
        conversation
    }

    /// Begins a sealed conversation, and waits until both have it.
    pub fn direct(&mut self, device: &str, with: &str) -> ConversationId {
        let conversation = self.begin_direct(device, with);
        self.until_quiet();
        conversation
    }

    /// Makes a sealed group with some people on a device, without waiting for the server.
    pub fn begin_group(&mut self, device: &str, name: &str, with: &[&str]) -> ConversationId {
        let members = with.iter().map(|whom| self.account_of(whom)).collect();
        let create = Command::CreateGroup { name: name.to_owned(), members, open: false };
        let given = self.command(device, create);
        self.queued(&given).0
    }

    /// Makes a group of some devices' people, whose owner is the first, and waits until all have it.
    pub fn group(&mut self, name: &str, devices: &[&str]) -> ConversationId {
        let conversation = self.begin_group(devices[0], name, &devices[1..]);
        self.until_quiet();
        conversation
    }

    /// Makes a group that the server can read, and waits until all have it.
    pub fn open_group(&mut self, name: &str, devices: &[&str]) -> ConversationId {
        let members = devices[1..].iter().map(|whom| self.account_of(whom)).collect();
        let create = Command::CreateGroup { name: name.to_owned(), members, open: true };
        let given = self.command(devices[0], create);
        let (conversation, _) = self.queued(&given);
        self.until_quiet();
        conversation
    }

    /// The conversations that a device knows.
    pub fn conversations(&self, device: &str) -> Vec<ConversationId> {
        let client = self.device(device).client.as_ref();
        let list = client.map_or(&[][..], Client::conversation_list);
        list.iter().map(|summary| summary.conversation).collect()
    }

    /// Whether a message stands in the server's log.
    pub fn is_accepted(&self, conversation: ConversationId, message_id: MessageId) -> bool {
        self.oracle.is_in_log(&self.node, conversation, message_id)
    }

    /// Brings somebody into a group.
    pub fn add(&mut self, device: &str, conversation: ConversationId, whom: &str) -> Given {
        let change = Change::Add(vec![self.account_of(whom)]);
        self.command(device, Command::Change { conversation, change })
    }

    /// Takes somebody out of a group.
    pub fn remove(&mut self, device: &str, conversation: ConversationId, whom: &str) -> Given {
        let change = Change::Remove(self.account_of(whom));
        self.command(device, Command::Change { conversation, change })
    }

    /// Makes somebody an administrator of a group.
    pub fn promote(&mut self, device: &str, conversation: ConversationId, whom: &str) -> Given {
        let change = Change::SetRole(self.account_of(whom), Role::Admin);
        self.command(device, Command::Change { conversation, change })
    }

    /// Gives a member of a group another role.
    pub fn set_role(
        &mut self,
        device: &str,
        conversation: ConversationId,
        whom: &str,
        role: Role,
    ) -> Given {
        let change = Change::SetRole(self.account_of(whom), role);
        self.command(device, Command::Change { conversation, change })
    }

    /// Leaves a group.
    pub fn leave(&mut self, device: &str, conversation: ConversationId) -> Given {
        self.command(device, Command::Change { conversation, change: Change::Leave })
    }

    /// Signs another device of the account out.
    pub fn revoke(&mut self, device: &str, other: &str) -> Given {
        let other = self.device_id(other);
        self.command(device, Command::RevokeDevice { device: other })
    }

    /// Somebody says something on a device.
    ///
    /// # Panics
    /// The device does not take it.
    pub fn say(&mut self, device: &str, conversation: ConversationId, text: &str) -> MessageId {
        self.try_say(device, conversation, text)
            .unwrap_or_else(|outcomes| panic!("{device} cannot say {text:?}: {outcomes:?}"))
    }

    /// Somebody says something on a device, if its program runs and takes it.
    ///
    /// # Errors
    /// What came of it instead.
    pub fn try_say(
        &mut self,
        device: &str,
        conversation: ConversationId,
        text: &str,
    ) -> Result<MessageId, Vec<Outcome>> {
        let text = text.to_owned();
        let message_id = self.next_message_id();
        // Noted before it is said: a program that dies behind its commit has said it.
        let at = self.index(device);
        self.oracle.note_saying(&self.devices[at], conversation, message_id, &text);
        let send = Send { conversation, message_id: Some(message_id), text, reply_to: None };
        let given = self.command(device, Command::Send(send));
        if self.oracle.note_said(&self.devices[at], message_id) {
            return Ok(message_id);
        }
        Err(self.outcomes(&given).to_vec())
    }

    fn next_message_id(&mut self) -> MessageId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.dice.entropy()[..16]);
        MessageId::from_bytes(bytes)
    }

    /// What a command of the outbox was queued as.
    ///
    /// # Panics
    /// It was not queued.
    pub fn queued(&self, given: &Given) -> (ConversationId, MessageId) {
        match self.outcomes(given).first() {
            Some(Outcome::Queued { conversation, message_id }) => (*conversation, *message_id),
            other => panic!("{} did not queue it: {other:?}", given.device),
        }
    }
}

fn address() -> ServerAddress {
    ServerAddress::new("localhost", 8080, Transport::Plain).expect("a good address")
}

fn password_of(person: &str) -> Password {
    Password::parse(&format!("the password of {person}")).expect("a password")
}
