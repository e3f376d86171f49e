//! Columns and the model's types. A value that this program never writes is damage, and no panic.

use bytes::Bytes;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Error, Result, Row};
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, EntryKind, HiddenReason,
    LogEpoch, MessageId, Role, Seq, Timestamp,
};
use tidings_protocol_content::Reference;

/// A value that is stored in one column.
pub(crate) trait Column: Sized {
    /// Takes a stored value; `None` if it is none of this type's.
    fn from_stored(stored: ValueRef<'_>) -> Option<Self>;
}

/// The columns of a row, taken from left to right: the fields of a literal are, too.
pub(crate) struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    pub(crate) fn take<T: Column>(&mut self) -> Result<T> {
        let stored = self.row.get_ref(self.next)?;
        self.next += 1;
        T::from_stored(stored).ok_or_else(|| self.malformed())
    }

    /// What names a message: two columns, both set or neither.
    pub(crate) fn take_reference(&mut self) -> Result<Option<Reference>> {
        match (self.take()?, self.take()?) {
            (Some(account), Some(message_id)) => Ok(Some(Reference { account, message_id })),
            (None, None) => Ok(None),
            _ => Err(self.malformed()),
        }
    }

    /// The error of a row that cannot be what the columns taken last say.
    pub(crate) fn malformed(&self) -> Error {
        let last = self.next.saturating_sub(1);
        let words = "a row holds what no version of this program writes";
        Error::FromSqlConversionFailure(last, Type::Null, words.into())
    }
}

impl<T: Column> Column for Option<T> {
    fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
        match stored {
            ValueRef::Null => Some(None),
            stored => T::from_stored(stored).map(Some),
        }
    }
}

macro_rules! identifier {
    ($($name:ident)*) => {$(
        impl Column for $name {
            fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
                Self::try_from(stored.as_blob().ok()?).ok()
            }
        }
    )*};
}

identifier!(AccountId ConversationId DeviceId MessageId);

macro_rules! number {
    ($($name:ty: $convert:expr;)*) => {$(
        impl Column for $name {
            fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
                let convert: fn(i64) -> Option<Self> = $convert;
                convert(stored.as_i64().ok()?)
            }
        }
    )*};
}

number! {
    i64: Some;
    u8: |stored| stored.try_into().ok();
    u16: |stored| stored.try_into().ok();
    u32: |stored| stored.try_into().ok();
    // By its bits: these numbers have no upper bound of their own.
    u64: |stored| Some(stored.cast_unsigned());
    bool: |stored| match stored {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    Seq: |stored| Self::new(stored.try_into().ok()?);
    LogEpoch: |stored| Self::new(stored.try_into().ok()?);
    Timestamp: |stored| Some(Self::from_millis(stored));
    Checksum: |stored| stored.try_into().ok().map(Self);
    EntryKind: |stored| Self::from_number(stored.try_into().ok()?);
    ConversationKind: |stored| Self::from_number(stored.try_into().ok()?);
    Role: |stored| Self::from_number(stored.try_into().ok()?);
    HiddenReason: |stored| match stored {
        1 => Some(Self::NotAMember),
        2 => Some(Self::Trimmed),
        _ => None,
    };
}

impl Column for String {
    fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
        stored.as_str().ok().map(str::to_owned)
    }
}

impl Column for Bytes {
    fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
        stored.as_blob().ok().map(Self::copy_from_slice)
    }
}

impl Column for [u8; 32] {
    fn from_stored(stored: ValueRef<'_>) -> Option<Self> {
        stored.as_blob().ok()?.try_into().ok()
    }
}

/// A seq as it is stored; it lies below 2^53.
pub(crate) fn stored_seq(seq: Seq) -> i64 {
    seq.get().cast_signed()
}

/// A number of rows or bytes as a statement takes it.
pub(crate) fn stored_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
