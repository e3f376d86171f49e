//! From Hello to a live session: versions, sign-up, sign-in by SCRAM-SHA-256 (RFC 5802, RFC 7677),
//! resume.
//!
//! [`Authenticated`] is what a live session holds, and every request of one takes it: only a resume
//! that the core has granted makes one. An unknown user name goes the same way as a known one, with a
//! decoy in place of its verifier.

use sha2::{Digest, Sha256};
use tidings_messaging::Request;
use tidings_messaging::request::{Resume, Resumed};
use tidings_messaging::store::{
    InviteHash, NewAccount, NewDevice, TokenHash, Verifier as StoredVerifier,
};
use tidings_model::limits::{
    ADDS_MAX, CONVERSATION_NAME_BYTES_MAX, MEMBERS_MAX, PAYLOAD_BYTES_MAX,
};
use tidings_model::{AccountId, DeviceId, Now, Refusal, Timestamp};
use tidings_protocol_app::limits::{
    AGENT_BYTES_MAX, CURSORS_PER_RESUME_MAX, ENTRIES_PER_FETCH_MAX, FEATURES_MAX, FRAME_BYTES_MAX,
    HANDSHAKE_FRAME_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX, SEALED_BYTES_MAX, VERIFIERS_MAX,
};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{
    ConversationCursor, FieldError, VERSION_HIGHEST, VERSION_LOWEST, id, wire,
};
use tidings_protocol_identity::scram::{
    AwaitingClientFinal, ClientFirst, Mechanism, Nonce, Verifier,
};
use tidings_protocol_identity::{DeviceToken, InviteToken, UserName};

use crate::fields::{display_name, field, user_name};
use crate::limits::LOGIN_REQUESTS_MAX;
use crate::session::{Close, Service, Step};

/// Proof that the core has granted a resume on this connection.
pub(crate) struct Authenticated {
    device: DeviceId,
}

impl Authenticated {
    /// The device that is signed in.
    pub(crate) fn device(&self) -> DeviceId {
        self.device
    }
}

/// A resume on its way to the core.
pub(crate) struct Resuming {
    device: DeviceId,
}

impl Resuming {
    /// The core has granted it.
    pub(crate) fn granted(self, _: &Resumed) -> Authenticated {
        Authenticated { device: self.device }
    }
}

/// A sign-in that waits for its verifier.
pub(crate) struct SignInStart {
    first: ClientFirst,
    user_name: UserName,
}

/// What an answer of the core's is for.
pub(crate) enum Awaited {
    /// The answer to the peer as it is.
    Answer,
    /// The verifier that a sign-in goes on with.
    Challenge(Box<SignInStart>),
    /// The device that a sign-in ends with.
    SignedIn {
        /// Proves the server to the app.
        server_final: Vec<u8>,
    },
    /// The live session.
    Resumed(Resuming),
}

/// A greeted connection before its session is live.
#[derive(Default)]
pub(crate) struct Login {
    requests: u32,
    sign_in: Option<SignIn>,
    resumes: bool,
}

/// A sign-in that waits for the client's proof.
struct SignIn {
    exchange: AwaitingClientFinal,
    /// The name as prepared; `None` for one that nobody can have.
    user_name: Option<UserName>,
    /// Whose it is; `None` behind a decoy.
    account: Option<AccountId>,
}

