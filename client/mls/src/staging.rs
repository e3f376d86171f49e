//! The library's storage as a buffer: bytes in before an operation, bytes out after it.
//!
//! Its storage traits want to be shared between threads, so none of them can hold a transaction. This
//! one holds nothing but values; whoever calls puts them into a transaction of its own. Past epochs
//! are never kept.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mls_rs::{GroupStateStorage, KeyPackageStorage};
use mls_rs_core::group::{EpochRecord, GroupState};
use mls_rs_core::key_package::KeyPackageData;
use zeroize::Zeroizing;

/// The buffer. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Staging(Arc<Mutex<Buffer>>);

#[derive(Default)]
struct Buffer {
    state: Option<Zeroizing<Vec<u8>>>,
    key_packages: HashMap<Vec<u8>, KeyPackageData>,
    used: Vec<Vec<u8>>,
}

impl Staging {
    pub(crate) fn with_state(state: &[u8]) -> Self {
        let staging = Self::default();
        staging.lock().state = Some(Zeroizing::new(state.to_vec()));
        staging
    }

    pub(crate) fn put_key_package(&self, reference: Vec<u8>, data: KeyPackageData) {
        self.lock().key_packages.insert(reference, data);
    }

    /// Takes the state that the library has written.
    pub(crate) fn take_state(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.lock().state.take()
    }

    pub(crate) fn take_key_packages(&self) -> HashMap<Vec<u8>, KeyPackageData> {
        std::mem::take(&mut self.lock().key_packages)
    }

    /// Takes the references of the key packages that the library has used up.
    pub(crate) fn take_used(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.lock().used)
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupStateStorage for Staging {
    type Error = Infallible;

    fn state(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.lock().state.clone())
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(
        &mut self,
        state: GroupState,
        _: Vec<EpochRecord>,
        _: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        self.lock().state = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

impl KeyPackageStorage for Staging {
    type Error = Infallible;

    fn delete(&mut self, id: &[u8]) -> Result<(), Infallible> {
        let mut buffer = self.lock();
        // The library names a used key package again with every write.
        if buffer.key_packages.remove(id).is_some() {
            buffer.used.push(id.to_vec());
        }
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, pkg: KeyPackageData) -> Result<(), Infallible> {
        self.put_key_package(id, pkg);
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, Infallible> {
        Ok(self.lock().key_packages.get(id).cloned())
    }
}
