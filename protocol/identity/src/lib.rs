//! Who somebody is, without a server: user names, the names people show, passwords, SCRAM, the
//! tokens of devices and invites, recovery keys as text, and invite links.
//!
//! Server, apps and doors share it, so that a name or a proof that one side makes is one that the
//! other accepts. It reads no clock and draws no randomness: nonces, salts and tokens are arguments.
//! Deliberately not here: which names are taken, which tokens are valid and for how long
//! (`messaging`), and TLS.
//!
//! Each module has an error of its own: a wrong name is told to a person, a wrong SCRAM message
//! ends a sign-in, and no caller meets both in one call.

pub mod display_name;
pub mod invite;
pub mod limits;
pub mod password;
pub mod recovery_key;
pub mod scram;
pub mod token;
pub mod user_name;

pub use display_name::{ConversationName, DisplayName, DisplayNameError};
pub use invite::{InviteLink, InviteLinkError, ServerAddress, Transport};
pub use password::{Password, PasswordError};
pub use recovery_key::{RecoveryKey, RecoveryKeyError};
pub use token::{DeviceToken, InviteToken, TokenHash};
pub use user_name::{UserName, UserNameError};
