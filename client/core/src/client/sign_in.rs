//! Sign-up, sign-in and sign-out.
//!
//! A sign-up is one request that is kept in the database until it is answered, so that a repetition
//! after a crash names the same account. A sign-in is SCRAM-SHA-256 (RFC 5802, RFC 7677) without
//! channel binding, which a browser does not have. The password never leaves the device; a sign-in
//! that was cut off starts anew with the same device and token.

use tidings_model::{AccountId, DeviceId, Timestamp};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::{Refused, id, id_bytes, wire};
use tidings_protocol_identity::scram::{
    AwaitingServerFinal, ClientBinding, ClientExchange, Nonce, Verifier,
};
use tidings_protocol_identity::{DeviceToken, DisplayName, ServerAddress};

use bytes::Bytes;

use crate::command::{CommandId, SignIn, SignUp, Unsent};
use crate::database::{AccountRow, DatabaseError, Profile, Standing, Write};
use crate::event::{Failure, Listing, Me, Notice, Outcome};
use crate::limits::{COMMAND_TIMEOUT, SIGN_IN_ATTEMPTS_MAX};

use super::Client;
use super::list_acts::ListAct;
use super::requests::{Purpose, Wish, WishKind};
use super::state::State;
use super::step::Step;

/// A sign-up or sign-in under way.
pub(super) struct SignInFlow {
    /// Who waits for it; nobody after a restart in the middle of a sign-up.
    command: Option<CommandId>,
    server: ServerAddress,
    attempts: u32,
    stage: Stage,
}

enum Stage {
    SignUp { request: Box<wire::SignUp> },
    SignIn { request: Box<SignIn>, device: DeviceId, token: DeviceToken, exchange: Exchange },
}

enum Exchange {
    NotBegun,
    Challenged(Box<ClientExchange>),
    Proven(AwaitingServerFinal),
}

impl SignInFlow {
    pub(super) fn server(&self) -> &ServerAddress {
        &self.server
    }
}

impl Client {
    /// Takes up a sign-up that an earlier run did not live to see the end of.
    pub(super) fn take_up_sign_up(&mut self, step: &mut Step<'_>) {
        if self.sign_in.is_none()
            && let Some((server, request)) = self.unfinished_sign_up()
        {
            self.begin(step, None, server, Stage::SignUp { request });
        }
    }

    fn unfinished_sign_up(&self) -> Option<(ServerAddress, Box<wire::SignUp>)> {
        let account = self.state.account.as_ref()?;
        let Standing::SigningUp(encoded) = &account.standing else { return None };
        Some((account.server.clone(), Box::new(decode_sign_up(encoded.clone())?)))
    }

    pub(super) fn sign_up(&mut self, step: &mut Step<'_>, command: CommandId, sign_up: SignUp) {
        if let Err(failure) = self.check_display_name(&sign_up.display_name) {
            return step.outcome(command, Outcome::Failed(failure));
        }
        if self.sign_in.as_ref().is_some_and(|flow| flow.command.is_some()) {
            return step.outcome(command, Outcome::Failed(Failure::SignInUnderWay));
        }
        if let Some(failure) = self.stands_in_the_way() {
            return step.outcome(command, Outcome::Failed(failure));
        }
        if let Some(row) = self.state.account.as_ref().filter(|row| row.account.is_some()) {
            let user_name = row.user_name.clone();
            return step.outcome(command, Outcome::Failed(Failure::OtherAccount { user_name }));
        }
        // The same sign-up again goes on with its first request: the server may have taken it.
        if let Some((server, request)) = self.unfinished_sign_up()
            && server == sign_up.server
            && is_same_sign_up(&request, &sign_up)
        {
            return self.begin(step, Some(command), server, Stage::SignUp { request });
        }
        let account = step.entropy.account_id();
        let device = step.entropy.device_id(account);
        let token = DeviceToken::from_entropy(step.entropy.bytes());
        let verifier = Verifier::derive(&sign_up.password, step.entropy.bytes());
        let request = wire::SignUp {
            invite: sign_up
                .invite
                .as_ref()
                .map_or_else(Bytes::new, |invite| Bytes::copy_from_slice(invite.as_bytes())),
            account: id_bytes(account.as_bytes()),
            device: id_bytes(device.as_bytes()),
            user_name: sign_up.user_name.as_str().to_owned(),
            display_name: sign_up.display_name.clone(),
            verifiers: vec![wire_verifier(&verifier)],
            device_name: sign_up.device_name.clone(),
            token_hash: Bytes::copy_from_slice(token.hash().as_bytes()),
        };
        self.state.account = Some(AccountRow {
            server: sign_up.server.clone(),
            account: None,
            device,
            token,
            user_name: request.user_name.clone(),
            display_name: request.display_name.clone(),
            administrator: false,
            standing: Standing::SigningUp(encode_sign_up(&request)),
            resume_counter: 0,
            receipts_since: Timestamp::from_millis(0),
            hidden: false,
        });
        self.state.write_account(step);
        self.identity_of_new_account(step);
        self.begin(
            step,
            Some(command),
            sign_up.server,
            Stage::SignUp { request: Box::new(request) },
        );
    }

