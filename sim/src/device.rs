//! A device in the world: the real client core on a database in memory, and what the person before it
//! has been told.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_client_core::view::TimelineRow;
use tidings_client_core::{Client, Config, Event, Notice, Outcome};
use tidings_model::{AccountId, ConversationId, DeviceId};

use crate::database::MemoryDatabase;
use crate::network::{ConnectionId, Link};

/// Key packages that a device keeps at the server: few, so that they run out.
const KEY_PACKAGE_STOCK: usize = 5;

/// A device.
pub(crate) struct Device {
    pub(crate) name: String,
    /// `None` while the program does not run.
    pub(crate) client: Option<Client>,
    pub(crate) database: MemoryDatabase,
    pub(crate) link: Link,
    pub(crate) connection: Option<ConnectionId>,
    /// How far its wall clock is wrong.
    pub(crate) clock_error_ms: i64,
    /// When its next timer is on the agenda.
    pub(crate) timer_at: Option<Duration>,
    /// How often in a row the timer was still due when it was handled.
    pub(crate) stale_timers: u32,
    /// Whether the person wants it to be connected.
    pub(crate) is_wanted: bool,
    pub(crate) outcomes: BTreeMap<u64, Vec<Outcome>>,
    pub(crate) notices: Vec<Notice>,
    /// Open timelines, as an app would hold them.
    pub(crate) timelines: BTreeMap<ConversationId, Vec<TimelineRow>>,
    pub(crate) copy: Option<MemoryDatabase>,
    /// Whether it lost its groups or was put back to a copy: it may have to come in again.
    pub(crate) is_damaged: bool,
    /// Whether it is lost for good.
    pub(crate) is_gone: bool,
    /// Who is signed in, also while the program does not run.
    pub(crate) signed_in: Option<(AccountId, DeviceId)>,
}

impl Device {
    pub(crate) fn new(name: String, link: Link, clock_error_ms: i64) -> Self {
        let mut device = Self {
            name,
            client: None,
            database: MemoryDatabase::default(),
            link,
            connection: None,
            clock_error_ms,
            timer_at: None,
            stale_timers: 0,
            is_wanted: false,
            outcomes: BTreeMap::new(),
            notices: Vec::new(),
            timelines: BTreeMap::new(),
            copy: None,
            is_damaged: false,
            is_gone: false,
            signed_in: None,
        };
        device.start();
        device
    }

    /// Starts the program on what the database holds.
    pub(crate) fn start(&mut self) {
        let config = Config {
            agent: "tidings-sim".into(),
            key_package_stock: KEY_PACKAGE_STOCK,
            ..Config::default()
        };
        let client = Client::open(config, &self.database).expect("a database in memory is read");
        self.client = Some(client);
        self.timelines.clear();
        self.timer_at = None;
    }

    pub(crate) fn account(&self) -> Option<AccountId> {
        self.signed_in.map(|(account, _)| account)
    }

    pub(crate) fn id(&self) -> Option<DeviceId> {
        self.signed_in.map(|(_, device)| device)
    }

    /// Whether the server has signed the device out.
    pub(crate) fn has_been_signed_out(&self) -> bool {
        self.notices.contains(&Notice::SignedOut)
    }

    /// The device in words, for whoever reads a failure.
    pub(crate) fn picture(&self) -> String {
        let Some(client) = &self.client else { return format!("{}: down", self.name) };
        let heads: Vec<u64> =
            client.conversation_list().iter().map(|summary| summary.head.get()).collect();
        let waiting: Vec<_> = self
            .database
            .outbox_rows()
            .map(|row| {
                (row.position, row.failure.is_some(), row.sealed.as_ref().map(|of| of.made_in))
            })
            .take(8)
            .collect();
        format!(
            "{}: {:?}, unsent {}, held {:?}, heads {heads:?}, timeout {:?}, notices {:?}, outbox {waiting:?}, \
             conversations {:?}",
            self.name,
            client.connection_state(),
            client.unsent(),
            client.outbox_held(),
            client.poll_timeout(),
            self.notices,
            self.database.conversations_in_words(),
        )
    }

    /// Takes what the core tells.
    pub(crate) fn hear(&mut self) {
        let Some(client) = &mut self.client else { return };
        while let Some(event) = client.poll_event() {
            match event {
                Event::Outcome { command, outcome } => {
                    if let Outcome::SignedIn(me) = &outcome {
                        self.signed_in = Some((me.account, me.device));
                    }
                    self.outcomes.entry(command.0).or_default().push(outcome);
                }
                Event::Notice(notice) => self.notices.push(notice),
                Event::Timeline { conversation, changes } => {
                    let rows = self.timelines.entry(conversation).or_default();
                    for change in changes {
                        change.apply(rows);
                    }
                }
                _ => {}
            }
        }
    }
}