/// Answers Hello.
pub(crate) fn greet(now: Now, service: &Service, hello: &wire::Hello) -> Result<Answer, Refusal> {
    if hello.agent.len() > AGENT_BYTES_MAX {
        return Err(field("agent", "has more than 64 bytes"));
    }
    if hello.features.len() > FEATURES_MAX {
        return Err(field("features", "has more than 32 items"));
    }
    let version = hello.version_highest.min(VERSION_HIGHEST);
    if version < hello.version_lowest.max(VERSION_LOWEST) {
        return Err(Refusal::VersionUnsupported {
            lowest: VERSION_LOWEST,
            highest: VERSION_HIGHEST,
        });
    }
    tracing::debug!(agent = ?hello.agent, version, "greeted");
    Ok(Answer::Hello(wire::ServerHello {
        version,
        features: Vec::new(),
        agent: service.agent.clone(),
        server_time: now.wall.as_millis(),
        invite_required: service.invite_required,
        limits: Some(wire::Limits {
            frame_bytes: FRAME_BYTES_MAX as u32,
            payload_bytes: PAYLOAD_BYTES_MAX as u32,
            requests_in_flight: REQUESTS_IN_FLIGHT_MAX as u32,
            members_per_group: MEMBERS_MAX as u32,
            adds_per_change: ADDS_MAX as u32,
            name_bytes: CONVERSATION_NAME_BYTES_MAX as u32,
            messages_per_second: service.messages_per_second,
            messages_burst: service.messages_burst,
            entries_per_fetch: ENTRIES_PER_FETCH_MAX as u32,
            cursors_per_resume: CURSORS_PER_RESUME_MAX as u32,
            handshake_frame_bytes: HANDSHAKE_FRAME_BYTES_MAX as u32,
            sealed_payload_bytes: SEALED_BYTES_MAX as u32,
        }),
    }))
}

impl Login {
    /// Takes a request of a greeted connection.
    pub(crate) fn handle(
        &mut self,
        now: Now,
        service: &Service,
        nonce: impl FnOnce() -> Nonce,
        body: Option<Body>,
    ) -> Result<Step, Refusal> {
        self.requests += 1;
        if self.requests > LOGIN_REQUESTS_MAX {
            return Ok(Step::Close(Close::LOGIN_REQUESTS));
        }
        let Some(body) = body else { return Err(Refusal::UnknownRequest) };
        match body {
            Body::Hello(_) => Err(field("hello", "was said already on this connection")),
            Body::SignUp(sign_up) => Ok(Step::Ask(self::sign_up(&sign_up)?, Awaited::Answer)),
            Body::SignInStart(start) => self.sign_in_start(service, nonce, &start),
            Body::SignInFinish(finish) => self.sign_in_finish(&finish),
            Body::Resume(resume) => self.resume(&resume),
            Body::Ping(_) => Ok(Step::Answer(Answer::Pong(wire::Pong {
                server_time: now.wall.as_millis(),
                heads: 0,
            }))),
            Body::Create(_)
            | Body::Send(_)
            | Body::Change(_)
            | Body::Erase(_)
            | Body::Fetch(_)
            | Body::Describe(_)
            | Body::Acknowledge(_)
            | Body::Typing(_)
            | Body::View(_)
            | Body::SetPresence(_)
            | Body::LookUp(_)
            | Body::SetDisplayName(_)
            | Body::CreateInvite(_)
            | Body::ListDevices(_)
            | Body::RevokeDevice(_)
            | Body::Commit(_)
            | Body::Leave(_)
            | Body::Restart(_)
            | Body::FetchGroup(_)
            | Body::PublishDeviceList(_)
            | Body::FetchDeviceLists(_)
            | Body::PublishKeyPackages(_)
            | Body::ClaimKeyPackages(_)
            | Body::FetchInbox(_)
            | Body::AcknowledgeInbox(_)
            | Body::SendToDevice(_)
            | Body::PutAccountValue(_)
            | Body::PutBackupChunk(_)
            | Body::FetchBackupChunk(_)
            | Body::DropBackup(_)
            | Body::FetchAccountValues(_)
            | Body::OfferAgain(_)
            | Body::OfferDeviceList(_) => Ok(Step::Close(Close::UNAUTHENTICATED)),
        }
    }

    /// Goes on with a sign-in, now that its verifier is known, or that there is none.
    pub(crate) fn challenge(
        &mut self,
        service: &Service,
        start: SignInStart,
        found: Option<Box<(AccountId, StoredVerifier)>>,
        nonce: &Nonce,
    ) -> Answer {
        let known = found.and_then(|found| {
            let (account, stored) = *found;
            Some((account, verifier(&stored).ok()?))
        });
        match known {
            Some((account, verifier)) => {
                let answer = challenge_of(account.shard(), start.first, verifier, nonce);
                self.begin(answer, Some(start.user_name), Some(account))
            }
            None => {
                let answer = decoy(service, start.user_name.as_str(), start.first, nonce);
                self.begin(answer, Some(start.user_name), None)
            }
        }
    }

