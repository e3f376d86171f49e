//! Operations of what devices publish and get, each handed to its file.

use rusqlite::{Connection, Result};
use tidings_messaging::store::{DeviceOperation, Outcome};

use super::device_list::NewEntries;
use super::inbox::DeviceMessage;
use super::key_package::{Claim, NewKeyPackages};
use super::{account_value, backup, device_list, inbox, key_package};

pub(super) fn apply(connection: &Connection, operation: &DeviceOperation) -> Result<Outcome> {
    match operation {
        DeviceOperation::AppendDeviceList {
            account,
            from,
            entries,
            begins_anew,
            expected,
            revoked,
            now,
        } => {
            let new = NewEntries {
                account: *account,
                from: *from,
                entries,
                revoked,
                expected: *expected,
                now: *now,
            };
            if *begins_anew {
                device_list::begin_anew(connection, &new)
            } else {
                device_list::append(connection, &new)
            }
        }
        DeviceOperation::PublishKeyPackages {
            device,
            account,
            packages,
            last_resort,
            replace,
            stock_max,
        } => {
            let new = NewKeyPackages {
                account: *account,
                device: *device,
                packages,
                last_resort: last_resort.as_ref(),
                replaces: *replace,
            };
            key_package::publish(connection, &new, *stock_max)
        }
        DeviceOperation::ClaimKeyPackages { claimer, request, accounts, now, kept_until } => {
            let claim =
                Claim { claimer: *claimer, request: *request, now: *now, kept_until: *kept_until };
            key_package::claim(connection, &claim, accounts)
        }
        DeviceOperation::SendToDevice {
            account,
            from,
            to,
            message_id,
            payload,
            now,
            items_max,
        } => {
            let message = DeviceMessage {
                account: *account,
                from: *from,
                to: *to,
                message_id: *message_id,
                payload,
                time: *now,
            };
            inbox::send(connection, &message, *items_max)
        }
        DeviceOperation::AcknowledgeInbox { device, up_to } => {
            inbox::acknowledge(connection, *device, *up_to)
        }
        DeviceOperation::PutAccountValue { account, device, key, value, keys_max } => {
            let new = account_value::NewValue { account: *account, device: *device, key, value };
            account_value::put(connection, &new, *keys_max)
        }
        DeviceOperation::PutBackupChunk { account, chunk, sealed, bytes_max } => {
            backup::put(connection, *account, *chunk, sealed, *bytes_max)
        }
        DeviceOperation::DropBackup { account } => backup::drop_all(connection, *account),
    }
}