    pub(super) fn sign_in(&mut self, step: &mut Step<'_>, command: CommandId, sign_in: SignIn) {
        if self.sign_in.as_ref().is_some_and(|flow| flow.command.is_some()) {
            return step.outcome(command, Outcome::Failed(Failure::SignInUnderWay));
        }
        if let Some(failure) = self.stands_in_the_way() {
            return step.outcome(command, Outcome::Failed(failure));
        }
        if let Some(row) = self.state.account.as_ref().filter(|row| row.account.is_some())
            && row.user_name != sign_in.user_name.as_str()
        {
            let user_name = row.user_name.clone();
            return step.outcome(command, Outcome::Failed(Failure::OtherAccount { user_name }));
        }
        // The challenge names the account's shard, and with it the first two bytes.
        let device = DeviceId::from_bytes(step.entropy.bytes());
        let server = sign_in.server.clone();
        let stage = Stage::SignIn {
            request: Box::new(sign_in),
            device,
            token: DeviceToken::from_entropy(step.entropy.bytes()),
            exchange: Exchange::NotBegun,
        };
        self.begin(step, Some(command), server, stage);
    }

    pub(super) fn sign_out(&mut self, step: &mut Step<'_>, command: CommandId, unsent: Unsent) {
        let Some(account) = &self.state.account else {
            return step.outcome(command, Outcome::Failed(Failure::NotSignedIn));
        };
        let count = self.state.outbox.unsent();
        if unsent == Unsent::Keep && count > 0 {
            return step.outcome(command, Outcome::Failed(Failure::Unsent { count }));
        }
        if !self.state.is_signed_in() {
            self.wipe(step);
            return step.outcome(command, Outcome::Done);
        }
        let device = account.device;
        self.wanted = true;
        if self.listing() == Listing::Listed {
            self.want_list_act(ListAct::Remove { device }, None);
        }
        let device = id_bytes(device.as_bytes());
        self.wish(
            step,
            Wish {
                command,
                kind: WishKind::SignOut,
                body: Body::RevokeDevice(wire::RevokeDevice { device }),
                deadline: step.now.monotonic.plus(COMMAND_TIMEOUT),
            },
        );
    }

    /// Sends the first request of a sign-up or sign-in; false when there is none under way.
    pub(super) fn send_sign_in(&mut self, step: &mut Step<'_>) -> bool {
        let Some(flow) = &mut self.sign_in else { return false };
        match &mut flow.stage {
            Stage::SignUp { request } => {
                let body = Body::SignUp((**request).clone());
                self.requests.send(step, Purpose::SignUp, body);
            }
            Stage::SignIn { request, exchange, .. } => {
                let nonce = Nonce::from_entropy(step.entropy.bytes());
                let (client_first, started) = ClientExchange::start(
                    &request.user_name,
                    request.password.clone(),
                    &ClientBinding::Unsupported,
                    nonce,
                );
                let start = wire::SignInStart {
                    mechanism: started.mechanism().name().to_owned(),
                    client_first: client_first.into(),
                };
                *exchange = Exchange::Challenged(Box::new(started));
                self.requests.send(step, Purpose::SignInStart, Body::SignInStart(start));
            }
        }
        true
    }

    pub(super) fn signed_up(
        &mut self,
        step: &mut Step<'_>,
        answer: wire::SignedUp,
    ) -> Result<(), DatabaseError> {
        let account = match id::<AccountId>("account", &answer.account) {
            Ok(account) => account,
            Err(error) => {
                self.violated(step, error.to_string());
                return Ok(());
            }
        };
        let flow = self.sign_in.take();
        if let Some(row) = &mut self.state.account {
            row.account = Some(account);
            row.user_name = answer.user_name;
            row.display_name = answer.display_name;
            row.administrator = answer.administrator;
            row.standing = Standing::SignedIn;
        }
        self.now_signed_in(step, flow.and_then(|flow| flow.command));
        Ok(())
    }