    /// The core has refused the resume; another may follow.
    pub(crate) fn resume_refused(&mut self) {
        self.resumes = false;
    }

    fn sign_in_start(
        &mut self,
        service: &Service,
        nonce: impl FnOnce() -> Nonce,
        start: &wire::SignInStart,
    ) -> Result<Step, Refusal> {
        if start.mechanism != Mechanism::ScramSha256.name() {
            return Err(field("mechanism", "is not SCRAM-SHA-256"));
        }
        let first = ClientFirst::parse(&start.client_first, Mechanism::ScramSha256, None).map_err(
            |error| {
                tracing::debug!(%error, "client-first-message is malformed");
                field("client_first", "is not a client-first-message of RFC 5802")
            },
        )?;
        match UserName::parse(first.user_name()) {
            Ok(user_name) => Ok(Step::Ask(
                Request::FindVerifier {
                    user_name: user_name.as_str().to_owned(),
                    mechanism: start.mechanism.clone(),
                },
                Awaited::Challenge(Box::new(SignInStart { first, user_name })),
            )),
            // Nobody can have this name; the answer is that of any unknown one.
            Err(_) => {
                let name = first.user_name().to_owned();
                let answer = decoy(service, &name, first, &nonce());
                Ok(Step::Answer(self.begin(answer, None, None)))
            }
        }
    }

    fn begin(
        &mut self,
        (challenge, exchange): (wire::SignInChallenge, AwaitingClientFinal),
        user_name: Option<UserName>,
        account: Option<AccountId>,
    ) -> Answer {
        self.sign_in = Some(SignIn { exchange, user_name, account });
        Answer::SignInChallenge(challenge)
    }

    fn sign_in_finish(&mut self, finish: &wire::SignInFinish) -> Result<Step, Refusal> {
        let device = new_device(&finish.device, &finish.device_name, &finish.token_hash)?;
        let Some(sign_in) = self.sign_in.take() else {
            return Err(field("sign_in_finish", "has no challenge before it: begin again"));
        };
        match (sign_in.exchange.handle_client_final(&finish.client_final), sign_in.account) {
            (Ok(server_final), Some(account)) => Ok(Step::Ask(
                Request::SignIn { account, device },
                Awaited::SignedIn { server_final },
            )),
            (Ok(_), None) | (Err(_), _) => match sign_in.user_name {
                Some(user_name) => Ok(Step::Ask(
                    Request::SignInFailed { user_name: user_name.as_str().to_owned() },
                    Awaited::Answer,
                )),
                None => Err(Refusal::NotAuthenticated),
            },
        }
    }

    fn resume(&mut self, resume: &wire::Resume) -> Result<Step, Refusal> {
        if self.resumes {
            return Err(field("resume", "was sent already and is not answered yet"));
        }
        let device = id("device", &resume.device)?;
        let token = DeviceToken::try_from(&resume.token[..])
            .map_err(|_| field("token", "is not a device token of 32 bytes"))?;
        if resume.cursors.len() > CURSORS_PER_RESUME_MAX {
            return Err(Refusal::TooManyCursors { max: CURSORS_PER_RESUME_MAX as u64 });
        }
        if resume.counter >= tidings_model::entry::COUNTER_BOUND {
            return Err(field("counter", "is not below 2^53"));
        }
        let cursors = resume
            .cursors
            .iter()
            // A cursor at 0 says nothing, whatever epoch it names.
            .filter(|cursor| cursor.seq != 0)
            .map(|cursor| {
                let of = ConversationCursor::try_from(cursor)?;
                Ok((of.conversation, of.cursor, of.roster_version))
            })
            .collect::<Result<Vec<_>, FieldError>>()?;
        self.resumes = true;
        Ok(Step::Ask(
            Request::Resume(Resume {
                device,
                token_hash: TokenHash(*token.hash().as_bytes()),
                counter: resume.counter,
                cursors,
                since: Timestamp::from_millis(resume.since),
            }),
            Awaited::Resumed(Resuming { device }),
        ))
    }
}

