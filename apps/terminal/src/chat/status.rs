//! The words of the status row: the connection, who types, how far the last own message got.

use tidings_client_core::view::DeliveryState;
use tidings_client_core::{ConnectionState, Presence};

use crate::format::ticks;
use crate::sealing;
use crate::session::connection_words;
use crate::visible;
use crate::when::Clock;

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// The connection.
    pub(super) connection: ConnectionState,
    /// Why the server does not take what is sent, in its words.
    pub(super) held: Option<String>,
    /// Who types, by the names that they show.
    pub(super) typing: Vec<String>,
    /// The other one of a direct conversation: the name, and whether they are there.
    pub(super) partner: Option<(String, Presence)>,
    /// How far the newest own message got.
    pub(super) newest_own: Option<DeliveryState>,
    /// Own messages that wait.
    pub(super) waiting: usize,
    /// Own messages that were refused.
    pub(super) refused: usize,
    /// The server can read what is said here.
    pub(super) open: bool,
    /// The other one has another identity than the one that was compared.
    pub(super) identity_changed: bool,
    /// Why nothing can be sealed or read here for the moment.
    pub(super) keys: Option<&'static str>,
    /// Why nothing can be written here.
    pub(super) blocked: Option<&'static str>,
    /// For the time somebody was last there.
    pub(super) clock: ClockOf,
}

/// A clock that compares equal to any other: it says nothing by itself.
#[derive(Debug, Clone)]
pub(super) struct ClockOf(pub(super) Clock);

impl PartialEq for ClockOf {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for ClockOf {}

impl Status {
    /// Everything on one row, the most urgent first.
    pub(super) fn row(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.blocked.map(str::to_owned));
        if self.identity_changed {
            parts.push("! new identity, /verify".to_owned());
        }
        if self.open {
            parts.push(sealing::OPEN.to_owned());
        }
        let connection = self.connection_line();
        if !connection.is_empty() {
            parts.push(connection);
        }
        parts.extend(typing_words(&self.typing));
        if self.refused > 0 {
            parts.push(format!("! {} not sent, /retry", self.refused));
        }
        match &self.newest_own {
            Some(DeliveryState::Failed(_)) | None => {}
            Some(state) => parts.push(ticks(state)),
        }
        parts.extend(self.partner_words().filter(|_| self.typing.is_empty()));
        parts.join(" · ")
    }

    /// What is to be told of the connection; empty while all is well.
    pub(super) fn connection_line(&self) -> String {
        match &self.connection {
            ConnectionState::Live => match (&self.held, self.keys) {
                (Some(reason), _) => format!("{}; {}", visible::one_line(reason), self.kept()),
                (None, Some(keys)) => format!("{keys}; {}", self.kept()),
                (None, None) => String::new(),
            },
            state @ (ConnectionState::Connecting | ConnectionState::Syncing { .. }) => {
                format!("{} …", connection_words(state))
            }
            ConnectionState::Waiting { reason, .. } if reason.is_empty() => {
                format!("no connection: {}", self.kept())
            }
            // The reason stands last: a narrow terminal cuts it and not what it means for the person.
            ConnectionState::Waiting { reason, .. } => {
                format!("no connection: {} ({reason})", self.kept())
            }
            state @ ConnectionState::Offline(_) => {
                format!("{}: {}", connection_words(state), self.kept())
            }
        }
    }

    fn kept(&self) -> String {
        match self.waiting {
            0 => "what you write is kept and sent later".to_owned(),
            count => format!("{count} kept and sent later"),
        }
    }

    fn partner_words(&self) -> Option<String> {
        let (name, presence) = self.partner.as_ref()?;
        match presence {
            Presence::Online => Some(format!("{name} is online")),
            Presence::Offline { last_seen: Some(time) } => {
                Some(format!("{name} was online {}", self.clock.0.day_and_time(*time)))
            }
            Presence::Offline { last_seen: None } => None,
        }
    }
}

/// Names two people, then counts.
fn typing_words(names: &[String]) -> Option<String> {
    let name = |at: usize| visible::one_line(&names[at]).into_owned();
    match names.len() {
        0 => None,
        1 => Some(format!("{} is typing …", name(0))),
        2 => Some(format!("{} and {} are typing …", name(0), name(1))),
        count => Some(format!("{}, {} and {} more are typing …", name(0), name(1), count - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            connection: ConnectionState::Live,
            held: None,
            typing: Vec::new(),
            partner: None,
            newest_own: None,
            waiting: 0,
            refused: 0,
            open: false,
            identity_changed: false,
            keys: None,
            blocked: None,
            clock: ClockOf(Clock::utc()),
        }
    }

    #[test]
    fn nothing_is_told_while_there_is_nothing_to_tell() {
        assert_eq!(status().row(), "");
    }

    #[test]
    fn lost_connection_says_that_what_is_written_is_kept() {
        let mut status = status();
        status.connection = ConnectionState::Waiting {
            retry_in: std::time::Duration::from_secs(1),
            reason: String::new(),
        };
        assert_eq!(status.row(), "no connection: what you write is kept and sent later");
        status.waiting = 2;
        assert_eq!(status.row(), "no connection: 2 kept and sent later");
        status.connection = ConnectionState::Waiting {
            retry_in: std::time::Duration::from_secs(1),
            reason: "no network".to_owned(),
        };
        assert_eq!(status.row(), "no connection: 2 kept and sent later (no network)");
    }

    #[test]
    fn full_disk_of_the_server_says_that_what_is_written_is_kept() {
        let mut status = status();
        status.held = Some(tidings_model::Refusal::StorageFull.to_string());
        status.waiting = 2;
        let words = "the server's disk is full: nothing was stored; 2 kept and sent later";
        assert_eq!(status.row(), words);
        status.connection = ConnectionState::Connecting;
        assert_eq!(status.row(), "reaching the server …");
    }

    #[test]
    fn missing_keys_say_that_what_is_written_is_kept() {
        let mut status = status();
        status.keys = Some("waiting for the keys of this conversation");
        status.waiting = 1;
        let words = "waiting for the keys of this conversation; 1 kept and sent later";
        assert_eq!(status.row(), words);
        status.connection = ConnectionState::Connecting;
        assert_eq!(status.row(), "reaching the server …");
    }

    #[test]
    fn open_conversation_and_changed_identity_are_told_all_the_time() {
        let mut status = status();
        status.open = true;
        status.newest_own = Some(DeliveryState::Stored);
        assert_eq!(status.row(), "open: the server can read this · ✓ sent");
        status.open = false;
        status.identity_changed = true;
        assert_eq!(status.row(), "! new identity, /verify · ✓ sent");
    }

    #[test]
    fn typing_names_two_people_and_counts_the_others() {
        let mut status = status();
        for (name, expected) in [
            ("Kofi", "Kofi is typing …"),
            ("A\x1b", "Kofi and A\\u{1b} are typing …"),
            ("Eve", "Kofi, A\\u{1b} and 1 more are typing …"),
        ] {
            status.typing.push(name.to_owned());
            assert_eq!(status.row(), expected);
        }
    }

    #[test]
    fn newest_own_message_is_told_in_sign_and_word_beside_the_partner() {
        let mut status = status();
        status.newest_own = Some(DeliveryState::Read);
        status.partner = Some(("Kofi".to_owned(), Presence::Online));
        assert_eq!(status.row(), "✓✓ read · Kofi is online");
        status.refused = 1;
        assert_eq!(status.row(), "! 1 not sent, /retry · ✓✓ read · Kofi is online");
    }
}
