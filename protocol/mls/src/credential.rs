//! The MLS basic credential (RFC 9420 §5.3) of a device: which device of which account.
//!
//! 33 bytes: 1 (the version), the account, the device. Whether the credential's key is that device's
//! is for the account's device list to say.

use tidings_model::{AccountId, DeviceId};

const VERSION: u8 = 1;

/// Bytes of a credential.
pub const CREDENTIAL_BYTES: usize = 33;

/// A device and the account that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceIdentity {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
}

impl DeviceIdentity {
    /// The content of the credential.
    pub fn to_bytes(self) -> [u8; CREDENTIAL_BYTES] {
        let mut bytes = [VERSION; CREDENTIAL_BYTES];
        bytes[1..17].copy_from_slice(self.account.as_bytes());
        bytes[17..].copy_from_slice(self.device.as_bytes());
        bytes
    }

    /// Reads the content of a credential; `None` for one that is not ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ids = bytes.strip_prefix(&[VERSION])?;
        let (account, device) = ids.split_at_checked(16)?;
        Some(Self { account: account.try_into().ok()?, device: device.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_comes_back_and_no_other_bytes_are_taken() {
        let identity = DeviceIdentity {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::from_bytes([2; 16]),
        };
        let bytes = identity.to_bytes();
        assert_eq!(DeviceIdentity::from_bytes(&bytes), Some(identity));
        for length in 0..bytes.len() {
            assert_eq!(DeviceIdentity::from_bytes(&bytes[..length]), None);
        }
        assert_eq!(DeviceIdentity::from_bytes(&[&bytes[..], &[0]].concat()), None);
        let of_later_version = [&[2], &bytes[1..]].concat();
        assert_eq!(DeviceIdentity::from_bytes(&of_later_version), None);
    }
}
