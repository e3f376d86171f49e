//! Who this device is: its signature key, the account's recovery key while it is not confirmed, and
//! whether the account's device list covers the device.
//!
//! The seeds are on the disk before anything of theirs leaves. A device that its account's list does
//! not cover takes part in open conversations alone; it is linked by another device, or the recovery
//! key is typed, or a new identity begins. Each of these tells it by which entry its account's list
//! begins: a list that the server shows and that begins otherwise covers nobody, whatever it says. Deliberately not here: how the list is published
//! ([`super::own_list`]) and the lists of others ([`super::lists`]).

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use tidings_client_mls::{Mls, Suite};
use tidings_model::{AccountId, DeviceId, Timestamp};
use tidings_protocol_app::wire;
use tidings_protocol_identity::RecoveryKey;
use tidings_protocol_mls::{
    Coverage, DeviceIdentity, DeviceList, DeviceLists, KnownLists, SecretKey,
};

use crate::command::CommandId;
use crate::database::{
    Database, DatabaseError, DeviceListRow, GroupPart, IdentityRow, Sealing, Write,
};
use crate::event::{Event, Failure, Listing, Notice, Outcome};

use super::Client;
use super::list_acts::ListAct;
use super::step::Step;

/// Who this device is, and whose devices are whose as far as it knows.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) row: Option<IdentityRow>,
    pub(super) lists: Arc<RwLock<KnownLists>>,
    /// Hash of the entry 0 by which the account's list begins, as this device knows from a person.
    anchor: Option<[u8; 32]>,
    /// Both follow from the row: made once, since a key costs a multiplication on its curve.
    key: OnceLock<SecretKey>,
    mls: OnceLock<Mls>,
}

/// The core's own name for [`Identity::anchor`] among the account's values.
const ANCHOR: &[u8] = b"founding hash";

impl Identity {
    /// Reads what the device holds. The lists are verified once more.
    pub(super) fn load(database: &dyn Database) -> Result<Self, DatabaseError> {
        let lists = read_lists(database.device_lists()?)?;
        Ok(Self {
            row: database.identity()?,
            lists: Arc::new(RwLock::new(lists)),
            anchor: database.account_value(ANCHOR)?.and_then(|kept| kept[..].try_into().ok()),
            key: OnceLock::new(),
            mls: OnceLock::new(),
        })
    }

    /// The lists that are known.
    pub(super) fn known(&self) -> RwLockReadGuard<'_, KnownLists> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present list of an account.
    pub(super) fn list(&self, account: AccountId) -> Option<DeviceList> {
        self.known().list(account).cloned()
    }

    /// The device's key.
    pub(super) fn key(&self) -> Option<SecretKey> {
        let row = self.row.as_ref()?;
        Some(self.key.get_or_init(|| SecretKey::from_seed(&row.key)).clone())
    }

    pub(super) fn write(&self, step: &mut Step<'_>) {
        if let Some(row) = &self.row {
            step.write(Write::PutIdentity(Box::new(row.clone())));
        }
    }
}

fn read_lists(rows: Vec<DeviceListRow>) -> Result<KnownLists, DatabaseError> {
    let mut entries: BTreeMap<(AccountId, u32), Vec<Bytes>> = BTreeMap::new();
    for row in rows {
        entries.entry((row.account, row.identity)).or_default().push(row.entry);
    }
    let mut lists = KnownLists::default();
    for ((account, identity), entries) in entries {
        let damaged = |error| DatabaseError::Damaged(format!("a device list: {error}"));
        let list = DeviceList::verify(account, &entries).map_err(damaged)?;
        if lists.identities(account).count() != identity as usize {
            return Err(DatabaseError::Damaged("a device list is missing".to_owned()));
        }
        lists.begin_anew(list);
    }
    Ok(lists)
}

