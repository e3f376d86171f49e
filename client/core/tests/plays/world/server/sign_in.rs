//! The model server's accounts: sign-up, sign-in and resume.

use super::*;

impl Server {
    pub(super) fn sign_up(&mut self, sign_up: wire::SignUp) -> Result<Answer, Refusal> {
        let account: AccountId = id("account", &sign_up.account)?;
        let device: DeviceId = id("device", &sign_up.device)?;
        let known = self.accounts.iter().find(|known| known.user_name == sign_up.user_name);
        match known {
            Some(known) if known.id != account => return Err(Refusal::UserNameTaken),
            Some(_) => {}
            None => {
                let display_name = if sign_up.display_name.is_empty() {
                    sign_up.user_name.clone()
                } else {
                    sign_up.display_name.clone()
                };
                self.accounts.push(Account {
                    id: account,
                    user_name: sign_up.user_name.clone(),
                    display_name,
                    verifier: sign_up.verifiers[0].clone(),
                });
                let token_hash = sign_up.token_hash;
                self.devices.insert(device, Device { account, token_hash, counter: 0 });
            }
        }
        let known = self.account(account);
        Ok(Answer::SignedUp(wire::SignedUp {
            account: id_bytes(account.as_bytes()),
            user_name: known.user_name.clone(),
            display_name: known.display_name.clone(),
            administrator: self.accounts[0].id == account,
        }))
    }

    pub(super) fn sign_in_start(
        &mut self,
        connection: ConnectionId,
        start: &wire::SignInStart,
    ) -> Result<Answer, Refusal> {
        let mechanism = tidings_protocol_identity::scram::Mechanism::from_name(&start.mechanism)
            .ok_or(Refusal::NotAuthenticated)?;
        let first = ClientFirst::parse(&start.client_first, mechanism, None)
            .map_err(|_| Refusal::NotAuthenticated)?;
        let known = self.accounts.iter().find(|known| known.user_name == first.user_name());
        let known = known.ok_or(Refusal::NotAuthenticated)?;
        let of = &known.verifier;
        let verifier =
            Verifier::from_parts(&of.salt, of.iterations, &of.stored_key, &of.server_key)
                .map_err(|_| Refusal::NotAuthenticated)?;
        let account = known.id;
        let (server_first, awaiting) = first.challenge(verifier, &Nonce::from_entropy([7; 18]));
        let session = self.sessions.get_mut(&connection).ok_or(Refusal::Unavailable)?;
        session.sign_in = Some((awaiting, account));
        let shard = u32::from(account.shard());
        Ok(Answer::SignInChallenge(wire::SignInChallenge {
            server_first: server_first.into(),
            shard,
        }))
    }

    pub(super) fn sign_in_finish(
        &mut self,
        connection: ConnectionId,
        finish: &wire::SignInFinish,
    ) -> Result<Answer, Refusal> {
        let session = self.sessions.get_mut(&connection).ok_or(Refusal::Unavailable)?;
        let (awaiting, account) = session.sign_in.take().ok_or(Refusal::NotAuthenticated)?;
        let server_final = awaiting
            .handle_client_final(&finish.client_final)
            .map_err(|_| Refusal::NotAuthenticated)?;
        let device: DeviceId = id("device", &finish.device)?;
        assert_eq!(device.shard(), account.shard(), "a device lies in its account's shard");
        let token_hash = finish.token_hash.clone();
        self.devices.insert(device, Device { account, token_hash, counter: 0 });
        let known = self.account(account);
        Ok(Answer::SignedIn(wire::SignedIn {
            server_final: server_final.into(),
            account: id_bytes(account.as_bytes()),
            user_name: known.user_name.clone(),
            display_name: known.display_name.clone(),
            administrator: false,
        }))
    }

    pub(super) fn resume(
        &mut self,
        connection: ConnectionId,
        resume: wire::Resume,
    ) -> Result<Answer, Refusal> {
        self.resumes += 1;
        let device: DeviceId = id("device", &resume.device)?;
        let known = self.devices.get_mut(&device).ok_or(Refusal::TokenRevoked)?;
        let token = tidings_protocol_identity::DeviceToken::try_from(&resume.token[..])
            .map_err(|_| Refusal::TokenRevoked)?;
        if token.hash().as_bytes()[..] != known.token_hash[..] {
            return Err(Refusal::TokenRevoked);
        }
        let restored = resume.counter <= known.counter;
        known.counter = known.counter.max(resume.counter);
        let account = known.account;
        for session in self.sessions.values_mut() {
            session.live = session.live.filter(|(_, live)| *live != device);
        }
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.live = Some((account, device));
        }
        let cursors: BTreeMap<Bytes, wire::Cursor> = resume
            .cursors
            .into_iter()
            .map(|cursor| (cursor.conversation.clone(), cursor))
            .collect();
        let mut conversations = Vec::new();
        for (key, of) in &self.conversations {
            if !of.members.contains_key(&account) {
                continue;
            }
            let state = self.state(account, *key);
            let same = cursors.get(&state.conversation).is_some_and(|cursor| {
                cursor.log_epoch == state.log_epoch
                    && cursor.seq == state.head
                    && cursor.roster_version == state.roster_version
            });
            if !same {
                conversations.push(state);
            }
        }
        let heads = self.heads_for(account, device);
        let known = self.account(account);
        Ok(Answer::Resumed(wire::Resumed {
            account: id_bytes(account.as_bytes()),
            user_name: known.user_name.clone(),
            display_name: known.display_name.clone(),
            administrator: false,
            server_time: self.time,
            restored,
            conversations,
            more: false,
            ..heads
        }))
    }

    /// Signs a device in to an account without the hashing of a real sign-in.
    pub(crate) fn register(
        &mut self,
        user_name: &str,
        device_of: &str,
        people: &mut BTreeMap<String, crate::world::Person>,
    ) {
        use tidings_client_core::database::{AccountRow, Standing, Write};
        let name = user_name.to_lowercase();
        let known = self.accounts.iter().find(|account| account.user_name == name);
        let is_new = known.is_none();
        let account = known.map_or_else(
            || AccountId::from_bytes([self.accounts.len() as u8 + 1; 16]),
            |account| account.id,
        );
        if is_new {
            self.accounts.push(Account {
                id: account,
                user_name: name.clone(),
                display_name: user_name.to_owned(),
                verifier: wire::Verifier::default(),
            });
        }
        let device = DeviceId::of_account(account, [0x80 | self.devices.len() as u8; 16]);
        let token =
            tidings_protocol_identity::DeviceToken::from_entropy([self.devices.len() as u8; 32]);
        let token_hash = Bytes::copy_from_slice(token.hash().as_bytes());
        self.devices.insert(device, Device { account, token_hash, counter: 0 });
        let row = AccountRow {
            server: crate::world::address(),
            account: Some(account),
            device,
            token,
            user_name: name,
            display_name: user_name.to_owned(),
            administrator: false,
            standing: Standing::MustReadFirst,
            resume_counter: 0,
            receipts_since: Timestamp::from_millis(0),
            hidden: false,
        };
        let changes = tidings_client_core::ChangeSet {
            writes: vec![Write::PutAccount(Box::new(row))],
            ..Default::default()
        };
        let person = people.get_mut(device_of).expect("a known person");
        let mut database = person.database.clone();
        database.commit(changes).expect("the account is written");
        person.reopen(database);
    }
}
