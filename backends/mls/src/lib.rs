//! The observer of sealed conversations: `tidings_messaging::group` on MLS (RFC 9420).
//!
//! The core orders entries and knows no MLS; [`GroupObserver`] reads what the store holds of a group and
//! of device lists, and holds what devices send against the same rules as every client
//! (`tidings_protocol_mls`). Here the store's records become groups and lists, and what comes out becomes
//! changes of the store. What only a server can look after is decided here: that a Welcome is for those
//! who are added, whom a restart leaves behind, and whose device a list names.
//!
//! A group is taken up from its record for each Commit. That costs a part of what the Commit itself
//! does, and there is nothing in memory that could differ from the store.
//!
//! Deliberately not here: the compare-and-set on the epoch, which is the store's, the pace of Commits,
//! which is the core's, and threads.

mod commit;
mod device_list;
mod group_record;
mod key_packages;
mod leave;
mod limits;
mod new_group;
mod refusal;
mod replay;
mod store;

use std::sync::Arc;

use tidings_messaging::group::{Judge, Judged, Observer};
use tidings_messaging::store::Reader;
use tidings_model::{AccountId, DeviceId, Refusal};
use tidings_protocol_mls::DeviceIdentity;

use commit::SentCommit;
use device_list::NewEntries;
use store::Store;

/// Follows groups and verifies what devices publish. It reads the store by a reader of its own.
#[derive(Debug)]
pub struct GroupObserver {
    store: Arc<Store>,
}

impl GroupObserver {
    /// Makes the observer. The reader sees what is committed when a request is judged.
    pub fn new(reader: Box<dyn Reader>) -> Self {
        Self { store: Arc::new(Store::new(reader)) }
    }
}

impl Observer for GroupObserver {
    fn judge(&mut self, judge: &Judge) -> Result<Judged, Refusal> {
        self.store.begin_request();
        let judged = self.judge_now(judge);
        // A list that cannot be read looks like one that is not there, and decides nothing.
        if self.store.has_failed() { Err(Refusal::Unavailable) } else { judged }
    }
}

impl GroupObserver {
    fn judge_now(&self, judge: &Judge) -> Result<Judged, Refusal> {
        match judge {
            Judge::Found { conversation, kind, maker, partner, group } => {
                self.found(*conversation, *kind, identity(*maker), *partner, group)
            }
            Judge::Commit {
                conversation,
                sender,
                message_id,
                commit,
                group_info,
                welcome,
                joiners,
            } => self.commit(&SentCommit {
                conversation: *conversation,
                sender: identity(*sender),
                message_id: *message_id,
                commit,
                group_info,
                welcome,
                joiners,
            }),
            Judge::Leave { conversation, sender, payload } => {
                self.leave(*conversation, identity(*sender), payload)
            }
            Judge::Replay { conversation, author, message_id, handshake } => {
                self.replay(*conversation, identity(*author), *message_id, handshake)
            }
            Judge::Restart { conversation, sender, group } => {
                self.restart(*conversation, identity(*sender), group)
            }
            Judge::DeviceList { account, from, entries, begins_anew: false } => {
                self.grow_list(&NewEntries { account: *account, from: *from, entries })
            }
            Judge::DeviceList { account, from, entries, begins_anew: true } => {
                self.begin_list(&NewEntries { account: *account, from: *from, entries })
            }
            Judge::KeyPackages { device, packages, last_resort, now } => {
                self.key_packages(identity(*device), packages, last_resort.as_ref(), *now)
            }
        }
    }
}

fn identity((account, device): (AccountId, DeviceId)) -> DeviceIdentity {
    DeviceIdentity { account, device }
}