impl Client {
    /// How this device stands in its account's device list.
    pub fn listing(&self) -> Listing {
        match self.own_coverage() {
            None | Some(Coverage::NoList) => Listing::Unknown,
            Some(Coverage::Now) if self.is_anchored() => Listing::Listed,
            Some(Coverage::Now | Coverage::Never | Coverage::Former) => Listing::Unlisted,
        }
    }

    /// Whether the account's known list begins as this device knows that it does.
    fn is_anchored(&self) -> bool {
        let known = self.state.identity.known();
        let list = self.state.me().and_then(|me| known.list(me));
        list.is_some_and(|list| self.state.identity.anchor == Some(*list.founding_hash()))
    }

    /// Keeps by which entry the account's list begins. It is on the disk before anything is sent.
    pub(super) fn anchor(&mut self, step: &mut Step<'_>, founding_hash: [u8; 32]) {
        self.state.identity.anchor = Some(founding_hash);
        let value = Bytes::copy_from_slice(&founding_hash);
        step.write(Write::PutAccountValue { key: Bytes::from_static(ANCHOR), value });
        step.must_sync();
    }

    /// What makes and reads sealed messages; `None` while the account's list does not cover this
    /// device.
    pub(super) fn mls(&self) -> Option<Mls> {
        if self.listing() != Listing::Listed {
            return None;
        }
        let (device, key) = (self.own_device()?, self.state.identity.key()?);
        let lists = self.state.identity.lists.clone();
        let mls =
            self.state.identity.mls.get_or_init(|| Mls::new(device, key, lists, Suite::default()));
        Some(mls.clone())
    }

    pub(super) fn own_device(&self) -> Option<DeviceIdentity> {
        let row = self.state.account.as_ref()?;
        Some(DeviceIdentity { account: row.account?, device: row.device })
    }

    /// What the account's known list says about this device.
    pub(super) fn own_coverage(&self) -> Option<Coverage> {
        let (device, key) = (self.own_device()?, self.state.identity.key()?);
        Some(self.state.identity.known().coverage(&device, &key.public()))
    }

    /// The account's known list.
    pub(super) fn own_list_known(&self) -> Option<DeviceList> {
        self.state.identity.list(self.state.me()?)
    }

    /// The devices that the known list of an account covers; `None` while none is known.
    pub(super) fn listed_devices(&self, account: AccountId) -> Option<Vec<DeviceIdentity>> {
        let known = self.state.identity.known();
        let list = known.list(account)?;
        Some(list.devices().map(|(device, _)| DeviceIdentity { account, device }).collect())
    }

    /// The devices that the account's known list covers.
    pub(super) fn listed_here(&self) -> Vec<DeviceId> {
        let known = self.state.identity.known();
        let list = self.state.me().and_then(|me| known.list(me));
        list.into_iter().flat_map(|list| list.devices().map(|(device, _)| device)).collect()
    }

    /// Whether this device can take another one out of the list.
    pub(super) fn is_listed_sibling(&self, device: DeviceId) -> bool {
        self.listing() == Listing::Listed && self.sibling_devices().contains(&device)
    }

    /// Other devices that the account's list covers.
    pub(super) fn sibling_devices(&self) -> Vec<DeviceId> {
        let own = self.own_device().map(|own| own.device);
        self.listed_here().into_iter().filter(|device| Some(*device) != own).collect()
    }

    /// The time by which lists and key packages are dated: the server's.
    pub(super) fn server_now(&self, step: &Step<'_>) -> Timestamp {
        let millis = step.now.wall.as_millis().saturating_add(self.state.server_ahead_ms);
        Timestamp::from_millis(millis)
    }

    /// Makes the identity of a new account's first device. It is written with the account.
    pub(super) fn identity_of_new_account(&mut self, step: &mut Step<'_>) {
        let recovery = Some(step.entropy.bytes());
        self.put_new_identity(step, recovery);
    }

