//! What may be typed behind `tidings`. README.md beside this crate documents it with its output and
//! exit codes; `tidings help COMMAND` prints what stands here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidings_model::Role;

/// Talks to people over a Tidings server.
///
/// Everything is kept in a folder on this machine first: what you send without a connection waits
/// there and is sent later, in order.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// Folder of the person: one folder, one account on this device.
    #[arg(long, global = true, value_name = "DIR", env = "TIDINGS_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Prints one JSON object a line, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Seconds to wait for the server.
    #[arg(long, global = true, value_name = "SECS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// One thing to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes an account with an invite link.
    SignUp(SignUp),
    /// Signs this device in to an account that exists.
    SignIn(SignIn),
    /// Signs this device out and forgets what is on it.
    SignOut {
        /// Signs out also when messages wait to be sent: they are lost.
        #[arg(long)]
        discard_unsent: bool,
    },
    /// Tells who is signed in, where, and what waits to be sent.
    Status,
    /// Changes the name that others see.
    DisplayName {
        /// The name.
        name: String,
    },
    /// Hides this device, or shows it again: whether others see that you are here, and you them.
    Presence {
        /// Which; it is kept until you say otherwise.
        presence: PresenceName,
    },
    /// Tells others what you have read, or does not any more, on all devices of the account.
    ReadReceipts {
        /// Which; it is kept until you say otherwise.
        sent: OnOrOff,
    },
    /// Keeps a recovery backup of sealed conversations at the server, or does not any more.
    ///
    /// The server cannot read it. It is what a device reads that was brought back by the recovery key.
    Backup {
        /// Which; it is kept until you say otherwise.
        kept: OnOrOff,
    },
    /// Makes an invite link for one new account.
    Invite,
    /// Lists the conversations, newest first.
    Conversations,
    /// Begins a conversation: with one person, as a group with --group, or with yourself.
    ///
    /// It is sealed: encrypted end to end, the server cannot read it. With --open the server can.
    Create(Create),
    /// Makes an open group of a sealed conversation's members, beside it: the server can read that.
    ContinueInOpen {
        /// Name, user name or id prefix.
        conversation: String,
        /// Does not ask again.
        #[arg(long)]
        yes: bool,
    },
    /// Makes the keys of a sealed group anew, because some of its members cannot read along any more.
    Restart {
        /// Name or id prefix.
        conversation: String,
        /// User names of members who do not come along.
        #[arg(long, value_name = "PEOPLE", num_args = 1..)]
        leave_out: Vec<String>,
    },
    /// Adds people to a group.
    Add(ConversationAndPeople),
    /// Removes people from a group.
    Remove(ConversationAndPeople),
    /// Leaves a group.
    Leave {
        /// Name, user name or id prefix.
        conversation: String,
    },
    /// Gives a group another name.
    Rename {
        /// Name or id prefix.
        conversation: String,
        /// The new name.
        name: String,
    },
    /// Gives a member of a group another role.
    Role {
        /// Name or id prefix.
        conversation: String,
        /// User name.
        person: String,
        /// The role.
        role: RoleName,
    },
    /// Lists the members of a conversation.
    Members {
        /// Name, user name or id prefix.
        conversation: String,
    },
    /// Sends a message.
    Send(Send),
    /// Changes the text of an own message.
    Edit(Edit),
    /// Takes a message back, for everyone.
    Delete(ConversationAndMessage),
    /// Reacts to a message.
    React(React),
    /// Prints the last messages of a conversation.
    Read(Read),
    /// Prints messages as they come, until stopped.
    Follow(Follow),
    /// Finds messages by words, on this device.
    Search(Search),
    /// Shows the safety number with somebody: compare it, and nobody stands between you.
    Verify(Verify),
    /// Links a device, so that it reads sealed conversations too.
    ///
    /// On the new device, which is signed in already: shows a code. On a device that can read: takes
    /// that code. Both sides are asked once more.
    Link(Link),
    /// Shows the recovery key until you have proved that you wrote it down.
    ///
    /// It brings your account back when all your devices are gone. Keep it on paper.
    Recovery {
        /// Proves it: reads the key from the terminal or from standard input.
        #[arg(long)]
        confirm: bool,
    },
    /// Makes this device one of the account's with the recovery key.
    ///
    /// The key is read from the terminal or from standard input.
    Recover,
    /// Begins a new identity: this device alone, with a new recovery key.
    ///
    /// For when all devices and the recovery key are lost. Everybody is told, and what was sealed
    /// before stays closed.
    BeginAnew {
        /// Does not ask again.
        #[arg(long)]
        yes: bool,
    },
    /// Lists the devices of the account, or signs one out.
    Devices {
        #[command(subcommand)]
        act: Option<DevicesAct>,
    },
    /// Sends what waits and fetches what is new.
    Sync,
    /// Lists what is not sent yet, and what was refused and why; sends it again or drops it.
    Unsent {
        #[command(subcommand)]
        act: Option<UnsentAct>,
    },
    /// Talks in a conversation: lines as they come, and a line to type on.
    Chat {
        /// Name, user name or id prefix; the latest one if left out.
        conversation: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SignUp {
    /// The invite link, whole. Put it in quotes: it holds a # and an &.
    pub(crate) link: String,
    /// Name to sign in with, and by which others find you.
    #[arg(long, value_name = "NAME")]
    pub(crate) user_name: String,
    /// Name that others see; the user name if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) display_name: Option<String>,
    #[command(flatten)]
    pub(crate) secret: PasswordSource,
    /// Name of this device in the list of devices; the host's name if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SignIn {
    /// An invite link, used or not, or HOST[:PORT]; the server of last time if left out.
    #[arg(value_name = "LINK_OR_ADDRESS")]
    pub(crate) server: Option<String>,
    /// Name to sign in with; that of last time if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) user_name: Option<String>,
    #[command(flatten)]
    pub(crate) secret: PasswordSource,
    /// Name of this device in the list of devices; the host's name if left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) device_name: Option<String>,
}

/// Where the password comes from: standard input, else TIDINGS_PASSWORD, else a prompt.
#[derive(Debug, Args)]
pub(crate) struct PasswordSource {
    /// Reads the password from standard input, up to the end of the line.
    ///
    /// Without it the password is taken from TIDINGS_PASSWORD, or asked for on the terminal.
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Makes a group of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Makes it open: the server can read it. It stays so for good.
    #[arg(long)]
    pub(crate) open: bool,
    /// User names. One without --group: a direct conversation. None: notes to yourself.
    pub(crate) people: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// User name.
    pub(crate) person: String,
    /// Marks the person as verified: you have compared the number.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) confirm: bool,
    /// Takes the mark back.
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The code that the new device shows; left out on the new device.
    pub(crate) code: Option<String>,
    /// Name or id prefix of the new device, where several wait.
    #[arg(long, value_name = "DEVICE", requires = "code")]
    pub(crate) device: Option<String>,
    /// Says yes without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConversationAndPeople {
    /// Name or id prefix.
    pub(crate) conversation: String,
    /// User names.
    #[arg(required = true)]
    pub(crate) people: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConversationAndMessage {
    /// Name, user name or id prefix.
    pub(crate) conversation: String,
    /// Id prefix of the message, or `last`.
    pub(crate) message: String,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Name, user name or id prefix. A user name without a conversation gets one.
    pub(crate) conversation: String,
    /// The text; `-` or nothing reads standard input.
    #[arg(allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
    /// Id prefix of the message that this answers, or `last`.
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) reply_to: Option<String>,
    /// Sends each line of standard input as a message.
    #[arg(long, conflicts_with = "reply_to")]
    pub(crate) lines: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    pub(crate) target: ConversationAndMessage,
    /// The new text; `-` or nothing reads standard input.
    #[arg(allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct React {
    #[command(flatten)]
    pub(crate) target: ConversationAndMessage,
    /// One emoji; none takes the reaction back.
    pub(crate) emoji: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Read {
    /// Name, user name or id prefix.
    pub(crate) conversation: String,
    /// How many rows.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) last: usize,
    /// Leaves them unread, for the list and for those who wrote them.
    #[arg(long)]
    pub(crate) keep_unread: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Follow {
    /// Name, user name or id prefix; all conversations if left out.
    pub(crate) conversation: Option<String>,
    /// Also prints earlier ones: from a time (2026-01-31T08:00Z) or a span ago (90s, 15m, 2h, 3d).
    #[arg(long, value_name = "WHEN", value_parser = crate::when::Since::parse)]
    pub(crate) since: Option<crate::when::Since>,
    /// Tells those who wrote that it was read.
    #[arg(long)]
    pub(crate) mark_read: bool,
    /// Stops after this many messages.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words that all have to be in the message.
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    /// How many hits at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DevicesAct {
    /// Signs a device out, at once; it can read nothing that is said from then on.
    #[command(visible_alias = "remove")]
    Revoke {
        /// Id prefix of the device.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UnsentAct {
    /// Sends everything again that was refused for good.
    Retry,
    /// Drops one message that was refused.
    Discard {
        /// Id prefix of the message.
        id: String,
    },
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Member => Self::Member,
            RoleName::Admin => Self::Admin,
            RoleName::Owner => Self::Owner,
        }
    }
}

/// A role by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Reads, writes, leaves.
    Member,
    /// Also adds, removes members, renames.
    Admin,
    /// Also gives and takes roles.
    Owner,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOrOff {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// A presence by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PresenceName {
    /// Others see that you are here, and you see them.
    Online,
    /// Neither.
    Hidden,
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds is needed, such as 5 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("tidings").chain(line.iter().copied()))
    }

    #[test]
    fn every_command_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn shared_options_stand_before_or_behind_the_command() {
        for line in [
            ["--json", "--data", "anna", "conversations"].as_slice(),
            &["conversations", "--json", "--data", "anna"],
        ] {
            let shared = parse(line).unwrap().shared;
            assert!(shared.json);
            assert_eq!(shared.data, Some(PathBuf::from("anna")));
        }
    }

    #[test]
    fn text_that_begins_with_a_hyphen_is_a_text() {
        let arguments = parse(&["send", "kofi", "- buy milk"]).unwrap();
        let Command::Send(send) = arguments.command else { panic!("{arguments:?}") };
        assert_eq!(send.text.as_deref(), Some("- buy milk"));
    }

    #[test]
    fn time_is_given_in_seconds_and_nonsense_is_refused() {
        let timeout = parse(&["--timeout", "0.5", "status"]).unwrap().shared.timeout;
        assert_eq!(timeout, Duration::from_millis(500));
        for nonsense in ["soon", "-1", "nan", "1e400"] {
            assert!(parse(&["status", &format!("--timeout={nonsense}")]).is_err(), "{nonsense}");
        }
    }
}
