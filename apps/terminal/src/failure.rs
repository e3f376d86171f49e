//! What can go wrong, as the person is told it and as a script sees it: a sentence, a stable name and
//! an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use tidings_client_core::{DatabaseError, Failure as CoreFailure};
use tidings_client_native::{ClientGone, FolderError, OpenError};
use tidings_protocol_app::{Refused, code};

use crate::naming::NamingError;
use crate::secret::SecretError;
use crate::server::ServerError;
use crate::text::TextError;
use crate::visible;

/// The exit codes. README.md documents them; they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything that was asked for is done.
    Done = 0,
    /// The server, or a rule of this program, refused it. Trying again changes nothing.
    Refused = 1,
    /// The command line is unclear: an option, a name that fits nothing or several things, no text.
    Usage = 2,
    /// No answer of the server in time; what was asked for is kept on this device and goes later.
    Queued = 3,
    /// Nobody is signed in here, or not any more.
    NotSignedIn = 4,
    /// This device's folder, database or disk.
    Local = 5,
    /// No connection, and nothing was kept: try again later.
    NoConnection = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// A stable name, such as `INVITE_USED`.
    pub(crate) name: String,
    /// A sentence: what was wrong, with what, and what to do.
    pub(crate) message: String,
    /// The limit that was hit, by the name that the documentation gives it, and its value.
    pub(crate) limit: Option<(String, u64)>,
}

#[derive(Serialize)]
struct ErrorRecord<'a> {
    r#type: &'static str,
    name: &'a str,
    message: &'a str,
    exit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_value: Option<u64>,
}

impl Failure {
    /// A failure without a limit.
    pub(crate) fn new(exit: Exit, name: &str, message: impl Into<String>) -> Self {
        Self { exit, name: name.to_owned(), message: message.into(), limit: None }
    }

    /// The command line is unclear.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", message)
    }

    /// Writes the line on standard error; where nobody reads that, the exit code is left.
    pub(crate) fn tell(&self, json: bool) {
        let _ = writeln!(io::stderr(), "{}", self.line(json));
    }

    /// The line on standard error: an object for programs, a sentence for people. Text of other people
    /// that stands in the sentence draws nothing on the terminal.
    pub(crate) fn line(&self, json: bool) -> String {
        if !json {
            let lines: Vec<_> = visible::lines(&self.message).collect();
            return format!("tidings: {}", lines.join("\n"));
        }
        let (limit, limit_value) = match &self.limit {
            Some((limit, value)) => (Some(limit.as_str()), Some(*value)),
            None => (None, None),
        };
        let record = ErrorRecord {
            r#type: "error",
            name: &self.name,
            message: &self.message,
            exit: self.exit as u8,
            limit,
            limit_value,
        };
        // Strings and numbers always have a JSON form.
        serde_json::to_string(&record).unwrap_or_default()
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let exit = match refused.code {
            code::TOKEN_REVOKED | code::UNAUTHENTICATED => Exit::NotSignedIn,
            _ => Exit::Refused,
        };
        Self { exit, name: refused.name, message: refused.message, limit: refused.limit }
    }
}

impl From<CoreFailure> for Failure {
    fn from(failure: CoreFailure) -> Self {
        let (exit, name) = match &failure {
            CoreFailure::NotSignedIn => return not_signed_in(),
            CoreFailure::AlreadySignedIn { .. } => (Exit::Refused, "ALREADY_SIGNED_IN"),
            CoreFailure::OtherAccount { .. } => (Exit::Refused, "OTHER_ACCOUNT"),
            CoreFailure::SignInUnderWay => (Exit::Refused, "SIGN_IN_UNDER_WAY"),
            CoreFailure::Unreachable(_) => (Exit::NoConnection, "UNREACHABLE"),
            CoreFailure::Untrusted(_) => (Exit::NoConnection, "UNTRUSTED"),
            CoreFailure::NotConnected => (Exit::NoConnection, "NOT_CONNECTED"),
            CoreFailure::ServerNotProven(_) => (Exit::NoConnection, "SERVER_NOT_PROVEN"),
            CoreFailure::Unsent { .. } => (Exit::Refused, "UNSENT"),
            CoreFailure::NoSuchConversation => (Exit::Refused, "NO_SUCH_CONVERSATION"),
            CoreFailure::NoSuchMessage => (Exit::Refused, "NO_SUCH_MESSAGE"),
            CoreFailure::NotAMember => (Exit::Refused, "NOT_A_MEMBER"),
            CoreFailure::NotYours => (Exit::Refused, "NOT_YOURS"),
            CoreFailure::Forbidden => (Exit::Refused, "FORBIDDEN"),
            CoreFailure::WrongKind => (Exit::Refused, "WRONG_KIND"),
            CoreFailure::Invalid(_) => (Exit::Refused, "INVALID"),
            CoreFailure::OutboxFull { .. } => (Exit::Local, "OUTBOX_FULL"),
            CoreFailure::NotListed => return not_listed(),
            CoreFailure::AlreadyListed => (Exit::Refused, "ALREADY_LISTED"),
            CoreFailure::NoLink => (Exit::Refused, "NO_LINK"),
            CoreFailure::NotLinked(_) => (Exit::Refused, "NOT_LINKED"),
            CoreFailure::RecoveryKeyWrong => (Exit::Refused, "RECOVERY_KEY_WRONG"),
            CoreFailure::NoRecoveryKey => (Exit::Refused, "NO_RECOVERY_KEY"),
            CoreFailure::NoDeviceList => (Exit::Refused, "NO_DEVICE_LIST"),
            CoreFailure::NoKeyPackages => (Exit::Refused, "NO_KEY_PACKAGES"),
            CoreFailure::MadeOpen => (Exit::Refused, "MADE_OPEN"),
            CoreFailure::Database(error) => return error.clone().into(),
        };
        Self::new(exit, name, failure.to_string())
    }
}