    pub(super) fn challenged(&mut self, step: &mut Step<'_>, answer: &wire::SignInChallenge) {
        let Some(flow) = &mut self.sign_in else { return };
        let Stage::SignIn { request, device, token, exchange } = &mut flow.stage else { return };
        let Exchange::Challenged(started) = std::mem::replace(exchange, Exchange::NotBegun) else {
            return;
        };
        let Ok(shard) = u16::try_from(answer.shard) else {
            return self.violated(step, "the field shard is not below 2^16");
        };
        let mut bytes = *device.as_bytes();
        bytes[..2].copy_from_slice(&shard.to_be_bytes());
        *device = DeviceId::from_bytes(bytes);
        match started.handle_server_first(&answer.server_first) {
            Ok((client_final, proven)) => {
                *exchange = Exchange::Proven(proven);
                let finish = wire::SignInFinish {
                    client_final: client_final.into(),
                    device: id_bytes(device.as_bytes()),
                    device_name: request.device_name.clone(),
                    token_hash: Bytes::copy_from_slice(token.hash().as_bytes()),
                };
                self.requests.send(step, Purpose::SignInFinish, Body::SignInFinish(finish));
            }
            Err(error) => {
                self.fail_sign_in(step, Failure::ServerNotProven(error.to_string()));
            }
        }
    }

    pub(super) fn signed_in(
        &mut self,
        step: &mut Step<'_>,
        answer: wire::SignedIn,
    ) -> Result<(), DatabaseError> {
        let Some(flow) = self.sign_in.take() else { return Ok(()) };
        let SignInFlow { command, server, stage, .. } = flow;
        let Stage::SignIn { device, token, exchange: Exchange::Proven(proven), .. } = stage else {
            return Ok(());
        };
        match self.check_signed_in(proven, &answer) {
            Ok(account) => {
                // Whoever was hidden here stays so when the device is signed in again.
                let hidden = self.state.account.as_ref().is_some_and(|row| row.hidden);
                self.state.account = Some(AccountRow {
                    server,
                    account: Some(account),
                    device,
                    token,
                    user_name: answer.user_name,
                    display_name: answer.display_name,
                    administrator: answer.administrator,
                    standing: Standing::MustReadFirst,
                    resume_counter: 0,
                    receipts_since: Timestamp::from_millis(0),
                    hidden,
                });
                self.identity_of_new_device(step);
                self.now_signed_in(step, command);
            }
            Err(failure) => {
                if let Some(command) = command {
                    step.outcome(command, Outcome::Failed(failure));
                }
                self.reconnect(step, "the sign-in failed");
            }
        }
        Ok(())
    }

    /// Whether the server proved itself, and the account is the one whose messages are here.
    fn check_signed_in(
        &self,
        proven: AwaitingServerFinal,
        answer: &wire::SignedIn,
    ) -> Result<AccountId, Failure> {
        let not_proven = |words: String| Failure::ServerNotProven(words);
        proven
            .handle_server_final(&answer.server_final)
            .map_err(|error| not_proven(error.to_string()))?;
        let account = id::<AccountId>("account", &answer.account)
            .map_err(|error| not_proven(error.to_string()))?;
        match self.state.me() {
            Some(held) if held != account => {
                Err(Failure::OtherAccount { user_name: answer.user_name.clone() })
            }
            _ => Ok(account),
        }
    }

    /// The server refused a request of the sign-up or sign-in.
    pub(super) fn sign_in_refused(&mut self, step: &mut Step<'_>, refused: Refused) {
        if refused.may_retry && refused.retry_after.is_none() {
            return self.reconnect(step, &refused.message);
        }
        let Some(flow) = self.sign_in.take() else { return };
        self.forget_sign_up(step);
        if let Some(command) = flow.command {
            step.outcome(command, Outcome::Refused(refused));
        }
    }

    /// An attempt ended without an answer. A person waits, so after a few the command fails.
    pub(super) fn sign_in_attempt_failed(&mut self, step: &mut Step<'_>) {
        let Some(flow) = &mut self.sign_in else { return };
        flow.attempts += 1;
        if let Stage::SignIn { exchange, .. } = &mut flow.stage {
            *exchange = Exchange::NotBegun;
        }
        if flow.attempts >= SIGN_IN_ATTEMPTS_MAX {
            let words = self.link.last_end().to_owned();
            self.fail_sign_in(step, Failure::Unreachable(words));
        }
    }

    /// Ends a sign-up or sign-in. The request of a sign-up stays in the database, since the server
    /// may have taken it: the same sign-up given again goes on with it.
    pub(super) fn fail_sign_in(&mut self, step: &mut Step<'_>, failure: Failure) {
        let Some(flow) = self.sign_in.take() else { return };
        if let Some(command) = flow.command {
            step.outcome(command, Outcome::Failed(failure));
        }
    }

