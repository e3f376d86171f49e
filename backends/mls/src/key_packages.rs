//! Key packages: each is the device's own, listed, and of use at this time.

use std::sync::Arc;

use bytes::Bytes;
use tidings_messaging::group::Judged;
use tidings_model::{Refusal, Timestamp};
use tidings_protocol_mls::{
    DeviceIdentity, DeviceLists, KeyPackageError, KeyPackageUse, check_key_package,
};

use crate::GroupObserver;

impl GroupObserver {
    /// The references come in the order of the packages, that of the last resort behind them.
    pub(crate) fn key_packages(
        &self,
        device: DeviceIdentity,
        packages: &[Bytes],
        last_resort: Option<&Bytes>,
        now: Timestamp,
    ) -> Result<Judged, Refusal> {
        let lists: Arc<dyn DeviceLists> = self.store.clone();
        let once = packages.iter().map(|package| (package, KeyPackageUse::Once));
        let last_resort = last_resort.map(|package| (package, KeyPackageUse::LastResort));
        let references =
            once.chain(last_resort).enumerate().map(|(index, (package, published_for))| {
                check_key_package(package, &device, published_for, &lists, now)
                    .map_err(|error| refusal(index, &error))
            });
        references.collect::<Result<_, _>>().map(Judged::KeyPackages)
    }
}

fn refusal(index: usize, error: &KeyPackageError) -> Refusal {
    match error {
        KeyPackageError::NotCovered => Refusal::DeviceNotListed,
        KeyPackageError::Invalid(_)
        | KeyPackageError::Refused(_)
        | KeyPackageError::OtherDevice
        | KeyPackageError::NotValidNow
        | KeyPackageError::UnknownSuite
        | KeyPackageError::OtherUse => {
            Refusal::KeyPackageRefused { index, reason: error.to_string() }
        }
    }
}