/// Nobody has signed in on this device.
pub(crate) fn not_signed_in() -> Failure {
    Failure::new(
        Exit::NotSignedIn,
        "NOT_SIGNED_IN",
        "nobody is signed in here: `tidings sign-up` makes an account with an invite link, \
         `tidings sign-in` takes one that exists, --data picks another folder",
    )
}

/// The account's device list does not cover this device.
pub(crate) fn not_listed() -> Failure {
    Failure::new(Exit::Refused, "NOT_LISTED", NOT_LISTED_WORDS)
}

/// What a device outside the account's device list can do, and how it gets in.
pub(crate) const NOT_LISTED_WORDS: &str =
    "this device cannot read sealed conversations yet. Choose one way in:
  tidings link        shows a code for a device that can: tidings link CODE
  tidings recover     takes your recovery key, the one that you wrote down
  tidings begin-anew  if neither is left: a new identity, of which all are told";

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        let name = match error {
            DatabaseError::Full => "DISK_FULL",
            DatabaseError::Damaged(_) => "DATABASE_DAMAGED",
            DatabaseError::Failed(_) => "DATABASE_FAILED",
        };
        Self::new(Exit::Local, name, error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let name = match &error {
            OpenError::Database(error) => return error.clone().into(),
            OpenError::Folder(FolderError::InUse { .. }) => "FOLDER_IN_USE",
            OpenError::Folder(_) => "FOLDER_UNUSABLE",
            OpenError::Thread(_) | OpenError::Gone(_) => "CLIENT_GONE",
        };
        Self::new(Exit::Local, name, error.to_string())
    }
}

impl From<ClientGone> for Failure {
    fn from(error: ClientGone) -> Self {
        Self::new(Exit::Local, "CLIENT_GONE", error.to_string())
    }
}

impl From<NamingError> for Failure {
    fn from(error: NamingError) -> Self {
        let name = match error {
            NamingError::Unknown { .. } => "UNKNOWN_NAME",
            NamingError::Ambiguous { .. } => "AMBIGUOUS_NAME",
        };
        Self::new(Exit::Usage, name, error.to_string())
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::new(Exit::Usage, "PASSWORD", error.to_string())
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::new(Exit::Usage, "SERVER_ADDRESS", error.to_string())
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::new(Exit::Usage, "TEXT", error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever read the output, such as `head`, has enough: that is an end like any other.
        let exit = match error.kind() {
            io::ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Local,
        };
        Self::new(exit, "OUTPUT", format!("the output cannot be written: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::Refusal;

    use super::*;

    #[test]
    fn refusal_keeps_its_name_its_sentence_and_its_limit() {
        let failure = Failure::from(Refused::from(&Refusal::GroupFull { max: 1_024 }));
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(
            failure.line(true),
            r#"{"type":"error","name":"GROUP_FULL","message":"a group has at most 1024 members","exit":1,"limit":"members_per_group","limit_value":1024}"#
        );
        assert_eq!(failure.line(false), "tidings: a group has at most 1024 members");
    }

    #[test]
    fn revoked_device_is_not_signed_in() {
        let failure = Failure::from(Refused::from(&Refusal::TokenRevoked));
        assert_eq!(failure.exit, Exit::NotSignedIn);
    }

    #[test]
    fn own_full_disk_is_told_apart_from_the_servers() {
        let own = Failure::from(DatabaseError::Full);
        let servers = Failure::from(Refused::from(&Refusal::StorageFull));
        assert_eq!((own.exit, servers.exit), (Exit::Local, Exit::Refused));
        assert!(own.message.contains("this device") && servers.message.contains("server's"));
    }

    #[test]
    fn refusals_that_people_meet_have_words_of_their_own_and_say_what_to_do() {
        for (refusal, words) in [
            (Refusal::NotAuthenticated, "the user name or the password is wrong"),
            (Refusal::InviteExpired, "the invite has expired: ask for a new one"),
            (Refusal::InviteUsed, "the invite was used already: ask for a new one"),
            (Refusal::TokenRevoked, "this device was signed out: sign in again"),
        ] {
            let failure = Failure::from(Refused::from(&refusal));
            assert_eq!(failure.message, words);
            assert_eq!(failure.name, refusal.name());
        }
    }

    #[test]
    fn sentence_with_somebodys_text_draws_nothing() {
        let failure = Failure::usage("no `\x1b[2J`");
        assert_eq!(failure.line(false), "tidings: no `\\u{1b}[2J`");
        assert!(!failure.line(true).contains('\x1b'));
    }
}