    /// Makes the identity of a device that has just signed in. What belonged to a former device here
    /// is of no use to it: keys of groups live and die with their device.
    pub(super) fn identity_of_new_device(&mut self, step: &mut Step<'_>) {
        step.write(Write::DeleteAllKeyPackages);
        self.forget_history(step);
        let sealed: Vec<_> = self
            .state
            .conversations
            .values()
            .filter(|of| matches!(of.row.sealing, Sealing::Sealed { .. }))
            .map(|of| of.id())
            .collect();
        for conversation in sealed {
            self.forget_group(step, conversation);
            if let Some(of) = self.state.conversations.get_mut(&conversation) {
                of.row.sealing = Sealing::Sealed { part: GroupPart::Outside };
                of.write(step);
            }
        }
        self.groups.clear();
        self.put_new_identity(step, None);
    }

    fn put_new_identity(&mut self, step: &mut Step<'_>, recovery: Option<[u8; 32]>) {
        self.state.identity.row = Some(IdentityRow {
            key: step.entropy.bytes(),
            recovery,
            storage_key: None,
            must_replace_key_packages: false,
            last_resort: None,
            inbox: 0,
            account_log: 0,
        });
        self.state.identity.key = OnceLock::new();
        self.state.identity.mls = OnceLock::new();
        self.state.identity.write(step);
        step.must_sync();
    }

    /// Takes what a resume tells about the account's devices.
    pub(super) fn identity_resumed(
        &mut self,
        step: &mut Step<'_>,
        answer: &wire::Resumed,
    ) -> Result<(), DatabaseError> {
        if self.state.identity.row.is_none() {
            // The account is from before there were sealed conversations.
            self.put_new_identity(step, None);
        }
        let has_list = answer.list_entries > 0 || self.own_list_known().is_some();
        let Some(row) = &mut self.state.identity.row else { return Ok(()) };
        if !has_list && row.recovery.is_none() {
            row.recovery = Some(step.entropy.bytes());
            step.must_sync();
        }
        // A copy of older data lacks the private keys of what was published since.
        row.must_replace_key_packages |= answer.restored;
        let went_back = answer.inbox_head < row.inbox || answer.account_log_head < row.account_log;
        self.state.identity.write(step);
        if went_back {
            self.server_went_back(step)?;
        }
        if !has_list {
            self.want_list_act(ListAct::Found, None);
        }
        self.own_list_stands(answer.list_identity, answer.list_entries);
        self.key_packages.resumed(answer.key_packages);
        self.inbox.resumed(answer.inbox_head);
        self.account_log.resumed(answer.account_log_head);
        Ok(())
    }

    /// The server was restored from an older state. What it counts anew is read anew, what it may have
    /// lost is put again, and of the key packages it has nobody knows which were used.
    pub(super) fn server_went_back(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        if std::mem::replace(&mut self.account_log.went_back, true) {
            return Ok(());
        }
        self.forget_account_log(step)?;
        if let Some(row) = &mut self.state.identity.row {
            row.must_replace_key_packages = true;
            row.inbox = 0;
            row.account_log = 0;
        }
        self.state.identity.write(step);
        Ok(())
    }

    /// Tells how this device stands in the list, when that has changed.
    pub(super) fn tell_listing(&mut self, step: &mut Step<'_>) {
        let listing = self.listing();
        if self.listing_told != listing {
            if (self.listing_told, listing) == (Listing::Unlisted, Listing::Listed) {
                self.come_in_everywhere(step.now.monotonic);
            }
            self.listing_told = listing;
            step.events.push(Event::Listing(listing));
        }
    }

