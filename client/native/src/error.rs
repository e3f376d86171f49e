//! What can go wrong between a client and its server or its folder, told apart by what a person has
//! to do about it. The sentences are for people.

use std::io;
use std::path::PathBuf;

use tidings_client_core::DatabaseError;

/// Why there is no connection to the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// This machine has no way to the server's network.
    #[error("no network: check this machine's connection")]
    NoNetwork,
    /// The name of the server leads nowhere.
    #[error("there is no server named {host}: check the address")]
    NameNotFound {
        /// The name.
        host: String,
    },
    /// The machine answers, but no program listens there.
    #[error("nothing listens at {address}: the server is not running, or the port is another")]
    Refused {
        /// Host and port.
        address: String,
    },
    /// Nobody answered.
    #[error("{address} does not answer")]
    TimedOut {
        /// Host and port.
        address: String,
    },
    /// The server's certificate is not to be believed.
    #[error("{address}: {problem}")]
    Certificate {
        /// Host and port.
        address: String,
        /// Why.
        problem: CertificateProblem,
    },
    /// What stands before the server answers for it: it is being restarted, or has too much to do.
    #[error("the server behind {address} is away just now (status {status})")]
    Away {
        /// Host and port.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// A program answers, but it does not speak the app protocol.
    #[error("{address} is not a Tidings server ({detail}): check host and port")]
    NotTidings {
        /// Host and port.
        address: String,
        /// What it said.
        detail: String,
    },
    /// The address would send everything in the clear over a network.
    #[error(
        "{host} can only be reached with TLS (https): connections in the clear stay on this machine"
    )]
    PlainOverNetwork {
        /// The host.
        host: String,
    },
    /// The system gives no random bytes.
    #[error(transparent)]
    NoEntropy(#[from] EntropyError),
    /// The connection broke while it was made.
    #[error("the connection to {address} broke: {detail}")]
    Broken {
        /// Host and port.
        address: String,
        /// What the system said.
        detail: String,
    },
}

/// Why a certificate is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// It is not the one of the invite link.
    #[error(
        "the server's certificate is not the one from the invite link: somebody may be listening \
         in; ask its operator, and sign in again with a new link if the certificate was replaced"
    )]
    PinDiffers,
    /// No known authority signed it, and no link told its fingerprint.
    #[error(
        "no known authority vouches for the server's certificate: use the invite link, which \
         carries the certificate's fingerprint"
    )]
    UnknownIssuer,
    /// Its time is over.
    #[error(
        "the server's certificate has expired: its operator has to renew it (or this machine's \
         clock is wrong)"
    )]
    Expired,
    /// Its time has not come.
    #[error("the server's certificate is not valid yet: check this machine's clock")]
    NotValidYet,
    /// It belongs to another host.
    #[error("the server's certificate is for another name: check the address")]
    OtherName,
    /// Anything else that is wrong with it.
    #[error("the server's certificate is invalid: its operator has to repair it")]
    Invalid,
}

/// Why a person's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another program has it open.
    #[error(
        "the folder {} is in use by another program: close that one, or pick another folder with \
         --data", folder.display()
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It holds files, and none of them are a person's data.
    #[error(
        "the folder {} holds other files: pick an empty folder with --data", folder.display()
    )]
    HoldsOtherFiles {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be made or opened.
    #[error("the folder {} cannot be used: {error}", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Why a client cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database in it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The system gives no thread, or no timers for it.
    #[error("this system cannot start the client: {0}")]
    Thread(io::Error),
    /// The client ended while it was opened.
    #[error(transparent)]
    Gone(ClientGone),
}

/// The client has ended: it was shut down, or the system gave no random bytes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has ended: start it again, nothing that was queued is lost")]
pub struct ClientGone;

/// The system gives no random bytes; without them nothing can be sent safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this system gives no random bytes: {0}")]
pub struct EntropyError(pub(crate) String);
