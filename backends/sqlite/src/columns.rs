//! Columns and the model's types: both ways, with a wrong value told as damage and never a panic.

use rusqlite::types::{FromSql, Type};
use rusqlite::{Error, Result, Row};
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, EntryKind, GroupEpoch,
    LogEpoch, MessageId, Role, Seq, Timestamp,
};

/// A value that is stored in one column.
pub(crate) trait Column: Sized {
    /// How SQLite holds it.
    type Stored: FromSql;

    /// Takes a stored value; `None` if it is none of this type's.
    fn from_stored(stored: Self::Stored) -> Option<Self>;
}

/// Reads a column.
pub(crate) fn read<T: Column>(row: &Row<'_>, index: usize) -> Result<T> {
    T::from_stored(row.get(index)?).ok_or_else(|| out_of_range(index))
}

/// Reads a column that may be NULL.
pub(crate) fn read_optional<T: Column>(row: &Row<'_>, index: usize) -> Result<Option<T>> {
    let Some(stored) = row.get::<_, Option<T::Stored>>(index)? else { return Ok(None) };
    T::from_stored(stored).map(Some).ok_or_else(|| out_of_range(index))
}

fn out_of_range(index: usize) -> Error {
    Error::FromSqlConversionFailure(index, Type::Null, "the value is out of its range".into())
}

macro_rules! identifier {
    ($($name:ident)*) => {$(
        impl Column for $name {
            type Stored = [u8; 16];

            fn from_stored(stored: [u8; 16]) -> Option<Self> {
                Some(Self::from_bytes(stored))
            }
        }
    )*};
}

identifier!(AccountId ConversationId DeviceId MessageId);

macro_rules! number {
    ($($name:ty: $convert:expr;)*) => {$(
        impl Column for $name {
            type Stored = i64;

            fn from_stored(stored: i64) -> Option<Self> {
                let convert: fn(i64) -> Option<Self> = $convert;
                convert(stored)
            }
        }
    )*};
}

number! {
    Seq: |stored| u64::try_from(stored).ok().and_then(Self::new);
    LogEpoch: |stored| u64::try_from(stored).ok().and_then(Self::new);
    Timestamp: |stored| Some(Self::from_millis(stored));
    Checksum: |stored| u32::try_from(stored).ok().map(Self);
    EntryKind: |stored| u8::try_from(stored).ok().and_then(Self::from_number);
    ConversationKind: |stored| u8::try_from(stored).ok().and_then(Self::from_number);
    Role: |stored| u8::try_from(stored).ok().and_then(Self::from_number);
    // By its bits: these numbers have no upper bound of their own.
    u64: |stored| Some(stored.cast_unsigned());
    u32: |stored| Self::try_from(stored).ok();
    usize: |stored| Self::try_from(stored).ok();
}

/// Reads where a group stands out of two columns, beginning at `first`: generation, epoch. `None`: there is
/// no group.
pub(crate) fn group_epoch(row: &Row<'_>, first: usize) -> Result<Option<GroupEpoch>> {
    let Some(generation) = read_optional(row, first)? else { return Ok(None) };
    Ok(Some(GroupEpoch { generation, epoch: read(row, first + 1)? }))
}

/// A seq as it is stored; it lies below 2^53.
pub(crate) fn seq(seq: Seq) -> i64 {
    seq.get().cast_signed()
}

/// An epoch as it is stored; it lies below 2^53.
pub(crate) fn epoch(epoch: LogEpoch) -> i64 {
    epoch.get().cast_signed()
}

/// A number of rows as a LIMIT takes it.
pub(crate) fn limit(rows_max: usize) -> i64 {
    i64::try_from(rows_max).unwrap_or(i64::MAX)
}