    /// The server does not take the token any more: the device keeps what it holds.
    pub(super) fn signed_out(&mut self, step: &mut Step<'_>) {
        if let Some(wish) = self.take_sign_out() {
            self.wipe(step);
            return step.outcome(wish.command, Outcome::Done);
        }
        let Some(row) = &mut self.state.account else { return };
        if row.standing == Standing::SignedOut {
            return;
        }
        row.standing = Standing::SignedOut;
        self.state.write_account(step);
        step.must_sync();
        step.notice(Notice::SignedOut);
        self.link.rest();
        for wish in std::mem::take(&mut self.wishes) {
            step.outcome(wish.command, Outcome::Failed(Failure::NotSignedIn));
        }
    }

    /// Forgets all that the device holds.
    pub(super) fn wipe(&mut self, step: &mut Step<'_>) {
        step.touched.extend(self.state.conversations.keys().copied());
        self.release(step);
        step.write(Write::Wipe);
        step.must_sync();
        self.state = State::default();
        self.wanted = false;
        if self.link.is_open() {
            step.transmits.push(crate::transport::Transmit::Disconnect);
        }
        self.link.rest();
        self.requests = super::requests::Requests::default();
        self.forget_account(step);
        for wish in std::mem::take(&mut self.wishes) {
            step.outcome(wish.command, Outcome::Failed(Failure::NotSignedIn));
        }
    }

    fn begin(
        &mut self,
        step: &mut Step<'_>,
        command: Option<CommandId>,
        server: ServerAddress,
        stage: Stage,
    ) {
        self.halted = None;
        self.sign_in = Some(SignInFlow { command, server, attempts: 0, stage });
        self.link.hurry(step.now.monotonic);
    }

    fn now_signed_in(&mut self, step: &mut Step<'_>, command: Option<CommandId>) {
        step.must_sync();
        self.wanted = true;
        if let Some(row) = &self.state.account
            && let Some(account) = row.account
        {
            let me = Me {
                account,
                device: row.device,
                user_name: row.user_name.clone(),
                display_name: row.display_name.clone(),
                administrator: row.administrator,
            };
            let profile = Profile {
                account,
                user_name: me.user_name.clone(),
                display_name: me.display_name.clone(),
            };
            self.state.learn_profile(step, profile);
            if let Some(command) = command {
                step.outcome(command, Outcome::SignedIn(Box::new(me)));
            }
        }
        // Writes the account too, with its first resume counter.
        self.resume(step);
    }

    fn forget_sign_up(&mut self, step: &mut Step<'_>) {
        let unfinished = self
            .state
            .account
            .as_ref()
            .is_some_and(|row| matches!(row.standing, Standing::SigningUp(_)));
        if unfinished {
            self.wipe(step);
        }
    }

    fn stands_in_the_way(&self) -> Option<Failure> {
        let row = self.state.account.as_ref()?;
        self.state
            .is_signed_in()
            .then(|| Failure::AlreadySignedIn { user_name: row.user_name.clone() })
    }

    fn check_display_name(&self, display_name: &str) -> Result<(), Failure> {
        if display_name.is_empty() {
            return Ok(());
        }
        match DisplayName::parse(display_name) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Invalid(error.to_string())),
        }
    }
}

fn is_same_sign_up(request: &wire::SignUp, sign_up: &SignUp) -> bool {
    let invite = sign_up.invite.as_ref().map_or(&[][..], |invite| &invite.as_bytes()[..]);
    request.invite[..] == *invite && request.user_name == sign_up.user_name.as_str()
}

fn wire_verifier(verifier: &Verifier) -> wire::Verifier {
    wire::Verifier {
        mechanism: tidings_protocol_identity::scram::Mechanism::ScramSha256.name().to_owned(),
        salt: Bytes::copy_from_slice(verifier.salt()),
        iterations: verifier.iterations(),
        stored_key: Bytes::copy_from_slice(verifier.stored_key()),
        server_key: Bytes::copy_from_slice(verifier.server_key()),
    }
}

fn encode_sign_up(request: &wire::SignUp) -> Bytes {
    let body = Some(Body::SignUp(request.clone()));
    tidings_protocol_app::encode(&wire::ClientFrame { request: 0, body })
}

fn decode_sign_up(bytes: Bytes) -> Option<wire::SignUp> {
    match tidings_protocol_app::decode_client_frame(bytes).ok()?.body? {
        Body::SignUp(request) => Some(request),
        _ => None,
    }
}