fn challenge_of(
    shard: u16,
    first: ClientFirst,
    verifier: Verifier,
    nonce: &Nonce,
) -> (wire::SignInChallenge, AwaitingClientFinal) {
    let (server_first, exchange) = first.challenge(verifier, nonce);
    let shard = u32::from(shard);
    (wire::SignInChallenge { server_first: server_first.into(), shard }, exchange)
}

/// The challenge for a name that nobody has: of the same shape, and the same each time.
fn decoy(
    service: &Service,
    user_name: &str,
    first: ClientFirst,
    nonce: &Nonce,
) -> (wire::SignInChallenge, AwaitingClientFinal) {
    let secret = &service.server_secret;
    let digest = Sha256::new()
        .chain_update(b"tidings decoy shard ")
        .chain_update(secret)
        .chain_update(user_name)
        .finalize();
    let shard = u16::from_be_bytes([digest[0], digest[1]]);
    challenge_of(shard, first, Verifier::decoy(secret, user_name), nonce)
}

fn sign_up(sign_up: &wire::SignUp) -> Result<Request, Refusal> {
    let account: AccountId = id("account", &sign_up.account)?;
    let device = new_device(&sign_up.device, &sign_up.device_name, &sign_up.token_hash)?;
    if device.device.shard() != account.shard() {
        return Err(field(
            "device",
            "does not begin with the two bytes that the account begins with",
        ));
    }
    let user_name = user_name("user_name", &sign_up.user_name)?.as_str().to_owned();
    let display_name = if sign_up.display_name.is_empty() {
        user_name.clone()
    } else {
        display_name("display_name", &sign_up.display_name)?
    };
    let invite = if sign_up.invite.is_empty() {
        None
    } else {
        let token = InviteToken::try_from(&sign_up.invite[..])
            .map_err(|_| field("invite", "is not an invite of 16 bytes"))?;
        Some(InviteHash(*token.hash().as_bytes()))
    };
    let verifiers = verifiers(&sign_up.verifiers)?;
    Ok(Request::SignUp {
        account: NewAccount { account, user_name, display_name, verifiers },
        device,
        invite,
    })
}

/// The verifiers of the mechanisms that this server knows, of which SCRAM-SHA-256 must be one.
fn verifiers(given: &[wire::Verifier]) -> Result<Vec<StoredVerifier>, Refusal> {
    if given.len() > VERIFIERS_MAX {
        return Err(field("verifiers", "has more than 4 items"));
    }
    let mechanism = Mechanism::ScramSha256.name();
    let Some(given) = given.iter().find(|given| given.mechanism == mechanism) else {
        return Err(field("verifiers", "has none for SCRAM-SHA-256"));
    };
    let stored = StoredVerifier {
        mechanism: mechanism.to_owned(),
        salt: given.salt.to_vec(),
        iterations: given.iterations,
        stored_key: given.stored_key.to_vec(),
        server_key: given.server_key.to_vec(),
    };
    verifier(&stored)?;
    Ok(vec![stored])
}

fn verifier(stored: &StoredVerifier) -> Result<Verifier, Refusal> {
    use tidings_protocol_identity::scram::VerifierError;
    Verifier::from_parts(&stored.salt, stored.iterations, &stored.stored_key, &stored.server_key)
        .map_err(|error| match error {
            VerifierError::Salt { .. } => field("verifiers.salt", "has not 8 to 64 bytes"),
            VerifierError::Iterations { .. } => {
                field("verifiers.iterations", "is not between 4096 and 1000000")
            }
            VerifierError::Key => field("verifiers.stored_key", "or server_key has not 32 bytes"),
        })
}

fn new_device(device: &[u8], name: &str, token_hash: &[u8]) -> Result<NewDevice, Refusal> {
    Ok(NewDevice {
        device: id("device", device)?,
        name: display_name("device_name", name)?,
        token_hash: TokenHash(
            token_hash
                .try_into()
                .map_err(|_| field("token_hash", "is not a SHA-256 of 32 bytes"))?,
        ),
    })
}
