//! The encoding of our own rows: fields after one another, integers big-endian, bytes with their
//! length (4 bytes) in front, and a version in front of all.
//!
//! Only this device reads them, so damage is all that a reader has to fear.

use tidings_model::MessageId;
use tidings_protocol_mls::DeviceIdentity;
use tidings_protocol_mls::credential::CREDENTIAL_BYTES;

const VERSION: u8 = 1;

pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(vec![VERSION])
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u32(&mut self, number: u32) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, number: u64) -> &mut Self {
        self.raw(&number.to_be_bytes())
    }

    /// A count or a length. Nothing of ours comes near 4 GiB.
    pub(crate) fn length(&mut self, length: usize) -> &mut Self {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len()).raw(bytes)
    }

    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.raw(&[u8::from(flag)])
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Reads what [`Writer`] wrote; every method answers `None` where the bytes do not fit.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.strip_prefix(&[VERSION]).map(Self)
    }

    pub(crate) fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.raw(N)?.try_into().ok()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.raw(length)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    pub(crate) fn message_id(&mut self) -> Option<MessageId> {
        self.array().map(MessageId::from_bytes)
    }

    pub(crate) fn device(&mut self) -> Option<DeviceIdentity> {
        DeviceIdentity::from_bytes(self.raw(CREDENTIAL_BYTES)?)
    }

    pub(crate) fn finish(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