    /// The account's list has come or changed.
    pub(super) fn own_list_changed(&mut self, step: &mut Step<'_>) {
        if self.own_coverage() == Some(Coverage::Former) {
            step.notice(Notice::RemovedFromDeviceList);
            return self.revoked(step);
        }
        self.tell_offer(step);
        // Another device has begun the list: the recovery key that this one drew is nobody's.
        let recovery_key = self.own_list_known().map(|list| list.recovery_key());
        let begins = self.own_list.begins_anew();
        let Some(row) = &mut self.state.identity.row else { return };
        let drawn = row.recovery.map(|seed| SecretKey::from_seed(&seed).public());
        if drawn.is_some() && drawn != recovery_key && !begins {
            row.recovery = None;
            self.state.identity.write(step);
        }
    }

    /// Signs this device into the list with the recovery key that a person has typed.
    pub(super) fn recover(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        key: &RecoveryKey,
    ) -> Result<(), Failure> {
        let (device, own) = self.unlisted()?;
        let signer = SecretKey::from_seed(key.seed());
        let list = self.own_list_known().ok_or(Failure::NotConnected)?;
        if list.recovery_key() != signer.public() || !key.belongs_to(list.founding_hash()) {
            return Err(Failure::RecoveryKeyWrong);
        }
        if let Some(row) = &mut self.state.identity.row {
            // Kept until it has opened the account storage key.
            row.recovery = Some(*key.seed());
        }
        self.anchor(step, *list.founding_hash());
        self.state.identity.write(step);
        self.begin_import(step);
        step.must_sync();
        let act =
            ListAct::Add { device: device.device, key: own.public(), signer: Box::new(signer) };
        self.want_list_act(act, Some(self.waits_for(step, id)));
        Ok(())
    }

    /// Begins a new identity of the account with this device and a new recovery key.
    pub(super) fn begin_anew(&mut self, step: &mut Step<'_>, id: CommandId) -> Result<(), Failure> {
        self.unlisted()?;
        if let Some(row) = &mut self.state.identity.row {
            row.recovery = Some(step.entropy.bytes());
        }
        self.state.identity.write(step);
        self.drop_former_backup(step);
        step.must_sync();
        self.want_list_act(ListAct::BeginAnew, Some(self.waits_for(step, id)));
        Ok(())
    }

    pub(super) fn unlisted(&self) -> Result<(DeviceIdentity, SecretKey), Failure> {
        match self.listing() {
            Listing::Listed => Err(Failure::AlreadyListed),
            Listing::Unknown => Err(Failure::NotConnected),
            Listing::Unlisted => {
                self.own_device().zip(self.state.identity.key()).ok_or(Failure::NotSignedIn)
            }
        }
    }

    /// Shows the recovery key, while it is here.
    pub(super) fn show_recovery_key(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
    ) -> Result<(), Failure> {
        let key = self.unconfirmed_recovery_key().ok_or(Failure::NoRecoveryKey)?;
        step.outcome(id, Outcome::RecoveryKey(key));
        Ok(())
    }

    /// Takes the recovery key as a person has it on paper, and forgets it here.
    pub(super) fn confirm_recovery_key(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        key: &RecoveryKey,
    ) -> Result<(), Failure> {
        let held = self.unconfirmed_recovery_key().ok_or(Failure::NoRecoveryKey)?;
        if held != *key {
            return Err(Failure::RecoveryKeyWrong);
        }
        self.forget_recovery_key(step);
        step.outcome(id, Outcome::Done);
        Ok(())
    }

    pub(super) fn forget_recovery_key(&mut self, step: &mut Step<'_>) {
        if let Some(row) = &mut self.state.identity.row {
            row.recovery = None;
        }
        self.state.identity.write(step);
        step.must_sync();
    }

    /// The seed that is here, if it is that of the list's recovery key.
    fn unconfirmed_recovery_key(&self) -> Option<RecoveryKey> {
        let seed = self.state.identity.row.as_ref()?.recovery?;
        let list = self.own_list_known()?;
        let is_in_force = list.recovery_key() == SecretKey::from_seed(&seed).public();
        (is_in_force && self.is_anchored()).then(|| RecoveryKey::new(seed, list.founding_hash()))
    }
}
